"""bad_receivers: seventeen bad receivers at once, each in its own way, beside fourteen sound ones under a steady load.

The load runs with the sound ones alone, then beside the bad ones. A bad one that costs the others something is a fault,
and so is one that the hub does not find out about.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from tests.chaos import odd_receivers, phases
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig, World

SOUND = 14
ODD = "tests.chaos.odd_receivers"
PROCESSES = ("api", "worker1")


@dataclass(frozen=True)
class Size:
    """Pushes a second, and the seconds of load alone and beside the bad ones."""

    per_s: float
    seconds: float


SHORT, FULL = Size(8, 20), Size(15, 300)

SLOWER = 2.0
"""How many times the p99 of the load alone may be seen beside the bad ones."""

THROUGHPUT = 0.9
MEMORY_MB = 100.0
FOUND_OUT = 60.0
"""Seconds until each bad one is known for what it is."""

HARMLESS = "other_ids"
"""Bad, and nothing to stumble over."""

_STATES = """
SELECT p.name, p.status, p.failures, p.stopped_reason IS NOT NULL AS stopped,
    (SELECT COALESCE(max(tries), 0) FROM owed WHERE receiver = p.name) AS tries
FROM platform p WHERE p.name = ANY($1)
"""


async def story(rig: Rig) -> Result:
    """Load alone, then load beside the bad ones."""
    size = FULL if rig.full else SHORT
    async with rig.world(receivers=SOUND) as world:
        sound = list(world.receivers)
        await phases.load(world, "warm", 5.0, size.per_s)
        alone = await phases.load(world, "alone", size.seconds, size.per_s)
        alone_p99 = await settled_p99(world, alone, sound)
        rig.say(f"alone: {alone.per_s}/s, p99 {alone_p99} s; now the bad ones")
        async with phases.watched(world, *PROCESSES) as memory:
            before = memory.now()
            odd = await world.join_receivers([odd_receivers.code(kind) for kind in odd_receivers.KINDS], ODD)
            world.receivers, world.checker.receivers = sound, sound
            for kind in odd_receivers.KINDS:
                await odd("turn", code=odd_receivers.code(kind), kind=kind)
            finding_out = asyncio.create_task(found_out(world))
            beside = await phases.load(world, "beside", size.seconds, size.per_s)
            beside_p99 = await settled_p99(world, beside, sound)
            found = await finding_out
            grown = memory.most - before
        figures = {
            "pushes_per_s": size.per_s,
            "seconds": size.seconds,
            "delivered_per_s": [alone.per_s, beside.per_s],
            "p99_s": [alone_p99, beside_p99],
            "p99_times": phases.times(beside_p99, alone_p99),
            "throughput": round(beside.per_s / max(alone.per_s, 0.1), 3),
            "grown_mb": round(grown, 1),
            "found_out_s": found,
            "redirects_followed": await odd("canary"),
            **world.look().figures(),
        }
        return Result(figures, faults(figures, world.checker.faults(await world.cdr_ledger())))


def faults(figures: dict[str, Any], lost: list[str]) -> list[str]:
    """What is amiss."""
    found = list(lost)
    if figures["p99_times"] > SLOWER:
        found.append(f"the p99 of the sound ones is {figures['p99_times']} times that without the bad ones")
    if figures["throughput"] < THROUGHPUT:
        found.append(f"the sound ones were given {figures['throughput']:.0%} of what they were given alone")
    if figures["grown_mb"] > MEMORY_MB:
        found.append(f"memory grew by {figures['grown_mb']} MB")
    if figures["redirects_followed"]:
        found.append("a redirect was followed")
    unknown = [kind for kind, seconds in figures["found_out_s"].items() if seconds is None]
    if unknown:
        found.append(f"not found out within {FOUND_OUT:.0f} s: {', '.join(unknown)}")
    return found


async def settled_p99(world: World, phase: phases.Phase, receivers: list[str]) -> float:
    """The p99 of a stretch, once all of it has arrived."""
    await world.drained(phases.LATE)
    return phase.p99(world, receivers)


async def found_out(world: World) -> dict[str, float | None]:
    """Seconds until each bad one was known for what it is; None when it was not."""
    found: dict[str, float | None] = dict.fromkeys(kind for kind in odd_receivers.KINDS if kind != HARMLESS)
    kind_of = {odd_receivers.code(kind): kind for kind in found}
    begun = time.monotonic()
    while None in found.values() and time.monotonic() - begun < FOUND_OUT:
        for row in await world.hub.sql(_STATES, list(kind_of)):
            kind = kind_of[row["name"]]
            if found[kind] is None and is_found_out(kind, row):
                found[kind] = round(time.monotonic() - begun, 1)
        await asyncio.sleep(0.5)
    return found


def is_found_out(kind: str, row: Any) -> bool:
    """Stopped after a 401; its objects on the way to being parked after refusals; else backed off, or OFFLINE."""
    if kind == "http_401":
        return bool(row["stopped"])
    if kind == "ocpi_2001":
        return bool(row["tries"] >= 3)
    return bool(row["failures"] > 0 or row["status"] == "OFFLINE")


RUN = Run(story, in_short=False)
