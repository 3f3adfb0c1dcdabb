"""Every duration the bridge lives by, in one place; tests make them short."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Timing:
    """Where a value has a field fault behind it, `ocpp` mapping sections 1, 2, 5 and 7 give the reason."""

    debounce: timedelta = timedelta(seconds=2)
    """A connector state must hold this long before it is told."""
    preparing: timedelta = timedelta(seconds=5)
    """The same for Preparing, which flaps."""
    settle: timedelta = timedelta(seconds=20)
    """A station that comes back tells its states within this time."""
    finishing: timedelta = timedelta(minutes=15)
    """A car that stays after its session blocks the EVSE from then on."""
    heartbeat: timedelta = timedelta(seconds=300)
    """The interval given in BootNotification.conf."""
    ping: timedelta = timedelta(seconds=60)
    """The interval of WebSocket pings; a station that does not answer them is left alone."""
    silence: timedelta = timedelta(seconds=660)
    """An open socket without any frame or pong for this long is no sign of life: two heartbeats and a margin."""
    grace: timedelta = timedelta(seconds=90)
    """A station may be gone this long before its EVSEs become UNKNOWN."""
    seen: timedelta = timedelta(seconds=15)
    """How often the database is told who is alive; well below `grace`."""
    sweep: timedelta = timedelta(seconds=1)
    """How often somebody looks for what is due, if nothing woke him."""
    lease: timedelta = timedelta(seconds=30)
    """What a crashed publisher had claimed is taken up by another after this long."""
    retry: timedelta = timedelta(seconds=30)
    """A push that could not be made now is tried again after this long."""
    quiet_ac: timedelta = timedelta(seconds=300)
    quiet_dc: timedelta = timedelta(seconds=60)
    """Between two pushes of a growing Session, unless it grew by a kWh."""
    hold: timedelta = timedelta(hours=1)
    hold_away: timedelta = timedelta(hours=72)
    """An assumed stop becomes final after this long: the real one may still come."""
    grant: timedelta = timedelta(seconds=180)
    """From a card that was accepted to the plug: ConnectionTimeOut and a margin."""
    command_grant: timedelta = timedelta(minutes=15)
    """The same after START_SESSION with an RFID card: for so long its eMSP is not asked (CMD-035)."""
    app_grant: timedelta = timedelta(hours=24)
    """The same for tokens of apps, for which nobody is ever asked."""
    call: timedelta = timedelta(seconds=30)
    """A station has this long to answer a CALL."""
    command: timedelta = timedelta(seconds=35)
    """The timeout told in a CommandResponse."""
