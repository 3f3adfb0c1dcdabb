"""What the lanes read, in bulk: the state of objects that go out, and the pages of backfills.

Kept objects are read with the rows of all receivers at once, so that fifty copies of one change cost one row. CDRs
come out of the ledger, each for the one receiver it is for.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import text

from hub.store.db import Statements
from hub.store.objects import EVERYBODY, Kept

Identity = tuple[str, str, str]
"""Owner, module and key of an object."""


@dataclass(frozen=True, slots=True)
class Cdr:
    """A CDR in custody. `seq` is its place in the ledger, `waits` whether its original is still owed."""

    seq: int
    owner: str
    key: str
    receiver: str
    kept: Kept
    waits: bool


# LATERAL and OFFSET: one look into the index for each, also by a plan that was made while the table was empty.
_STATES = text(
    "SELECT (SELECT value FROM counter WHERE name = 'directory'), v.module, o.*"
    " FROM unnest(CAST(:owners AS text[]), CAST(:modules AS text[]), CAST(:keys AS text[])) AS v(owner, module, key)"
    " CROSS JOIN LATERAL (SELECT id, owner, key, audience, body, times, last_updated, deleted, stored_at FROM object"
    " WHERE owner = v.owner AND module = v.module AND key = v.key AND audience = ANY(CAST(:audiences AS text[]))"
    " OFFSET 0) AS o"
)
_CDRS = text(
    "SELECT c.seq, owner, key, c.receiver, b.body, c.last_updated, c.recorded_at,"
    " c.credit_of IS NOT NULL AND EXISTS (SELECT FROM owed w WHERE w.receiver = c.receiver AND w.owner = c.owner"
    " AND w.module = :module AND w.key = c.credit_of)"
    " FROM unnest(CAST(:owners AS text[]), CAST(:keys AS text[])) AS v(owner, key)"
    " JOIN cdr c USING (owner, key) JOIN cdr_body b USING (seq)"
)
_DELIVERED = text(
    "UPDATE cdr_delivery d SET state = 'delivered', detail = NULL, location = v.location, http_status = v.status,"
    " at = now() FROM unnest(CAST(:seqs AS bigint[]), CAST(:locations AS text[]), CAST(:statuses AS integer[]))"
    " AS v(seq, location, status) WHERE d.seq = v.seq"
)
_DETAIL = text(
    "UPDATE cdr_delivery d SET detail = v.detail, http_status = v.status"
    " FROM unnest(CAST(:seqs AS bigint[]), CAST(:details AS text[]), CAST(:statuses AS integer[]))"
    " AS v(seq, detail, status) WHERE d.seq = v.seq AND d.state <> 'delivered'"
)
# An object with a row for everybody and one of the receiver's own is met once, at the older row.
_PAGE = text(
    "SELECT o.id, o.key FROM object o WHERE o.owner = :owner AND o.module = :module AND o.id > :after"
    " AND o.audience IN ('*', :receiver) AND (:tombstones OR NOT o.deleted) AND NOT EXISTS (SELECT FROM object e"
    " WHERE e.owner = o.owner AND e.module = o.module AND e.key = o.key AND e.audience IN ('*', :receiver)"
    " AND e.id < o.id AND (:tombstones OR NOT e.deleted)) ORDER BY o.id LIMIT :limit"
)


async def states(
    session: Statements, objects: Iterable[Identity], receivers: Collection[str]
) -> tuple[dict[Identity, dict[str, Kept]], int]:
    """The rows of these objects for everybody and for these receivers, by object and audience; and the version of
    the directory that the same statement saw."""
    owners, modules, keys = zip(*objects, strict=True)
    names = {"owners": list(owners), "modules": list(modules), "keys": list(keys)}
    found: dict[Identity, dict[str, Kept]] = {}
    version = 0
    for row in await session.execute(_STATES, {**names, "audiences": [EVERYBODY, *receivers]}):
        version, kept = row[0], Kept(*row[2:])
        found.setdefault((kept.owner, row[1], kept.key), {})[kept.audience] = kept
    return found, version


async def cdrs(session: Statements, module: str, objects: Iterable[tuple[str, str]]) -> list[Cdr]:
    """CDRs by (owner, key); `module` is the name under which CDRs are owed."""
    owners, keys = zip(*objects, strict=True)
    found = await session.execute(_CDRS, {"module": module, "owners": list(owners), "keys": list(keys)})
    return [Cdr(r[0], r[1], r[2], r[3], Kept(r[0], r[1], r[2], r[3], r[4], {}, r[5], False, r[6]), r[7]) for r in found]


async def cdrs_delivered(session: Statements, delivered: Collection[tuple[int, str | None, int | None]]) -> None:
    """CDRs (seq, the receiver's Location, HTTP status) have left the hub's custody."""
    seqs, locations, statuses = zip(*delivered, strict=True)
    await session.execute(_DELIVERED, {"seqs": list(seqs), "locations": list(locations), "statuses": list(statuses)})


async def cdrs_held_up(session: Statements, failed: Collection[tuple[int, str, int | None]]) -> None:
    """Why CDRs (seq, reason, HTTP status) are still in custody."""
    seqs, details, statuses = zip(*failed, strict=True)
    await session.execute(_DETAIL, {"seqs": list(seqs), "details": list(details), "statuses": list(statuses)})


async def page(
    session: Statements, owner: str, module: str, receiver: str, after: int, limit: int, tombstones: bool
) -> list[tuple[int, str]]:
    """The next objects (id of the row, key) that `receiver` may see, in the order of first arrival."""
    names = {"owner": owner, "module": module, "receiver": receiver, "tombstones": tombstones}
    found = await session.execute(_PAGE, {**names, "after": after, "limit": limit})
    return [(row[0], row[1]) for row in found]
