"""Deliveries: what is owed to whom, and how far each receiver's lane has come.

A lane that is well owes nothing here: what it has not reached yet counts as `behind`. An object is owed when it could
not be delivered at once; it is tried again at `next_try_at`, or parked when the receiver refused it too often.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from fastapi import Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import text

from hub.admin import access
from hub.admin.orders import Code, Order
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import Conflict, InvalidParameters, NotFound
from hub.ocpi.types import PartyId, masked
from hub.store import parked
from hub.store.journal import Hop
from hub.store.parked import Which
from modules.calls import CurrentHub
from modules.catalog import CDRS

log = structlog.get_logger(__name__)

router = access.router("deliveries")

_LANES = text(
    "SELECT l.receiver, f.id AS platform_id, f.status, f.stopped_reason, f.failures, f.next_try_at, l.holder,"
    " COALESCE(sum(h.position - c.position), 0)::bigint AS behind,"
    " (SELECT min(g.at) FROM lane_cursor s JOIN change_log g ON g.shard = s.shard AND g.position = s.position + 1"
    "  WHERE s.party_id = l.party_id) AS behind_since,"
    " (SELECT count(*) FROM owed o WHERE o.receiver = l.receiver AND NOT o.parked) AS owed,"
    " (SELECT count(*) FROM owed o WHERE o.receiver = l.receiver AND o.parked) AS parked,"
    " (SELECT count(*) FROM backfill b WHERE b.receiver = l.receiver) AS backfills"
    " FROM lane l JOIN party p ON p.id = l.party_id JOIN platform f ON f.id = p.platform_id"
    " LEFT JOIN (lane_cursor c JOIN log_head h USING (shard)) ON c.party_id = l.party_id"
    " WHERE CAST(:receiver AS text) IS NULL OR l.receiver = :receiver"
    " GROUP BY l.receiver, l.party_id, l.holder, f.id ORDER BY l.receiver"
)
_OWED = text(
    "SELECT mark AS number, receiver, owner, module, key, CASE WHEN parked THEN 'parked' ELSE 'owed' END AS state,"
    " tries, CASE WHEN NOT parked THEN next_at END AS next_try_at, reason, since, correlation_id FROM owed"
    " WHERE (CAST(:receiver AS text) IS NULL OR receiver = :receiver)"
    " AND (CAST(:parked AS boolean) IS NULL OR parked = :parked)"
    " ORDER BY parked DESC, since, receiver, owner, module, key LIMIT :limit"
)
_ONE = text(
    "SELECT mark AS number, receiver, owner, module, key, CASE WHEN parked THEN 'parked' ELSE 'owed' END AS state,"
    " tries, CASE WHEN NOT parked THEN next_at END AS next_try_at, reason, since, correlation_id,"
    " CASE WHEN parked THEN sample END AS sample FROM owed WHERE mark = :number"
)


@dataclass(frozen=True)
class LaneRow:
    """A receiver's lane. `behind` counts changes of the log that it has not passed, of which the oldest came at
    `behind_since`; `holder` is the worker that serves it."""

    receiver: str
    platform_id: int
    status: str
    stopped_reason: str | None
    failures: int
    next_try_at: datetime | None
    holder: str | None
    behind: int
    behind_since: datetime | None
    owed: int
    parked: int
    backfills: int


@dataclass(frozen=True)
class OwedRow:
    """An object that a receiver has still to get. `number` names a parked one until it is tried again; `key` is its id
    in capitals, of a token only the end."""

    number: int
    receiver: str
    owner: str
    module: str
    key: str
    state: str
    tries: int
    next_try_at: datetime | None
    reason: str | None
    since: datetime
    correlation_id: str


@dataclass(frozen=True)
class OwedDetail(OwedRow):
    """One of them, with the beginning of what the receiver answered last if it is parked (`sample`)."""

    sample: str | None


class ParkedOrder(Order):
    """Which parked objects: all that fit all that is given. Something must be given, or `all`."""

    receiver: Code | None = None
    owner: Code | None = None
    module: Annotated[str, Field(max_length=50)] | None = None
    number: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    all: bool = False


class DiscardOrder(ParkedOrder):
    """Which parked objects are given up, and why. `cdr`: CDRs too, for which money is owed."""

    reason: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    cdr: bool = False


@dataclass(frozen=True)
class Replayed:
    """How many parked objects are tried again."""

    objects: int


@dataclass(frozen=True)
class Discarded:
    """How many parked objects were given up, by whom, and why."""

    objects: int
    reason: str
    who: str


@dataclass(frozen=True)
class Deliveries:
    """The lanes, and what is owed: parked objects first, then the longest owed. `more`: there are others."""

    lanes: list[LaneRow]
    items: list[OwedRow]
    more: bool


async def look(hub: Hub, receiver: str | None, state: str | None, limit: int) -> Deliveries:
    """What is owed to one receiver or to all."""
    code = str(PartyId.parse(receiver)) if receiver is not None else None
    names = {"receiver": code, "parked": None if state is None else state == "parked", "limit": limit + 1}
    async with hub.db.unit_of_work() as session:
        lanes = [LaneRow(**row) for row in (await session.execute(_LANES, {"receiver": code})).mappings()]
        items = [_item(**row) for row in (await session.execute(_OWED, names)).mappings()]
    return Deliveries(lanes, items[:limit], len(items) > limit)


async def one(hub: Hub, number: int) -> OwedDetail:
    """One object that is owed or parked; NotFound (404)."""
    async with hub.db.unit_of_work() as session:
        row = (await session.execute(_ONE, {"number": number})).mappings().first()
    if row is None:
        raise NotFound("nothing that is owed has this number (any more): `knutpunkt deliveries list` shows them")
    return OwedDetail(**{**row, "key": masked(row["key"]) if row["module"] == "tokens" else row["key"]})


async def replay(hub: Hub, order: ParkedOrder) -> Replayed:
    """Have parked objects tried again; NotFound (404) when there is none."""
    async with hub.db.unit_of_work() as session:
        objects = await parked.replay(session, _which(order))
    if not objects:
        raise NotFound(_NONE)
    hub.bell.ring()
    log.info("parked objects are tried again by order of the operator", objects=objects)
    return Replayed(objects)


async def discard(hub: Hub, order: DiscardOrder, who: str) -> Discarded:
    """Give parked objects up; NotFound (404) when there is none, Conflict (409) for CDRs unless they are meant."""
    which = _which(order)
    async with hub.db.unit_of_work() as session:
        objects, cdrs = await parked.count(session, which, CDRS.name)
        if not objects:
            raise NotFound(_NONE)
        if cdrs and not order.cdr:
            raise Conflict(f"{cdrs} of {objects} are CDRs, for which money is owed: --cdr gives them up as well")
        gone = await parked.discard(session, which, CDRS.name, order.reason, who)
    for row in gone:
        hop = Hop(row.correlation_id, headers.new_id(), who, row.receiver, "-", f"{row.module} of {row.owner}",
                  parked.DISCARD, detail=order.reason, about=(row.owner, row.module, row.key))  # fmt: skip
        hub.journal.note(hop)
    log.warning("parked objects given up by the operator", objects=len(gone), who=who, reason=order.reason)
    return Discarded(len(gone), order.reason, who)


def _which(order: ParkedOrder) -> Which:
    found = Which(order.receiver and str(order.receiver), order.owner and str(order.owner), order.module, order.number)
    if found == Which() and not order.all:
        raise InvalidParameters("body: name a receiver, an owner, a module or a number, or say all")
    return found


_NONE = "nothing of that is parked: `knutpunkt deliveries list --parked` shows what is"


def _item(module: str, key: str, **row: Any) -> OwedRow:
    return OwedRow(module=module, key=masked(key) if module == "tokens" else key, **row)


@router.get("/deliveries", response_model=Deliveries)
async def get(
    hub: CurrentHub,
    receiver: Annotated[str | None, Query(description="Only those for this party, like DE*MSA.")] = None,
    state: Annotated[
        Literal["owed", "parked"] | None, Query(description="Only what is tried again, or only what is parked.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """What is owed to whom, and how far the lanes have come."""
    return access.respond(await look(hub, receiver, state, limit))


@router.get("/deliveries/{number}", response_model=OwedDetail)
async def get_one(hub: CurrentHub, number: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """One object that is owed or parked, with what its receiver answered."""
    return access.respond(await one(hub, number))


@router.post("/deliveries/replay", response_model=Replayed)
async def post_replay(hub: CurrentHub, order: ParkedOrder) -> Response:
    """Have parked objects tried again, once their receiver is mended."""
    return access.respond(await replay(hub, order))


@router.post("/deliveries/discard", response_model=Discarded)
async def post_discard(hub: CurrentHub, request: Request, order: DiscardOrder) -> Response:
    """Give parked objects up: their receiver does not get them unless they change. CDRs only if they are meant."""
    return access.respond(await discard(hub, order, request.state.operator))
