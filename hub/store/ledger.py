"""The ledger of CDRs: append-only, each (owner, id) once. The application role may insert and read, nothing else.

What is personal (the body with its token and contract) lies in `cdr_body`, which can be erased; what happened to a
CDR on its way lies in `cdr_delivery`. `cdr_intent` records an attempt before it goes out, so that after a crash
nobody has to guess whether a CDR may be somewhere already.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

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
    """One CDR. `hash` is SHA-256 over its canonical form, `key` its id without regard to case, `public_id` the last
    segment of the Location that its owner was given, `findings` what the hub noticed about it (CDR-041)."""

    __tablename__ = "cdr"
    __table_args__ = (
        UniqueConstraint("owner", "key", name="cdr_identity"),
        Index("cdr_session", "owner", "session_key", postgresql_where=text("session_key IS NOT NULL")),
        Index("cdr_credit", "owner", "credit_of", postgresql_where=text("credit_of IS NOT NULL")),
    )
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    owner: str = Field(index=True)
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


@dataclass(frozen=True)
class Recorded:
    """A CDR of the ledger with where it is."""

    seq: int
    owner: str
    key: str
    receiver: str
    hash: bytes
    body: str
    state: str
    location: str | None
    public_id: str


_RECORDED = (
    "SELECT c.seq, c.owner, c.key, c.receiver, c.hash, b.body, d.state, d.location, c.public_id"
    " FROM cdr c JOIN cdr_body b USING (seq) JOIN cdr_delivery d USING (seq)"
)
_FIND = text(_RECORDED + " WHERE c.owner = :owner AND c.key = :key")
_AT = text(_RECORDED + " WHERE c.public_id = :public_id")
_CLAIM = text(
    "INSERT INTO cdr_intent AS i (owner, key, hash, receiver, state)"
    " VALUES (:owner, :key, :hash, :receiver, 'pending') ON CONFLICT (owner, key) DO UPDATE SET hash = excluded.hash,"
    " receiver = excluded.receiver, state = 'pending', at = now(), doubtful = i.doubtful OR i.state <> 'refused'"
    " WHERE (i.state = 'refused' AND NOT i.doubtful) OR (i.hash = excluded.hash AND i.receiver = excluded.receiver"
    " AND (i.state IN ('refused', 'ambiguous') OR i.state = 'pending' AND i.at < now() - CAST(:patience AS interval)))"
    " RETURNING 1"
)
_INTENT = text("SELECT hash, receiver, state FROM cdr_intent WHERE owner = :owner AND key = :key")
_SETTLE = text("UPDATE cdr_intent SET state = :state WHERE owner = :owner AND key = :key")
_RECORD = text(
    "INSERT INTO cdr (owner, key, public_id, receiver, hash, session_key, credit_of, currency, total_energy,"
    " total_excl_vat, total_incl_vat, start_date_time, end_date_time, last_updated, findings) VALUES (:owner, :key,"
    " :public_id, :receiver, :hash, :session_key, :credit_of, :currency, :total_energy, :total_excl_vat,"
    " :total_incl_vat, :start_date_time, :end_date_time, :last_updated, CAST(:findings AS text[])) RETURNING seq"
)
_BILLED = text(
    "SELECT EXISTS (SELECT FROM cdr c WHERE c.owner = :owner AND c.session_key = :session_key AND c.key <> :key"
    " AND c.credit_of IS NULL"
    " AND NOT EXISTS (SELECT FROM cdr r WHERE r.owner = c.owner AND r.credit_of = c.key))"
)
_CREDITED = text("SELECT EXISTS (SELECT FROM cdr WHERE owner = :owner AND credit_of = :credit_of AND key <> :key)")
_BODY = text("INSERT INTO cdr_body (seq, body) VALUES (:seq, :body)")
_DELIVERY = text("INSERT INTO cdr_delivery (seq, state, location) VALUES (:seq, :state, :location)")


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


async def claim(session: Statements, owner: str, key: str, digest: bytes, receiver: str, patience: timedelta) -> bool:
    """Record the intent to hand a CDR over; False when another attempt stands in the way (see `intent`)."""
    names = {"owner": owner, "key": key, "hash": digest, "receiver": receiver, "patience": patience}
    return (await session.execute(_CLAIM, names)).first() is not None


async def intent(session: Statements, owner: str, key: str) -> tuple[bytes, str, str] | None:
    """Hash, receiver and state of the attempt on record."""
    row = (await session.execute(_INTENT, {"owner": owner, "key": key})).one_or_none()
    return (bytes(row[0]), row[1], row[2]) if row else None


async def settle(session: Statements, owner: str, key: str, state: str) -> None:
    """What became of the attempt: `refused`, `ambiguous` or `done`."""
    await session.execute(_SETTLE, {"owner": owner, "key": key, "state": state})


async def record(session: Statements, facts: dict[str, Any], body: str, state: str, location: str | None) -> str:
    """Enter a CDR with its body and where it is; its public id. `facts` are the columns of `cdr`."""
    public_id = secrets.token_urlsafe(24)
    row = {"findings": [], **facts, "public_id": public_id}
    seq = int((await session.execute(_RECORD, row)).scalar_one())
    await session.execute(_BODY, {"seq": seq, "body": body})
    await session.execute(_DELIVERY, {"seq": seq, "state": state, "location": location})
    return public_id
