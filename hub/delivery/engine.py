"""The worker's loop: takes lanes, reads what is new, sends it, and makes lasting what became of it.

It turns when somebody rings (the bell, or a notification of new positions), when something becomes due, and once a
second regardless: the *sweep*, which needs no broker, finds free lanes, late rows, due debts, new backfills and what
other processes noted. Each turn stamps, reads the log's tail and sends what is new, and only then lets lanes that are
behind catch up and takes up what is due. Sends run on their own; outcomes are committed a hundred times a second at
most.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection

from hub import telemetry
from hub.delivery import audience, backfill, log
from hub.delivery.dispatch import Dispatcher
from hub.delivery.health import BUDGET
from hub.delivery.holder import Holder, Timing
from hub.delivery.lanes import Lane
from hub.delivery.loader import Loader
from hub.delivery.platforms import SILENCE, Platforms
from hub.delivery.policy import Judgement, Verdict
from hub.delivery.reader import FULL, LOW, Reader
from hub.delivery.send import Sender
from hub.delivery.settle import Settler
from hub.ocpi import headers
from hub.ocpi.client import Outbound
from hub.ocpi.module import Catalog
from hub.ocpi.types import PartyId
from hub.store import heartbeats
from hub.store import lanes as store
from hub.store.db import FAULTS, Database
from hub.store.directory import DirectoryCache
from hub.store.journal import Note
from hub.store.lanes import Walk

SWEEP = 1.0
FRESH = 15.0
"""Seconds since a worker's last sign of life in which it counts as one that could take lanes."""
SETTLED = 30.0
"""Seconds without a claim after which a worker may let go of lanes beyond its share."""
CEDED = 10.0
"""Seconds in which it does not take such a lane back; after that it does, if nobody else has."""
CATCHING_UP_AT_ONCE = 4
logger = telemetry.logger(__name__)


