"""ClientInfo: what each platform is shown of the others, one row per viewing platform, party and role.

GET and push are served from the same rows, so they say the same (HCI-028). A row is never deleted once its party was
more than planned: what is gone is SUSPENDED (HCI-008). `told` is the status that the platform was last sent; while it
differs from `status`, a PUT is owed. Nothing else is queued: a crash loses nothing, and a status that has come back
before it was told is not told.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from hub.ocpi.paging import PageQuery
from hub.store.db import Statements


class ClientInfo(SQLModel, table=True):
    """What `platform_id` is shown of a party in a role. `id` grows in the order of first showing: the order of GET."""

    __tablename__ = "client_info"
    __table_args__ = (
        UniqueConstraint("platform_id", "code", "role", name="client_info_identity"),
        Index("client_info_owed", "next_at", postgresql_where=text("told IS DISTINCT FROM status")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    platform_id: int = Field(foreign_key="platform.id", ondelete="CASCADE")
    code: str
    role: str
    status: str
    last_updated: datetime | None = Field(
        default=None,
        sa_column=Column(
            DateTime(timezone=True), server_default=text("date_trunc('milliseconds', now())"), nullable=False
        ),
    )
    told: str | None = None
    told_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    reason: str | None = Field(default=None, sa_column=Column(Text))


@dataclass(frozen=True, slots=True)
class Shown:
    """A row as it stands: `told` is what the platform was sent last, None for nothing yet."""

    code: str
    role: str
    status: str
    told: str | None


@dataclass(frozen=True, slots=True)
class Info:
    """A ClientInfo object as it is shown."""

    id: int
    code: str
    role: str
    status: str
    last_updated: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A PUT that is owed to a platform now."""

    id: int
    platform_id: int
    code: str
    role: str
    status: str
    last_updated: datetime
    tries: int


_SHOWN = text("SELECT code, role, status, told FROM client_info WHERE platform_id = :platform_id")
# A status must last before it is told, and is told once in a while only: `steady` and `pause`, in seconds (HCI-011).
_WRITE = text(
    "INSERT INTO client_info AS c (platform_id, code, role, status, next_at)"
    " SELECT :platform_id, *, now() + :steady * interval '1 second'"
    " FROM unnest(CAST(:codes AS text[]), CAST(:roles AS text[]), CAST(:statuses AS text[]))"
    " ON CONFLICT ON CONSTRAINT client_info_identity DO UPDATE SET status = excluded.status, tries = 0, reason = NULL,"
    " last_updated = date_trunc('milliseconds', now()),"
    " next_at = GREATEST(excluded.next_at, c.told_at + :pause * interval '1 second')"
    " WHERE c.status <> excluded.status"
)
_WITHDRAW = text(
    "DELETE FROM client_info c USING unnest(CAST(:codes AS text[]), CAST(:roles AS text[])) AS v(code, role)"
    " WHERE c.platform_id = :platform_id AND c.code = v.code AND c.role = v.role"
)
_VERSION = text("SELECT value FROM counter WHERE name = 'directory' FOR SHARE")
_UNTOLD = text(
    "UPDATE client_info SET told = NULL, told_at = NULL WHERE platform_id = :platform_id AND told IS NOT NULL"
)
_CLAIM = text(
    "UPDATE client_info c SET next_at = now() + :lease * interval '1 second' FROM (SELECT i.id FROM client_info i"
    " JOIN platform p ON p.id = i.platform_id AND p.status = 'CONNECTED' AND p.stopped_reason IS NULL"
    " WHERE i.told IS DISTINCT FROM i.status AND i.next_at <= now() AND i.tries < :most"
    " AND i.platform_id = ANY(CAST(:platform_ids AS integer[]))"
    " ORDER BY i.next_at LIMIT :limit FOR UPDATE OF i SKIP LOCKED)"
    " AS due WHERE c.id = due.id"
    " RETURNING c.id, c.platform_id, c.code, c.role, c.status, c.last_updated, c.tries"
)
_TOLD = text(
    "UPDATE client_info SET told = :status, told_at = now(), tries = 0, reason = NULL,"
    " next_at = now() + :pause * interval '1 second' WHERE id = :id"
)
_FAILED = text(
    "UPDATE client_info SET tries = :tries, reason = :reason, next_at = now() + :wait * interval '1 second'"
    " WHERE id = :id AND status = :status"
)
_OF = (
    " FROM client_info WHERE platform_id = :platform_id"
    " AND last_updated >= COALESCE(:date_from, CAST('-infinity' AS timestamptz))"
    " AND last_updated < COALESCE(:date_to, CAST('infinity' AS timestamptz))"
)
_COUNT = text("SELECT count(*)" + _OF)
_PAGE = text(
    "SELECT id, code, role, status, last_updated" + _OF + " AND id > :after ORDER BY id LIMIT :limit OFFSET :offset"
)


