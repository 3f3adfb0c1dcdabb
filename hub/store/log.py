"""The change log: what changed, in the order in which it became visible.

An accept inserts a row without a position. Positions are given after commit by whoever is woken (`stamp`), under a
lock per shard, so they are gapless, unique and in commit order: a reader's cursor is then a plain number. (A
sequence taken inside the accepting transaction commits out of order and loses rows.)

Rows without a position are found through a partial index, from a low-water id on: an open dump makes the index's
dead head long. What committed late with a lower id is found by a full scan, which the caller asks for each second.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Index, SmallInteger, Text, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

CHANNEL = "change_log"
"""What stamping notifies: the lane holders listen here."""

LOCKS = 7_216_402
"""The space of the stamping locks, one per shard."""

STAMPED_AT_ONCE = 2_000
PRUNED_AT_ONCE = 10_000

# How far behind the last stamped id the next search starts: more than the writers that can be at work at once.
_MARGIN = 1_000


class Change(SQLModel, table=True):
    """One accepted change. `part_ids` is the level ([evse_uid, connector_id]); `fields` None means the whole level."""

    __tablename__ = "change_log"
    __table_args__ = (
        Index("change_log_position", "shard", "position", unique=True, postgresql_where=text("position IS NOT NULL")),
        Index("change_log_unstamped", "shard", "id", postgresql_where=text("position IS NULL")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    shard: int = Field(default=0, sa_column=Column(SmallInteger, nullable=False, server_default="0"))
    position: int | None = Field(default=None, sa_column=Column(BigInteger))
    owner: str
    module: str
    key: str
    audience: str
    part_ids: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))
    fields: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    correlation_id: str
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


class LogHead(SQLModel, table=True):
    """Per shard: the last position given, the lowest id that may still be unstamped, and the kept tail.

    Rows at or below `tail` may have been pruned: a cursor below it must not advance, it needs a backfill.
    """

    __tablename__ = "log_head"
    shard: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    position: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    low_water: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    tail: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A change to be logged. `part_ids` is the level ([evse_uid, connector_id]), `fields` the changed ones, None for
    the whole level; `audience` "*" or the one receiver."""

    owner: str
    module: str
    key: str
    audience: str
    part_ids: Sequence[str]
    fields: Sequence[str] | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Row:
    """A stamped change, or several of the same level and fields folded into one (`position` is then the first)."""

    position: int
    owner: str
    module: str
    key: str
    audience: str
    part_ids: Sequence[str]
    fields: Sequence[str] | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last position given, and the tail at or below which rows may be gone."""

    position: int
    tail: int


# Lists of differing length come as array literals: PostgreSQL has no ragged arrays.
_APPEND = text(
    "INSERT INTO change_log (shard, owner, module, key, audience, part_ids, fields, correlation_id)"
    " SELECT :shard, v.owner, v.module, v.key, v.audience, CAST(v.part_ids AS text[]), CAST(v.fields AS text[]),"
    " v.correlation_id FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:keys AS text[]),"
    " CAST(:audiences AS text[]), CAST(:part_ids AS text[]), CAST(:fields AS text[]), CAST(:correlation_ids AS text[]))"
    " AS v(owner, module, key, audience, part_ids, fields, correlation_id)"
)
_LOCK = text("SELECT pg_advisory_xact_lock(:space, CAST(:shard AS integer))")
_MARKS = text("SELECT position, low_water FROM log_head WHERE shard = :shard")
_UNSTAMPED = text(
    "SELECT id FROM change_log WHERE shard = :shard AND position IS NULL AND id >= :low ORDER BY id LIMIT :limit"
)
# The ids come as an array: joined with the scan itself, the planner was seen to take 15 s and more for a batch.
_STAMP = text(
    "WITH stamped AS (UPDATE change_log c SET position = :head + v.n"
    " FROM unnest(CAST(:ids AS bigint[])) WITH ORDINALITY AS v(id, n) WHERE c.id = v.id),"
    " advanced AS (UPDATE log_head SET position = :position, low_water = :low WHERE shard = :shard)"
    " SELECT pg_notify(:channel, :payload)"
)
_HEAD = text("SELECT position, tail FROM log_head WHERE shard = :shard")
_READ = text(
    "SELECT position, owner, module, key, audience, part_ids, fields, correlation_id,"
    " (SELECT value FROM counter WHERE name = 'directory')"
    " FROM change_log WHERE shard = :shard AND position > :after ORDER BY position LIMIT :limit"
)
_FOLDED = text(
    "SELECT min(position), owner, module, key, audience, part_ids, fields,"
    " (array_agg(correlation_id ORDER BY position DESC))[1] FROM change_log"
    " WHERE shard = :shard AND position > :after AND position <= :upto AND (audience = :receiver"
    " OR (audience = '*' AND (owner, module) IN"
    " (SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[])))))"
    " GROUP BY owner, module, key, audience, part_ids, fields ORDER BY 1"
)
_OLD = text(
    "SELECT max(position) FILTER (WHERE at < now() - CAST(:age AS interval)), count(*) FROM (SELECT position, at"
    " FROM change_log WHERE shard = :shard AND position > :tail ORDER BY position LIMIT :limit) AS oldest"
)
_RAISE_TAIL = text("UPDATE log_head SET tail = GREATEST(tail, :tail) WHERE shard = :shard")
_PRUNE = text("DELETE FROM change_log WHERE shard = :shard AND position <= :tail")


async def append(session: Statements, entries: Collection[Entry], shard: int = 0) -> None:
    """Add changes, without positions, to the transaction that makes them."""
    columns = {
        "owners": [entry.owner for entry in entries],
        "modules": [entry.module for entry in entries],
        "keys": [entry.key for entry in entries],
        "audiences": [entry.audience for entry in entries],
        "part_ids": [_literal(entry.part_ids) for entry in entries],
        "fields": [None if entry.fields is None else _literal(entry.fields) for entry in entries],
        "correlation_ids": [entry.correlation_id for entry in entries],
    }
    await session.execute(_APPEND, {"shard": shard, **columns})


def _literal(texts: Iterable[str]) -> str:
    """A text[] as PostgreSQL writes it."""
    quoted = (one.replace("\\", "\\\\").replace('"', '\\"') for one in texts)
    return "{" + ",".join(f'"{one}"' for one in quoted) + "}"


async def stamp(session: Statements, shard: int, full: bool, limit: int = STAMPED_AT_ONCE) -> tuple[int, int]:
    """Give positions to at most `limit` committed rows, and notify: how many, and the last position of the log. The
    session must be fresh: the lock comes first, so that the search sees all that the stamper before committed. `full`
    searches below the low water."""
    await session.execute(_LOCK, {"space": LOCKS, "shard": shard})
    head, low = (await session.execute(_MARKS, {"shard": shard})).one()
    found = await session.execute(_UNSTAMPED, {"shard": shard, "low": 0 if full else low, "limit": limit})
    ids = list(found.scalars())
    if not ids:
        return 0, head
    last, low = head + len(ids), max(low, ids[-1] - _MARGIN)
    names = {"shard": shard, "head": head, "ids": ids, "position": last, "low": low}
    await session.execute(_STAMP, {**names, "channel": CHANNEL, "payload": f"{shard}:{last}"})
    return len(ids), last


async def head(session: Statements, shard: int) -> Head:
    """Where the log of a shard ends and begins."""
    return Head(*(await session.execute(_HEAD, {"shard": shard})).one())


async def read(session: Statements, shard: int, after: int, limit: int) -> tuple[list[Row], int | None]:
    """The next rows in order of position, and the directory's version as that very statement saw it."""
    found = (await session.execute(_READ, {"shard": shard, "after": after, "limit": limit})).all()
    return [Row(*row[:8]) for row in found], found[-1][8] if found else None


