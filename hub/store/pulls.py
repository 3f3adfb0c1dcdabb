"""What the hub pulls for itself from parties that offer their lists: when, how far, what was wrong, what has vanished.

A row of `pull` is one list of one party, and one process at a time reads it: who claims it writes its name there and
renews the claim with every page it commits, so that a claim that was lost (a process that hung) cannot commit. `pulled`
tells which crawl last saw an object; `missing_since` that a complete one did not. What its owner pushes after that
counts as being there again (`MISSING`).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Identity, Index, Text, TextClause, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hub.ocpi import json
from hub.store.db import Statements

FULL, DELTA = "full", "delta"
FINDINGS_AT_MOST = 100
"""So many findings of one list are kept."""


def _moment() -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True)))


class Pull(SQLModel, table=True):
    """One list of one party. `next_at` None: not pulled by the clock (the party pushes). `wanted` is what the operator
    or an outage asked for, `kind` the crawl under way. The counts are those of the last crawl or of the one under way:
    objects that came, those that changed something here, those that were invalid, and those set aside as not for this
    hub. `high_water` is the newest last_updated of the owner's data that is surely here."""

    __tablename__ = "pull"
    party: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    platform_id: int = Field(foreign_key="platform.id", ondelete="CASCADE", index=True)
    created_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    next_at: datetime | None = _moment()
    wanted: str | None = None
    pushes: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    full_at: datetime | None = _moment()
    delta_at: datetime | None = _moment()
    high_water: datetime | None = _moment()
    away_since: datetime | None = _moment()
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    error: str | None = Field(default=None, sa_column=Column(Text))
    kind: str | None = None
    crawl: int = Field(default=0, sa_column=Column(BigInteger, server_default="0", nullable=False))
    since: datetime | None = _moment()
    begun_at: datetime | None = _moment()
    place: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    correlation_id: str | None = None
    newest: datetime | None = _moment()
    objects: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    changed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    invalid: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    aside: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    claim: str | None = None
    held_until: datetime | None = _moment()


class Pulled(SQLModel, table=True):
    """An object that a crawl has seen, or that a complete one has missed."""

    __tablename__ = "pulled"
    __table_args__ = (
        Index("pulled_missing", "owner", "module", "key", postgresql_where=text("missing_since IS NOT NULL")),
    )
    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    crawl: int = Field(sa_column=Column(BigInteger, nullable=False))
    seen_at: datetime | None = _moment()
    missing_since: datetime | None = _moment()