async def shown(session: Statements, platform_id: int) -> dict[tuple[str, str], Shown]:
    """What a platform is shown, by code and role."""
    rows = await session.execute(_SHOWN, {"platform_id": platform_id})
    return {(row[0], row[1]): Shown(*row) for row in rows}


async def write(
    session: Statements,
    platform_id: int,
    changes: Collection[tuple[str, str, str]],
    withdrawn: Collection[tuple[str, str]],
    steady: float,
    pause: float,
) -> None:
    """Show a platform these (code, role, status); its PUT is owed after `steady` seconds, and not before `pause`
    seconds have gone since the last one of this row. What is `withdrawn` disappears."""
    if changes:
        codes, roles, statuses = (list(column) for column in zip(*changes, strict=True))
        names = {"codes": codes, "roles": roles, "statuses": statuses, "steady": steady, "pause": pause}
        await session.execute(_WRITE, {"platform_id": platform_id, **names})
    if withdrawn:
        codes, roles = (list(column) for column in zip(*withdrawn, strict=True))
        await session.execute(_WITHDRAW, {"platform_id": platform_id, "codes": codes, "roles": roles})


async def forget_told(session: Statements, platform_id: int) -> None:
    """The platform has left: when it comes back, it is told everything anew."""
    await session.execute(_UNTOLD, {"platform_id": platform_id})


async def claim(session: Statements, platform_ids: Iterable[int], limit: int, most: int, lease: float) -> list[Due]:
    """Take PUTs that are due, of those of these platforms that are CONNECTED, and tried less than `most` times; nobody
    else gets them for `lease` seconds."""
    names = {"platform_ids": list(platform_ids), "limit": limit, "most": most, "lease": lease}
    return [Due(*row) for row in await session.execute(_CLAIM, names)]


async def told(session: Statements, due: Due, pause: float) -> None:
    """The platform has taken it; the next PUT of this row is not before `pause` seconds have gone."""
    await session.execute(_TOLD, {"id": due.id, "status": due.status, "pause": pause})


async def failed(session: Statements, due: Due, tries: int, wait: float, reason: str) -> None:
    """It was not taken: again in `wait` seconds. A status that has changed meanwhile has a time of its own."""
    names = {"id": due.id, "status": due.status, "tries": tries, "wait": wait, "reason": reason}
    await session.execute(_FAILED, names)


async def page(session: Statements, platform_id: int, asked: PageQuery) -> tuple[list[Info], int, bool]:
    """A page of what a platform is shown, in the order of first showing; how many there are; whether more follow."""
    names: dict[str, Any] = {"platform_id": platform_id, "date_from": asked.date_from, "date_to": asked.date_to}
    total = asked.total
    if total is None:
        total = int((await session.execute(_COUNT, names)).scalar_one())
    after, offset = (0, asked.offset) if asked.after is None else (asked.after, 0)
    rows = await session.execute(_PAGE, names | {"after": after, "offset": offset, "limit": asked.limit + 1})
    found = [Info(*row) for row in rows]
    return found[: asked.limit], total, len(found) > asked.limit


async def is_newest(session: Statements, version: int) -> bool:
    """Whether this is the version of the directory, and stays it until the end of the transaction."""
    return int((await session.execute(_VERSION)).scalar_one()) == version