class Engine:
    """Delivers for a hub, for as long as it is open. `outcome` is told of each judgement (a hook for counters)."""

    def __init__(
        self,
        *,
        db: Database,
        outbound: Outbound,
        directory: DirectoryCache,
        catalog: Catalog,
        code: PartyId,
        note: Note,
        budget: int = BUDGET,
        silence: float = SILENCE,
        timing: Timing | None = None,
        outcome: Callable[[Judgement], None] | None = None,
    ) -> None:
        self._db, self._directory, self._catalog = db, directory, catalog
        self.delivered = self.failed = self.turns = 0
        self._hook = outcome
        self._lanes: dict[int, Lane] = {}
        self._resting: dict[int, float] = {}
        self._ceded: dict[int, float] = {}
        self._claimed_at = 0.0
        self._fallen: set[int] = set()
        self._catching_up: set[asyncio.Task[None]] = set()
        self._stamped = 0
        self._wake = asyncio.Event()
        self._due_at = self._sweep_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        sender = Sender(outbound, code, note)
        self._holder = Holder(db.url, self._notified, self._lost, timing)
        self._settler = Settler(db, self._fell, self.wake)
        self._platforms = Platforms(db, directory, sender, self.wake, budget, silence)
        self._reader = Reader(db, directory, catalog, self._settler.touch)
        self._dispatcher = Dispatcher(
            directory=directory,
            catalog=catalog,
            loader=Loader(db, catalog),
            sender=sender,
            settler=self._settler,
            platforms=self._platforms,
            wake=self.wake,
            outcome=self._count,
        )

    @property
    def name(self) -> str:
        """What stands on the lanes it holds."""
        return self._holder.name

    @property
    def receivers(self) -> frozenset[str]:
        """Whose lanes it serves at present."""
        return frozenset(str(lane.receiver) for lane in self._lanes.values())

    @property
    def under_way(self) -> int:
        """How many objects it is sending at present."""
        return len(self._dispatcher.tasks)

    def wake(self) -> None:
        """Turn soon. Only from the engine's own loop."""
        self._wake.set()

    async def start(self) -> None:
        """Begin, in the running loop."""
        self._tasks = [
            asyncio.create_task(self._run(), name="delivery"),
            asyncio.create_task(self._settler.run(), name="settler"),
        ]

    async def drain(self, limit: float = 12.0) -> None:
        """End well: nothing new goes out, what is under way ends within `limit` seconds, lanes are let go cleanly."""
        self._dispatcher.stopped = True
        await self._cancel(self._tasks[:1])
        sending = dict(self._dispatcher.tasks)
        if sending:
            await asyncio.wait(sending, timeout=limit)
        cut_off = {lane.party_id for task, lane in sending.items() if not task.done()}
        self._dispatcher.abort()
        await self._cancel([*self._tasks[1:], *self._catching_up])
        await self._platforms.close()
        with contextlib.suppress(*FAULTS):
            for lane in self._lanes.values():
                self._settler.keep(lane)
            await self._settler.settle()
            await self._holder.release([*cut_off, *self._resting], clean=False)
            await self._holder.release([party_id for party_id in self._lanes if party_id not in cut_off])
        await self._holder.close()

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except FAULTS as error:
                logger.warning("delivery waits for the database, will try again in 1 s", error=repr(error))
                await asyncio.sleep(1)
            except Exception:  # a fault of ours: the lanes must go on, and the operator must see it
                logger.exception("delivery stumbled, will try again in 1 s")
                await asyncio.sleep(1)
            wait = min(self._sweep_at, self._due_at or self._sweep_at) - time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.001)):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._wake.wait()
            self._wake.clear()

    async def _turn(self) -> None:
        self.turns += 1
        self._due_at = 0.0
        sweeping = time.monotonic() >= self._sweep_at
        self._stamped = await log.stamp(self._db, full=sweeping)
        await self._reader.read()
        self._pump()
        if sweeping:
            self._sweep_at = time.monotonic() + SWEEP
            await self._sweep()
        await self._catch_up()
        await self._take_up()
        await self._walk()
        self._pump()

    def _pump(self) -> None:
        for line in list(self._dispatcher.lines.values()):
            self._dispatcher.pump(line)

    # --- lanes come and go ---

    async def _sweep(self) -> None:
        if not self._holder.alive:
            await self._holder.open()
        if self._settler.behind:
            await self._settler.settle()
        async with self._db.unit_of_work() as session:
            every = await store.every(session)
            workers = await heartbeats.alive(session, "worker", FRESH) if self._may_cede() else 1
        directory = self._directory.now
        wanted = {i: r for i, r in every.items() if audience.served(directory.party(PartyId.parse(r)))}
        now = time.monotonic()
        self._ceded = {party_id: until for party_id, until in self._ceded.items() if until > now}
        self._ceded |= dict.fromkeys(self._excess(len(wanted), workers), now + CEDED)
        kept = wanted.keys() - self._ceded.keys()
        await self._let_go(kept)
        free = kept - self._lanes.keys() - self._resting.keys()
        claimed = await self._holder.claim(sorted(free)) if free else {}
        for party_id, clean in claimed.items():
            self._claimed_at = now
            self._resting[party_id] = now if clean else now + self._holder.timing.takeover
        await self._platforms.sweep(audience.reached(directory))
        await self._serve(wanted)
        async with self._db.unit_of_work() as session:
            walks = await store.backfills(session, self.receivers)
        by_receiver: dict[str, dict[int, Walk]] = {}
        for walk in walks:
            by_receiver.setdefault(walk.receiver, {})[walk.id] = walk
        for lane in self._lanes.values():
            lane.walks = by_receiver.get(str(lane.receiver), {})
            self._settler.touch(lane)
            health = self._dispatcher.health(lane)
            if health is not None and (health.suspect or health.stopped):
                self._shelve(lane)

    def _may_cede(self) -> bool:
        """Not soon after lanes were claimed: those may be of a worker that is dead and whose row does not tell yet."""
        return not self._ceded and time.monotonic() - self._claimed_at > SETTLED

    def _excess(self, lanes: int, workers: int) -> list[int]:
        """The lanes beyond this worker's share, idle ones first: others have fewer than theirs and will take them."""
        beyond = len(self._lanes) - -(-lanes // max(workers, 1))
        if beyond <= 0:
            return []
        by_work = sorted(self._lanes.values(), key=lambda lane: len(lane.flying) + len(lane.waiting))
        logger.info("lanes are let go for another worker", lanes=beyond, workers=workers)
        return [lane.party_id for lane in by_work[:beyond]]

    async def _serve(self, wanted: dict[int, str]) -> None:
        """Begin with lanes that are held and have rested long enough, from what the database says now."""
        now = time.monotonic()
        ready = [party_id for party_id, at in self._resting.items() if at <= now and party_id in wanted]
        if not ready:
            return
        async with self._db.unit_of_work() as session:
            cursors = await store.cursors(session, log.SHARD, ready)
        for party_id in ready:
            if self._resting.pop(party_id, None) is None:  # the session was lost meanwhile
                continue
            position = cursors.get(party_id, 0)
            lane = Lane(party_id, PartyId.parse(wanted[party_id]), position, position)
            self._lanes[party_id] = lane
            self._dispatcher.add(lane, self._platform_of(wanted[party_id]))

    async def _let_go(self, wanted: Collection[int]) -> None:
        """Release lanes that are not to be served any more, once nothing of them is under way."""
        for party_id, lane in list(self._lanes.items()):
            lane.closed = party_id not in wanted
            if lane.closed and self._shelve(lane):
                del self._lanes[party_id]
                self._dispatcher.remove(lane)
                self._settler.keep(lane)
                await self._settler.settle()
                await self._holder.release([party_id])
        for party_id in [party_id for party_id in self._resting if party_id not in wanted]:
            del self._resting[party_id]
            await self._holder.release([party_id], clean=False)

    def _shelve(self, lane: Lane) -> bool:
        """Put a lane's waiting objects away until it can send again; they are read anew then."""
        if lane.attached:
            self._reader.detach(lane)
        return not lane.catching_up and lane.shelve()

    def _lost(self) -> None:
        """The session with the locks is gone: stop at once, remember only facts."""
        self._dispatcher.abort()
        for lane in self._lanes.values():
            self._settler.keep(lane)
        self._lanes.clear()
        self._resting.clear()
        self._ceded.clear()
        self._fallen.clear()
        self._reader.reset()
        self._sweep_at = 0.0
        self.wake()

    # --- what is owed ---

    async def _catch_up(self) -> None:
        """Let lanes that are behind read for themselves, a few at a time, beside the turning of the loop."""
        for lane in list(self._lanes.values()):
            if lane.party_id in self._fallen:
                await self._jump(lane)
            behind = not lane.attached and not lane.catching_up and len(lane.waiting) <= LOW
            if behind and len(self._catching_up) < CATCHING_UP_AT_ONCE and self._may_send(lane):
                lane.catching_up = True
                task = asyncio.create_task(self._bring(lane), name=f"catch up {lane.receiver}")
                self._catching_up.add(task)
                task.add_done_callback(self._catching_up.discard)

    async def _bring(self, lane: Lane) -> None:
        """Bring a lane to the log's tail; one that is too far behind is given a backfill first."""
        try:
            if not await self._reader.attach(lane):
                await self._jump(lane)
                await self._reader.attach(lane)
        except FAULTS as error:
            logger.warning("lane could not catch up, will try again", receiver=str(lane.receiver), error=repr(error))
        finally:
            lane.catching_up = False
            if self._lanes.get(lane.party_id) is not lane:  # it was dropped meanwhile
                self._reader.detach(lane)
            self.wake()

    async def _jump(self, lane: Lane) -> None:
        """Too far behind: the cursor goes to the head, and a backfill does the rest, in one commit."""
        pairs = audience.everything_for(self._directory.now, self._catalog, lane.receiver)
        async with self._db.unit_of_work() as session:
            await store.to_head(session, [lane.party_id])
            await backfill.start(session, lane.receiver, pairs, backfill.FELL_BEHIND, headers.new_id())
            position = (await store.cursors(session, log.SHARD, [lane.party_id]))[lane.party_id]
        self._fallen.discard(lane.party_id)
        if lane.attached:
            self._reader.detach(lane)
        lane.restart(position)
        logger.warning("lane too far behind the log: everything is delivered anew", receiver=str(lane.receiver))

    async def _take_up(self) -> None:
        lanes = [lane for lane in self._lanes.values() if len(lane.waiting) < FULL and self._may_send(lane)]
        wait = await self._reader.debts(lanes)
        if wait is not None:
            self._due_at = time.monotonic() + wait

    async def _walk(self) -> None:
        """Put the next page before each lane that has a backfill."""
        for lane in list(self._lanes.values()):
            if lane.walks and lane.page is None and lane.attached and self._may_send(lane):
                async with self._db.unit_of_work() as session:
                    await backfill.next_page(session, lane, next(iter(lane.walks.values())))
                self._settler.touch(lane)

    def _may_send(self, lane: Lane) -> bool:
        health = self._dispatcher.health(lane)
        return health is not None and not lane.closed and health.allowance(time.monotonic()) > 0

    # --- small ---

    def _platform_of(self, receiver: str) -> int:
        party = self._directory.now.party(PartyId.parse(receiver))
        return party.platform.id if party is not None else 0

    def _notified(self, payload: str) -> None:
        """Another worker stamped (our own stamping is no news)."""
        position = payload.rpartition(":")[2]
        if not position.isdigit() or int(position) > self._stamped:
            self.wake()

    def _fell(self, party_id: int) -> None:
        self._fallen.add(party_id)
        self.wake()

    def _count(self, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.DELIVERED:
            self.delivered += judgement.http_status is not None
        else:
            self.failed += 1
        if self._hook is not None:
            self._hook(judgement)

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
