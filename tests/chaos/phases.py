"""A stretch of a run under load: how long deliveries took in it, how many there were, and what processes held."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.bench import processes
from tests.chaos.rig import World

IDLE = 0.05
"""Seconds that the p99 of a hub at rest may be: what is less than this is no yardstick."""

LATE = 60.0
"""Seconds that the last deliveries of a stretch may take after it."""


@dataclass(frozen=True)
class Phase:
    """A stretch between two moments of the monotonic clock; `delivered` is how many deliveries came in it."""

    since: float
    until: float
    delivered: int = 0

    @property
    def per_s(self) -> float:
        """Deliveries a second."""
        return round(self.delivered / (self.until - self.since), 1)

    def p99(self, world: World, receivers: Sequence[str]) -> float:
        """Seconds from an acknowledgement of this stretch to the arrival at each of these receivers: all but the
        slowest hundredth took less. Infinite when nothing was acknowledged, or something has not come yet."""
        everybody, world.checker.receivers = world.checker.receivers, list(receivers)
        delays = world.look().delays(self.since, self.until)
        world.checker.receivers = everybody
        return round(delays[int(len(delays) * 0.99)], 3) if delays else float("inf")


async def load(world: World, name: str, seconds: float, per_s: float) -> Phase:
    """A steady load for so long. `name` is part of ids, so it is used once."""
    arrived, since = world.look().arrived, time.monotonic()
    await world.push(int(seconds * per_s), per_s=per_s, name=name)
    await world.pushed(seconds * 3 + 60)
    until = time.monotonic()
    return Phase(since, until, world.look().arrived - arrived)


def times(p99: float, alone: float) -> float:
    """How many times as long as alone deliveries took."""
    return round(p99 / max(alone, IDLE), 2)


class Memory:
    """What processes of the hub hold, and the most that it was, in MB."""

    def __init__(self, world: World, names: Sequence[str]) -> None:
        self._world, self._names = world, names
        self.most = 0.0

    def now(self) -> float:
        """What they hold at present."""
        found = sum(processes.rss_mb(self._world.hub.kept[name].pid or 0) for name in self._names)
        self.most = max(self.most, found)
        return found


@asynccontextmanager
async def watched(world: World, *names: str) -> AsyncIterator[Memory]:
    """The memory of processes, looked at twice a second."""
    memory = Memory(world, names)

    async def look() -> None:
        while True:
            memory.now()
            await asyncio.sleep(0.5)

    looking = asyncio.create_task(look())
    try:
        yield memory
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
