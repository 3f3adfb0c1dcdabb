"""outage: a receiver is away while thousands of objects change several times each. When it is back it is given the
newest of each, once, and the others notice nothing.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from tests.chaos import changes, phases
from tests.chaos.ledger import Reader
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

AWAY = "SE*AWY"
OTHERS = 5
LIVE_PER_S = 8.0


@dataclass(frozen=True)
class Size:
    """Objects, how often each changes, and the seconds of the stretches whose p99 is compared."""

    objects: int
    changes: int
    seconds: float


SHORT, FULL = Size(1_000, 5, 20), Size(10_000, 5, 60)

BACK = 60.0
"""Seconds after its return within which it has everything."""

SLOWER = 2.0
"""How many times the p99 of the load alone the others may see."""


async def story(rig: Rig) -> Result:
    """Away, changes, back."""
    size = FULL if rig.full else SHORT
    async with rig.world(receivers=OTHERS) as world:
        others = list(world.receivers)
        odd = await world.join_receivers([AWAY], "tests.chaos.odd_receivers")
        ledger = Reader(rig.folder / "received-2.jsonl")
        world.receivers = others
        await phases.load(world, "warm", 5.0, LIVE_PER_S)
        await world.drained(phases.LATE)
        await world.tell(AWAY, "away")
        await changes.make(world, size.objects, range(1, size.changes + 1))
        world.checker.receivers = others
        rig.say(f"{size.objects * size.changes} changes are made")
        drained = await world.drained(size.objects * OTHERS / 50 + 60)
        alone = await phases.load(world, "alone", size.seconds, LIVE_PER_S)
        await world.drained(phases.LATE)
        sum(1 for _ in ledger.news())  # what it had before it went
        rig.say("it comes back")
        await world.tell(AWAY, "back")
        await odd("greet", code=AWAY)
        returned = time.monotonic()
        living = asyncio.create_task(phases.load(world, "back", size.seconds, LIVE_PER_S))
        began, took, sends = await returning(ledger, size, returned)
        back = await living
        await world.drained(phases.LATE)
        beside = phases.Phase(returned, max(back.until, returned + (took or 0.0)))
        p99 = alone.p99(world, others), beside.p99(world, others)
        world.checker.receivers = [*others, AWAY]
        arrived = await world.drained(phases.LATE)
        figures: dict[str, Any] = {
            "objects": size.objects,
            "changes": size.changes,
            "sends": sends,
            "first_s": began,
            "back_s": took,
            "p99_s": p99,
            "p99_times": phases.times(p99[1], p99[0]),
            **world.look().figures(),
        }
        faults = world.checker.faults(await world.cdr_ledger())
        if not (drained and arrived):
            faults.append("not everything had arrived when the run went on")
        if sends > size.objects:
            faults.append(f"{sends} sends on its return, {size.objects} objects had changed")
        if took is None or took > BACK:
            faults.append(f"it did not have everything within {BACK:.0f} s")
        if figures["p99_times"] > SLOWER:
            faults.append(f"the p99 of the others was {figures['p99_times']} times that before")
        return Result(figures, faults)


async def returning(ledger: Reader, size: Size, since: float) -> tuple[float | None, float | None, int]:
    """Seconds until it is sent the first of the objects, and until it has the newest version of each, None if that
    takes far too long; and how many of them it was sent."""
    wanted = {changes.path(number) for number in range(size.objects)}
    missing, sends = set(wanted), 0
    began: float | None = None
    while time.monotonic() - since < 4 * BACK:
        for line in ledger.news():
            if line["path"] in wanted:
                sends += 1
                began = began or round(line["t"] - since, 1)
                newest = size.changes in line.get("parts", {}).values()
                missing.discard(line["path"] if newest else "")
        if not missing:
            return began, round(time.monotonic() - since, 1), sends
        await asyncio.sleep(0.2)
    return began, None, sends


RUN = Run(story, in_short=False)
