"""Writing the change log: rows in the accepting transaction, positions after commit, and the end of old rows."""

from collections.abc import Collection
from datetime import timedelta

from hub.store import log as store
from hub.store.db import Database, Statements
from hub.store.log import Entry

SHARD = 0
"""The one shard of today; it stands in every key, so that there can be more (one lock and cursor each)."""

KEPT = timedelta(days=7)


async def append(session: Statements, entries: Collection[Entry]) -> None:
    """Tell the lanes, in the transaction that stores them, that objects changed. Ring the bell after the commit."""
    await store.append(session, entries, shard=SHARD)


async def stamp(db: Database, full: bool = False) -> int:
    """Give positions to everything that is committed, a bounded batch per transaction; the log's last position. Safe
    to run in several processes at once. `full` also finds what committed long after its neighbours."""
    while True:
        async with db.unit_of_work() as session:
            stamped, head = await store.stamp(session, SHARD, full)
        if stamped < store.STAMPED_AT_ONCE:
            return head


async def prune(db: Database, age: timedelta = KEPT) -> int | None:
    """Delete stamped rows older than `age`; the tail moves in a commit of its own first, so that a lane which has
    not read them can tell. The new tail, None when nothing was old enough."""
    tail = None
    more = True
    while more:
        async with db.unit_of_work() as session:
            position, more = await store.old(session, SHARD, age)
            if position is None:
                return tail
            await store.raise_tail(session, SHARD, position)
        tail = position
        async with db.unit_of_work() as session:
            await store.prune(session, SHARD, tail)
    return tail
