"""What is the matter: from what a look at the hub found to conditions. Pure: values in, values out.

A condition that can also be seen for a moment while all is well, at a start, a rolling restart or a takeover, says how
long it must have lasted before it is told (`lasting`). One that could not be judged this time (a certificate that
nobody has looked at yet) lasts NEVER long enough: it keeps an alert that is open, and raises none.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hub.store.heartbeats import Sign
from hub.store.vitals import LaneRow, PlatformRow, Vitals
from hub.watch.kinds import Kind
from hub.watch.limits import Limits

NEVER = math.inf
BEAT, WORKER = "beat", "worker"
SHOWN = 5
"""So many names are listed where there may be hundreds."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is the matter now, if it has been so for `lasting` seconds."""

    kind: Kind
    subject: str
    detail: str = ""
    lasting: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """How much of `limit` bytes is used, of what."""

    used: int
    limit: int
    what: str


@dataclass(frozen=True)
class Look:
    """What was found. `served` are the receivers that a lane must serve, `broker` is what keeps it from answering,
    `ends` when the certificate of each address ends (None: not known yet)."""

    vitals: Vitals
    served: Collection[str]
    silent_after: float
    broker: str | None = None
    room: Room | None = None
    ends: Mapping[str, datetime | None] = field(default_factory=dict)


Judging = Callable[[Look, Limits], Iterator[Condition]]


def judge(look: Look, limits: Limits) -> list[Condition]:
    """Everything that is the matter."""
    return [condition for judging in _JUDGINGS for condition in judging(look, limits)]


def heirs(signs: Sequence[Sign], limits: Limits) -> dict[str, str]:
    """Who has taken whose place: for each dead process one of its kind that began after it fell."""
    found: dict[str, str] = {}
    free = sorted(signs, key=lambda sign: sign.started_at)
    for sign in sorted(signs, key=lambda sign: sign.at):
        heir = next((other for other in free if other.kind == sign.kind and other.started_at > sign.at), None)
        if heir is not None and sign.age > limits.silent:
            found[sign.process] = heir.process
            free.remove(heir)
    return found


def forgotten(signs: Sequence[Sign], limits: Limits) -> list[str]:
    """Dead processes that nobody needs to remember: others of their kind have lived for long without them."""
    alive = {sign.kind for sign in signs if sign.age <= limits.silent}
    return [sign.process for sign in signs if sign.age > limits.remembered and sign.kind in alive]


def _lane_stopped(look: Look, limits: Limits) -> Iterator[Condition]:
    for platform in _connected(look):
        if platform.stopped_reason is not None:
            detail = f"it refuses the hub's token, nothing is sent to it: {platform.stopped_reason}"
            yield Condition(Kind.LANE_STOPPED, _name(platform), detail)


def _object_parked(look: Look, limits: Limits) -> Iterator[Condition]:
    for row in look.vitals.debts:
        if row.parked:
            number = "1 object that it refuses" if row.parked == 1 else f"{row.parked} objects that it refuses"
            yield Condition(Kind.OBJECT_PARKED, row.receiver, f"{number}, first {row.first}: {row.reason}")


def _partner_silent(look: Look, limits: Limits) -> Iterator[Condition]:
    for platform in _connected(look):
        if platform.status == "OFFLINE":
            yield Condition(Kind.PARTNER_SILENT, _name(platform), "OFFLINE: it answers neither deliveries nor versions")
        elif "CPO" in platform.roles and platform.quiet > look.silent_after:
            detail = f"a CPO that has not called for {_time(platform.quiet)}"
            yield Condition(Kind.PARTNER_SILENT, _name(platform), detail, limits.settling)


def _credentials_lapse(look: Look, limits: Limits) -> Iterator[Condition]:
    soon = look.vitals.now + limits.lapse
    connected = {platform.id for platform in _connected(look)}
    for platform in look.vitals.platforms:
        detail = ""
        if platform.id in connected and not platform.has_token:
            detail = "it holds no valid token of this hub: it cannot call"
        elif platform.id in connected and platform.token_ends is not None and platform.token_ends <= soon:
            detail = f"its token ends at {_moment(platform.token_ends)}: it cannot call after that"
        elif platform.id in connected and platform.rolled_back:
            detail = "it took a new token and goes on with the old one: the renewal was rolled back"
        elif platform.invited_until is not None and platform.invited_until <= soon:
            detail = f"its invitation ends unused at {_moment(platform.invited_until)}"
        if detail:
            yield Condition(Kind.CREDENTIALS_LAPSE, _name(platform), detail)


def _certificate_expires(look: Look, limits: Limits) -> Iterator[Condition]:
    for address, end in look.ends.items():
        if end is None:
            yield Condition(Kind.CERTIFICATE_EXPIRES, address, lasting=NEVER)
        elif end <= look.vitals.now + limits.expiry:
            word = "ended" if end <= look.vitals.now else "ends"
            yield Condition(Kind.CERTIFICATE_EXPIRES, address, f"its certificate {word} at {_moment(end)}")


