"""What is owed to whom: a lane per receiving party, its exceptions (`owed`) and its backfills.

A lane's cursor says up to which position of the change log everything has been sent, except for the objects in
`owed`. A backfill walks the kept objects of one owner and module for a receiver that is new to them.

An `owed` row is written by whoever owes (a lane after a failure, the API for a CDR in custody or beside a direct
push) and taken away by the lane. Each write gives it a new `mark`; a lane takes away only the row it read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hub.ocpi import json
from hub.store.db import Statements

LOCKS = 7_216_403
"""The space of the lanes' locks, held by a session of the worker; the second number is the party id."""

WHOLE = '{"": null}'
"""The need of a whole object."""


class Lane(SQLModel, table=True):
    """The lane of a party. `holder` names the worker that holds its lock; cleared when it is let go cleanly."""

    __tablename__ = "lane"
    party_id: int = Field(primary_key=True, foreign_key="party.id", ondelete="CASCADE")
    receiver: str = Field(unique=True)
    holder: str | None = None


class LaneCursor(SQLModel, table=True):
    """How far a lane has come in one shard of the log."""

    __tablename__ = "lane_cursor"
    party_id: int = Field(primary_key=True, foreign_key="lane.party_id", ondelete="CASCADE")
    shard: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    position: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Owed(SQLModel, table=True):
    """An object that a receiver still has to get. `need` is the union of owed levels and fields as JSON
    ({"": null} is the whole object, {"EVSE1": ["status"]} fields of one EVSE). Parked rows wait for a newer version;
    `sample` is the beginning of what the receiver answered to them last."""

    __tablename__ = "owed"
    __table_args__ = (
        Index("owed_due", "receiver", "next_at", postgresql_where=text("NOT parked")),
        Index("owed_object", "owner", "module", "key"),
        Index("owed_mark", "mark", unique=True),
    )
    receiver: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    need: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    correlation_id: str
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    reason: str | None = Field(default=None, sa_column=Column(Text))
    parked: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    mark: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), nullable=False))
    since: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    sample: str | None = Field(default=None, sa_column=Column(Text))


class Backfill(SQLModel, table=True):
    """The full delivery of one owner's module to a receiver: `last_id` is the last object walked."""

    __tablename__ = "backfill"
    __table_args__ = (Index("backfill_of", "receiver", "owner", "module", unique=True),)
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    receiver: str
    owner: str
    module: str
    last_id: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    reason: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Debt:
    """An `owed` row: as it was read (`mark` is its mark), or as it is to be written (the mark it was read with, if
    any). `delay` is the seconds until it is due."""

    receiver: str
    owner: str
    module: str
    key: str
    need: Mapping[str, Sequence[str] | None]
    correlation_id: str
    tries: int = 0
    delay: float = 0.0
    reason: str | None = None
    parked: bool = False
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """A backfill on its way."""

    id: int
    receiver: str
    owner: str
    module: str
    last_id: int
    reason: str
    correlation_id: str


