"""Reconciliation: whether what the hub acknowledged is where it belongs, by partner and day.

A run is asked for by the clock or by the operator; one worker claims it, and writes down partner by partner what it
counted (`reconciled`) and what was not where it belongs (`gap`). A gap is open until a later run finds it closed. What
the database itself knows about a delivery (`Standing`) is worked out here; what partners say is asked elsewhere
(hub.exchange.reconcile).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKey, Identity, Index, Text, TextClause, text
from sqlmodel import Field, SQLModel

from hub.store import outgoing, parked
from hub.store.db import Statements

HISTORY = 90
"""Days that runs and closed gaps are kept."""

DELIVERED = "delivered"
"""The receiver has acknowledged the newest state. The other states: waiting, owed, parked, discarded."""


def _moment() -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True)))


def _now() -> Any:
    return Field(default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False))


class Reconciliation(SQLModel, table=True):
    """A run: the day it looks at, one partner (None: all), how many objects of each module it asks a partner for, and
    whether it sends anew what is missing. `claim` is the worker that does it, until `held_until`."""

    __tablename__ = "reconciliation"
    __table_args__ = (
        Index("reconciliation_nightly", "day", unique=True, postgresql_where=text("nightly")),
        Index("reconciliation_open", "id", postgresql_where=text("ended_at IS NULL")),
    )
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    day: date = Field(sa_column=Column(Date, nullable=False))
    partner: str | None = None
    sample: int
    repair: bool
    nightly: bool
    correlation_id: str
    asked_at: datetime | None = _now()
    ended_at: datetime | None = _moment()
    error: str | None = Field(default=None, sa_column=Column(Text))
    claim: str | None = None
    held_until: datetime | None = _moment()


class Reconciled(SQLModel, table=True):
    """What a run counted of one module of one partner."""

    __tablename__ = "reconciled"
    run: int = Field(
        sa_column=Column(BigInteger, ForeignKey("reconciliation.id", ondelete="CASCADE"), primary_key=True)
    )
    partner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    acknowledged: int
    delivered: int
    owed: int
    parked: int
    discarded: int
    checked: int
    missing: int
    older: int
    different: int
    note: str | None = Field(default=None, sa_column=Column(Text))


class Gap(SQLModel, table=True):
    """An object that a partner should have and has not (or that a pulled partner has and the hub has not). `run` is
    the last one that met it, `sent_at` when it was sent anew, `cleared_at` when it was found where it belongs."""

    __tablename__ = "gap"
    __table_args__ = (
        Index("gap_open", "partner", "owner", "module", "key", unique=True,
              postgresql_where=text("cleared_at IS NULL")),
        Index("gap_run", "run"),
    )  # fmt: skip
    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    partner: str
    owner: str
    module: str
    key: str
    kind: str
    detail: str = Field(sa_column=Column(Text, nullable=False))
    day: date = Field(sa_column=Column(Date, nullable=False))
    run: int = Field(sa_column=Column(BigInteger, nullable=False))
    found_at: datetime | None = _now()
    sent_at: datetime | None = _moment()
    cleared_at: datetime | None = _moment()


@dataclass(frozen=True)
class Job:
    """A run that this process has claimed."""

    id: int
    day: date
    partner: str | None
    sample: int
    repair: bool
    correlation_id: str
    claim: str


@dataclass(frozen=True)
class Order:
    """What a run is to look at."""

    day: date
    partner: str | None
    sample: int
    repair: bool
    correlation_id: str
    nightly: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an object is with a receiver, by what the hub knows: a state (DELIVERED and others), and when the object
    was stored as it is."""

    owner: str
    module: str
    key: str
    stored_at: datetime
    state: str

    @property
    def identity(self) -> outgoing.Identity:
        """Owner, module and key."""
        return self.owner, self.module, self.key


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A CDR and where it is: `state` is that of `Standing`, "lost" if it is in custody and nobody owes it. `location`
    is where the receiver keeps it, `body` None if it was erased."""

    seq: int
    owner: str
    key: str
    state: str
    location: str | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Missed:
    """A gap as a run found it; `kind` is one of hub.exchange.gaps."""

    owner: str
    module: str
    key: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A gap that was open when a run began."""

    owner: str
    module: str
    key: str
    kind: str
    found_at: datetime

    @property
    def identity(self) -> outgoing.Identity:
        """Owner, module and key."""
        return self.owner, self.module, self.key


