"""crash: kill -9 of everything, one after the other, while a CPO pushes."""

import time

from tests.chaos.nemesis import Nemesis, kills
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

SHORT, FULL = (5_000, 10, 20), (50_000, 20, 200)
"""Pushes, receivers, kills."""

TARGETS = ("api", "worker1", "beat", "redis", "postgres")
REPEATING = ("api", "worker1", "postgres")
"""What takes requests under way with it: their outcome is forgotten, so they may be made again."""

HANDS = 8
BUDGET = 8
"""Requests that a worker may have under way at once with one receiver."""

DRAIN = 60.0
"""Seconds after the last fault within which everything is where it belongs."""

LATE = 3.0
"""Seconds after that in which something old could still come."""


async def story(rig: Rig) -> Result:
    """Push and kill, then wait until everything has come."""
    pushes, receivers, count = FULL if rig.full else SHORT
    async with rig.world(receivers=receivers) as world:
        nemesis = Nemesis(world.hub, rig.folder / "nemesis.jsonl")
        begun = time.monotonic()
        await world.push(pushes, hands=HANDS)
        await nemesis.carry_out(kills(rig.seed, count, TARGETS), world.progress)
        rig.say(f"{count} kills done after {time.monotonic() - begun:.0f} s")
        await world.pushed(600)
        await world.hub.until_ready()
        drained = await world.settled(DRAIN + 60, LATE)
        repeats = (HANDS + receivers * BUDGET) * sum(nemesis.faults.get(f"kill {name}", 0) for name in REPEATING)
        checker = world.look()
        faults = checker.faults(await world.cdr_ledger(), repeats=repeats)
        waited = max(0.0, checker.drained_at() - nemesis.ended)
        if not drained or waited > DRAIN:
            faults.append(f"drained {waited:.0f} s after the last fault, {DRAIN:.0f} s were allowed")
        figures = {"pushes": pushes, "receivers": receivers, "kills": nemesis.faults, "drained_s": round(waited, 1)}
        return Result(figures | checker.figures() | {"repeats_allowed": repeats}, faults)


RUN = Run(story, seeds=3)
