"""How the hub is, in figures: one look at the database in one transaction, for `/metrics` and for the watch.

Nothing here is counted along the way; each query reads what the tables say at this moment, through indexes or over
tables that are small while the hub is well. Ages are in seconds by the clock of the database.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text

from hub.ocpi.types import masked
from hub.store import alerts, heartbeats
from hub.store.db import Statements
from hub.store.heartbeats import Sign
from hub.store.lanes import LOCKS


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane: how many changes of the log it has not passed (`depth`), the age of the oldest of them, whether a worker
    holds its lock, and whether its platform takes deliveries."""

    receiver: str
    depth: int
    age: float
    held: bool
    well: bool


@dataclass(frozen=True, slots=True)
class DebtRow:
    """What a receiver is owed beside its lane: objects to be tried again, and objects parked, the first with its
    reason."""

    receiver: str
    owed: int
    parked: int
    first: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LogRow:
    """The change log: the last position given, the tail at or below which rows are gone, changes without a position
    and the age of the oldest of them."""

    head: int
    tail: int
    unstamped: int
    unstamped_age: float


@dataclass(frozen=True, slots=True)
class PlatformRow:
    """A platform of a partner. `quiet` is the seconds since it called, or, if it never did, since it was made;
    `token_ends` when the last of its tokens C ends, None for never; `invited_until` when its open invitation ends;
    `age` the seconds since tokens were exchanged; `rolled_back` says that it did not switch when they were renewed;
    `told` is the mark of the hub's endpoints that it was told to read."""

    id: int
    name: str
    status: str
    stopped_reason: str | None
    versions_url: str | None
    roles: list[str]
    quiet: float
    has_token: bool
    token_ends: datetime | None
    invited_until: datetime | None
    age: float = 0.0
    rolled_back: bool = False
    told: str | None = None


