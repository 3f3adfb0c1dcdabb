"""The ledger of CDRs: append-only, each (owner, id) once. The application role may insert and read, nothing else, and
a trigger refuses changes to everybody. Each entry holds the hash of the one before it (`hub.store.chain`).

What is personal (the body with its token and contract) lies in `cdr_body`, which can be erased; what happened to a
CDR on its way lies in `cdr_delivery`. `cdr_intent` records an attempt before it goes out, so that after a crash
nobody has to guess whether a CDR may be somewhere already. `cdr_conflict` tells who tried to use an id twice.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from hub.store.db import Statements


class Cdr(SQLModel, table=True):
    """One CDR. `hash` stands for its content (`hub.exchange.cdr_content`), `key` is its id without regard to case,
    `public_id` the last segment of the Location that its owner was given, `findings` what the hub noticed about it
    (CDR-041). `number` counts the owner's entries from 1, `prev` and `entry_hash` are the chain; the database sets the
    three."""

    __tablename__ = "cdr"
    __table_args__ = (
        UniqueConstraint("owner", "key", name="cdr_identity"),
        UniqueConstraint("owner", "number", name="cdr_number"),
        Index("cdr_session", "owner", "session_key", postgresql_where=text("session_key IS NOT NULL")),
        Index("cdr_credit", "owner", "credit_of", postgresql_where=text("credit_of IS NOT NULL")),
    )
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    owner: str
    key: str
    public_id: str = Field(unique=True)
    receiver: str = Field(index=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    session_key: str | None = None
    credit_of: str | None = None
    currency: str
    total_energy: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    total_excl_vat: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    total_incl_vat: Decimal | None = Field(default=None, sa_column=Column(Numeric))
    start_date_time: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    end_date_time: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    last_updated: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    recorded_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    findings: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'"))
    )
    number: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=False))
    prev: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=False))
    entry_hash: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=False))


class LedgerHead(SQLModel, table=True):
    """The last entry of an owner's chain: its number, the hash before it and its own."""

    __tablename__ = "ledger_head"
    owner: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    prev: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class CdrBody(SQLModel, table=True):
    """The CDR as its owner sent it."""

    __tablename__ = "cdr_body"
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    body: str = Field(sa_column=Column(Text, nullable=False))


class CdrDelivery(SQLModel, table=True):
    """Where a CDR is: `delivered`, or in `custody` (the hub owes it). `location` is where the receiver keeps it."""

    __tablename__ = "cdr_delivery"
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    state: str
    detail: str | None = None
    location: str | None = None
    http_status: int | None = None
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


class CdrIntent(SQLModel, table=True):
    """An attempt to hand over a CDR: `pending` before it goes out, then `refused`, `ambiguous` (unclear) or `done`.

    `doubtful` once any attempt had no clear answer: the receiver may have the CDR, so only the same may be sent again.
    """

    __tablename__ = "cdr_intent"
    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    receiver: str
    state: str
    doubtful: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


class AlreadyEntered(Exception):
    """Another attempt has entered this CDR meanwhile; the transaction is lost."""


class CdrConflict(SQLModel, table=True):
    """A CDR that was refused because its id is taken by another content or goes to another receiver: `times` it was
    tried, and since when."""

    __tablename__ = "cdr_conflict"
    owner: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    receiver: str = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    times: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    first_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    last_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


@dataclass(frozen=True)
class Content:
    """What stands for the content of a CDR. `plain` is what releases before 0004 wrote for the same."""

    hash: bytes
    plain: bytes

    def matches(self, stored: bytes) -> bool:
        """Whether a stored hash is of this content."""
        return stored in (self.hash, self.plain)


@dataclass(frozen=True)
class Intent:
    """The attempt on record to hand a CDR over."""

    hash: bytes
    receiver: str
    state: str
    doubtful: bool


@dataclass(frozen=True)
class Recorded:
    """A CDR of the ledger with where it is. `body` is None when it was erased."""

    seq: int
    owner: str
    key: str
    receiver: str
    hash: bytes
    findings: list[str]
    body: str | None
    state: str
    detail: str | None
    location: str | None
    public_id: str


