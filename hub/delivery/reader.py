"""Reading the change log: once for all lanes at its tail, and for each lane that is behind, by itself.

Lanes at the tail share one position; an index hands each row to those it concerns. A lane that has just been taken,
or whose receiver was slow or away, is behind: it reads what concerns it, filtered and folded by the database, up to
where the others are, and joins them. One that is too far behind, or below the kept tail, must be given a backfill.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable

from hub.delivery import audience, need
from hub.delivery.audience import Index
from hub.delivery.lanes import Lane
from hub.delivery.log import SHARD
from hub.ocpi.module import Catalog
from hub.store import lanes as lane_store
from hub.store import log as store
from hub.store.db import Database, Statements
from hub.store.directory import DirectoryCache
from hub.store.lanes import Debt
from hub.store.log import Row

AT_ONCE = 1_000
FULL, LOW = 4_000, 1_000
"""A lane with more objects waiting than FULL leaves the tail, and reads for itself once they are below LOW."""

TOO_FAR = 50_000
"""Rows behind the head, from which a full delivery is cheaper than reading them."""

DEBTS_AT_ONCE = 200
DEBTS_PAUSE = 0.02


class Reader:
    """The reading of one worker. `touch` is called for each lane whose position moved."""

    def __init__(
        self, db: Database, directory: DirectoryCache, catalog: Catalog, touch: Callable[[Lane], None]
    ) -> None:
        self._db, self._directory, self._catalog, self._touch = db, directory, catalog, touch
        self._position = 0
        self._attached: list[Lane] = []
        self._joining: list[Lane] = []
        self._index = Index(directory.now, catalog, ())
        self._debts_at = 0.0

    def reset(self) -> None:
        """Forget all lanes."""
        for lane in (*self._attached, *self._joining):
            lane.attached = False
        self._attached, self._joining = [], []
        self._reindex()

    def detach(self, lane: Lane) -> None:
        """The lane leaves the tail."""
        lane.attached = False
        self._joining = [other for other in self._joining if other is not lane]
        self._attached = [other for other in self._attached if other is not lane]
        self._reindex()

    async def attach(self, lane: Lane) -> bool:
        """Read up to the head for one lane and bring it to the tail; False when it is too far behind for that and
        needs a backfill."""
        async with self._db.unit_of_work() as session:
            head = await store.head(session, SHARD)
            if lane.read_to < head.tail or head.position - lane.read_to > TOO_FAR:
                return False
            wanted = audience.broadcasts_to(self._directory.now, self._catalog, lane.receiver)
            rows = await store.folded(session, SHARD, lane.read_to, head.position, str(lane.receiver), wanted)
            standing = await _standing(session, [lane], rows)
        for number, row in enumerate(rows):
            asked = need.of_change(row.part_ids, row.fields)
            lane.change(row.position, (row.owner, row.module, row.key), asked, row.correlation_id)
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # the other lanes go on meanwhile
        _stand([lane], standing)
        lane.read_to = max(lane.read_to, head.position)
        lane.attached = True
        self._joining.append(lane)
        self._touch(lane)
        return True

    async def read(self) -> None:
        """Hand what is new at the tail to the attached lanes."""
        self._join()
        while self._attached:
            rows, standing = await self._batch(self._position)
            self._distribute(rows, standing)
            if len(rows) < AT_ONCE:
                return
            self._join()

    def _join(self) -> None:
        """Lanes that have caught up count from here on. What the tail has read since they did is read once more; to
        the others it is known."""
        if not self._joining:
            return
        known = [self._position] if self._attached else []
        self._position = min(known + [lane.read_to for lane in self._joining])
        self._attached += self._joining
        self._joining = []
        self._reindex()

    async def debts(self, lanes: Collection[Lane]) -> float | None:
        """Take up what has become due for these lanes; if it is too early to look again, the seconds until then."""
        wait = self._debts_at + DEBTS_PAUSE - time.monotonic()
        if wait > 0:
            return wait
        self._debts_at = time.monotonic()
        if not lanes:
            return None
        async with self._db.unit_of_work() as session:
            due = await lane_store.due(session, [str(lane.receiver) for lane in lanes], DEBTS_AT_ONCE)
        by_receiver = {str(lane.receiver): lane for lane in lanes}
        for debt in due:
            by_receiver[debt.receiver].owe(debt)
        return None

    async def _batch(self, after: int) -> tuple[list[Row], list[Debt]]:
        """The next rows and what is owed of their objects already; read again if the directory moved meanwhile."""
        while True:
            async with self._db.unit_of_work() as session:
                rows, version = await store.read(session, SHARD, after, AT_ONCE)
                if version is None or version <= self._directory.now.version:
                    if self._index.directory is not self._directory.now:
                        self._reindex()
                    concerned = [row for row in rows if self._index.lanes(row.owner, row.module, row.audience)]
                    return rows, await _standing(session, self._attached, concerned)
            await self._directory.refresh()

    def _distribute(self, rows: list[Row], standing: list[Debt]) -> None:
        for row in rows:
            asked = need.of_change(row.part_ids, row.fields)
            identity = (row.owner, row.module, row.key)
            for lane in self._index.lanes(row.owner, row.module, row.audience):
                if row.position > lane.read_to:
                    lane.change(row.position, identity, asked, row.correlation_id)
        _stand(self._attached, standing)
        if not rows:
            return
        self._position = rows[-1].position
        for lane in self._attached:
            lane.read_to = max(lane.read_to, self._position)
            self._touch(lane)
        for lane in [lane for lane in self._attached if len(lane.waiting) > FULL]:
            self.detach(lane)

    def _reindex(self) -> None:
        self._index = Index(self._directory.now, self._catalog, self._attached)


async def _standing(session: Statements, lanes: Iterable[Lane], rows: Iterable[Row]) -> list[Debt]:
    objects = {(row.owner, row.module, row.key) for row in rows}
    receivers = [str(lane.receiver) for lane in lanes]
    return await lane_store.standing(session, receivers, objects) if objects and receivers else []


def _stand(lanes: Iterable[Lane], standing: list[Debt]) -> None:
    by_receiver = {str(lane.receiver): lane for lane in lanes}
    for debt in standing:
        if debt.receiver in by_receiver:
            by_receiver[debt.receiver].stand(debt)