_OPEN = text(
    "INSERT INTO lane (party_id, receiver) VALUES (:party_id, :receiver)"
    " ON CONFLICT (party_id) DO UPDATE SET receiver = excluded.receiver"
)
_AT_HEAD = text(
    "INSERT INTO lane_cursor (party_id, shard, position)"
    " SELECT p, shard, position FROM unnest(CAST(:party_ids AS integer[])) AS p, log_head"
    " ON CONFLICT (party_id, shard) DO UPDATE SET position = excluded.position"
)
_LANES = text("SELECT party_id, receiver FROM lane ORDER BY party_id")
_CURSORS = text(
    "SELECT party_id, position FROM lane_cursor WHERE shard = :shard AND party_id = ANY(CAST(:party_ids AS integer[]))"
)
_ADVANCE = text(
    "UPDATE lane_cursor c SET position = GREATEST(c.position, v.position)"
    " FROM unnest(CAST(:party_ids AS integer[]), CAST(:positions AS bigint[])) AS v(party_id, position), log_head h"
    " WHERE c.party_id = v.party_id AND c.shard = :shard AND h.shard = c.shard AND c.position >= h.tail"
    " RETURNING c.party_id"
)
_FALLEN = text(
    "SELECT c.party_id FROM lane_cursor c JOIN log_head h USING (shard)"
    " WHERE c.shard = :shard AND c.position < h.tail AND c.party_id = ANY(CAST(:party_ids AS integer[]))"
)
_ADD = text(
    "INSERT INTO owed AS o (receiver, owner, module, key, need, correlation_id, next_at)"
    " VALUES (:receiver, :owner, :module, :key, CAST(:whole AS jsonb), :correlation_id,"
    " now() + :due_in * interval '1 second')"
    " ON CONFLICT (receiver, owner, module, key) DO UPDATE SET need = excluded.need,"
    " correlation_id = excluded.correlation_id, next_at = excluded.next_at, parked = false,"
    " tries = CASE WHEN o.parked THEN 0 ELSE o.tries END, mark = DEFAULT"
)
# LATERAL and OFFSET: one look into the index for each, also by a plan that was made while the table was empty.
_ADD_BROADCAST = text(
    "INSERT INTO owed AS o (receiver, owner, module, key, need, correlation_id, next_at)"
    " SELECT v.receiver, v.owner, v.module, v.key, CAST(:whole AS jsonb), v.correlation_id,"
    " now() + :due_in * interval '1 second'"
    " FROM unnest(CAST(:receivers AS text[]), CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:keys AS text[]),"
    " CAST(:correlation_ids AS text[])) AS v(receiver, owner, module, key, correlation_id)"
    " CROSS JOIN LATERAL (SELECT 1 FROM object e WHERE e.owner = v.owner AND e.module = v.module AND e.key = v.key"
    " AND e.audience = '*' OFFSET 0) AS everybodys"
    " ON CONFLICT (receiver, owner, module, key) DO UPDATE SET need = excluded.need,"
    " correlation_id = excluded.correlation_id, next_at = excluded.next_at, parked = false,"
    " tries = CASE WHEN o.parked THEN 0 ELSE o.tries END, mark = DEFAULT"
    " RETURNING receiver, owner, module, key"
)
_DUE = text(
    "SELECT o.receiver, o.owner, o.module, o.key, o.need, o.correlation_id, o.tries,"
    " extract(epoch FROM o.next_at - now())::float8, o.reason, o.parked, o.mark"
    " FROM unnest(CAST(:receivers AS text[])) AS r CROSS JOIN LATERAL (SELECT * FROM owed"
    " WHERE receiver = r AND NOT parked AND next_at <= now() ORDER BY next_at LIMIT :limit) AS o"
)
_STANDING = text(
    "SELECT o.receiver, owner, module, key, o.need, o.correlation_id, o.tries,"
    " extract(epoch FROM o.next_at - now())::float8, o.reason, o.parked, o.mark"
    " FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:keys AS text[])) AS v(owner, module, key)"
    " JOIN owed o USING (owner, module, key) WHERE o.receiver = ANY(CAST(:receivers AS text[]))"
)
_SETTLE = text("DELETE FROM owed WHERE mark = ANY(CAST(:marks AS bigint[]))")
_RENEW = text(
    "UPDATE owed o SET need = CAST(v.need AS jsonb), correlation_id = v.correlation_id, tries = v.tries,"
    " next_at = now() + v.delay * interval '1 second', reason = v.reason, parked = v.parked, mark = DEFAULT"
    " FROM unnest(CAST(:marks AS bigint[]), CAST(:needs AS text[]), CAST(:correlation_ids AS text[]),"
    " CAST(:tries AS integer[]), CAST(:delays AS float8[]), CAST(:reasons AS text[]), CAST(:parked AS boolean[]))"
    " AS v(mark, need, correlation_id, tries, delay, reason, parked) WHERE o.mark = v.mark"
    " RETURNING o.receiver, o.owner, o.module, o.key, o.mark"
)
# A row that somebody else wrote meanwhile goes on asking for what its writer asked for: the whole object, not sooner.
_OWE = text(
    "INSERT INTO owed AS o (receiver, owner, module, key, need, correlation_id, tries, next_at, reason, parked)"
    " SELECT v.receiver, v.owner, v.module, v.key, CAST(v.need AS jsonb), v.correlation_id, v.tries,"
    " now() + v.delay * interval '1 second', v.reason, v.parked"
    " FROM unnest(CAST(:receivers AS text[]), CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:keys AS text[]),"
    " CAST(:needs AS text[]), CAST(:correlation_ids AS text[]), CAST(:tries AS integer[]), CAST(:delays AS float8[]),"
    " CAST(:reasons AS text[]), CAST(:parked AS boolean[]))"
    " AS v(receiver, owner, module, key, need, correlation_id, tries, delay, reason, parked)"
    " ON CONFLICT (receiver, owner, module, key) DO UPDATE SET"
    " need = CASE WHEN o.need = excluded.need THEN o.need ELSE CAST(:whole AS jsonb) END,"
    " next_at = GREATEST(o.next_at, excluded.next_at), parked = false, mark = DEFAULT"
    " RETURNING receiver, owner, module, key, CASE WHEN xmax = 0 THEN mark END"
)
_START = text(
    "INSERT INTO backfill (receiver, owner, module, reason, correlation_id)"
    " SELECT :receiver, v.owner, v.module, :reason, :correlation_id"
    " FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[])) AS v(owner, module)"
    " ON CONFLICT (receiver, owner, module) DO UPDATE SET id = DEFAULT, last_id = 0, reason = excluded.reason,"
    " correlation_id = excluded.correlation_id"
)
_WALKS = text(
    "SELECT id, receiver, owner, module, last_id, reason, correlation_id FROM backfill"
    " WHERE receiver = ANY(CAST(:receivers AS text[])) ORDER BY id"
)
_PROGRESS = text(
    "UPDATE backfill b SET last_id = v.last_id"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:last_ids AS bigint[])) AS v(id, last_id) WHERE b.id = v.id"
)
_FINISH = text("DELETE FROM backfill WHERE id = ANY(CAST(:ids AS bigint[]))")


