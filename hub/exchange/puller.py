"""The puller of a worker process: claims lists that are due, a few at a time, and reads them.

It looks every two seconds and needs no broker. Lists of one platform are read one after the other, and few at once in
all, so that pulls never slow the lanes. A list whose reader died is taken up by another where it stood.
"""

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from hub.delivery import background
from hub.exchange import gather, plans
from hub.exchange.context import Hub
from hub.exchange.crawl import Failed
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.store import heartbeats, pull_plan, pulls
from hub.store.db import FAULTS
from hub.store.directory import Directory, PlatformView
from hub.store.pulls import Job

log = structlog.get_logger(__name__)

SWEEP = 2.0
AT_ONCE = 2
"""Lists that a process reads at the same time."""

OUTAGE = 300.0
"""Seconds without a sign of the clock after which the hub counts as having been away."""

SOON = 60.0
"""Within so many seconds a partner that is back is pulled from: not at the very moment it comes back."""


class Puller:
    """Pulls for a hub, for as long as it runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._name = uuid.uuid4().hex
        self._arranged: Directory | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, hub: Hub, sweep: float = SWEEP) -> AsyncIterator["Puller"]:
        """Pull until the block ends; what is being read then goes on later."""
        puller = cls(hub)
        await puller._notice_outage()
        try:
            async with background.repeating("pulling partners' lists", puller._sweep_once, sweep):
                yield puller
        finally:
            for task in puller._tasks:
                task.cancel()
            await asyncio.gather(*puller._tasks, return_exceptions=True)

    async def turn(self) -> bool:
        """Arrange the lists if the directory has changed, and begin to read what is due; whether anything was."""
        directory = self._hub.directory.now
        if directory is not self._arranged:
            await self._arrange(directory)
            self._arranged = directory
        if len(self._tasks) >= AT_ONCE:
            return False
        ready = [number for number, view in directory.platforms.items() if view.status == "CONNECTED"]
        async with self._hub.db.unit_of_work() as session:
            job = await pulls.claim(session, self._name, ready, gather.LEASE)
        if job is None:
            return False
        task = asyncio.create_task(self._pull(job), name=f"pull {job.module} of {job.party}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def settle(self) -> None:
        """Wait for what is being read."""
        await asyncio.gather(*self._tasks)

    async def _sweep_once(self) -> None:
        while await self.turn():
            pass

    async def _notice_outage(self) -> None:
        """If the whole hub was away, what was pushed meanwhile is fetched (TF-141)."""
        with contextlib.suppress(*FAULTS):
            async with self._hub.db.unit_of_work() as session:
                beat = next((sign for sign in await heartbeats.every(session) if sign.process == "beat"), None)
                if beat is not None and beat.age > OUTAGE:
                    await pull_plan.hub_was_away(session, beat.at)

    async def _arrange(self, directory: Directory) -> None:
        found = plans.lists(directory, self._hub.catalog)
        away = [number for number, view in directory.platforms.items() if view.status in ("OFFLINE", "SUSPENDED")]
        there = [number for number, view in directory.platforms.items() if view.status == "CONNECTED"]
        async with self._hub.db.unit_of_work() as session:
            await pull_plan.arrange(session, found, self._hub.settings.pull_after * 60)
            await pull_plan.wake(session, plans.ordered(directory, found), SOON)
            await pull_plan.away(session, away)
            for party, module in await pull_plan.back(session, there, SOON):
                log.info("partner is back: what it changed meanwhile is pulled", party=party, module=module)

    async def _pull(self, job: Job) -> None:
        """Read one list, and note how that ended."""
        hub = self._hub
        try:
            party, module = hub.directory.now.party(PartyId.parse(job.party)), hub.catalog[job.module]
            if party is None or party.platform.id != job.platform_id:
                raise Failed("its party is gone")
            begun = await self._begun(job, party.platform)
            if begun is not None:
                job = begun
                await gather.run(hub, job, party, module)
        except Failed as failure:
            await self._failed(job, failure)
        except gather.ClaimLost:
            log.warning("a pull was taken over by another process", party=job.party, module=job.module)
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(job))
            raise
        except FAULTS as error:  # the claim runs out, and somebody goes on
            log.warning("pull interrupted", party=job.party, module=job.module, error=repr(error)[:300])
        except Exception:
            log.exception("pull stumbled", party=job.party, module=job.module)
            await self._failed(job, Failed("a fault of the hub's own: see the worker's log"))

    async def _begun(self, job: Job, platform: PlatformView) -> Job | None:
        """The job with a crawl under way; None when there is nothing to read."""
        if job.kind is not None:
            return job
        hub, now = self._hub, datetime.now(UTC)
        async with hub.db.unit_of_work() as session:
            if not job.pushes and await pulls.pushed(session, job.party, job.module):
                job = replace(job, pushes=True)
            kind = plans.kind(job, platform, now, plans.Rhythm.of(hub.settings))
            if kind is None:
                await pulls.idle(session, job)
                return None
            since = plans.since(hub.catalog[job.module], kind, job.high_water, now)
            return await pulls.begin(session, job, kind, since, headers.new_id())

    async def _failed(self, job: Job, failure: Failed) -> None:
        stubborn = job.failures + 1 >= plans.STUBBORN
        place = None if failure.place is None or stubborn else failure.place.to_json()
        next_at = plans.retry(
            datetime.now(UTC), job.failures + 1, plans.Rhythm.of(self._hub.settings), random.random(), failure.asked
        )
        log.warning("pull failed, it is tried again", party=job.party, module=job.module, reason=str(failure))
        with contextlib.suppress(*FAULTS):
            async with self._hub.db.unit_of_work() as session:
                await pulls.failed(session, job, str(failure), place, next_at)

    async def _let_go(self, job: Job) -> None:
        with contextlib.suppress(*FAULTS):
            async with self._hub.db.unit_of_work() as session:
                await pulls.let_go(session, job)
