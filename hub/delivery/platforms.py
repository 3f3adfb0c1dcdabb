"""The health of all platforms a worker sends to: kept in memory, shared through the database, probed when in doubt.

A platform that fails is noted once per pause, so that other workers and the operator see it. When its short retries
are used up, its versions endpoint decides: answered, the deliveries go on being tried; silent, the platform is OFFLINE
for the whole hub until a later probe is answered. A call from that platform brings the next probe forward.

One that has not been heard for a while is asked for its versions as well, whether or not there is anything to send to
it (mod_hub_client_info.asciidoc > Still alive check).
"""

import asyncio
import functools
import random
import time
from collections.abc import Callable, Collection, Coroutine
from datetime import datetime
from typing import Any

from hub import telemetry
from hub.delivery.health import BUDGET, SIGN_OF_LIFE_PAUSE, Health
from hub.delivery.send import Sender
from hub.store import health as store
from hub.store.db import FAULTS, Database
from hub.store.directory import DirectoryCache
from hub.store.health import Pulse

SILENCE = 300.0
"""Seconds without a message from a platform after which it is asked whether it is alive (HCI-014)."""

CHECKS_AT_ONCE = 8

log = telemetry.logger(__name__)


class Platforms:
    """Health by platform id. `wake` is called when a platform may be sent to again."""

    def __init__(
        self,
        db: Database,
        directory: DirectoryCache,
        sender: Sender,
        wake: Callable[[], None],
        budget: int = BUDGET,
        silence: float = SILENCE,
    ) -> None:
        self._db, self._directory, self._sender, self._wake = db, directory, sender, wake
        self._budget, self._silence = budget, silence
        self._health: dict[int, Health] = {}
        self._seen: dict[int, datetime | None] = {}
        self._probes: dict[int, asyncio.Task[None]] = {}
        self._notes: set[asyncio.Task[None]] = set()

    def health(self, platform_id: int) -> Health:
        """The health of a platform, shared by all who ask."""
        health = self._health.setdefault(platform_id, Health(self._budget))
        platform = self._directory.now.platforms.get(platform_id)
        health.short_retry = platform is None or platform.short_retry
        return health

    async def sweep(self, platform_ids: Collection[int]) -> None:
        """See what other processes noted, probe whom it is time to probe, and ask those that are silent."""
        async with self._db.unit_of_work() as session:
            pulses = await store.pulses(session, platform_ids)
            silent = await store.silent(session, self._silence, CHECKS_AT_ONCE)
        for pulse in pulses.values():
            self._adopt(pulse)
        now = time.monotonic()
        for platform_id, pulse in pulses.items():
            called = pulse.seen_at != self._seen.get(platform_id)
            if platform_id not in self._probes and self.health(platform_id).probe_due(now, called):
                self._seen[platform_id] = pulse.seen_at
                self._ask(platform_id, self._probe(platform_id, called))
        for platform_id in silent:
            if platform_id not in self._probes:
                self._ask(platform_id, self._check(platform_id))

    def failing(self, platform_id: int, wait: float, reason: str) -> None:
        """A failure that counted: the next try is in `wait` seconds."""
        failures = self.health(platform_id).failures
        if failures == 1:
            log.warning("platform takes no deliveries, they go on being tried", platform=platform_id, reason=reason)
        self._note(self._write_failing(platform_id, failures, wait))

    def well(self, platform_id: int) -> None:
        """It takes deliveries again."""
        self._note(self._write_well(platform_id))

    def stop(self, platform_id: int, reason: str) -> None:
        """It refuses the hub's token: nothing more is sent until there are new credentials."""
        if not self.health(platform_id).stopped:
            self.health(platform_id).stopped = True
            self._note(self._write_stop(platform_id, reason))

    async def close(self) -> None:
        """End probes and wait for what is being noted."""
        for task in self._probes.values():
            task.cancel()
        await asyncio.gather(*self._probes.values(), *self._notes, return_exceptions=True)

    def _adopt(self, pulse: Pulse) -> None:
        known = pulse.id in self._seen
        health = self.health(pulse.id)
        if not known:
            now = time.monotonic()
            health.failures = pulse.failures
            health.resume_at = now + max(pulse.wait or 0.0, 0.0)
            health.probe_at = health.resume_at if pulse.status == "OFFLINE" else 0.0
            self._seen[pulse.id] = pulse.seen_at
        if known and health.offline and pulse.status == "CONNECTED" and pulse.id not in self._probes:
            health.succeeded()
            self._wake()
        health.offline = health.offline or pulse.status == "OFFLINE"
        if health.stopped and not pulse.stopped and not self._notes:
            self._wake()
            health.stopped = False
        health.stopped = health.stopped or pulse.stopped

    def _ask(self, platform_id: int, asking: Coroutine[Any, Any, None]) -> None:
        task = self._probes[platform_id] = asyncio.create_task(asking, name=f"probe {platform_id}")
        task.add_done_callback(functools.partial(self._probed, platform_id))

    async def _check(self, platform_id: int) -> None:
        """Whether a platform that says nothing is alive (HCI-015)."""
        platform = self._directory.now.platforms.get(platform_id)
        if platform is None or await self._sender.probe(platform):
            return
        self.health(platform_id).probing(time.monotonic(), random.uniform(-1, 1))
        try:
            await self._is_silent(
                platform_id, platform.name, "it has said nothing for a while and answers no GET versions"
            )
        except FAULTS as error:
            log.warning("probe not noted", platform=platform.name, error=repr(error))

    async def _is_silent(self, platform_id: int, name: str, why: str) -> None:
        self.health(platform_id).silent()
        async with self._db.unit_of_work() as session:
            if await store.set_status(session, platform_id, "OFFLINE"):
                log.warning("platform is OFFLINE; the hub goes on asking", platform=name, why=why)

    async def _probe(self, platform_id: int, called: bool) -> None:
        health = self.health(platform_id)
        platform = self._directory.now.platforms.get(platform_id)
        if platform is None:
            return
        at_once = called or health.probes == 0
        wait = health.probing(time.monotonic(), random.uniform(-1, 1))
        try:
            async with self._db.unit_of_work() as session:
                if not await store.claim_probe(session, platform_id, wait, at_once, SIGN_OF_LIFE_PAUSE):
                    return
            if await self._sender.probe(platform):
                await self._answered(platform_id, platform.name)
            else:
                await self._is_silent(platform_id, platform.name, "it answers neither deliveries nor GET versions")
        except FAULTS as error:
            log.warning("probe not noted", platform=platform.name, error=repr(error))

    async def _answered(self, platform_id: int, name: str) -> None:
        if not self.health(platform_id).answered():
            log.warning("platform answers GET versions but takes no deliveries; they go on being tried", platform=name)
            return
        async with self._db.unit_of_work() as session:
            await store.well(session, platform_id)
            await store.set_status(session, platform_id, "CONNECTED")
        log.info("platform is CONNECTED again", platform=name)
        self._wake()

    def _probed(self, platform_id: int, _: asyncio.Task[None]) -> None:
        del self._probes[platform_id]

    def _note(self, writing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._written(writing))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _written(self, writing: Coroutine[Any, Any, None]) -> None:
        try:
            await writing
        except FAULTS as error:
            log.warning("health of a platform not noted", error=repr(error))

    async def _write_failing(self, platform_id: int, failures: int, wait: float) -> None:
        async with self._db.unit_of_work() as session:
            await store.failing(session, platform_id, failures, wait)

    async def _write_well(self, platform_id: int) -> None:
        async with self._db.unit_of_work() as session:
            await store.well(session, platform_id)

    async def _write_stop(self, platform_id: int, reason: str) -> None:
        async with self._db.unit_of_work() as session:
            news = await store.stop(session, platform_id, reason)
        if news:
            log.error("deliveries stopped: the platform refuses the hub's token; renew the credentials with it",
                      platform=platform_id, reason=reason)  # fmt: skip