_RECORDED = (
    "SELECT c.seq, c.owner, c.key, c.receiver, c.hash, c.findings, b.body, d.state, d.detail, d.location,"
    " c.public_id"
    " FROM cdr c LEFT JOIN cdr_body b USING (seq) JOIN cdr_delivery d USING (seq)"
)
_FIND = text(_RECORDED + " WHERE c.owner = :owner AND c.key = :key")
_AT = text(_RECORDED + " WHERE c.public_id = :public_id")
_CLAIM = text(
    "INSERT INTO cdr_intent AS i (owner, key, hash, receiver, state)"
    " VALUES (:owner, :key, :hash, :receiver, 'pending') ON CONFLICT (owner, key) DO UPDATE SET hash = excluded.hash,"
    " receiver = excluded.receiver, state = 'pending', at = now(), doubtful = i.doubtful OR i.state <> 'refused'"
    " WHERE (i.state = 'refused' AND NOT i.doubtful)"
    " OR (i.hash IN (excluded.hash, :plain) AND i.receiver = excluded.receiver"
    " AND (i.state IN ('refused', 'ambiguous') OR i.state = 'pending' AND i.at < now() - CAST(:patience AS interval)))"
    " RETURNING doubtful"
)
_INTENT = text("SELECT hash, receiver, state, doubtful FROM cdr_intent WHERE owner = :owner AND key = :key")
# An attempt that was overtaken (its process hung) says nothing any more about a CDR that is in the ledger.
_SETTLE = text(
    "UPDATE cdr_intent SET state = :state, doubtful = doubtful OR :doubtful"
    " WHERE owner = :owner AND key = :key AND state <> 'done'"
)
# One statement, so that the chain of the owner is locked for one round trip and the commit.
_RECORD = text(
    "WITH entry AS (INSERT INTO cdr (owner, key, public_id, receiver, hash, session_key, credit_of, currency,"
    " total_energy, total_excl_vat, total_incl_vat, start_date_time, end_date_time, last_updated, findings)"
    " VALUES (:owner, :key, :public_id, :receiver, :hash, :session_key, :credit_of, :currency, :total_energy,"
    " :total_excl_vat, :total_incl_vat, :start_date_time, :end_date_time, :last_updated, CAST(:findings AS text[]))"
    " RETURNING seq), body AS (INSERT INTO cdr_body (seq, body) SELECT seq, :body FROM entry)"
    " INSERT INTO cdr_delivery (seq, state, location) SELECT seq, :state, :location FROM entry"
)
_CONFLICT = text(
    "INSERT INTO cdr_conflict AS c (owner, key, receiver, hash, reason)"
    " VALUES (:owner, :key, :receiver, :hash, :reason)"
    " ON CONFLICT (owner, key, receiver, hash) DO UPDATE SET times = c.times + 1, last_at = now(),"
    " reason = excluded.reason"
)
_CONFLICTS = text(
    "SELECT owner, key, receiver, times, first_at, last_at, reason FROM cdr_conflict ORDER BY last_at DESC"
)
_BILLED = text(
    "SELECT EXISTS (SELECT FROM cdr c WHERE c.owner = :owner AND c.session_key = :session_key AND c.key <> :key"
    " AND c.credit_of IS NULL"
    " AND NOT EXISTS (SELECT FROM cdr r WHERE r.owner = c.owner AND r.credit_of = c.key))"
)
_CREDITED = text("SELECT EXISTS (SELECT FROM cdr WHERE owner = :owner AND credit_of = :credit_of AND key <> :key)")


async def find(session: Statements, owner: str, key: str) -> Recorded | None:
    """The CDR with this id of this owner."""
    row = (await session.execute(_FIND, {"owner": owner, "key": key})).one_or_none()
    return Recorded(*row) if row else None


async def at(session: Statements, public_id: str) -> Recorded | None:
    """The CDR behind the last segment of its Location, if this session's party may see it."""
    row = (await session.execute(_AT, {"public_id": public_id})).one_or_none()
    return Recorded(*row) if row else None


async def is_billed(session: Statements, owner: str, session_key: str, key: str) -> bool:
    """Whether another CDR than `key` bills this Session already, and was not credited."""
    names = {"owner": owner, "session_key": session_key, "key": key}
    return bool((await session.execute(_BILLED, names)).scalar_one())


async def is_credited(session: Statements, owner: str, credit_of: str, key: str) -> bool:
    """Whether another Credit CDR than `key` takes this CDR back already."""
    return bool((await session.execute(_CREDITED, {"owner": owner, "credit_of": credit_of, "key": key})).scalar_one())


async def claim(
    session: Statements, owner: str, key: str, content: Content, receiver: str, patience: timedelta
) -> bool | None:
    """Record the intent to hand a CDR over: whether an earlier attempt may have got through; None when another attempt
    stands in the way (see `intent`)."""
    names = {"owner": owner, "key": key, "hash": content.hash, "plain": content.plain, "receiver": receiver}
    row = (await session.execute(_CLAIM, {**names, "patience": patience})).first()
    return None if row is None else bool(row[0])


async def intent(session: Statements, owner: str, key: str) -> Intent | None:
    """The attempt on record."""
    row = (await session.execute(_INTENT, {"owner": owner, "key": key})).one_or_none()
    return Intent(*row) if row else None


async def settle(session: Statements, owner: str, key: str, state: str, *, doubtful: bool = False) -> None:
    """What became of the attempt: `refused`, `ambiguous` or `done`; `doubtful` when the receiver may have the CDR."""
    await session.execute(_SETTLE, {"owner": owner, "key": key, "state": state, "doubtful": doubtful})


async def record(session: Statements, facts: dict[str, Any], body: str, state: str, location: str | None) -> str:
    """Enter a CDR with its body and where it is; its public id. `facts` are the columns of `cdr`. Others of its owner
    wait until this transaction ends: let it be the last statement. Raises AlreadyEntered."""
    public_id = secrets.token_urlsafe(24)
    row = {"findings": [], **facts, "public_id": public_id, "body": body, "state": state, "location": location}
    try:
        await session.execute(_RECORD, row)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyEntered from error
    return public_id


async def conflict(session: Statements, owner: str, key: str, receiver: str, digest: bytes, reason: str) -> None:
    """Note for the operator that a CDR was refused because its id is taken."""
    names = {"owner": owner, "key": key, "receiver": receiver, "hash": digest, "reason": reason}
    await session.execute(_CONFLICT, names)


async def conflicts(session: Statements) -> list[dict[str, Any]]:
    """The CDRs that were refused because their id is taken, the last first."""
    return [dict(row) for row in (await session.execute(_CONFLICTS)).mappings()]