@dataclass(frozen=True)
class Meant:
    """What a receiver is meant to have: (owner, module, audience), where audience is "*" or the receiver itself."""

    receiver: str
    rows: tuple[tuple[str, str, str], ...]

    @property
    def names(self) -> dict[str, Any]:
        """The parameters of the statements."""
        owners, modules, audiences = zip(*self.rows, strict=True) if self.rows else ((), (), ())
        lists = {"owners": list(owners), "modules": list(modules), "audiences": list(audiences)}
        return {"receiver": self.receiver, **lists}


_PARTS = {
    "PAIRS": "unnest(CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:audiences AS text[]))"
    " AS v(owner, module, audience)",
    "DAYS": "JOIN PAIRS USING (owner, module, audience) WHERE o.stored_at >= :start AND o.stored_at < :until",
    "NAMED": "JOIN PAIRS USING (owner, module, audience) JOIN unnest(CAST(:some_owners AS text[]),"
    " CAST(:some_modules AS text[]), CAST(:some_keys AS text[])) AS n(owner, module, key) USING (owner, module, key)",
    # An object is as new as its newest row, and a backfill meets it at its oldest (hub.store.outgoing).
    "STANDS": "waits AS (SELECT owner, module, key FROM change_log WHERE position IS NULL"
    "  AND audience IN ('*', :receiver) UNION SELECT g.owner, g.module, g.key FROM lane l"
    "  JOIN lane_cursor c USING (party_id) JOIN change_log g ON g.shard = c.shard AND g.position > c.position"
    "  WHERE l.receiver = :receiver AND g.audience IN ('*', :receiver)),"
    " stands AS (SELECT s.owner, s.module, s.key, s.stored_at, CASE WHEN d.parked THEN 'parked'"
    "  WHEN d.key IS NOT NULL THEN 'owed' WHEN w.key IS NOT NULL OR s.id > b.last_id THEN 'waiting'"
    "  WHEN x.at >= s.stored_at THEN 'discarded' ELSE 'delivered' END AS state FROM seen s"
    "  LEFT JOIN owed d ON d.receiver = :receiver AND d.owner = s.owner AND d.module = s.module AND d.key = s.key"
    "  LEFT JOIN waits w ON w.owner = s.owner AND w.module = s.module AND w.key = s.key"
    "  LEFT JOIN backfill b ON b.receiver = :receiver AND b.owner = s.owner AND b.module = s.module"
    "  LEFT JOIN discard x ON x.receiver = :receiver AND x.owner = s.owner AND x.module = s.module AND x.key = s.key)",
    "SEEN": "SELECT o.owner, o.module, o.key, min(o.id) AS id, max(o.stored_at) AS stored_at FROM object o",
    "CDRS": "SELECT c.seq, c.owner, c.key, CASE WHEN d.state <> 'custody' THEN d.state WHEN o.parked THEN 'parked'"
    " WHEN o.key IS NOT NULL THEN 'owed' ELSE 'lost' END, d.location, b.body FROM cdr c"
    " JOIN cdr_delivery d USING (seq) LEFT JOIN cdr_body b USING (seq) LEFT JOIN owed o ON o.receiver = c.receiver"
    " AND o.owner = c.owner AND o.module = :ledger AND o.key = c.key WHERE c.receiver = :receiver",
    "MINE": "WHERE id = :id AND claim = :claim",
    "JOB": "id, day, partner, sample, repair, correlation_id, claim",
}


def _sql(statement: str) -> TextClause:
    """A statement, with the parts that many share put in."""
    while (longer := re.sub(r"\b[A-Z]{3,6}\b", lambda found: _PARTS.get(found[0], found[0]), statement)) != statement:
        statement = longer
    return text(statement)


