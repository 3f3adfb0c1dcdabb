"""How much of what an owner has a receiver holds: what it has acknowledged, not what was sent.

An object counts as delivered when its newest state was accepted: it is not owed, no change of it waits in the log
after the receiver's cursor, and no full delivery has still to come to it. All of these are settled by the receiver's
answer and nothing else (hub.delivery).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text

from hub.delivery import audience
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId
from hub.store.db import Statements
from hub.store.directory import Directory, PartyView
from modules.catalog import FUNCTIONAL

# A row of the receiver's own stands beside the one for everybody; what was deleted for it alone is gone for it.
_KEPT = text(
    "WITH waits AS (SELECT key FROM change_log WHERE position IS NULL AND owner = :owner AND module = :module"
    "  AND audience IN ('*', :receiver) UNION SELECT g.key FROM lane l JOIN lane_cursor c USING (party_id)"
    "  JOIN change_log g ON g.shard = c.shard AND g.position > c.position WHERE l.receiver = :receiver"
    "  AND g.owner = :owner AND g.module = :module AND g.audience IN ('*', :receiver)),"
    " seen AS (SELECT o.key, min(o.id) AS id FROM object o WHERE o.owner = :owner AND o.module = :module"
    "  AND o.audience IN ('*', :receiver) AND NOT o.deleted AND NOT EXISTS (SELECT FROM object t"
    "  WHERE t.owner = o.owner AND t.module = o.module AND t.key = o.key AND t.audience = :receiver AND t.deleted"
    "  AND t.stored_at >= o.stored_at) GROUP BY o.key),"
    " debt AS (SELECT key, parked FROM owed WHERE receiver = :receiver AND owner = :owner AND module = :module),"
    " gone AS (SELECT key FROM discard d WHERE receiver = :receiver AND owner = :owner AND module = :module"
    "  AND NOT EXISTS (SELECT FROM object o WHERE o.owner = d.owner AND o.module = d.module AND o.key = d.key"
    "  AND o.audience IN ('*', :receiver) AND o.stored_at > d.at))"
    " SELECT count(*), count(*) FILTER (WHERE d.key IS NULL AND w.key IS NULL AND g.key IS NULL"
    " AND (b.id IS NULL OR s.id <= b.last_id)), (SELECT count(*) FROM debt WHERE NOT parked),"
    " (SELECT count(*) FROM debt WHERE parked), count(g.key) FILTER (WHERE d.key IS NULL)"
    " FROM seen s LEFT JOIN debt d USING (key) LEFT JOIN waits w USING (key) LEFT JOIN gone g USING (key)"
    " LEFT JOIN backfill b ON b.receiver = :receiver AND b.owner = :owner AND b.module = :module"
)
_CDRS = text(
    "SELECT count(*), count(*) FILTER (WHERE d.state = 'delivered'), count(o.key) FILTER (WHERE NOT o.parked),"
    " count(o.key) FILTER (WHERE o.parked), count(*) FILTER (WHERE d.state = 'discarded')"
    " FROM cdr c JOIN cdr_delivery d USING (seq)"
    " LEFT JOIN owed o ON o.receiver = c.receiver AND o.owner = c.owner AND o.module = :module AND o.key = c.key"
    " WHERE c.owner = :owner AND c.receiver = :receiver"
)


@dataclass(frozen=True)
class Completeness:
    """What of an owner's module a receiver may have: how many objects there `are`, how many of them the receiver has
    acknowledged in their newest state (`delivered`, None where the hub delivers nothing), how many are still on their
    way (`waiting`), tried again (`owed`), refused so often that they are `parked`, or then given up (`discarded`).
    `note` says why nothing moves."""

    receiver: str
    owner: str
    module: str
    are: int
    delivered: int | None
    waiting: int
    owed: int
    parked: int
    discarded: int
    note: str | None


async def of_pair(session: Statements, picture: Directory, one: PartyId, other: PartyId) -> list[Completeness]:
    """Both sides of a pair, for the modules that may flow by what `picture` shows."""
    found = []
    for owner, receiver in ((one, other), (other, one)):
        for module in _modules(picture, owner, receiver):
            row = await _count(session, picture, owner, receiver, module)
            if module.broadcast or row.are:  # sessions and CDRs: only where there are any
                found.append(row)
    return found


def _modules(picture: Directory, owner: PartyId, receiver: PartyId) -> Iterator[Module]:
    """The modules of which the owner has something that is meant for the receiver."""
    source, target = picture.party(owner), picture.party(receiver)
    for module in FUNCTIONAL:
        if source is None or not module.owner or not source.roles & audience.owners(module.owner):
            continue
        meant = target is None or target.roles & audience.readers(module.owner)
        if meant and picture.allows(owner, receiver, module.name):
            yield module


async def _count(
    session: Statements, picture: Directory, owner: PartyId, receiver: PartyId, module: Module
) -> Completeness:
    names = {"owner": str(owner), "receiver": str(receiver), "module": module.name}
    query = _CDRS if module.immutable else _KEPT
    are, delivered, owed, parked, discarded = (await session.execute(query, names)).one()
    note, target = _note(picture, owner, module, receiver), picture.party(receiver)
    if target is not None and target.platform.hosted:  # it lives here: what is kept, it has
        return Completeness(str(receiver), str(owner), module.name, are, are, 0, 0, 0, 0, note)
    served = note is None or _is_away(target)
    waiting = max(are - delivered - owed - parked - discarded, 0) if served else 0
    known = delivered if served or module.immutable else None
    return Completeness(str(receiver), str(owner), module.name, are, known, waiting, owed, parked, discarded, note)


def _note(picture: Directory, owner: PartyId, module: Module, receiver: PartyId) -> str | None:
    target = picture.party(receiver)
    if target is not None and target.platform.hosted:
        return "hosted here"
    if _is_away(target):
        return "is OFFLINE: goes on when it is back"
    return audience.obstacle(picture, owner, module.name, receiver)


def _is_away(target: PartyView | None) -> bool:
    if target is None or target.behind:
        return False
    return target.status == "OFFLINE" and target.platform.resync == "push"