def _stamping_behind(look: Look, limits: Limits) -> Iterator[Condition]:
    log = look.vitals.log
    if log.unstamped and log.unstamped_age > limits.unstamped:
        detail = f"changes without a position wait, the oldest for {_time(log.unstamped_age)}"
        yield Condition(Kind.STAMPING_BEHIND, "change log", detail, limits.patience)


def _sweep_behind(look: Look, limits: Limits) -> Iterator[Condition]:
    if not _lives(WORKER, look, limits):
        yield Condition(Kind.SWEEP_BEHIND, "workers", "no worker shows a sign of life", limits.patience)
        return
    lanes = [lane for lane in look.vitals.lanes if lane.receiver in look.served]
    free = [lane for lane in lanes if not lane.held]
    if free:
        detail = f"no worker has taken the lane of {_receivers(free)}"
        yield Condition(Kind.SWEEP_BEHIND, "lanes without a worker", detail, limits.patience)
    late = [lane for lane in lanes if lane.held and lane.well and lane.age > limits.lag]
    if late:
        worst = max(late, key=lambda lane: lane.age)
        detail = f"changes wait for {_time(worst.age)} though the partner is well: {_receivers(late)}"
        yield Condition(Kind.SWEEP_BEHIND, "lanes that lag", detail, limits.patience)


def _database_nearly_full(look: Look, limits: Limits) -> Iterator[Condition]:
    room = look.room
    if room is not None and room.used >= limits.cleared * room.limit:
        detail = f"{room.used / 2**30:.1f} of {room.limit / 2**30:.1f} GiB are in use"
        lasting = 0.0 if room.used >= limits.full * room.limit else NEVER
        yield Condition(Kind.DATABASE_NEARLY_FULL, room.what, detail, lasting)


def _process_gone(look: Look, limits: Limits) -> Iterator[Condition]:
    """A process that is silent, unless another has taken its place. Of beat only a worker hears, and through the
    broker: without them there is nothing to judge it by."""
    replaced = heirs(look.vitals.signs, limits)
    for sign in look.vitals.signs:
        if sign.age <= limits.silent or sign.process in replaced:
            continue
        detail = f"no sign of life for {_time(sign.age)}, and it did not end by itself"
        heard = sign.kind != BEAT or (look.broker is None and _lives(WORKER, look, limits))
        lasting = limits.patience if heard else NEVER
        yield Condition(Kind.PROCESS_GONE, sign.process, detail if heard else "", lasting)


def _broker_away(look: Look, limits: Limits) -> Iterator[Condition]:
    if look.broker is not None:
        yield Condition(Kind.BROKER_AWAY, "broker", f"it does not answer: {look.broker}", limits.patience / 2)


def _overloaded(look: Look, limits: Limits) -> Iterator[Condition]:
    for sign in look.vitals.signs:
        if sign.age <= limits.silent and sign.figures.get("shedding"):
            yield Condition(Kind.OVERLOADED, sign.process, "it refuses requests to keep its pace", limits.patience)


def _cdr_held(look: Look, limits: Limits) -> Iterator[Condition]:
    for row in look.vitals.held:
        number = "1 CDR waits" if row.held == 1 else f"{row.held} CDRs wait"
        detail = f"{number} for you, first of session {row.session_id}: {row.reason}"
        yield Condition(Kind.CDR_HELD, row.owner, detail)


def _reconciliation_gap(look: Look, limits: Limits) -> Iterator[Condition]:
    for row in look.vitals.gaps:
        number = "1 object is" if row.gaps == 1 else f"{row.gaps} objects are"
        detail = f"{number} not there as acknowledged, first {row.first}: {row.detail}"
        yield Condition(Kind.RECONCILIATION_GAP, row.partner, detail)


_JUDGINGS: tuple[Judging, ...] = (
    _lane_stopped,
    _object_parked,
    _partner_silent,
    _credentials_lapse,
    _certificate_expires,
    _stamping_behind,
    _sweep_behind,
    _database_nearly_full,
    _process_gone,
    _broker_away,
    _overloaded,
    _cdr_held,
    _reconciliation_gap,
)


def _lives(kind: str, look: Look, limits: Limits) -> bool:
    return any(sign.kind == kind and sign.age <= limits.silent for sign in look.vitals.signs)


def _connected(look: Look) -> list[PlatformRow]:
    return [platform for platform in look.vitals.platforms if platform.status in ("CONNECTED", "OFFLINE")]


def _name(platform: PlatformRow) -> str:
    return f"{platform.name} (platform {platform.id})"


def _receivers(lanes: Sequence[LaneRow]) -> str:
    names = ", ".join(lane.receiver for lane in lanes[:SHOWN])
    return names if len(lanes) <= SHOWN else f"{names} and {len(lanes) - SHOWN} more"


def _time(seconds: float) -> str:
    """A duration, coarse, so that a detail is not written anew at each look."""
    if seconds < 120:
        return f"{seconds // 10 * 10:.0f} s"
    if seconds < 7200:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 172_800 else f"{seconds // 86_400:.0f} days"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
