"""From when on something is the matter, and how often the hub looks; tests make the times short."""

from dataclasses import dataclass
from datetime import timedelta

from hub.store.heartbeats import SILENT


@dataclass(frozen=True)
class Limits:
    """Seconds, where nothing else is said."""

    every: float = 10.0
    """Between two looks."""
    silent: float = SILENT
    """A process that has shown no sign of life for so long counts as gone."""
    patience: float = 30.0
    """What may be so for a moment while processes start, stop and take over must have lasted this long."""
    settling: float = 900.0
    """A partner that could not call while the hub was down has so long to call again before it counts as silent."""
    unstamped: float = 10.0
    """A change should have its position by then."""
    lag: float = 60.0
    """A receiver that is well should have a change by then."""
    remembered: float = 86_400.0
    """How long a dead process is remembered while others of its kind live."""
    lapse: timedelta = timedelta(hours=24)
    """Credentials that end within this time are about to lapse."""
    expiry: timedelta = timedelta(days=14)
    """The same of certificates."""
    certificates_every: float = 3_600.0
    """Between two looks at the certificates."""
    full: float = 0.85
    """The share of its room that the database may fill, and (`cleared`) the share below which an alert is over."""
    cleared: float = 0.8
    webhook_timeout: float = 5.0
    """How long the webhook may take."""
    webhook_pause: float = 10.0
    """Between two tries of the webhook: the first pause, which doubles, and the longest."""
    webhook_longest: float = 600.0
