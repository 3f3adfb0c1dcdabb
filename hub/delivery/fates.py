"""What became of a kept object at each of its receivers. Nobody keeps book of it: it is worked out when asked, from
the hops, what is owed, where the lanes stand and the directory.

The order of the questions matters: an object that is owed in the name of this message is not through, whatever was
delivered of it; a delivery counts before what is owed in the name of another one; and a lane that has not come to the
change yet owes it whatever else it owes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from hub.delivery import audience
from hub.delivery.log import SHARD
from hub.ocpi.module import Catalog
from hub.ocpi.patch import Outcome
from hub.ocpi.types import PartyId
from hub.store import fates as store
from hub.store import messages
from hub.store.db import Statements
from hub.store.directory import Directory
from hub.store.fates import Arrival, Custody, Due, Standing
from hub.store.objects import EVERYBODY
from hub.store.outgoing import Identity
from hub.store.seal import Seal

_KEEPING = frozenset({messages.BROADCAST, messages.KEEP, messages.CUSTODY, messages.REPEAT})
_KEPT = frozenset({outcome.value for outcome in Outcome if outcome.changes} | {messages.DELETED, messages.IN_LEDGER})
_ARRIVAL = ("receiver", "at", "correlation_id", "http_status", "status_code")

State = Literal["parked", "owed", "behind", "discarded", "passed", "superseded", "delivered", "not a receiver"]


@dataclass(frozen=True, slots=True)
class Kept:
    """An object (as the message log names it) that a message brought at `at`, for everybody ("*") or one party.
    `direct` is that party's answer, where the hub passed the message on to it while its sender waited."""

    about: Identity
    correlation_id: str
    at: datetime
    audience: str
    direct: Arrival | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """Where an object is with one receiver, seen from the message that brought it.

    parked: refused so often that it waits for a newer version. owed: tried, to be tried again. behind: the lane has not
    come to it yet. delivered: `at` is when. superseded: a newer message (`correlation_id`) came there in its stead.
    discarded: a CDR that the operator gave up. passed: the lane is past it, and no delivery is on record. `at` of what
    is owed is the next try.
    """

    receiver: str
    state: State
    at: datetime | None = None
    correlation_id: str | None = None
    detail: str = ""


def kept_in(hops: Iterable[Mapping[str, Any]]) -> list[Kept]:
    """The objects that a message brought, from its hops: each as it was kept last."""
    found: dict[tuple[Identity, str], Kept] = {}
    direct: dict[tuple[Identity, str], Arrival] = {}
    for hop in hops:
        if hop["key"] is None:
            continue
        about = (hop["owner"], hop["module"], hop["key"])
        place = (about, EVERYBODY if hop["decision"] == messages.BROADCAST else hop["receiver"])
        if hop["decision"] == messages.FORWARD:
            direct[place] = Arrival(*(hop[name] for name in _ARRIVAL))
        elif hop["decision"] in _KEEPING and hop["detail"] in _KEPT:
            found[place] = Kept(about, hop["correlation_id"], hop["at"], place[1], direct.get(place))
    return list(found.values())


async def of_object(session: Statements, directory: Directory, catalog: Catalog, seal: Seal, kept: Kept) -> list[Fate]:
    """What became of an object at each receiver, and why others that it might concern are none."""
    if catalog[kept.about[1]].immutable:
        return await _of_cdr(session, seal, kept)
    owner, module = PartyId.parse(kept.about[0]), kept.about[1]
    due = await store.due(session, seal, kept.about)
    arrivals = await store.arrivals(session, kept.about, kept.correlation_id, kept.at)
    concerned = [kept.audience]
    if kept.audience == EVERYBODY:
        meant = [str(code) for code in audience.candidates(directory, catalog, owner, module)]
        concerned = list(dict.fromkeys((*meant, *arrivals, *due)))
    standings = await store.standings(session, SHARD, kept.about, kept.correlation_id, kept.at, concerned)
    found = []
    for receiver in concerned:
        code = PartyId.parse(receiver)
        obstacle = audience.obstacle(directory, owner, module, code)
        if _reads_the_store(directory, owner, module, code):
            found.append(Fate(receiver, "delivered", kept.at, detail="hosted here, it reads the hub's store"))
        else:
            facts = arrivals.get(receiver), due.get(receiver), standings.get(receiver), obstacle
            found.append(decide(kept, receiver, *facts))
    return found


