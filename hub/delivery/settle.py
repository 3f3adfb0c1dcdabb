"""Making lasting what became of deliveries: cursors, `owed` rows, backfills and CDRs of all lanes in one commit.

What is written here are facts about sends that are over: an object was taken, a failure is owed, everything up to a
position is one or the other. Facts stay true whoever holds the lane by now, cursors never go back, and only the
`owed` row that was read is taken away. So after an outage of the database they are written as they are, which spares
the receivers repeated CDRs.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hub import telemetry
from hub.delivery.lanes import Lane, Settlement
from hub.delivery.log import SHARD
from hub.delivery.policy import Judgement, Verdict
from hub.store import lanes as store
from hub.store import outgoing, parked
from hub.store.db import FAULTS, Database, Statements
from hub.store.outgoing import Identity

PAUSE = 0.01
"""Seconds between commits at the least."""

PAUSE_AFTER_ERROR = 0.5

Written = tuple[dict[tuple[str, str, str, str], int], list[int]]
"""The marks of the `owed` rows by (receiver, owner, module, key), and the lanes that fell off the log."""

log = telemetry.logger(__name__)


@dataclass(slots=True)
class Facts:
    """What is written beside the lanes: what became of CDRs, by their place in the ledger, and the beginning of what
    was answered to parked objects, by receiver and object."""

    delivered: dict[int, tuple[str | None, int | None]] = field(default_factory=dict)
    held_up: dict[int, tuple[str, int | None]] = field(default_factory=dict)
    samples: dict[tuple[str, Identity], str] = field(default_factory=dict)


class Settler:
    """Commits for all lanes of a worker, one commit at a time.

    `fallen` is told of a lane whose cursor is below the log's tail; it must be given a backfill. `walked` is called
    when the page of a backfill is done.
    """

    def __init__(self, db: Database, fallen: Callable[[int], None], walked: Callable[[], None]) -> None:
        self._db, self._fallen, self._walked = db, fallen, walked
        self._touched: set[Lane] = set()
        self._orphans: list[Settlement] = []
        self._facts = Facts()
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def behind(self) -> bool:
        """Whether something of a dropped lane is still to be written."""
        return bool(self._orphans)

    def touch(self, lane: Lane) -> None:
        """Something happened to a lane that a commit must make lasting."""
        self._touched.add(lane)
        self._wake.set()

    def cdr(self, seq: int, judgement: Judgement) -> None:
        """What became of a CDR; its lane is touched as well."""
        if judgement.verdict is Verdict.DELIVERED:
            self._facts.delivered[seq] = (judgement.location, judgement.http_status)
        else:
            self._facts.held_up[seq] = (judgement.reason, judgement.http_status)

    def sample(self, lane: Lane, parked: Identity, answer: str) -> None:
        """What the receiver said of an object that is parked now; its lane is touched as well."""
        self._facts.samples[str(lane.receiver), parked] = answer

    def keep(self, lane: Lane) -> None:
        """The lane is dropped: what is known of it is still to be written."""
        self._touched.discard(lane)
        settlement = lane.settlement(time.monotonic())
        if settlement is not None:
            self._orphans.append(settlement)
            self._wake.set()

    async def run(self) -> None:
        """Commit whenever there is something, until cancelled."""
        while True:
            await self._wake.wait()
            try:
                await self.settle()
                await asyncio.sleep(PAUSE)
            except FAULTS as error:
                log.warning("outcomes not written yet, will try again", error=repr(error))
                await asyncio.sleep(PAUSE_AFTER_ERROR)
            except Exception:  # a fault of ours: what is known must not be given up
                log.exception("outcomes not written, will try again")
                await asyncio.sleep(PAUSE_AFTER_ERROR)

    async def settle(self) -> None:
        """One commit of all that is known by now."""
        async with self._turn:
            self._wake.clear()
            touched, self._touched = self._touched, set()
            orphans, self._orphans = self._orphans, []
            facts, self._facts = self._facts, Facts()
            now = time.monotonic()
            found = [s for lane in touched if (s := lane.settlement(now)) is not None]
            try:
                marks, fallen = await self._write([*orphans, *found], facts)
            except BaseException:
                self._undo(orphans, found, facts)
                raise
            for settlement in found:
                receiver = str(settlement.lane.receiver)
                own = {key[1:]: mark for key, mark in marks.items() if key[0] == receiver}
                if settlement.lane.commit(settlement, own):
                    self.touch(settlement.lane)
            for party_id in fallen:
                self._fallen(party_id)
            if any(settlement.walked for settlement in found):
                self._walked()

    def _undo(self, orphans: list[Settlement], found: list[Settlement], facts: Facts) -> None:
        self._orphans = orphans + self._orphans
        for settlement in found:
            settlement.lane.undo(settlement)
            self._touched.add(settlement.lane)
        self._facts.delivered = facts.delivered | self._facts.delivered
        self._facts.held_up = facts.held_up | self._facts.held_up
        self._facts.samples = facts.samples | self._facts.samples
        self._wake.set()

    async def _write(self, settlements: list[Settlement], facts: Facts) -> Written:
        if not settlements and facts == Facts():
            return {}, []
        async with self._db.unit_of_work() as session:
            return await write(session, settlements, facts)


async def write(session: Statements, settlements: list[Settlement], facts: Facts) -> Written:
    """Write settlements in the session's transaction."""
    marks: dict[tuple[str, str, str, str], int] = {}
    cleared = [mark for s in settlements for mark in s.cleared]
    if cleared:
        await store.settle(session, cleared)
    debts = {(d.receiver, d.owner, d.module, d.key): d for s in settlements for d in s.debts()}
    if debts:
        marks = await store.owe(session, list(debts.values()))
    pages = [page for s in settlements for page in s.walked]
    walked = {page.walk.id: page.last_id for page in pages if not page.final}
    await store.progress(session, walked, [page.walk.id for page in pages if page.final])
    if facts.delivered:
        await outgoing.cdrs_delivered(session, [(seq, *fact) for seq, fact in facts.delivered.items()])
    if facts.held_up:
        await outgoing.cdrs_held_up(session, [(seq, *fact) for seq, fact in facts.held_up.items()])
    if facts.samples:
        await parked.sampled(session, facts.samples)
    positions = {s.lane.party_id: s.position for s in settlements if s.position != s.lane.settled}
    if not positions:
        return marks, []
    stuck = positions.keys() - await store.advance(session, SHARD, positions)
    return marks, await store.fallen(session, SHARD, stuck) if stuck else []
