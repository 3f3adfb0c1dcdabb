"""Backups, and what a database needs that was restored from one: its past is older than what the world has seen of it.

`backup` tells when each backup began. `restored_list` are the lists that a restored hub reads first; when one has been
read, its party's objects are delivered to all (`hub.exchange.restored`).
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

SINCE = "0004"
"""The revision of the schema that has these tables."""


class Backup(SQLModel, table=True):
    """A backup: when it began, and with which release. In what was restored from it, it is not finished."""

    __tablename__ = "backup"
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    begun_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    version: str
    finished_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class RestoredList(SQLModel, table=True):
    """A list that is read because of a restore, and not delivered yet."""

    __tablename__ = "restored_list"
    party: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    asked_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


# Whatever is in a copy was written before it was made: from the newest of it on, something may be missing.
_LAST_SIGN = text(
    "SELECT greatest((SELECT max(at) FROM heartbeat), (SELECT max(begun_at) FROM backup),"
    " (SELECT max(at) FROM hop), (SELECT max(at) FROM change_log),"
    " (SELECT recorded_at FROM cdr ORDER BY seq DESC LIMIT 1)), now()"
)
# The processes that wrote these are gone, and what they were about to do is not known.
_LET_GO = (
    text("UPDATE lane SET holder = NULL WHERE holder IS NOT NULL"),
    text("DELETE FROM heartbeat"),
    text("UPDATE platform SET failures = 0, next_try_at = NULL, checked_at = NULL"),
    text(
        "UPDATE pull SET claim = NULL, held_until = NULL, kind = NULL, place = NULL, failures = 0, error = NULL,"
        " away_since = NULL"
    ),
    text(
        "UPDATE client_info SET told = NULL, tries = 0, next_at = now(),"
        " last_updated = date_trunc('milliseconds', now())"
    ),
    # Chargers were given numbers that are not known here, and will name them.
    text(
        "SELECT count(nextval('transaction_number')), count(nextval('reservation_number'))"
        " FROM generate_series(1, 10000)"
    ),
    # What was under way or in custody may have arrived after the copy was made.
    text(
        "UPDATE cdr_intent i SET doubtful = true WHERE NOT doubtful AND (state IN ('pending', 'ambiguous') OR EXISTS"
        " (SELECT FROM owed o WHERE o.module = 'cdrs' AND o.owner = i.owner AND o.key = i.key))"
    ),
)
_WITHDRAW = text(
    "WITH walks AS (DELETE FROM backfill b USING unnest(CAST(:owners AS text[]), CAST(:modules AS text[]))"
    " AS v(owner, module) WHERE b.owner = v.owner AND b.module = v.module)"
    " DELETE FROM owed o USING unnest(CAST(:owners AS text[]), CAST(:modules AS text[])) AS v(owner, module)"
    " WHERE o.owner = v.owner AND o.module = v.module AND NOT o.parked"
)
_ASK = text(
    "INSERT INTO restored_list (party, module) SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[]))"
    " ON CONFLICT (party, module) DO UPDATE SET asked_at = now()"
)
_READ = text(
    "DELETE FROM restored_list r WHERE asked_at < now() - :patience * interval '1 second' OR NOT EXISTS (SELECT FROM"
    " pull p WHERE p.party = r.party AND p.module = r.module AND (p.full_at IS NULL OR p.full_at < r.asked_at)"
    " AND p.failures = 0) RETURNING party, module"
)
_CUSTODY = text("SELECT count(*) FROM owed WHERE module = 'cdrs' AND NOT parked")
_SHARDS = text("SELECT shard FROM log_head ORDER BY shard")
_BEGIN = text("INSERT INTO backup (version) VALUES (:version) RETURNING id, begun_at")
_END = text("UPDATE backup SET finished_at = now() WHERE id = :id")
_DROP = text("DELETE FROM backup WHERE id = :id")


async def begin(session: Statements, version: str) -> tuple[int, datetime]:
    """A backup begins: its id, and when."""
    row = (await session.execute(_BEGIN, {"version": version})).one()
    return row[0], row[1]


async def end(session: Statements, backup_id: int, *, whole: bool) -> None:
    """A backup has ended; one that is not whole is forgotten."""
    await session.execute(_END if whole else _DROP, {"id": backup_id})


async def last_sign(session: Statements) -> tuple[datetime | None, datetime]:
    """The newest thing that is known here, None in a database nothing ever happened in; and the present time."""
    row = (await session.execute(_LAST_SIGN)).one()
    return row[0], row[1]


async def let_go(session: Statements) -> None:
    """Undo what the processes of the time before held, and keep clear of the numbers they may have given out."""
    for statement in _LET_GO:
        await session.execute(statement)


async def withdraw(session: Statements, pairs: Iterable[tuple[str, str]]) -> None:
    """Owe nothing any more of these (owner, module): they are delivered anew."""
    await session.execute(_WITHDRAW, _columns(pairs))


async def ask(session: Statements, lists: Iterable[tuple[str, str]]) -> None:
    """These lists (party, module) are to be read, and then delivered."""
    await session.execute(_ASK, _columns(lists))


async def read(session: Statements, patience: float) -> list[tuple[str, str]]:
    """Lists (party, module) that have been read, or whose reading failed, is not due any more or takes longer than
    `patience` seconds; each is returned once."""
    return [(row[0], row[1]) for row in await session.execute(_READ, {"patience": patience})]


async def shards(session: Statements) -> list[int]:
    """The shards of the change log."""
    return list((await session.execute(_SHARDS)).scalars())


async def in_custody(session: Statements) -> int:
    """How many CDRs are owed."""
    return int((await session.execute(_CUSTODY)).scalar_one())


def _columns(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    rows = sorted(pairs)
    return {"owners": [owner for owner, _ in rows], "modules": [module for _, module in rows]}
