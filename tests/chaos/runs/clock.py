"""clock: the time of day jumps by a second, an hour, a day, and back, for the hub alone or for PostgreSQL as well."""

import random

from tests.chaos.clock import Clock, library
from tests.chaos.nemesis import Fault, Nemesis
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

PUSHES, RECEIVERS, JUMPS, HANDS = 10_000, 10, 20, 8
LENGTHS = (1.0, 3_600.0, 86_400.0)
GAP = 5.0
"""Seconds between two jumps."""

DRAIN, LATE = 90.0, 3.0
ABSENT = "skipped: faketime is not installed (Debian: apt install faketime)"


async def story(rig: Rig) -> Result:
    """Push while the clocks jump."""
    if library() is None:
        return Result({}, [ABSENT])
    jumps = plan(rig.seed, JUMPS if rig.full else 6)
    pushes = PUSHES if rig.full else 1_000
    clock = Clock(rig.folder)
    async with rig.world(receivers=RECEIVERS if rig.full else 3, clock=clock) as world:
        nemesis = Nemesis(world.hub, rig.folder / "nemesis.jsonl", clock)
        await world.push(pushes, hands=HANDS, per_s=pushes / (len(jumps) * GAP))
        await nemesis.carry_out(jumps)
        await world.pushed(600)
        drained = await world.settled(DRAIN, LATE)
        checker = world.look()
        faults = checker.faults(await world.cdr_ledger(), repeats=0)
        if not drained:
            faults.append(f"not drained {DRAIN:.0f} s after the last push")
        return Result({"jumps": nemesis.faults} | checker.figures(), faults)


def plan(seed: int, count: int) -> list[Fault]:
    """Jumps in pairs: one somewhere, the next back, so that no clock is ever further off than a day."""
    chance = random.Random(seed)
    jumps = []
    for _ in range(count // 2):
        target, seconds = chance.choice(("hub", "machine")), chance.choice(LENGTHS) * chance.choice((1, -1))
        jumps += [Fault("jump", target, GAP, seconds=seconds), Fault("jump", target, GAP, seconds=-seconds)]
    return jumps


RUN = Run(story, in_short=False)