_TALLY = _sql(
    "WITH seen AS (SEEN DAYS GROUP BY 1, 2, 3), STANDS SELECT module, state, count(*) FROM stands GROUP BY 1, 2"
)
_SAMPLE = _sql(
    "WITH seen AS (SEEN DAYS GROUP BY 1, 2, 3), STANDS SELECT owner, module, key, stored_at, state FROM"
    " (SELECT *, row_number() OVER (PARTITION BY module ORDER BY random()) AS n FROM stands WHERE state = 'delivered'"
    " AND (module <> ALL(CAST(:moving AS text[])) OR stored_at < now() - :settled * interval '1 second')) AS q"
    " WHERE n <= :sample ORDER BY owner, module, key"
)
_NAMED = _sql(
    "WITH seen AS (SEEN NAMED GROUP BY 1, 2, 3), STANDS SELECT owner, module, key, stored_at, state FROM stands"
)
_CDRS_OF = _sql(
    "CDRS AND c.recorded_at >= :start AND c.recorded_at < :until AND c.seq > :after ORDER BY c.seq LIMIT :limit"
)
_CDRS_NAMED = _sql(
    "CDRS AND (c.owner, c.key) IN (SELECT * FROM unnest(CAST(:some_owners AS text[]), CAST(:some_keys AS text[])))"
)
_IN_CUSTODY = _sql(
    "UPDATE cdr_delivery d SET state = 'custody', detail = :detail, location = NULL, at = now() FROM cdr c"
    " WHERE c.seq = d.seq AND c.owner = :owner AND c.key = :key AND c.receiver = :receiver"
)
_PULLED = _sql(
    "SELECT party, module, GREATEST(full_at, delta_at) FROM pull WHERE next_at IS NOT NULL AND failures = 0"
    " AND (full_at IS NOT NULL OR delta_at IS NOT NULL) ORDER BY party, module"
)
_STORED = _sql(
    "SELECT v.owner, v.key, max(o.last_updated) FROM unnest(CAST(:some_owners AS text[]), CAST(:some_keys AS text[]),"
    " CAST(:some_audiences AS text[])) AS v(owner, key, audience) JOIN object o USING (owner, key, audience)"
    " WHERE o.module = :module GROUP BY 1, 2 UNION ALL SELECT c.owner, c.key, c.last_updated"
    " FROM unnest(CAST(:some_owners AS text[]), CAST(:some_keys AS text[])) AS v(owner, key)"
    " JOIN cdr c USING (owner, key) WHERE :module = :ledger"
)
_ASK = _sql(
    "INSERT INTO reconciliation (day, partner, sample, repair, nightly, correlation_id)"
    " VALUES (:day, :partner, :sample, :repair, :nightly, :correlation_id) ON CONFLICT DO NOTHING RETURNING id"
)
_HAS_PAST = _sql(
    "SELECT EXISTS (SELECT FROM object WHERE stored_at < :until) OR EXISTS (SELECT FROM cdr WHERE recorded_at < :until)"
)
_CLAIM = _sql(
    "UPDATE reconciliation SET claim = :claim, held_until = now() + :lease * interval '1 second' WHERE id ="
    " (SELECT id FROM reconciliation WHERE ended_at IS NULL AND (held_until IS NULL OR held_until < now())"
    " ORDER BY nightly, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING JOB"
)
_AFRESH = _sql("DELETE FROM reconciled WHERE run = :id")
_HOLD = _sql("UPDATE reconciliation SET held_until = now() + :lease * interval '1 second' MINE RETURNING 1")
_END = _sql("UPDATE reconciliation SET ended_at = now(), error = :error, claim = NULL, held_until = NULL MINE")
_LET_GO = _sql("UPDATE reconciliation SET claim = NULL, held_until = NULL MINE")
_COUNTED = _sql(
    "INSERT INTO reconciled (run, partner, module, acknowledged, delivered, owed, parked, discarded, checked, missing,"
    " older, different, note) VALUES (:run, :partner, :module, :acknowledged, :delivered, :owed, :parked, :discarded,"
    " :checked, :missing, :older, :different, :note)"
)
_FOUND = _sql(
    "INSERT INTO gap AS g (partner, owner, module, key, kind, detail, day, run) VALUES (:partner, :owner, :module,"
    " :key, :kind, :detail, :day, :run) ON CONFLICT (partner, owner, module, key) WHERE cleared_at IS NULL"
    " DO UPDATE SET kind = excluded.kind, detail = excluded.detail, run = excluded.run"
)
_SENT = _sql(
    "UPDATE gap SET sent_at = now() WHERE partner = :partner AND owner = :owner AND module = :module AND key = :key"
    " AND cleared_at IS NULL"
)
_CLEAR = _sql(
    "UPDATE gap g SET cleared_at = now() FROM unnest(CAST(:some_owners AS text[]), CAST(:some_modules AS text[]),"
    " CAST(:some_keys AS text[])) AS n(owner, module, key) WHERE g.partner = :partner AND g.owner = n.owner"
    " AND g.module = n.module AND g.key = n.key AND g.cleared_at IS NULL"
)
_OPEN = _sql(
    "SELECT owner, module, key, kind, found_at FROM gap WHERE partner = :partner AND cleared_at IS NULL ORDER BY id"
)
_STRANGERS = _sql(
    "UPDATE gap SET cleared_at = now() WHERE cleared_at IS NULL AND partner <> ALL(CAST(:partners AS text[]))"
)
_FORGET_RUNS = _sql("DELETE FROM reconciliation WHERE asked_at < now() - :days * interval '1 day'")
_FORGET_GAPS = _sql("DELETE FROM gap WHERE cleared_at < now() - :days * interval '1 day'")