async def open_lane(session: Statements, party_id: int, receiver: str) -> None:
    """Give a party its lane, or start it anew: the cursor stands at the log's head."""
    await session.execute(_OPEN, {"party_id": party_id, "receiver": receiver})
    await to_head(session, [party_id])


async def to_head(session: Statements, party_ids: Collection[int]) -> None:
    """Put cursors at the log's head; what they skip is for a backfill of the same transaction."""
    await session.execute(_AT_HEAD, {"party_ids": list(party_ids)})


async def every(session: Statements) -> dict[int, str]:
    """The receiver of each lane, by party id."""
    return {row[0]: row[1] for row in await session.execute(_LANES)}


async def cursors(session: Statements, shard: int, party_ids: Collection[int]) -> dict[int, int]:
    """Where lanes stand."""
    found = await session.execute(_CURSORS, {"shard": shard, "party_ids": list(party_ids)})
    return {row[0]: row[1] for row in found}


async def advance(session: Statements, shard: int, positions: Mapping[int, int]) -> set[int]:
    """Move cursors on, never back; those that were not below the kept tail and so could move (see `fallen`)."""
    values = {"party_ids": list(positions), "positions": list(positions.values())}
    return set((await session.execute(_ADVANCE, {"shard": shard, **values})).scalars())


async def fallen(session: Statements, shard: int, party_ids: Collection[int]) -> list[int]:
    """The lanes whose cursor is below the kept tail, so that rows they had not read may be gone."""
    found = await session.execute(_FALLEN, {"shard": shard, "party_ids": list(party_ids)})
    return list(found.scalars())


async def add(
    session: Statements, *, receiver: str, owner: str, module: str, key: str, correlation_id: str, due_in: float
) -> None:
    """Owe a receiver the whole of an object, from `due_in` seconds on; a parked one is owed again."""
    names = {"receiver": receiver, "owner": owner, "module": module, "key": key, "whole": WHOLE}
    await session.execute(_ADD, {**names, "correlation_id": correlation_id, "due_in": due_in})