async def folded(
    session: Statements, shard: int, after: int, upto: int, receiver: str, wanted: Sequence[tuple[str, str]]
) -> list[Row]:
    """What concerns one receiver between two positions, equal changes folded: direct ones to it, and broadcasts of
    the (owner, module) pairs in `wanted`."""
    names = {"shard": shard, "after": after, "upto": upto, "receiver": receiver}
    pairs = {"owners": [owner for owner, _ in wanted], "modules": [module for _, module in wanted]}
    return [Row(*row) for row in await session.execute(_FOLDED, names | pairs)]


async def old(session: Statements, shard: int, age: timedelta) -> tuple[int | None, bool]:
    """The position up to which the oldest rows are older than `age`, and whether there may be more of them."""
    tail = (await head(session, shard)).tail
    names = {"shard": shard, "age": age, "tail": tail, "limit": PRUNED_AT_ONCE}
    position, seen = (await session.execute(_OLD, names)).one()
    return position, position is not None and seen == PRUNED_AT_ONCE


async def raise_tail(session: Statements, shard: int, tail: int) -> None:
    """Declare the rows up to `tail` gone: to be committed before they are."""
    await session.execute(_RAISE_TAIL, {"shard": shard, "tail": tail})


async def prune(session: Statements, shard: int, tail: int) -> None:
    """Delete the rows up to `tail`. A row without a position is never touched."""
    await session.execute(_PRUNE, {"shard": shard, "tail": tail})
