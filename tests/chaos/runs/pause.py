"""pause: SIGSTOP of workers, API, PostgreSQL and Redis, shorter and longer than a lane rests before it is taken over.

Two workers run, one of them paused at any time; beside that something else is. A paused worker keeps its lanes: they
wait for it, and what it had under way when it was stopped must not overtake anything.
"""

import asyncio
import random

from tests.chaos.nemesis import Fault, Nemesis, pauses
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

WORKERS, OTHERS = ("worker1", "worker2"), ("api", "postgres", "redis")
SHORTEST, TAKEOVER, LONGEST = 7.0, 17.0, 30.0
"""Seconds of a pause; a lane that was not let go cleanly rests for the middle one (hub.delivery.holder)."""

PUSHES, RECEIVERS, PAUSES = 20_000, 10, 100
SHORT_RECEIVERS, SHORT_RATE = 5, 30.0
HANDS = 8
DRAIN, LATE = 90.0, 12.0
"""Seconds for the rest, and then for what may still be under way: the longest that the hub waits for an answer."""


async def story(rig: Rig) -> Result:
    """Push while two things at a time are paused, one after the other."""
    tracks = plan(rig.seed, rig.full)
    lasts = max(sum(fault.gap + fault.seconds for fault in track) for track in tracks)
    rate = PUSHES / lasts if rig.full else SHORT_RATE
    async with rig.world(receivers=RECEIVERS if rig.full else SHORT_RECEIVERS, workers=2) as world:
        nemesis = Nemesis(world.hub, rig.folder / "nemesis.jsonl")
        await world.push(int(rate * lasts), hands=HANDS, per_s=rate)
        await asyncio.gather(*(nemesis.carry_out(track) for track in tracks))
        await world.pushed(lasts + 300)
        drained = await world.settled(DRAIN, LATE if rig.full else LATE / 3)
        checker = world.look()
        faults = checker.faults(await world.cdr_ledger())
        if not drained:
            faults.append(f"not drained {DRAIN:.0f} s after the last pause")
        starts = {name: kept.starts for name, kept in world.hub.kept.items() if kept.starts > 1}
        if starts:
            faults.append(f"a pause ended processes: started {starts}")
        return Result({"pauses": nemesis.faults, "longest_s": _longest(tracks)} | checker.figures(), faults)


def plan(seed: int, full: bool) -> list[list[Fault]]:
    """Two lists of pauses that run beside each other."""
    if full:
        half = PAUSES // 2
        return [pauses(seed, half, targets, SHORTEST, TAKEOVER, LONGEST) for targets in (WORKERS, OTHERS)]
    chance = random.Random(seed)
    long = Fault("pause", chance.choice(WORKERS), 1.0, seconds=TAKEOVER + chance.uniform(1, 3))
    return [[long], [Fault("pause", target, 1.0, seconds=SHORTEST) for target in chance.sample(OTHERS, 2)]]


def _longest(tracks: list[list[Fault]]) -> float:
    return round(max(fault.seconds for track in tracks for fault in track), 1)


RUN = Run(story, light=True)