@dataclass(frozen=True, slots=True)
class HeldRow:
    """CDRs of a hosted party that wait for the operator, the first with its reason."""

    owner: str
    held: int
    session_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class GapRow:
    """Objects that a partner lacks though it acknowledged them, the first with what is wrong."""

    partner: str
    gaps: int
    first: str
    detail: str


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look. `now` is the database's time, `size` that of the database in bytes, `alerts` counts open ones by
    kind."""

    now: datetime
    lanes: list[LaneRow]
    debts: list[DebtRow]
    log: LogRow
    platforms: list[PlatformRow]
    held: list[HeldRow]
    backfills: int
    size: int
    signs: list[Sign]
    alerts: dict[str, int]
    gaps: list[GapRow] = field(default_factory=list)


_LANES = text(
    "SELECT l.receiver, coalesce(sum(h.position - c.position), 0)::bigint,"
    " coalesce(max(extract(epoch FROM now() - oldest.at)), 0)::float8, bool_or(k.objid IS NOT NULL),"
    " bool_and(f.status = 'CONNECTED' AND f.failures = 0 AND f.stopped_reason IS NULL)"
    " FROM lane l JOIN party p ON p.id = l.party_id JOIN platform f ON f.id = p.platform_id"
    " LEFT JOIN (lane_cursor c JOIN log_head h USING (shard)) ON c.party_id = l.party_id"
    " LEFT JOIN LATERAL (SELECT at FROM change_log g WHERE g.shard = c.shard AND g.position > c.position"
    "  ORDER BY g.position LIMIT 1) AS oldest ON c.position < h.position"
    " LEFT JOIN (SELECT DISTINCT objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    "  AND classid = CAST(:space AS bigint)::oid AND database = (SELECT oid FROM pg_database"
    "  WHERE datname = current_database())) AS k ON k.objid = CAST(l.party_id AS bigint)::oid"
    " GROUP BY l.receiver ORDER BY l.receiver"
)
_DEBTS = text(
    "SELECT receiver, count(*) FILTER (WHERE NOT parked), count(*) FILTER (WHERE parked), min(mark) FILTER"
    " (WHERE parked) AS first FROM owed GROUP BY receiver"
)
_PARKED = text("SELECT mark, owner, module, key, reason FROM owed WHERE mark = ANY(CAST(:marks AS bigint[]))")
_LOG = text(
    "SELECT (SELECT coalesce(sum(position), 0)::bigint FROM log_head), (SELECT coalesce(sum(tail), 0)::bigint"
    " FROM log_head), count(*), coalesce(extract(epoch FROM now() - min(at)), 0)::float8"
    " FROM change_log WHERE position IS NULL"
)
_PLATFORMS = text(
    "SELECT f.id, f.name, f.status, f.stopped_reason, f.versions_url,"
    " ARRAY(SELECT DISTINCT unnest(p.roles) FROM party p WHERE p.platform_id = f.id ORDER BY 1),"
    " extract(epoch FROM now() - coalesce(f.last_seen_at, f.created_at))::float8,"
    " coalesce(t.has, false), CASE WHEN NOT t.forever THEN t.ends END, t.invited_until,"
    " coalesce(extract(epoch FROM now() - t.made), 0)::float8, coalesce(r.outcome = 'rolled back', false), f.told"
    " FROM platform f LEFT JOIN (SELECT platform_id, bool_or(kind = 'C') AS has,"
    "  bool_or(kind = 'C' AND expires_at IS NULL) AS forever, max(expires_at) FILTER (WHERE kind = 'C') AS ends,"
    "  max(expires_at) FILTER (WHERE kind = 'A') AS invited_until, max(made_at) FILTER (WHERE kind = 'C') AS made"
    "  FROM access_token WHERE expires_at IS NULL OR expires_at > now() GROUP BY platform_id) AS t"
    " ON t.platform_id = f.id LEFT JOIN rotation r ON r.platform_id = f.id WHERE NOT f.hosted ORDER BY f.id"
)
_HELD = text(
    "SELECT DISTINCT ON (owner) owner, count(*) OVER (PARTITION BY owner), session_id, reason FROM held_cdr"
    " ORDER BY owner, held_at"
)
_GAPS = text(
    "SELECT DISTINCT ON (partner) partner, count(*) OVER (PARTITION BY partner), kind, module, owner, key, detail"
    " FROM gap WHERE cleared_at IS NULL ORDER BY partner, id"
)
_NUMBERS = text("SELECT now(), (SELECT count(*) FROM backfill), pg_database_size(current_database())")


async def look(session: Statements) -> Vitals:
    """Read it all."""
    now, backfills, size = (await session.execute(_NUMBERS)).one()
    return Vitals(
        now=now,
        lanes=[LaneRow(*row) for row in await session.execute(_LANES, {"space": LOCKS})],
        debts=await _debts(session),
        log=LogRow(*(await session.execute(_LOG)).one()),
        platforms=[PlatformRow(*row) for row in await session.execute(_PLATFORMS)],
        held=[HeldRow(*row) for row in await session.execute(_HELD)],
        backfills=backfills,
        size=size,
        signs=await heartbeats.every(session),
        alerts=await alerts.count_open(session),
        gaps=await _gaps(session),
    )


async def _gaps(session: Statements) -> list[GapRow]:
    return [
        GapRow(row.partner, row[1], f"{row.kind}: {row.module} {row.owner}/{_shown(row.module, row.key)}", row.detail)
        for row in await session.execute(_GAPS)
    ]


async def _debts(session: Statements) -> list[DebtRow]:
    counts = (await session.execute(_DEBTS)).all()
    marks = [row.first for row in counts if row.first is not None]
    parked = {row.mark: row for row in await session.execute(_PARKED, {"marks": marks})} if marks else {}
    found = []
    for receiver, owed, number, mark in counts:
        first = parked.get(mark)
        name = None if first is None else f"{first.module} {first.owner}/{_shown(first.module, first.key)}"
        found.append(DebtRow(receiver, owed, number, name, None if first is None else first.reason))
    return sorted(found, key=lambda row: row.receiver)


def _shown(module: str, key: str) -> str:
    """The key of an object; of a token only the end, as everywhere."""
    return masked(key) if module == "tokens" else key
