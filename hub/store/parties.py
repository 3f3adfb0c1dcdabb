"""Who is connected: platforms, the parties on them, their tokens and endpoints, and who may reach whom.

A *platform* is one OCPI connection; it speaks for one or more *parties*. Hosted parties live on the hub's own
platform and are served from this store. `Directory` is a read-only picture of all this, kept in memory by every
process; each change bumps its version in the same transaction (`touch`), so that a stale picture is noticed.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

NOW = text("now()")


class Platform(SQLModel, table=True):
    """One OCPI connection. `status` is a ConnectionStatus; `token_out` is sealed (hub.store.seal).

    `told` stands for the endpoints of the hub that the platform was last told to read (VER-013). `pull` are the modules
    that the hub pulls from it, None leaves that to the hub; `quirks` are its departures from the letter of OCPI.
    `short_retry`: whether a delivery that failed is tried again within a minute (hub.delivery.policy).
    """

    __tablename__ = "platform"
    id: int | None = Field(default=None, primary_key=True)
    name: str
    hosted: bool = False
    status: str = "PLANNED"
    versions_url: str | None = None
    version: str | None = None
    token_out: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    token_form: str = "base64"
    resync: str = "push"
    strict: bool = False
    short_retry: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    last_seen_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    checked_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    stopped_reason: str | None = None
    told: str | None = None
    pull: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    quirks: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, server_default=text("'{}'"), nullable=False)
    )
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=NOW, nullable=False)
    )


class Endpoint(SQLModel, table=True):
    """A URL that a platform published for one module and interface role in its version details."""

    __tablename__ = "endpoint"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    module: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    url: str


class AccessToken(SQLModel, table=True):
    """A token that a platform shows to the hub, kept as SHA-256. `kind` A admits to a handshake, C to everything;
    `shown_at` is when it was last shown while a renewal was open (hub.store.rotations)."""

    __tablename__ = "access_token"
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    platform_id: int = Field(foreign_key="platform.id", ondelete="CASCADE", index=True)
    kind: str
    expires_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    made_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=NOW, nullable=False)
    )
    shown_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))


class Party(SQLModel, table=True):
    """A party (country_code*party_id) and its roles on one platform. `id` is also the number of its lane's lock."""

    __tablename__ = "party"
    id: int | None = Field(default=None, primary_key=True)
    code: str = Field(unique=True)
    platform_id: int = Field(foreign_key="platform.id", index=True)
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    business_details: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))


class Admission(SQLModel, table=True):
    """A role that an invitation lets a platform register (CRED-049)."""

    __tablename__ = "admission"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    code: str = Field(primary_key=True)
    role: str = Field(primary_key=True)


class Agreement(SQLModel, table=True):
    """What two parties allow each other. Data flows `both` ways, or only `a_to_b` or `b_to_a`.

    `modules` None means all. An agreement of a pair always decides; without one the hub's default policy does.
    """

    __tablename__ = "agreement"
    __table_args__ = (UniqueConstraint("a", "b"),)
    id: int | None = Field(default=None, primary_key=True)
    a: str
    b: str
    modules: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text), nullable=True))
    direction: str = "both"
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=NOW, nullable=False)
    )


class OperatorToken(SQLModel, table=True):
    """A bearer token of the operator API, kept as SHA-256."""

    __tablename__ = "operator_token"
    hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    name: str
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=NOW, nullable=False)
    )


class Counter(SQLModel, table=True):
    """A number that lives in the database: the directory's version, the kept tail of the change log."""

    __tablename__ = "counter"
    name: str = Field(primary_key=True)
    value: int = Field(sa_column=Column(BigInteger, nullable=False))


DIRECTORY = "directory"
_TOUCH = text("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
_VERSION = text("SELECT value FROM counter WHERE name = 'directory'")


async def touch(session: Statements) -> None:
    """Make every process reload its Directory: part of each transaction that changes what is in this file."""
    await session.execute(_TOUCH)
    await session.execute(text("NOTIFY directory"))


async def version(session: Statements) -> int:
    """The version of what is in this file now."""
    return int((await session.execute(_VERSION)).scalar_one())
