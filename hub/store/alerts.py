"""What an operator must know of: an alert is raised once, and cleared when its cause is over.

An alert is open while `cleared_at` is None; of one `kind` and `subject` there is at most one open at a time.
`raise_told_at` and `clear_told_at` say when the webhook (HUB_ALERT_URL) took each of the two; until then it is tried
again at `tell_at`, for a day after it was cleared.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Text, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements

WATCH = 7_216_404
"""The lock of whoever looks after the alerts at present."""


class Alert(SQLModel, table=True):
    """One alert: what is the matter (`kind`), with whom (`subject`), and in words (`detail`)."""

    __tablename__ = "alert"
    __table_args__ = (
        Index("alert_open", "kind", "subject", unique=True, postgresql_where=text("cleared_at IS NULL")),
        Index(
            "alert_untold",
            "id",
            postgresql_where=text("raise_told_at IS NULL OR (cleared_at IS NOT NULL AND clear_told_at IS NULL)"),
        ),
        Index("alert_cleared", "cleared_at", postgresql_where=text("cleared_at IS NOT NULL")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    kind: str
    subject: str
    detail: str = Field(sa_column=Column(Text, nullable=False))
    raised_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    cleared_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    raise_told_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    clear_told_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    tell_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


@dataclass(frozen=True, slots=True)
class News:
    """What the webhook is to be told next of one alert: that it was raised, or (`cleared`) that it is over."""

    id: int
    kind: str
    subject: str
    detail: str
    at: datetime
    cleared: bool
    tries: int


_LOCK = text("SELECT pg_try_advisory_xact_lock(:key)")
_RAISE = text(
    "INSERT INTO alert (kind, subject, detail)"
    " SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS text[]), CAST(:details AS text[]))"
    " ON CONFLICT DO NOTHING"
)
_RENEW = text(
    "UPDATE alert a SET detail = v.detail FROM unnest(CAST(:ids AS bigint[]), CAST(:details AS text[]))"
    " AS v(id, detail) WHERE a.id = v.id"
)
_CLEAR = text("UPDATE alert SET cleared_at = now() WHERE id = ANY(CAST(:ids AS bigint[]))")
_EVERY = text(
    "SELECT * FROM alert WHERE CAST(:cleared AS boolean) OR cleared_at IS NULL ORDER BY cleared_at IS NOT NULL, id DESC"
)
_COUNT = text("SELECT kind, count(*) AS number FROM alert WHERE cleared_at IS NULL GROUP BY kind")
# What is told first moves out of the way of others for as long as the webhook may take, so that one process tells it.
_CLAIM = text(
    "UPDATE alert a SET tries = a.tries + 1, tell_at = now() + LEAST(:pause * power(2, a.tries), :longest)"
    " * interval '1 second' FROM (SELECT id, raise_told_at IS NOT NULL AS cleared FROM alert WHERE tell_at <= now()"
    " AND (raise_told_at IS NULL OR (cleared_at IS NOT NULL AND clear_told_at IS NULL))"
    " AND (cleared_at IS NULL OR cleared_at > now() - interval '1 day')"
    " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) AS next WHERE a.id = next.id RETURNING a.id, a.kind, a.subject,"
    " a.detail, CASE WHEN next.cleared THEN a.cleared_at ELSE a.raised_at END, next.cleared, a.tries"
)
_TOLD = text(
    "UPDATE alert SET raise_told_at = coalesce(raise_told_at, now()), tries = 0, tell_at = now(),"
    " clear_told_at = CASE WHEN :cleared THEN now() END WHERE id = :id"
)
_FORGET = text("DELETE FROM alert WHERE cleared_at < now() - interval '90 days'")


async def lock(session: Statements) -> bool:
    """Be the one who looks after the alerts until this transaction ends; False while another process is."""
    return bool((await session.execute(_LOCK, {"key": WATCH})).scalar_one())


async def every(session: Statements, cleared: bool) -> list[Alert]:
    """The open ones, newest first; after them the `cleared` ones, if they are wanted."""
    return [Alert(**row) for row in await session.execute(_EVERY, {"cleared": cleared})]


async def count_open(session: Statements) -> dict[str, int]:
    """How many are open, by kind."""
    return {row.kind: row.number for row in await session.execute(_COUNT)}


async def begin(session: Statements, found: Iterable[tuple[str, str, str]]) -> None:
    """Raise alerts: kind, subject, detail."""
    kinds, subjects, details = map(list, zip(*found, strict=True))
    await session.execute(_RAISE, {"kinds": kinds, "subjects": subjects, "details": details})


async def renew(session: Statements, details: dict[int, str]) -> None:
    """Write the present details of open alerts, by id."""
    await session.execute(_RENEW, {"ids": list(details), "details": list(details.values())})


async def clear(session: Statements, ids: Collection[int]) -> None:
    """Their cause is over."""
    await session.execute(_CLEAR, {"ids": list(ids)})


async def next_news(session: Statements, pause: float, longest: float) -> News | None:
    """What the webhook is to be told next, if anything is due. Until it is `told` nobody else gets it for `pause`
    seconds, which double with each try up to `longest`."""
    row = (await session.execute(_CLAIM, {"pause": pause, "longest": longest})).first()
    return News(*row) if row is not None else None


async def told(session: Statements, news: News) -> None:
    """The webhook has taken it."""
    await session.execute(_TOLD, {"id": news.id, "cleared": news.cleared})


async def forget(session: Statements) -> None:
    """Delete alerts that were cleared 90 days ago."""
    await session.execute(_FORGET)
