"""Parked objects: what a receiver refused so often that it waits for a newer version, or for the operator.

The operator looks at the partner's own answer (`sample`), has it sent again (`replay`), or gives it up (`discard`),
which leaves a row that says who did so and why. That row is of use until the object changes; of a CDR it stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Text, TextClause, text
from sqlmodel import Field, SQLModel

from hub.store.db import Statements
from hub.store.outgoing import Identity

DISCARD = "discard"
"""The decision in the message log."""


class Discard(SQLModel, table=True):
    """An object that a receiver is not sent any more in the state it had: `why` and `who` are the operator's, `refusal`
    is why it was parked."""

    __tablename__ = "discard"
    receiver: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    module: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    why: str = Field(sa_column=Column(Text, nullable=False))
    who: str
    refusal: str | None = Field(default=None, sa_column=Column(Text))
    tries: int
    correlation_id: str
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )


@dataclass(frozen=True)
class Which:
    """Which parked objects: None is any. `number` is the mark of one of them."""

    receiver: str | None = None
    owner: str | None = None
    module: str | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A parked object that was given up."""

    receiver: str
    owner: str
    module: str
    key: str
    correlation_id: str


_WHICH = (
    "parked AND (CAST(:receiver AS text) IS NULL OR receiver = :receiver)"
    " AND (CAST(:owner AS text) IS NULL OR owner = :owner) AND (CAST(:module AS text) IS NULL OR module = :module)"
    " AND (CAST(:number AS bigint) IS NULL OR mark = :number)"
)


def _sql(statement: str) -> TextClause:
    """A statement about parked objects, with the condition put in that says which."""
    return text(statement.replace("WHICH", _WHICH))


_SAMPLED = text(
    "UPDATE owed o SET sample = v.sample FROM unnest(CAST(:receivers AS text[]), CAST(:owners AS text[]),"
    " CAST(:modules AS text[]), CAST(:keys AS text[]), CAST(:samples AS text[]))"
    " AS v(receiver, owner, module, key, sample) WHERE o.receiver = v.receiver AND o.owner = v.owner"
    " AND o.module = v.module AND o.key = v.key AND o.parked"
)
_REPLAY = _sql(
    "UPDATE owed SET parked = false, tries = 0, next_at = now(), sample = NULL, mark = DEFAULT WHERE WHICH"
    " RETURNING mark"
)
_COUNT = _sql("SELECT count(*), count(*) FILTER (WHERE module = :ledger) FROM owed WHERE WHICH")
_DISCARD = _sql(
    "WITH gone AS (DELETE FROM owed WHERE WHICH RETURNING *), kept AS (INSERT INTO discard AS d (receiver,"
    " owner, module, key, why, who, refusal, tries, correlation_id) SELECT receiver, owner, module, key, :why, :who,"
    " reason, tries, correlation_id FROM gone ON CONFLICT (receiver, owner, module, key) DO UPDATE SET"
    " why = excluded.why, who = excluded.who, refusal = excluded.refusal, tries = excluded.tries,"
    " correlation_id = excluded.correlation_id, at = now()), held AS (UPDATE cdr_delivery SET state = 'discarded',"
    " detail = :said, at = now() FROM cdr JOIN gone USING (receiver, owner, key) WHERE gone.module = :ledger"
    " AND cdr_delivery.seq = cdr.seq AND cdr_delivery.state <> 'delivered')"
    " SELECT receiver, owner, module, key, correlation_id FROM gone ORDER BY 1, 2, 3, 4"
)
_OUTDATED = text(
    "DELETE FROM discard d WHERE module <> :ledger AND NOT EXISTS (SELECT FROM object o WHERE o.owner = d.owner"
    " AND o.module = d.module AND o.key = d.key AND o.audience IN ('*', d.receiver) AND o.stored_at <= d.at)"
)


async def sampled(session: Statements, samples: Mapping[tuple[str, Identity], str]) -> None:
    """Keep what receivers answered to objects that are parked now, by (receiver, object)."""
    names: dict[str, list[str]] = {name: [] for name in ("receivers", "owners", "modules", "keys", "samples")}
    for (receiver, identity), sample in samples.items():
        for name, value in zip(names, (receiver, *identity, sample), strict=True):
            names[name].append(value)
    await session.execute(_SAMPLED, names)


async def replay(session: Statements, which: Which) -> int:
    """Have parked objects tried again from the start; how many."""
    return len((await session.execute(_REPLAY, vars(which))).all())


async def count(session: Statements, which: Which, ledger: str) -> tuple[int, int]:
    """How many are parked, and how many of them are CDRs (the module `ledger`)."""
    row = (await session.execute(_COUNT, {**vars(which), "ledger": ledger})).one()
    return row[0], row[1]


async def discard(session: Statements, which: Which, ledger: str, why: str, who: str) -> list[Gone]:
    """Give parked objects up. A CDR stays in the ledger, as `discarded`."""
    names: dict[str, Any] = {**vars(which), "ledger": ledger, "why": why, "who": who}
    rows = await session.execute(_DISCARD, {**names, "said": f"discarded by {who}: {why}"})
    return [Gone(*row) for row in rows]


async def outdated(session: Statements, ledger: str) -> None:
    """Forget what was given up of objects that have changed since, or are gone."""
    await session.execute(_OUTDATED, {"ledger": ledger})
