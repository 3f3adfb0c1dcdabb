"""Times as chargers tell them. A clock that cannot be right is replaced by the time at which we received the message.

Chargers boot in 1970 or 2014 until they have learned the time, some send local time with a Z, some send nothing
(field faults F25, F63). A time before 2020 or ahead of ours is not a measurement. A time in the past may well be
right: stations keep transaction messages while they are offline and send them hours later.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
AHEAD = timedelta(seconds=120)
QUEUED_AFTER = timedelta(seconds=60)


@dataclass(frozen=True)
class Moment:
    """When something happened; `told` is False where the charger's clock was of no use."""

    at: datetime
    told: bool = True

    def queued(self, received: datetime) -> bool:
        """Whether the message waited in the station: OCPP 1.6 gives no flag, its age does."""
        return self.told and received - self.at > QUEUED_AFTER


def moment(text: object, received: datetime) -> Moment:
    """Read a timestamp; one without a zone is UTC."""
    try:
        at = datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None:
        return Moment(received, told=False)
    try:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return Moment(received, told=False)
    if not EARLIEST <= at <= received + AHEAD:
        return Moment(received, told=False)
    return Moment(min(at, received))