async def _of_cdr(session: Statements, seal: Seal, kept: Kept) -> list[Fate]:
    """Where a CDR is; nothing when the ledger does not have it."""
    custody = await store.custody(session, kept.about)
    if custody is None:
        return []
    receiver = custody.receiver
    due = await store.due(session, seal, kept.about)
    arrivals = await store.arrivals(session, kept.about, kept.correlation_id, kept.at)
    standings = await store.standings(session, SHARD, kept.about, kept.correlation_id, kept.at, [receiver])
    return [decide_cdr(kept, custody, arrivals.get(receiver), due.get(receiver), standings.get(receiver))]


def decide(
    kept: Kept,
    receiver: str,
    arrival: Arrival | None,
    due: Due | None,
    standing: Standing | None,
    obstacle: str | None,
) -> Fate:
    """The fate of an object at one receiver. Pure."""
    if kept.direct is not None:
        return Fate(receiver, "delivered", kept.direct.at, detail=_answered(kept, kept.direct))
    if due is not None and due.correlation_id == kept.correlation_id:
        return _owed(kept, due, standing)
    if arrival is not None and arrival.correlation_id == kept.correlation_id:
        return Fate(receiver, "delivered", arrival.at, detail=_answered(kept, arrival))
    if arrival is not None:
        return Fate(receiver, "superseded", arrival.at, arrival.correlation_id, "something newer was delivered")
    if obstacle is not None:
        return Fate(receiver, "not a receiver", detail=obstacle)
    if standing is None:
        return Fate(receiver, "not a receiver", detail="has no lane")
    if not standing.passed or standing.backfill is not None:
        return Fate(receiver, "behind", standing.next_try_at, detail=_why_behind(standing, due))
    if due is not None:
        return _owed(kept, due, standing)
    return Fate(receiver, "passed", detail="nothing was left to tell, or the hop was lost in a crash")


def decide_cdr(
    kept: Kept, custody: Custody, arrival: Arrival | None, due: Due | None, standing: Standing | None
) -> Fate:
    """The fate of a CDR, which the ledger knows. Pure."""
    if due is not None:
        return _owed(kept, due, standing)
    if custody.state == "delivered":
        answer = kept.direct or arrival
        answered = _answered(kept, answer) if answer is not None else "says the ledger"
        return Fate(custody.receiver, "delivered", custody.at, detail=answered)
    if custody.state == "discarded":
        return Fate(custody.receiver, "discarded", custody.at, detail=custody.detail or "")
    return Fate(custody.receiver, "behind", detail=custody.detail or "in custody, about to go out")


def _reads_the_store(directory: Directory, owner: PartyId, module: str, receiver: PartyId) -> bool:
    target = directory.party(receiver)
    return target is not None and target.platform.hosted and directory.allows(owner, receiver, module)


def _answered(kept: Kept, arrival: Arrival) -> str:
    status = f"answered {arrival.http_status}/{arrival.status_code}"
    if arrival is kept.direct:
        return f"{status}, while its sender waited"
    return f"{status}, {max((arrival.at - kept.at).total_seconds(), 0):.3f} s after the hub had it"


def _owed(kept: Kept, due: Due, standing: Standing | None) -> Fate:
    other = due.correlation_id if due.correlation_id != kept.correlation_id else None
    if due.parked:
        return Fate(due.receiver, "parked", due.next_at, other, f"after {due.tries} tries: {due.reason}")
    waits = [due.next_at] if standing is None or standing.next_try_at is None else [due.next_at, standing.next_try_at]
    tries = [f"{due.tries} refused"] if due.tries else []
    reason = [due.reason] if due.reason else []
    return Fate(due.receiver, "owed", max(waits), other, "; ".join(_platform(standing) + tries + reason))


def _why_behind(standing: Standing, due: Due | None) -> str:
    """What keeps a lane from coming to the change."""
    reasons = _platform(standing)
    if standing.backfill is not None:
        reasons.append(f"a full delivery is under way ({standing.backfill})")
    if due is not None and due.reason:
        reasons.append(due.reason)
    if not standing.held:
        reasons.append("no worker serves its lane")
    if standing.behind:
        reasons.append(f"its lane is {standing.behind} changes from the end of the log")
    return "; ".join(reasons)


def _platform(standing: Standing | None) -> list[str]:
    if standing is None:
        return []
    if standing.stopped_reason is not None:
        return [f"stopped: {standing.stopped_reason}"]
    if standing.status != "CONNECTED":
        return [f"platform {standing.status}"]
    return [f"failed {standing.failures} times in a row"] if standing.failures else []