class PullFinding(SQLModel, table=True):
    """Something in a list that was not taken: which object (of a token only the end of its uid), and why."""

    __tablename__ = "pull_finding"
    __table_args__ = (
        ForeignKeyConstraint(["party", "module"], ["pull.party", "pull.module"], ondelete="CASCADE"),
        Index("pull_finding_of", "party", "module"),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    party: str
    module: str
    object: str
    reason: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


MISSING = (
    "EXISTS (SELECT FROM pulled p WHERE p.owner = object.owner AND p.module = object.module AND p.key = object.key"
    " AND p.missing_since >= object.stored_at)"
)
"""A condition on a row of `object`: its owner's complete list no longer had it (LOC-014, TOK-048)."""


@dataclass(frozen=True)
class Job:
    """A list that this process has claimed."""

    party: str
    module: str
    platform_id: int
    claim: str
    wanted: str | None
    pushes: bool
    full_at: datetime | None
    high_water: datetime | None
    failures: int
    kind: str | None
    crawl: int
    since: datetime | None
    begun_at: datetime | None
    place: dict[str, Any] | None
    correlation_id: str | None


@dataclass(frozen=True)
class Harvest:
    """What a page, or a part of one, brought. `seen` are (owner, key), `findings` (object, reason)."""

    objects: int = 0
    changed: int = 0
    invalid: int = 0
    aside: int = 0
    newest: datetime | None = None
    seen: tuple[tuple[str, str], ...] = ()
    findings: tuple[tuple[str, str], ...] = ()


_PARTS = {
    "MISSING": MISSING,
    "MINE": "WHERE party = :party AND module = :module AND claim = :claim",
    "JOB": "party, module, platform_id, claim, wanted, pushes, full_at, high_water, failures, kind, crawl, since,"
    " begun_at, place, correlation_id",
}


def _sql(statement: str) -> TextClause:
    """A statement, with the parts that many share put in."""
    return text(re.sub(r"\b[A-Z]{3,7}\b", lambda found: _PARTS.get(found[0], found[0]), statement))


_CLAIM = _sql(
    "UPDATE pull SET claim = :claim, held_until = now() + :lease * interval '1 second' WHERE (party, module) ="
    " (SELECT party, module FROM pull p WHERE next_at <= now() AND (held_until IS NULL OR held_until < now())"
    " AND platform_id = ANY(CAST(:platforms AS integer[])) AND NOT EXISTS (SELECT FROM pull o"
    " WHERE o.platform_id = p.platform_id AND o.held_until > now()) ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING JOB"
)
_BEGIN = _sql(
    "UPDATE pull SET kind = :kind, crawl = nextval('crawl_number'), since = :since, begun_at = now(), place = NULL,"
    " pushes = :pushes, wanted = NULL, newest = NULL, objects = 0, changed = 0, invalid = 0, aside = 0,"
    " correlation_id = :correlation_id MINE RETURNING JOB"
)
_FORGET_FINDINGS = _sql("DELETE FROM pull_finding WHERE party = :party AND module = :module")
_HOLD = _sql("UPDATE pull SET held_until = now() + :lease * interval '1 second' MINE RETURNING 1")
_HARVEST = _sql(
    "UPDATE pull SET objects = objects + :objects, changed = changed + :changed, invalid = invalid + :invalid,"
    " aside = aside + :aside, newest = GREATEST(newest, CAST(:newest AS timestamptz))"
    " MINE RETURNING invalid + aside"
)
_PLACE = _sql("UPDATE pull SET place = CAST(:place AS jsonb) MINE")
_SEEN = _sql(
    "INSERT INTO pulled AS p (owner, module, key, crawl, seen_at) SELECT DISTINCT v.owner, :module, v.key,"
    " CAST(:crawl AS bigint), now() FROM unnest(CAST(:owners AS text[]), CAST(:keys AS text[])) AS v(owner, key)"
    " ON CONFLICT (owner, module, key) DO UPDATE SET crawl = excluded.crawl, seen_at = now(), missing_since = NULL"
)
_FINDINGS = _sql(
    "INSERT INTO pull_finding (party, module, object, reason) SELECT :party, :module, v.object, v.reason"
    " FROM unnest(CAST(:objects AS text[]), CAST(:reasons AS text[])) AS v(object, reason)"
)
_VANISHED = _sql(
    "INSERT INTO pulled AS p (owner, module, key, crawl, missing_since)"
    " SELECT DISTINCT o.owner, o.module, o.key, 0, now() FROM object o LEFT JOIN pulled s USING (owner, module, key)"
    " WHERE o.owner = :owner AND o.module = :module AND NOT o.deleted AND (o.audience = '*' OR :every_audience)"
    " AND o.stored_at < :begun_at AND o.last_updated >= CAST(:since AS timestamptz)"
    " AND s.crawl IS DISTINCT FROM CAST(:crawl AS bigint)"
    " ON CONFLICT (owner, module, key) DO UPDATE SET missing_since = now() WHERE p.missing_since IS NULL RETURNING key"
)
_DONE = _sql(
    "UPDATE pull SET kind = NULL, place = NULL, claim = NULL, held_until = NULL, failures = 0, error = :error,"
    " full_at = CASE WHEN kind = 'full' THEN now() ELSE full_at END,"
    " delta_at = CASE WHEN kind = 'delta' THEN now() ELSE delta_at END,"
    " high_water = CASE WHEN newest IS NULL THEN high_water ELSE GREATEST(high_water, LEAST(newest, begun_at)) END,"
    " next_at = CASE WHEN wanted IS NULL THEN CAST(:next_at AS timestamptz) ELSE now() END MINE"
)
_FAILED = _sql(
    "UPDATE pull SET failures = failures + 1, error = :error, place = CAST(:place AS jsonb),"
    " kind = CASE WHEN CAST(:place AS jsonb) IS NULL THEN NULL ELSE kind END,"
    " wanted = CASE WHEN CAST(:place AS jsonb) IS NULL THEN COALESCE(wanted, kind) ELSE wanted END,"
    " next_at = :next_at, claim = NULL, held_until = NULL MINE"
)
_IDLE = _sql("UPDATE pull SET pushes = true, next_at = NULL, claim = NULL, held_until = NULL MINE")
_LET_GO = _sql("UPDATE pull SET claim = NULL, held_until = NULL MINE")
_PUSHED = _sql(
    "SELECT EXISTS (SELECT FROM object o LEFT JOIN pulled p USING (owner, module, key) WHERE o.owner = :owner"
    " AND o.module = :module AND (p.seen_at IS NULL OR o.stored_at > p.seen_at)) OR EXISTS (SELECT FROM cdr c"
    " WHERE :module = 'cdrs' AND c.owner = :owner AND NOT EXISTS (SELECT FROM pulled p WHERE p.owner = c.owner"
    " AND p.module = :module AND p.key = c.key))"
)
_STORED = _sql(
    "SELECT o.owner, o.key, o.audience, o.body FROM unnest(CAST(:owners AS text[]), CAST(:keys AS text[]),"
    " CAST(:audiences AS text[])) AS v(owner, key, audience) JOIN object o USING (owner, key, audience)"
    " WHERE o.module = :module AND NOT o.deleted"
)
_GONE = _sql(
    "SELECT body FROM object WHERE owner = :owner AND module = :module AND audience = '*' AND NOT deleted AND MISSING"
    " ORDER BY key LIMIT 1000"
)


async def claim(session: Statements, name: str, platforms: Collection[int], lease: float) -> Job | None:
    """Take the list that is due longest, of a platform of which no list is being read."""
    names = {"claim": name, "platforms": list(platforms), "lease": lease}
    row = (await session.execute(_CLAIM, names)).first()
    return Job(*row) if row else None


async def begin(session: Statements, job: Job, kind: str, since: datetime | None, correlation_id: str) -> Job:
    """A crawl begins. A full one forgets the findings of those before."""
    if kind == FULL:
        await session.execute(_FORGET_FINDINGS, {"party": job.party, "module": job.module})
    names = {"kind": kind, "since": since, "correlation_id": correlation_id, "pushes": job.pushes}
    return Job(*(await session.execute(_BEGIN, {**names, **_mine(job)})).one())


async def hold(session: Statements, job: Job, lease: float) -> bool:
    """Renew the claim, for the length of this transaction at least; False when somebody else has it."""
    return (await session.execute(_HOLD, {**_mine(job), "lease": lease})).first() is not None


async def harvest(session: Statements, job: Job, found: Harvest) -> None:
    """Count what was read, remember what was seen, and show what was wrong."""
    counts = {name: getattr(found, name) for name in ("objects", "changed", "invalid", "aside", "newest")}
    wrong = int((await session.execute(_HARVEST, {**_mine(job), **counts})).scalar_one())
    if found.seen:
        owners, keys = zip(*found.seen, strict=True)
        seen = {"module": job.module, "crawl": job.crawl, "owners": list(owners), "keys": list(keys)}
        await session.execute(_SEEN, seen)
    shown = found.findings[: max(FINDINGS_AT_MOST - (wrong - len(found.findings)), 0)]
    if shown:
        names = {"objects": [what for what, _ in shown], "reasons": [reason for _, reason in shown]}
        await session.execute(_FINDINGS, {"party": job.party, "module": job.module, **names})


async def move(session: Statements, job: Job, place: Mapping[str, Any] | None) -> None:
    """Where the crawl goes on."""
    await session.execute(_PLACE, {**_mine(job), "place": _text(place)})


async def vanished(session: Statements, job: Job, since: datetime | None) -> list[str]:
    """Mark what the party's complete list did not have; the keys that are news. With `since` (Sessions) only what
    changed after that, whoever it was for; without, what is there for everybody."""
    names = {"owner": job.party, "module": job.module, "crawl": job.crawl, "begun_at": job.begun_at}
    window = {"since": since or datetime.fromisoformat("1900-01-01T00:00:00Z"), "every_audience": since is not None}
    return list((await session.execute(_VANISHED, {**names, **window})).scalars())


async def done(session: Statements, job: Job, next_at: datetime | None, error: str | None) -> None:
    """A crawl has come to its end; `error` says what about it was not right all the same."""
    await session.execute(_DONE, {**_mine(job), "next_at": next_at, "error": error})


async def failed(session: Statements, job: Job, error: str, place: Mapping[str, Any] | None, next_at: datetime) -> None:
    """A crawl has broken off; it goes on from `place`, or begins anew when that is None."""
    names = {"error": error, "place": _text(place), "next_at": next_at}
    await session.execute(_FAILED, {**_mine(job), **names})


async def idle(session: Statements, job: Job) -> None:
    """The party pushes: its list is not pulled by the clock."""
    await session.execute(_IDLE, _mine(job))


async def let_go(session: Statements, job: Job) -> None:
    """Give a claim back; who takes it goes on at once."""
    await session.execute(_LET_GO, _mine(job))


async def pushed(session: Statements, owner: str, module: str) -> bool:
    """Whether a party has pushed anything of a module: something is here that no crawl has brought."""
    return bool((await session.execute(_PUSHED, {"owner": owner, "module": module})).scalar_one())


async def stored(
    session: Statements, module: str, wanted: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], str]:
    """The bodies of live rows by (owner, key, audience)."""
    owners, keys, audiences = zip(*wanted, strict=True)
    names = {"module": module, "owners": list(owners), "keys": list(keys), "audiences": list(audiences)}
    return {(row[0], row[1], row[2]): row[3] for row in await session.execute(_STORED, names)}


async def missing(session: Statements, owner: str, module: str) -> list[str]:
    """The bodies of live objects for everybody that their owner's complete list no longer had."""
    return list((await session.execute(_GONE, {"owner": owner, "module": module})).scalars())


def _mine(job: Job) -> dict[str, str]:
    return {"party": job.party, "module": job.module, "claim": job.claim}


def _text(place: Mapping[str, Any] | None) -> str | None:
    return None if place is None else json.dumps(place).decode()
