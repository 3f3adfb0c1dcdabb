"""redis: the broker forgets everything, takes nothing more, is gone for minutes. It is a doorbell: nobody may notice.

Rates are of pushes that were answered with success, as fast as the answers came, for a moment without Redis, and for
one before and one after it. Delays are of a moderate, steady load.
"""

import asyncio
import math
import time

from tests.chaos.nemesis import Fault, Nemesis
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig, World

RECEIVERS, HANDS = 5, 4
STEADY = 30.0
"""Pushes per second of the steady load."""

RATE, DELAY = 0.8, 5.0
"""The least share of the normal rate, and the longest delay in seconds."""

DRAIN = 60.0


async def story(rig: Rig) -> Result:
    """Measure the rate, flush, fill, take away, measure, bring back, measure again."""
    flushes, full_s, gone_s, burst_s = (20, 20.0, 300.0, 15.0) if rig.full else (5, 3.0, 9.0, 4.0)
    async with rig.world(receivers=RECEIVERS) as world:
        nemesis = Nemesis(world.hub, rig.folder / "nemesis.jsonl")
        await burst(world, 2.0, "warm")
        before = await burst(world, burst_s, "before")
        await world.drained(DRAIN)

        begun = time.monotonic()
        await world.push(1_000_000, hands=HANDS, per_s=STEADY, name="steady")
        await nemesis.carry_out([Fault("flush", "redis", 1.0) for _ in range(flushes)])
        await nemesis.commit(Fault("full", "redis", seconds=full_s))
        gone = asyncio.create_task(nemesis.commit(Fault("gone", "redis", seconds=gone_s + burst_s)))
        await asyncio.sleep(gone_s)
        ended = time.monotonic()
        await world.sender("stop")
        without = await burst(world, burst_s, "without")
        await gone
        after = await burst(world, burst_s, "after")
        drained = await world.settled(DRAIN, 1.0)
        checker = world.look()
        faults = checker.faults(await world.cdr_ledger())
        normal = (before + after) / 2
        delays = checker.delays(begun, ended) or [math.inf]
        if not drained:
            faults.append(f"not drained {DRAIN:.0f} s after Redis was back")
        if without < RATE * normal:
            faults.append(
                f"{without:.0f} pushes/s were taken without Redis, {normal:.0f}/s with it: less than {RATE:.0%}"
            )
        if delays[-1] > DELAY:
            faults.append(f"a delivery came {delays[-1]:.1f} s late, {DELAY:.0f} s are allowed")
        figures = {
            "faults_done": nemesis.faults,
            "gone_s": gone_s + burst_s,
            "normal_per_s": round(normal, 1),
            "without_per_s": round(without, 1),
            "share": round(without / max(normal, 0.001), 2),
            "delay_p50_s": round(delays[len(delays) // 2], 3),
            "delay_max_s": round(delays[-1], 2),
        }
        return Result(figures | checker.figures(), faults)


async def burst(world: World, seconds: float, name: str) -> float:
    """Push as fast as the answers come; how many a second were taken."""
    begun = time.monotonic()
    await world.push(1_000_000, hands=HANDS, name=name)
    await asyncio.sleep(seconds)
    ended = time.monotonic()
    await world.sender("stop")
    return world.look().acked_between(begun, ended) / (ended - begun)


RUN = Run(story, in_short=False)
