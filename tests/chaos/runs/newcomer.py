"""newcomer: a receiver registers beside many stored locations and live traffic. It is given all of them, and what is
new in the meantime comes as soon as before, to it and to the others.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from hub.store.objects import EVERYBODY
from tests.bench import stock
from tests.chaos import phases
from tests.chaos.ledger import Reader
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig, World

NEW = "SE*NEW"
OTHERS = 4
LIVE_PER_S = 8.0

_MARKED = 'UPDATE object SET body = replace(body, \'"name":"Stationsplein"\', \'"name":"v1"\') RETURNING 1'


@dataclass(frozen=True)
class Size:
    """Stored locations, the seconds of the load before, and how long the delivery may take."""

    stored: int
    seconds: float
    patience: float


SHORT, FULL = Size(2_000, 20, 240), Size(100_000, 60, 900)

SLOWER = 2.0
"""How many times the p99 of the load alone may be seen beside the full delivery."""


async def story(rig: Rig) -> Result:
    """Fill, load alone, register, load until it has everything."""
    size = FULL if rig.full else SHORT
    async with rig.world(receivers=OTHERS) as world:
        others = list(world.receivers)
        await store(world, size.stored)
        await phases.load(world, "warm", 5.0, LIVE_PER_S)
        alone = await phases.load(world, "alone", size.seconds, LIVE_PER_S)
        await world.drained(phases.LATE)
        rig.say("it registers")
        await world.join_receivers([NEW])
        world.receivers = others
        registered = time.monotonic()
        took, sends = await welcome(world, size, registered)
        beside = phases.Phase(registered, registered + (took or size.patience))
        drained = await world.drained(phases.LATE)
        p99 = {"alone": alone.p99(world, others), "others": beside.p99(world, others), "new": beside.p99(world, [NEW])}
        slower = {name: phases.times(p99[name], p99["alone"]) for name in ("others", "new")}
        figures: dict[str, Any] = {
            "stored": size.stored,
            "sends": sends,
            "complete_s": took,
            "p99_s": p99,
            "p99_times": slower,
            **world.look().figures(),
        }
        faults = world.checker.faults(await world.cdr_ledger())
        if took is None:
            faults.append(f"it did not have everything within {size.patience:.0f} s")
        if not drained:
            faults.append("not everything that is new had arrived in the end")
        faults += [
            f"live changes took {n} times as long as before, at {who}" for who, n in slower.items() if n > SLOWER
        ]
        return Result(figures, faults)


async def store(world: World, count: int) -> None:
    """Put Locations into the store, of which nobody here is told."""

    async def welcomed() -> bool:
        return not await world.hub.sql("SELECT FROM backfill LIMIT 1")

    await world.until(welcomed, phases.LATE, "the first receivers to be given what there is")
    await stock.fill(world.hub.settings, count)
    await world.hub.sql(_MARKED)  # the receivers look for a version
    for number in range(count):
        line = {"outcome": "info", "kind": "stored", "to": EVERYBODY, "t": time.monotonic()}
        world.checker.feed(line | {"parts": {f"locations/{stock.location_id(number)}": 1}})


async def welcome(world: World, size: Size, since: float) -> tuple[float | None, int]:
    """Live load until the newcomer has everything: after how many seconds that was (None: not in time), and how many
    sends of stored locations it took."""
    ledger, seen, sends, turn = Reader(world.rig.folder / "received-2.jsonl"), set[str](), 0, 0
    living = asyncio.create_task(phases.load(world, f"beside{turn}", size.seconds, LIVE_PER_S))
    took = None
    while took is None and time.monotonic() - since < size.patience:
        for line in ledger.news():
            if f"/{stock.location_id('')}" in line["path"]:
                seen.add(line["path"])
                sends += 1
        if len(seen) == size.stored:
            took = round(time.monotonic() - since, 1)
        elif living.done():
            turn += 1
            living = asyncio.create_task(phases.load(world, f"beside{turn}", size.seconds, LIVE_PER_S))
        await asyncio.sleep(0.2)
    await living
    return took, sends


RUN = Run(story, in_short=False)
