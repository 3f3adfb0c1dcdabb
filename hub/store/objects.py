"""Kept objects: Locations, Tariffs, Tokens and Sessions as their owners sent them.

A row is one object as meant for one *audience*: everybody ("*", a broadcast) or one party (a direct push), because
CPOs send the same Location to fifty eMSPs one by one and with different content. `body` is the JSON text as it
came in, so that numbers and dates keep their form (TF-127). `id` grows in the order of first arrival and is never
moved by an update: it is the fixed order of GET ALL.

Who writes an object takes its lock first (`lock`), whether or not it has a row yet; who locks several takes them in
one call, which orders them, so that no two wait for each other.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hub.store.db import Statements
from hub.store.pulls import MISSING

EVERYBODY = "*"
_LISTED = text("audience = '*' AND NOT deleted")


class KeptObject(SQLModel, table=True):
    """One object for one audience. `times` holds each level's own last_updated, keyed by its path ("", "EVSE/1")."""

    __tablename__ = "object"
    __table_args__ = (
        UniqueConstraint("owner", "module", "key", "audience", name="object_identity"),
        Index("object_page", "module", "id"),
        Index(
            "object_changed",
            "module",
            "last_updated",
            postgresql_include=("id", "owner", "audience"),
            postgresql_where=_LISTED,
        ),
        Index("object_everybody", "module", "id", postgresql_include=("owner", "audience"), postgresql_where=_LISTED),
        Index("object_own", "audience", "module", "id", postgresql_where=text("audience <> '*'")),
        Index("object_key", "module", "key"),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    owner: str
    module: str
    key: str
    audience: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    times: dict[str, str] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    last_updated: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    deleted: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    stored_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


class ObjectCount(SQLModel, table=True):
    """How many objects of an owner there are for everybody, tombstones left out: the sum over the slots. Triggers on
    `object` keep it, each connection in its slot, so that writers do not wait for each other."""

    __tablename__ = "object_count"
    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    slot: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    live: int = Field(sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True)
class Kept:
    """A row as the rest of the hub sees it."""

    id: int
    owner: str
    key: str
    audience: str
    body: str
    times: dict[str, str]
    last_updated: datetime
    deleted: bool
    stored_at: datetime


@dataclass(frozen=True)
class New:
    """A row to be written. `body` and `times` are JSON text."""

    module: str
    key: str
    audience: str
    body: str
    times: str
    last_updated: datetime
    deleted: bool = False


KEPT_COLUMNS = tuple(field.name for field in fields(Kept))
_KEPT = "SELECT id, owner, key, audience, body, times, last_updated, deleted, stored_at FROM object WHERE "
_OBJECT = "owner = :owner AND module = :module AND key = :key AND "
_ONE = text(_KEPT + _OBJECT + "audience = :audience")
_VIEW = text(_KEPT + _OBJECT + "audience IN ('*', :receiver)")
# LATERAL and OFFSET: one look into the index for each, also by a plan that was made while the table was empty.
_EACH = (
    "SELECT n, o.* FROM unnest(CAST(:modules AS text[]), CAST(:keys AS text[]), CAST(:audiences AS text[]))"
    " WITH ORDINALITY AS v(module, key, audience, n) CROSS JOIN LATERAL ("
)
_MINE = "owner = :owner AND module = v.module AND key = v.key AND audience IN ('*', v.audience) OFFSET 0) AS o"
_VIEWS = text(_EACH + _KEPT + _MINE)
_VALID = "module = :module AND key = :key AND NOT deleted AND NOT " + MISSING  # TOK-048: gone from its owner's list
_HOLDERS = text(_KEPT + _VALID + " ORDER BY stored_at DESC LIMIT 20")
_OWNERS = "SELECT owner, audience FROM object WHERE "
_SEEN = text(_OWNERS + _VALID + " AND audience IN ('*', :reader) ORDER BY stored_at DESC")
_SENT = text(
    "SELECT audience, body FROM object WHERE owner = :owner AND module = :module AND key = :key AND NOT deleted"
    " AND audience <> '*'"
)
_WRITE = text(
    "INSERT INTO object (owner, module, key, audience, body, times, last_updated, deleted)"
    " SELECT :owner, v.module, v.key, v.audience, v.body, CAST(v.times AS jsonb), v.last_updated, v.deleted"
    " FROM unnest(CAST(:modules AS text[]), CAST(:keys AS text[]), CAST(:audiences AS text[]), CAST(:bodies AS text[]),"
    " CAST(:times AS text[]), CAST(:stamps AS timestamptz[]), CAST(:gone AS boolean[]))"
    " AS v(module, key, audience, body, times, last_updated, deleted)"
    " ON CONFLICT ON CONSTRAINT object_identity DO UPDATE SET body = excluded.body, times = excluded.times,"
    " last_updated = excluded.last_updated, deleted = excluded.deleted, stored_at = now()"
)
_IS_BROADCAST = text("SELECT 1 FROM object WHERE owner = :owner AND module = :module AND key = :key AND audience = '*'")
_OWN_COPY = text(
    "INSERT INTO object (owner, module, key, audience, body, times, last_updated)"
    " SELECT owner, module, key, :audience, body, times, last_updated FROM object WHERE owner = :owner"
    " AND module = :module AND key = :key AND audience = '*' AND NOT deleted ON CONFLICT DO NOTHING"
)
_BURY = text(
    "UPDATE object SET deleted = true, stored_at = now() WHERE owner = :owner AND module = :module AND key = :key"
    " AND (CAST(:audience AS text) IS NULL OR audience = :audience) AND NOT deleted RETURNING audience"
)
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest(CAST(:names AS text[])) AS name")


async def lock(session: Statements, owner: str, module: str, key: str) -> None:
    """Serialise the writers of one object until the end of the transaction, also while it has no row yet."""
    await lock_all(session, owner, [(module, key)])


async def lock_all(session: Statements, owner: str, objects: Iterable[tuple[str, str]]) -> None:
    """The same for several objects (module, key) of one owner."""
    await session.execute(_LOCK, {"names": [f"{owner}/{module}/{key}" for module, key in sorted(objects)]})


async def find(session: Statements, owner: str, module: str, key: str, audience: str) -> Kept | None:
    """The row of one audience."""
    names = {"owner": owner, "module": module, "key": key, "audience": audience}
    row = (await session.execute(_ONE, names)).one_or_none()
    return Kept(*row) if row else None


async def rows_for(
    session: Statements, owner: str, module: str, key: str, receiver: str
) -> tuple[Kept | None, Kept | None]:
    """The two rows a receiver's view is made of: its own and everybody's."""
    names = {"owner": owner, "module": module, "key": key, "receiver": receiver}
    rows = {row.audience: Kept(*row) for row in await session.execute(_VIEW, names)}
    return rows.get(receiver), rows.get(EVERYBODY)


async def rows_of(session: Statements, owner: str, wanted: Collection[tuple[str, str, str]]) -> list[dict[str, Kept]]:
    """For each (module, key, audience) of one owner the rows of that audience and of everybody, by audience."""
    modules, keys, audiences = zip(*wanted, strict=True)
    names = {"owner": owner, "modules": list(modules), "keys": list(keys), "audiences": list(audiences)}
    found: list[dict[str, Kept]] = [{} for _ in wanted]
    for row in await session.execute(_VIEWS, names):
        kept = Kept(*row[1:])
        found[row[0] - 1][kept.audience] = kept
    return found


async def write(session: Statements, owner: str, rows: Collection[New]) -> None:
    """Insert or replace rows, one at most for each object and audience; their objects are locked. In one order, for the
    counts are rows that others wait for, too."""
    rows = sorted(rows, key=lambda row: (row.module, row.key))
    columns = {
        "modules": [row.module for row in rows],
        "keys": [row.key for row in rows],
        "audiences": [row.audience for row in rows],
        "bodies": [row.body for row in rows],
        "times": [row.times for row in rows],
        "stamps": [row.last_updated for row in rows],
        "gone": [row.deleted for row in rows],
    }
    await session.execute(_WRITE, {"owner": owner, **columns})


async def bury(session: Statements, owner: str, module: str, key: str, audience: str | None) -> list[str]:
    """Turn rows of an object into tombstones; the audiences whose row was alive."""
    names = {"owner": owner, "module": module, "key": key, "audience": audience}
    return list((await session.execute(_BURY, names)).scalars())


async def take_own_copy(session: Statements, owner: str, module: str, key: str, audience: str) -> None:
    """Give a party a row of its own of what everybody has, so that it can be deleted for this party alone."""
    names = {"owner": owner, "module": module, "key": key, "audience": audience}
    await session.execute(_OWN_COPY, names)


async def is_broadcast(session: Statements, owner: str, module: str, key: str) -> bool:
    """Whether everybody has a row of this object."""
    names = {"owner": owner, "module": module, "key": key}
    return (await session.execute(_IS_BROADCAST, names)).first() is not None


async def by_key(session: Statements, module: str, key: str) -> list[Kept]:
    """The live rows of a key whoever owns them, newest first: who owns a token, which location a session is at. What
    has vanished from its owner's own list does not count."""
    return [Kept(*row) for row in await session.execute(_HOLDERS, {"module": module, "key": key})]


async def seen_by(session: Statements, module: str, key: str, reader: str) -> list[tuple[str, str]]:
    """Owner and audience of the live rows of a key that are for everybody or for `reader`, newest first."""
    rows = await session.execute(_SEEN, {"module": module, "key": key, "reader": reader})
    return [(row[0], row[1]) for row in rows]


async def sent_to(session: Statements, owner: str, module: str, key: str) -> list[tuple[str, str]]:
    """The parties that an object was pushed to one by one, each with the body it was given."""
    rows = await session.execute(_SENT, {"owner": owner, "module": module, "key": key})
    return [(row[0], row[1]) for row in rows]
