"""What the tables say of one object on its way to its receivers, read when somebody asks for a message's fate.

Objects are named as the message log names them (`hub.store.messages.filed`). The questions come with the moment at
which the object was kept, so that only the partitions since then are looked at.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from hub.store import messages
from hub.store.db import Statements
from hub.store.outgoing import Identity
from hub.store.seal import Seal


@dataclass(frozen=True, slots=True)
class Arrival:
    """A successful delivery: the first one after the keep that has it or something newer."""

    receiver: str
    at: datetime
    correlation_id: str
    http_status: int | None
    status_code: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """What is owed; `next_at` is when the object may go out at the earliest."""

    receiver: str
    correlation_id: str
    tries: int
    next_at: datetime
    reason: str | None
    parked: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a lane is, and how its platform does. `passed`: nothing as old as the keep is before it any more. `behind`
    counts the changes that are; `backfill` is the reason of a full delivery under way."""

    receiver: str
    passed: bool
    behind: int
    held: bool
    backfill: str | None
    status: str
    stopped_reason: str | None
    failures: int
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True)
class Custody:
    """Where a CDR of the ledger is."""

    receiver: str
    state: str
    at: datetime
    detail: str | None
    http_status: int | None


# A delivery without a detail was taken. It began `ms` before it was noted: one that began before the keep may have
# carried what was there before, and so may one in the name of an older message. Clocks may differ by a second.
_ARRIVALS = text(
    "SELECT DISTINCT ON (receiver) receiver, at, correlation_id, http_status, status_code FROM hop"
    " WHERE owner = :owner AND module = :module AND key = :key AND decision = 'deliver' AND detail IS NULL"
    " AND at >= CAST(:since AS timestamptz) - interval '1 second'"
    " AND (correlation_id = :correlation_id OR (at - ms * interval '1 ms' >= :since AND correlation_id NOT IN"
    " (SELECT correlation_id FROM hop WHERE owner = :owner AND module = :module AND key = :key"
    " AND decision IN ('broadcast', 'keep') AND at >= CAST(:since AS timestamptz) - interval '1 day' AND at < :since)))"
    " ORDER BY receiver, correlation_id <> :correlation_id, at"
)
_DUE = text(
    "SELECT key, receiver, correlation_id, tries, next_at, reason, parked FROM owed"
    " WHERE owner = :owner AND module = :module AND (CAST(:key AS text) IS NULL OR key = :key)"
)
_STANDINGS = text(
    "SELECT l.receiver, c.position >= h.tail AND NOT EXISTS (SELECT FROM change_log w WHERE w.shard = c.shard"
    " AND w.position IS NULL AND w.correlation_id = :correlation_id) AND coalesce((SELECT w.at FROM change_log w"
    " WHERE w.shard = c.shard AND w.position > c.position ORDER BY w.position LIMIT 1) > :since, true),"
    " h.position - c.position, l.holder IS NOT NULL,"
    " (SELECT b.reason FROM backfill b WHERE b.receiver = l.receiver AND b.owner = :owner AND b.module = :module),"
    " f.status, f.stopped_reason, f.failures, f.next_try_at"
    " FROM lane l JOIN lane_cursor c ON c.party_id = l.party_id AND c.shard = :shard"
    " JOIN log_head h ON h.shard = c.shard JOIN party p ON p.id = l.party_id JOIN platform f ON f.id = p.platform_id"
    " WHERE l.receiver = ANY(CAST(:receivers AS text[]))"
)
_CUSTODY = text(
    "SELECT c.receiver, d.state, d.at, d.detail, d.http_status FROM cdr c JOIN cdr_delivery d USING (seq)"
    " WHERE c.owner = :owner AND c.key = :key"
)


async def arrivals(session: Statements, about: Identity, correlation_id: str, since: datetime) -> dict[str, Arrival]:
    """By receiver, how the object came to it: in the name of this correlation id or else of a newer one."""
    names = {**_names(about), "correlation_id": correlation_id, "since": since}
    return {row[0]: Arrival(*row) for row in await session.execute(_ARRIVALS, names)}


async def due(session: Statements, seal: Seal, about: Identity) -> dict[str, Due]:
    """By receiver, what is owed of the object."""
    owner, module, key = about
    names = {"owner": owner, "module": module, "key": None if module in messages.PERSONAL else key}
    rows = await session.execute(_DUE, names)
    return {row[1]: Due(*row[1:]) for row in rows if messages.filed(seal, (owner, module, row[0])) == about}


async def standings(
    session: Statements,
    shard: int,
    about: Identity,
    correlation_id: str,
    since: datetime,
    receivers: Collection[str],
) -> dict[str, Standing]:
    """Where the lanes of these receivers stand, seen from an object that was kept at `since`."""
    names = {"shard": shard, "correlation_id": correlation_id, "since": since, "receivers": list(receivers)}
    rows = await session.execute(_STANDINGS, {"owner": about[0], "module": about[1], **names})
    return {row[0]: Standing(*row) for row in rows}


async def custody(session: Statements, about: Identity) -> Custody | None:
    """Where a CDR is, None when the ledger does not have it."""
    row = (await session.execute(_CUSTODY, {"owner": about[0], "key": about[2]})).one_or_none()
    return Custody(*row) if row else None


def _names(about: Identity) -> dict[str, str]:
    return {"owner": about[0], "module": about[1], "key": about[2]}
