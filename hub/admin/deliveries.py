"""Deliveries: what is owed to whom, and how far each receiver's lane has come.

A lane that is well owes nothing here: what it has not reached yet counts as `behind`. An object is owed when it could
not be delivered at once; it is tried again at `next_try_at`, or parked when the receiver refused it too often.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from sqlalchemy import text

from hub.admin import access
from hub.exchange.context import Hub
from hub.ocpi.types import PartyId, masked
from modules.calls import CurrentHub

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
    "SELECT receiver, owner, module, key, CASE WHEN parked THEN 'parked' ELSE 'owed' END AS state, tries,"
    " CASE WHEN NOT parked THEN next_at END AS next_try_at, reason, since, correlation_id FROM owed"
    " WHERE (CAST(:receiver AS text) IS NULL OR receiver = :receiver)"
    " AND (CAST(:parked AS boolean) IS NULL OR parked = :parked)"
    " ORDER BY parked DESC, since, receiver, owner, module, key LIMIT :limit"
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
    """An object that a receiver has still to get. `key` is its id in capitals; of a token only the end."""

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
