"""memory: what the API and the worker hold after many deliveries, and after many more.

The first ones fill caches and pools; what comes after may add next to nothing.
"""

import asyncio
from dataclasses import dataclass

from tests.chaos import phases
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig, World

RECEIVERS = 20
HANDS = 16
AT_ONCE = 500
"""Pushes between two looks at how many deliveries that made."""

QUIET = 5.0
"""Seconds of rest before the memory is read."""


@dataclass(frozen=True)
class Size:
    """Deliveries before the measurement, and in it; and how many MB a process may grow in it."""

    first: int
    then: int
    allowed_mb: float


SHORT, FULL = Size(5_000, 5_000, 20.0), Size(100_000, 200_000, 10.0)


async def story(rig: Rig) -> Result:
    """Deliver, look, deliver, look."""
    size = FULL if rig.full else SHORT
    async with rig.world(receivers=RECEIVERS) as world:
        names = ("api", "worker1")
        first = await deliver(world, "first", size.first)
        before = {name: phases.Memory(world, [name]).now() for name in names}
        rig.say(f"after {first} deliveries: {before}")
        then = await deliver(world, "then", size.then)
        after = {name: phases.Memory(world, [name]).now() for name in names}
        grown = {name: round(after[name] - before[name], 1) for name in names}
        figures = {
            "deliveries": [first, then],
            "held_mb": {name: round(held, 1) for name, held in after.items()},
            "grown_mb": grown,
            "grown_mb_per_100000": {name: round(mb / then * 100_000, 2) for name, mb in grown.items()},
            **world.look().figures(),
        }
        faults = world.checker.faults(await world.cdr_ledger())
        faults += [f"{name} grew by {mb} MB" for name, mb in grown.items() if mb > size.allowed_mb]
        return Result(figures, faults)


async def deliver(world: World, name: str, wanted: int) -> int:
    """At least so many deliveries, as fast as they come; then rest. How many there were."""
    before, turn = world.look().arrived, 0
    while world.look().arrived - before < wanted:
        await world.push(AT_ONCE, hands=HANDS, name=f"{name}{turn}")
        await world.pushed(600)
        await world.drained(120)
        turn += 1
    await asyncio.sleep(QUIET)
    return world.look().arrived - before


RUN = Run(story, in_short=False)
