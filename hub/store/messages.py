"""What passed through: one row per hop for `knutpunkt trace`, and the opaque URLs that stand for partners' own.

Hops are written in batches beside the hot path (`hub.store.journal`); a crash may lose the last second of them. They
lie in one partition a day, which goes as a whole (`roll`). Bodies are there by policy (HUB_MESSAGE_BODIES). The uid of
a token is personal: `what` shows its end, and `key` holds a pseudonym (`filed`).
"""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Text, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements, Unit
from hub.store.outgoing import Identity
from hub.store.seal import Seal

KEEP_ALL = 366
"""Days of retention, more than any setting asks for."""

PERSONAL = frozenset({"tokens"})
"""Modules whose keys are personal."""

BROADCAST, KEEP, CUSTODY, REPEAT = "broadcast", "keep", "custody", "repeat"
FORWARD, DELIVER = "forward", "deliver"
PULL = "pull"
"""Decisions that later questions ask for."""

DELETED, IN_LEDGER = "deleted", "in the ledger"
"""What became of an object, where that is not an Outcome of hub.ocpi.patch."""

SHOWN_AT_MOST = 5_000
"""Hops in one answer."""


class Hop(SQLModel, table=True):
    """One hop of a message: who asked whom for what, what the hub decided and what was answered. `owner`, `module` and
    `key` name the object it carried, `changed` what the hub changed on the way."""

    __tablename__ = "hop"
    __table_args__ = (
        Index("hop_correlation", "correlation_id"),
        Index("hop_object", "owner", "module", "key", "at", postgresql_where=text("key IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (at)"},
    )
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), primary_key=True)
    )
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, server_default=text("nextval('hop_number')"), primary_key=True)
    )
    correlation_id: str
    request_id: str
    sender: str
    receiver: str
    method: str
    what: str
    decision: str
    http_status: int | None = None
    status_code: int | None = None
    ms: int | None = None
    detail: str | None = Field(default=None, sa_column=Column(Text))
    owner: str | None = None
    module: str | None = None
    key: str | None = None
    changed: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    request_body: str | None = Field(default=None, sa_column=Column(Text))
    answer_body: str | None = Field(default=None, sa_column=Column(Text))


class Callback(SQLModel, table=True):
    """An opaque hub URL: the partner's `url` behind it, who may use it (`caller`) and to whom it leads (`target`).

    `asked` is the call it was opened for (RESERVE_NOW, or PUT of a charging profile), `session_key` the Session of a
    charging profile. `due_at` is when the CPO promised a result, `answered` whether one has come.
    """

    __tablename__ = "callback"
    __table_args__ = (
        Index("callback_expiry", "expires_at"),
        Index("callback_due", "due_at", postgresql_where=text("due_at IS NOT NULL AND NOT answered")),
    )
    id: str = Field(primary_key=True)
    kind: str
    module: str
    url: str = Field(sa_column=Column(Text, nullable=False))
    caller: str
    target: str
    correlation_id: str
    expires_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    asked: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    session_key: str | None = None
    due_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    answered: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})


_CALLBACK = text(
    "INSERT INTO callback (id, kind, module, url, caller, target, correlation_id, expires_at, asked, session_key)"
    " VALUES (:id, :kind, :module, :url, :caller, :target, :correlation_id, now() + CAST(:lifetime AS interval),"
    " :asked, :session_key)"
)
_FIND = text(
    "SELECT id, kind, module, url, caller, target, correlation_id, expires_at, asked, session_key, due_at, answered"
    " FROM callback WHERE id = :id AND kind = :kind AND expires_at > now()"
)
_CALLER = text("SELECT caller FROM callback WHERE id = :id AND expires_at > now()")
_PROMISED = text("UPDATE callback SET due_at = now() + CAST(:within AS interval) WHERE id = :id")
_ANSWERED = text("UPDATE callback SET answered = true WHERE id = :id AND NOT answered")
_NOTE_MISSING = text(
    "WITH late AS (UPDATE callback SET due_at = NULL WHERE due_at < now() AND NOT answered"
    " RETURNING correlation_id, caller, target, module, asked)"
    " INSERT INTO hop (correlation_id, request_id, sender, receiver, method, what, decision, detail)"
    " SELECT correlation_id, gen_random_uuid()::text, caller, target, 'POST', 'result of ' || module || ' ' || asked,"
    " 'missing', 'none came within the time that ' || caller || ' gave' FROM late"
)
_EXPIRE = text("DELETE FROM callback WHERE expires_at <= now()")
_FORGET = text("DELETE FROM callback WHERE id = :id")
_COLUMNS = (
    *("at", "correlation_id", "request_id", "sender", "receiver", "method", "what", "decision", "http_status"),
    *("status_code", "ms", "detail", "owner", "module", "key", "changed", "request_body", "answer_body"),
)
_HOPS = text(
    "SELECT at, correlation_id, request_id, sender, receiver, method, what, decision, http_status, status_code, ms,"
    " detail, owner, module, key, changed, request_body, answer_body FROM hop"
    " WHERE correlation_id = :correlation_id ORDER BY at, id LIMIT :limit"
)
_ROLL = text("SELECT roll_hops(3, :days)")