async def ask(session: Statements, order: Order) -> int | None:
    """Have a run made; its number. None when this night's was asked for already."""
    row = (await session.execute(_ASK, vars(order))).first()
    return row[0] if row is not None else None


async def has_past(session: Statements, until: datetime) -> bool:
    """Whether there is anything as old as that."""
    return bool((await session.execute(_HAS_PAST, {"until": until})).scalar_one())


async def claim(session: Statements, name: str, lease: float) -> Job | None:
    """Take the run that waits longest; the operator's before the clock's. It begins anew if another began it."""
    row = (await session.execute(_CLAIM, {"claim": name, "lease": lease})).first()
    if row is None:
        return None
    await session.execute(_AFRESH, {"id": row[0]})
    return Job(*row)


async def hold(session: Statements, job: Job, lease: float) -> bool:
    """Renew the claim; False when somebody else has it."""
    return (await session.execute(_HOLD, {**_mine(job), "lease": lease})).first() is not None


async def end(session: Statements, job: Job, error: str | None = None) -> None:
    """The run is over."""
    await session.execute(_END, {**_mine(job), "error": error})


async def let_go(session: Statements, job: Job) -> None:
    """Give a claim back: somebody begins it anew."""
    await session.execute(_LET_GO, _mine(job))


async def tally(session: Statements, meant: Meant, start: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """How many of the objects that were stored between two times are in which state, by module and state."""
    rows = await session.execute(_TALLY, {**meant.names, "start": start, "until": until})
    return {(row[0], row[1]): row[2] for row in rows}


async def sample(
    session: Statements,
    meant: Meant,
    start: datetime,
    until: datetime,
    most: int,
    moving: Collection[str],
    settled: float,
) -> list[Standing]:
    """Delivered ones of these, `most` of each module at random; of the modules `moving` only those that have not
    changed for `settled` seconds."""
    names = {**meant.names, "start": start, "until": until, "sample": most, "moving": list(moving), "settled": settled}
    return [Standing(*row) for row in await session.execute(_SAMPLE, names)]


async def standings(
    session: Statements, meant: Meant, objects: Iterable[outgoing.Identity]
) -> dict[outgoing.Identity, Standing]:
    """Where these objects are; those that the receiver is not (any more) meant to have are left out."""
    rows = await session.execute(_NAMED, {**meant.names, **_some(objects)})
    return {found.identity: found for found in (Standing(*row) for row in rows)}


async def cdrs(
    session: Statements, receiver: str, ledger: str, start: datetime, until: datetime, after: int, limit: int
) -> list[LedgerRow]:
    """The next CDRs for a receiver that were entered between two times; `ledger` is the module they are owed under."""
    names = {"receiver": receiver, "ledger": ledger, "start": start, "until": until, "after": after, "limit": limit}
    return [LedgerRow(*row) for row in await session.execute(_CDRS_OF, names)]


async def cdrs_named(
    session: Statements, receiver: str, ledger: str, objects: Iterable[outgoing.Identity]
) -> list[LedgerRow]:
    """These CDRs, if they are for this receiver."""
    names = {name: value for name, value in _some(objects).items() if name != "some_modules"}
    rows = await session.execute(_CDRS_NAMED, {"receiver": receiver, "ledger": ledger, **names})
    return [LedgerRow(*row) for row in rows]


async def into_custody(session: Statements, receiver: str, owner: str, key: str, why: str) -> None:
    """A CDR is in the hub's custody again."""
    await session.execute(_IN_CUSTODY, {"receiver": receiver, "owner": owner, "key": key, "detail": why})


async def pulled(session: Statements) -> list[tuple[str, str, datetime]]:
    """The lists that are pulled by the clock and were read well: party, module, and when last."""
    return [(row[0], row[1], row[2]) for row in await session.execute(_PULLED)]


async def stored(
    session: Statements, module: str, ledger: str, wanted: Collection[tuple[str, str, str]]
) -> dict[tuple[str, str], datetime]:
    """The last_updated of what is here, by (owner, key), of these (owner, key, audience)."""
    owners, keys, audiences = zip(*wanted, strict=True)
    lists = {"some_owners": list(owners), "some_keys": list(keys), "some_audiences": list(audiences)}
    rows = await session.execute(_STORED, {"module": module, "ledger": ledger, **lists})
    return {(row[0], row[1]): row[2] for row in rows}


async def counted(session: Statements, job: Job, partner: str, module: str, numbers: Mapping[str, Any]) -> None:
    """Keep what a run counted of one module of a partner."""
    await session.execute(_COUNTED, {"run": job.id, "partner": partner, "module": module, **numbers})


async def found(session: Statements, job: Job, partner: str, missed: Iterable[Missed]) -> None:
    """Open gaps, or meet them again."""
    for gap in missed:
        names = {"owner": gap.owner, "module": gap.module, "key": gap.key, "kind": gap.kind, "detail": gap.detail}
        await session.execute(_FOUND, {"partner": partner, "day": job.day, "run": job.id, **names})


async def sent(session: Statements, partner: str, gap: Missed) -> None:
    """It is on its way anew."""
    names = {"partner": partner, "owner": gap.owner, "module": gap.module, "key": gap.key}
    await session.execute(_SENT, names)


async def clear(session: Statements, partner: str, objects: Collection[outgoing.Identity]) -> None:
    """These are where they belong, or need not be any more."""
    if objects:
        await session.execute(_CLEAR, {"partner": partner, **_some(objects)})


async def open_gaps(session: Statements, partner: str) -> list[OpenGap]:
    """What was missing when it was last looked at."""
    return [OpenGap(*row) for row in await session.execute(_OPEN, {"partner": partner})]


async def tidy(session: Statements, partners: Collection[str], ledger: str) -> None:
    """Close the gaps of parties that are not here any more, and forget what is old."""
    await session.execute(_STRANGERS, {"partners": list(partners)})
    await session.execute(_FORGET_RUNS, {"days": HISTORY})
    await session.execute(_FORGET_GAPS, {"days": HISTORY})
    await parked.outdated(session, ledger)


def _mine(job: Job) -> dict[str, Any]:
    return {"id": job.id, "claim": job.claim}


def _some(objects: Iterable[outgoing.Identity]) -> dict[str, Any]:
    owners, modules, keys = zip(*objects, strict=True)
    return {"some_owners": list(owners), "some_modules": list(modules), "some_keys": list(keys)}
