"""What goes wrong on purpose: a plan drawn from a seed, carried out and written down.

The kinds: "kill" (SIGKILL to a process and its children), "pause" (SIGSTOP, and SIGCONT after so many seconds), "gone"
(killed, and started again after so many seconds), "flush" (Redis forgets everything), "full" (Redis takes nothing more
for so many seconds), "jump" (the clock of "hub" or "postgres" is moved by so many seconds, for good).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import redis.asyncio

from tests.chaos.clock import Clock
from tests.chaos.hub import Hub
from tests.chaos.ledger import Ledger

UP = 60.0
"""Seconds that a process is waited for before it is hit."""

TINY = "1mb"
"""What Redis may hold while it is full: less than it needs when empty."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong `gap` seconds after the fault before it has passed, and not before the share `at` of
    the work is done."""

    kind: str
    target: str
    gap: float = 0.0
    at: float = 0.0
    seconds: float = 0.0


def kills(seed: int, count: int, targets: Sequence[str], gap: tuple[float, float] = (1.0, 3.0)) -> list[Fault]:
    """`count` kills in random order, every target as often as the others, spread over the work."""
    chance = random.Random(seed)
    chosen = _dealt(chance, targets, count)
    return [
        Fault("kill", target, chance.uniform(*gap), at=(number + 0.5) / count) for number, target in enumerate(chosen)
    ]


def pauses(
    seed: int, count: int, targets: Sequence[str], shortest: float, middle: float, longest: float
) -> list[Fault]:
    """`count` pauses in random order, half of them longer than `middle` seconds."""
    chance = random.Random(seed)
    lengths = [chance.uniform(*((shortest, middle), (middle, longest))[number % 2]) for number in range(count)]
    chance.shuffle(lengths)
    chosen = _dealt(chance, targets, count)
    return [
        Fault("pause", target, chance.uniform(1, 3), seconds=round(seconds, 2))
        for target, seconds in zip(chosen, lengths, strict=True)
    ]


def _dealt(chance: random.Random, targets: Sequence[str], count: int) -> list[str]:
    chosen = [targets[number % len(targets)] for number in range(count)]
    chance.shuffle(chosen)
    return chosen


class Nemesis:
    """Carries out plans on a hub. `faults` counts what was done, by kind and target; `ended` is when the last of it was
    over, on the monotonic clock."""

    def __init__(self, hub: Hub, log: Path, clock: Clock | None = None) -> None:
        self.faults: dict[str, int] = {}
        self.ended = 0.0
        self._hub, self._clock = hub, clock
        self._ledger = Ledger(log)

    async def carry_out(self, plan: Iterable[Fault], progress: Callable[[], Awaitable[float]] | None = None) -> None:
        """One fault after the other, until the plan is done. `progress` is the share of the work that is done."""
        for fault in plan:
            await asyncio.sleep(fault.gap)
            if progress:
                await _reaches(progress, fault.at)
            await self.commit(fault)

    async def commit(self, fault: Fault) -> None:
        """Let one thing go wrong, and wait until it has passed. A process that is down is waited for."""
        await self._until_up(fault.target)
        name = f"{fault.kind} {fault.target}"
        await self._ledger.write({"begins": name, **asdict(fault)})
        await getattr(self, f"_{fault.kind}")(fault)
        self.faults[name] = self.faults.get(name, 0) + 1
        self.ended = time.monotonic()
        await self._ledger.write({"ended": name})

    @property
    def total(self) -> int:
        """How many faults there were."""
        return sum(self.faults.values())

    async def _kill(self, fault: Fault) -> None:
        self._hub.kept[fault.target].kill()

    async def _pause(self, fault: Fault) -> None:
        kept = self._hub.kept[fault.target]
        kept.pause()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            kept.resume()

    async def _gone(self, fault: Fault) -> None:
        kept = self._hub.kept[fault.target]
        kept.kill(hold=True)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            kept.release()

    async def _flush(self, fault: Fault) -> None:
        async with self._hub.redis_client() as client:
            await client.flushall()

    async def _full(self, fault: Fault) -> None:
        async with self._hub.redis_client() as client:
            await client.config_set("maxmemory", TINY)
            try:
                await asyncio.sleep(fault.seconds)
            finally:
                with suppress(redis.RedisError):
                    await client.config_set("maxmemory", "0")

    async def _jump(self, fault: Fault) -> None:
        assert self._clock is not None
        self._clock.jump(fault.target, fault.seconds)

    async def _until_up(self, target: str) -> None:
        if kept := self._hub.kept.get(target):
            async with asyncio.timeout(UP):
                await kept.up()


async def _reaches(progress: Callable[[], Awaitable[float]], share: float) -> None:
    while True:
        if await progress() >= share:
            return
        await asyncio.sleep(0.1)
