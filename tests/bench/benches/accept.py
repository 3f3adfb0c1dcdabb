"""accept: a broadcast PUT of a Location, durable when it is answered, with 0, 1, 50 and 500 receivers and no worker."""

import dataclasses
from functools import partial

import asyncpg

from hub.services.supervisor import Stack
from tests.bench import calls, figures, partners
from tests.bench.figures import Line, Run
from tests.bench.load.wrk import Shot
from tests.bench.partners import Partner
from tests.bench.rig import Rig

OBJECTS = 1_000
RECEIVERS = (0, 1, 50, 500)
FLOOR = "a FastAPI route that reads the body and does nothing"
NOWHERE = "http://127.0.0.1:9"  # nothing is delivered, so nobody listens


async def bench(rig: Rig) -> list[Line]:
    """A line for each number of receivers."""
    async with rig.hub("api") as hub, rig.web("sink") as floor_url:
        (token,) = await partners.connect(hub.settings, [calls.CPO])
        ours = calls.put_location(hub, token, calls.code(hub), OBJECTS)
        floor = dataclasses.replace(ours, url=ours.url.replace(hub.url, floor_url), mark="{}")
        await rig.fire(floor, seconds=rig.plan.warm)
        await accept(rig, hub, ours, seconds=rig.plan.warm)
        sides = [partial(accept_beside, rig, hub, ours, count) for count in RECEIVERS]
        floors, *found = await rig.interleaved(partial(rig.fire, floor), *sides)
        lines = []
        for count, runs in zip(RECEIVERS, found, strict=True):
            rate, seconds = rig.pace(runs)
            paced = await accept_beside(rig, hub, ours, count, seconds=seconds, rate=rate)
            name = f"accept-{count}" if count else "accept"
            lines.append(rig.line(name, hub.pids["api"], FLOOR, runs, floors, paced))
        return lines


async def accept_beside(
    rig: Rig, hub: Stack, shot: Shot, count: int, *, seconds: float | None = None, rate: float | None = None
) -> Run:
    """A run while so many receivers are registered."""
    if not count:
        return await accept(rig, hub, shot, seconds=seconds, rate=rate)
    registered = [Partner(f"DE*{number:03}", "EMSP", _endpoints()) for number in range(count)]
    await partners.connect(hub.settings, registered)
    try:
        return await accept(rig, hub, shot, seconds=seconds, rate=rate)
    finally:
        await partners.forget(hub.settings, registered)


async def accept(rig: Rig, hub: Stack, shot: Shot, *, seconds: float | None = None, rate: float | None = None) -> Run:
    """A run, checked in the database: each answer stands for a row of the change log."""
    database = await asyncpg.connect(hub.settings.database_url, ssl=False)
    try:
        before = await database.fetchval("SELECT count(*) FROM change_log")
        run = await rig.fire(shot, seconds=seconds, rate=rate)
        written = await database.fetchval("SELECT count(*) FROM change_log") - before
    finally:
        await database.close()
    return figures.kept(run, written)


def _endpoints() -> dict[tuple[str, str], str]:
    return {("locations", "RECEIVER"): f"{NOWHERE}/ocpi/locations"}