Row = tuple[Any, ...]
"""A hop as it is written: the values of _COLUMNS."""


async def open_callback(
    session: Statements,
    *,
    kind: str,
    module: str,
    url: str,
    caller: str,
    target: str,
    correlation_id: str,
    lifetime: timedelta,
    asked: str = "",
    session_key: str | None = None,
) -> str:
    """Make an opaque id (192 bits) that stands for `url`: `caller` may use it, and it leads to `target`."""
    callback_id = secrets.token_urlsafe(24)
    names = {"id": callback_id, "kind": kind, "module": module, "url": url, "caller": caller, "target": target}
    more = {"correlation_id": correlation_id, "lifetime": lifetime, "asked": asked, "session_key": session_key}
    await session.execute(_CALLBACK, {**names, **more})
    return callback_id


async def find_callback(session: Statements, callback_id: str, kind: str) -> Callback | None:
    """The callback behind an opaque id, unless it has expired."""
    row = (await session.execute(_FIND, {"id": callback_id, "kind": kind})).mappings().one_or_none()
    return Callback(**row) if row else None


async def callback_caller(session: Statements, callback_id: str) -> str | None:
    """The party that may use a callback."""
    row = (await session.execute(_CALLER, {"id": callback_id})).one_or_none()
    return str(row[0]) if row else None


async def forget_callback(session: Statements, callback_id: str) -> None:
    """End a callback before its time."""
    await session.execute(_FORGET, {"id": callback_id})


async def promise(session: Statements, callback_id: str, within: timedelta) -> None:
    """The CPO said that a result comes within this time (CMD-021)."""
    await session.execute(_PROMISED, {"id": callback_id, "within": within})


async def callback_answered(session: Statements, callback_id: str) -> None:
    """A result has come."""
    await session.execute(_ANSWERED, {"id": callback_id})


async def note_missing_results(session: Statements) -> None:
    """Put a line into the message log for each result that did not come in the time that its CPO gave (CMD-021)."""
    await session.execute(_NOTE_MISSING)


async def expire_callbacks(session: Statements) -> None:
    """Delete what has expired."""
    await session.execute(_EXPIRE)


def filed(seal: Seal, about: Identity) -> Identity:
    """An object as the message log names it: as the store does, but with a pseudonym where the key is personal."""
    owner, module, key = about
    return (owner, module, seal.pseudonym(key)) if module in PERSONAL else about


async def write(unit: Unit, rows: Collection[Row]) -> None:
    """Add hops, by COPY, at less than half the cost of an INSERT. Raises asyncpg.CheckViolationError when a day has no
    partition."""
    await unit.copy("hop", _COLUMNS, rows)


async def roll(session: Statements, days: int) -> None:
    """Make the partitions of the days to come, and drop those of days that are over for more than `days` days."""
    await session.execute(_ROLL, {"days": days})


async def trace(session: Statements, correlation_id: str) -> list[dict[str, Any]]:
    """The hops of a correlation id, in order, the first 5,000 of them."""
    rows = await session.execute(_HOPS, {"correlation_id": correlation_id, "limit": SHOWN_AT_MOST})
    return [dict(row) for row in rows.mappings()]
