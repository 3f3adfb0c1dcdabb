"""Commands as they were given, each with its answer for 24 hours: one that comes again is answered, not passed on.

A command moves things at a charger, so a repeated request (the same X-Request-ID) must not move them twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Column, DateTime, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

KEPT = timedelta(hours=24)


class GivenCommand(SQLModel, table=True):
    """A command by who gave it and its X-Request-ID. `hash` is SHA-256 of what was asked; the answer, from
    `answering`, is missing while it is on its way."""

    __tablename__ = "given_command"
    __table_args__ = (Index("given_command_at", "at"),)
    sender: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    http_status: int | None = None
    answer: str | None = Field(default=None, sa_column=Column(Text))
    answering: str | None = None
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


@dataclass(frozen=True)
class Given:
    """A command that was given before; `age` is how long ago."""

    hash: bytes
    http_status: int | None
    answer: str | None
    answering: str | None
    age: timedelta


_CLAIM = text(
    "INSERT INTO given_command (sender, request_id, hash) VALUES (:sender, :request_id, :hash)"
    " ON CONFLICT (sender, request_id) DO UPDATE SET hash = excluded.hash, http_status = NULL, answer = NULL,"
    " answering = NULL, at = now() WHERE given_command.at <= now() - CAST(:kept AS interval) RETURNING 1"
)
_FIND = text(
    "SELECT hash, http_status, answer, answering, now() - at FROM given_command"
    " WHERE sender = :sender AND request_id = :request_id"
)
_SETTLE = text(
    "UPDATE given_command SET http_status = :http_status, answer = :answer, answering = :answering"
    " WHERE sender = :sender AND request_id = :request_id"
)
_RELEASE = text("DELETE FROM given_command WHERE sender = :sender AND request_id = :request_id")
_EXPIRE = text("DELETE FROM given_command WHERE at <= now() - CAST(:kept AS interval)")


async def claim(session: Statements, sender: str, request_id: str, digest: bytes) -> bool:
    """Note a command before it goes out; False when it was given before (see `find`)."""
    names = {"sender": sender, "request_id": request_id, "hash": digest, "kept": KEPT}
    return (await session.execute(_CLAIM, names)).first() is not None


async def find(session: Statements, sender: str, request_id: str) -> Given | None:
    """The command that was given with this X-Request-ID."""
    row = (await session.execute(_FIND, {"sender": sender, "request_id": request_id})).one_or_none()
    return Given(bytes(row[0]), row[1], row[2], row[3], row[4]) if row else None


async def settle(
    session: Statements, sender: str, request_id: str, http_status: int, answer: str, answering: str
) -> None:
    """Keep the answer."""
    names = {"sender": sender, "request_id": request_id}
    await session.execute(_SETTLE, {**names, "http_status": http_status, "answer": answer, "answering": answering})


async def release(session: Statements, sender: str, request_id: str) -> None:
    """The command reached nobody: it may be given again."""
    await session.execute(_RELEASE, {"sender": sender, "request_id": request_id})


async def expire(session: Statements) -> None:
    """Delete what is older than 24 hours."""
    await session.execute(_EXPIRE, {"kept": KEPT})
