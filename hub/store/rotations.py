"""Renewals of tokens that the hub began: what stands until the partner has switched, or is seen not to.

A row stays as the record of the last renewal; `outcome` is empty while both tokens that the partner may show are good.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, DateTime, LargeBinary, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

SWITCHED, ROLLED_BACK, REFUSED, REPLACED = "switched", "rolled back", "refused", "replaced"


class Rotation(SQLModel, table=True):
    """The last renewal with a platform that the hub began.

    `new_hash` is the new token that the platform is to show (as in `access_token`), `old_out` the sealed token that the
    hub showed before, `answered_at` when the platform took the new credentials (None: its answer is not known).
    `outcome`: switched, rolled back, refused (by the platform, at once), replaced (by a handshake of the platform).
    """

    __tablename__ = "rotation"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    new_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    old_out: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    old_form: str
    begun_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    answered_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    ends_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """An open renewal and which tokens the platform has shown: when the new one, when any older one, None for never.
    `now` is the database's time."""

    platform_id: int
    new_hash: bytes
    old_out: bytes
    old_form: str
    answered_at: datetime | None
    ends_at: datetime
    new_shown: datetime | None
    old_shown: datetime | None
    now: datetime


_WATCHED = text(
    "SELECT r.platform_id, r.new_hash, r.old_out, r.old_form, r.answered_at, r.ends_at, n.shown_at,"
    " (SELECT max(o.shown_at) FROM access_token o WHERE o.platform_id = r.platform_id AND o.kind = 'C'"
    "  AND o.hash <> r.new_hash), now()"
    " FROM rotation r LEFT JOIN access_token n ON n.hash = r.new_hash WHERE r.outcome IS NULL ORDER BY r.platform_id"
)
_SHOWN = text("UPDATE access_token SET shown_at = now() WHERE hash = ANY(CAST(:hashes AS bytea[]))")
_REPLACE = text("UPDATE rotation SET outcome = 'replaced' WHERE platform_id = :id AND outcome IS NULL")
_DUE = text(
    "SELECT f.id FROM platform f JOIN access_token t ON t.platform_id = f.id AND t.kind = 'C' AND t.expires_at IS NULL"
    " LEFT JOIN rotation r ON r.platform_id = f.id"
    " WHERE f.status = 'CONNECTED' AND f.token_out IS NOT NULL AND f.stopped_reason IS NULL"
    " AND (r.platform_id IS NULL OR r.outcome IS NOT NULL AND r.begun_at < now() - interval '1 day')"
    " GROUP BY f.id HAVING max(t.made_at) < now() - :days * interval '1 day' OR f.told <> :told"
    " ORDER BY max(t.made_at) LIMIT 1"
)


async def watched(session: Statements) -> list[Watched]:
    """Every renewal that is not over."""
    return [Watched(*row) for row in await session.execute(_WATCHED)]


async def shown(session: Statements, hashes: list[bytes]) -> None:
    """Note that these tokens were shown just now."""
    await session.execute(_SHOWN, {"hashes": hashes})


async def replace(session: Statements, platform_id: int) -> None:
    """A handshake of the platform itself takes the place of a renewal that is open."""
    await session.execute(_REPLACE, {"id": platform_id})


async def due(session: Statements, days: int, told: str) -> int | None:
    """A platform whose tokens are older than `days`, or that was told other endpoints than `told`; not one that the
    hub tried to renew with within a day."""
    found = (await session.execute(_DUE, {"days": days, "told": told})).first()
    return None if found is None else int(found[0])