async def add_broadcast(
    session: Statements, wanted: Collection[tuple[str, str, str, str, str]], due_in: float
) -> set[tuple[str, str, str, str]]:
    """The same for each (receiver, owner, module, key, correlation id) of which there is a row for everybody; those, as
    (receiver, owner, module, key)."""
    columns = zip(*sorted(wanted), strict=True)
    names = dict(zip(("receivers", "owners", "modules", "keys", "correlation_ids"), map(list, columns), strict=True))
    rows = await session.execute(_ADD_BROADCAST, {**names, "whole": WHOLE, "due_in": due_in})
    return {(row[0], row[1], row[2], row[3]) for row in rows}


async def due(session: Statements, receivers: Collection[str], limit: int) -> list[Debt]:
    """What is due now: at most `limit` rows a receiver, longest due first."""
    return [Debt(*row) for row in await session.execute(_DUE, {"receivers": list(receivers), "limit": limit})]


async def standing(
    session: Statements, receivers: Collection[str], objects: Iterable[tuple[str, str, str]]
) -> list[Debt]:
    """What these receivers are owed already of these (owner, module, key), parked or not."""
    owners, modules, keys = zip(*objects, strict=True)
    names = {"owners": list(owners), "modules": list(modules), "keys": list(keys), "receivers": list(receivers)}
    return [Debt(*row) for row in await session.execute(_STANDING, names)]


async def settle(session: Statements, marks: Collection[int]) -> None:
    """Take away the rows with these marks; one that was written anew since has another and stays."""
    await session.execute(_SETTLE, {"marks": list(marks)})


async def owe(session: Statements, debts: Collection[Debt]) -> dict[tuple[str, str, str, str], int]:
    """Write debts, one at most for each receiver and object. The new marks by (receiver, owner, module, key), but not
    of rows that somebody else had written meanwhile: they are not the caller's to take away."""
    known = [debt for debt in debts if debt.mark is not None]
    found: dict[tuple[str, str, str, str], int] = {}
    if known:
        names = {**_columns(known), "marks": [debt.mark for debt in known]}
        found = {(row[0], row[1], row[2], row[3]): row[4] for row in await session.execute(_RENEW, names)}
    others = [debt for debt in debts if (debt.receiver, debt.owner, debt.module, debt.key) not in found]
    if not others:
        return found
    names = {
        **_columns(others),
        "receivers": [debt.receiver for debt in others],
        "owners": [debt.owner for debt in others],
        "modules": [debt.module for debt in others],
        "keys": [debt.key for debt in others],
        "whole": WHOLE,
    }
    new = await session.execute(_OWE, names)
    return found | {(row[0], row[1], row[2], row[3]): row[4] for row in new if row[4] is not None}


def _columns(debts: Collection[Debt]) -> dict[str, Any]:
    return {
        "needs": [json.dumps(debt.need).decode() for debt in debts],
        "correlation_ids": [debt.correlation_id for debt in debts],
        "tries": [debt.tries for debt in debts],
        "delays": [debt.delay for debt in debts],
        "reasons": [debt.reason for debt in debts],
        "parked": [debt.parked for debt in debts],
    }


async def start_backfill(
    session: Statements, receiver: str, pairs: Iterable[tuple[str, str]], reason: str, correlation_id: str
) -> None:
    """Begin, or begin again, the full delivery of these (owner, module) pairs to a receiver."""
    found = sorted(set(pairs))
    names = {"receiver": receiver, "reason": reason, "correlation_id": correlation_id}
    pair_names = {"owners": [owner for owner, _ in found], "modules": [module for _, module in found]}
    await session.execute(_START, names | pair_names)


async def backfills(session: Statements, receivers: Collection[str]) -> list[Walk]:
    """The backfills of these receivers, oldest first."""
    return [Walk(*row) for row in await session.execute(_WALKS, {"receivers": list(receivers)})]


async def progress(session: Statements, walked: Mapping[int, int], finished: Collection[int]) -> None:
    """How far backfills have come, by id, and those that are done; one begun again has another id."""
    if walked:
        await session.execute(_PROGRESS, {"ids": list(walked), "last_ids": list(walked.values())})
    if finished:
        await session.execute(_FINISH, {"ids": list(finished)})
