"""held: accept, page and deliver with 100,000 locations in the store, against the same with 100; 50 receivers."""

import asyncio
import dataclasses
from functools import partial

import asyncpg

from hub.services.supervisor import Stack
from tests.bench import calls, partners, stock
from tests.bench.benches import accept, deliver, page
from tests.bench.changes import Changes
from tests.bench.figures import Line, Run
from tests.bench.load.receivers import Receivers
from tests.bench.load.wrk import Shot
from tests.bench.rig import DELIVERING, Rig

RECEIVERS = 50
FEW = 100
CHANGES = 100
READERS = 4
"""Connections that read pages: with many locations a page takes long, and who asks for it waits."""

QUIET = 300
"""Tenths of a second that its queries are given to end."""

_AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"


async def bench(rig: Rig) -> list[Line]:
    """Three lines. Two hubs, one with few locations and one with many, are measured in turn; delivery comes first,
    since accepting without a worker leaves much to deliver."""
    many, tokens = rig.plan.held, {}
    floor = f"the same with {FEW} locations instead of {many:,}"
    async with rig.receivers(RECEIVERS) as receivers:
        async with rig.hub(*DELIVERING, data="few") as few, rig.hub(*DELIVERING, data="many") as full:
            for hub, count in ((few, FEW), (full, many)):
                rig.say(f"  loading {count:,} locations")
                await stock.fill(hub.settings, count)
                tokens[count] = await _connect(hub, receivers)
            delivered = await _deliver(rig, few, full, receivers, floor)
        async with rig.hub("api", data="few") as few, rig.hub("api", data="many") as full:
            paged = await _page(rig, few, full, receivers, tokens, floor)
            accepted = await _accept(rig, few, full, tokens, floor)
    return [accepted, paged, delivered]


async def _connect(hub: Stack, receivers: Receivers) -> list[str]:
    emsps = [calls.emsp(receivers, number) for number in range(RECEIVERS)]
    return await partners.connect(hub.settings, [calls.CPO, *emsps])


async def _deliver(rig: Rig, few: Stack, full: Stack, receivers: Receivers, floor: str) -> Line:
    async with Changes(few.settings) as of_few, Changes(full.settings) as of_many:
        spread = range(0, rig.plan.held, rig.plan.held // CHANGES)
        beside = partial(deliver.deliver, of_few, receivers, range(FEW))
        ours = partial(deliver.deliver, of_many, receivers, spread)
        await beside()
        await ours()
        floors, mine = await rig.interleaved(beside, ours)
        each = range(0, rig.plan.held, rig.plan.held // rig.plan.changes)
        paced = await deliver.deliver_paced(rig, of_many, receivers, each, mine)
    return rig.line("held-deliver", full.pids["worker"], floor, mine, floors, paced)


async def _page(
    rig: Rig, few: Stack, full: Stack, receivers: Receivers, tokens: dict[int, list[str]], floor: str
) -> Line:
    reader = calls.emsp(receivers)
    sides = []
    for hub, count in ((few, FEW), (full, rig.plan.held)):
        shot = calls.list_locations(hub, tokens[count][1], reader)
        await page.first_page(shot, total=count)
        sides.append(partial(_read, rig, hub, dataclasses.replace(shot, connections=READERS)))
    floors, mine = await rig.interleaved(*sides)
    rate, seconds = rig.pace(mine)
    paced = await sides[1](seconds=seconds, rate=rate)
    return rig.line("held-page", full.pids["api"], floor, mine, floors, paced)


async def _read(rig: Rig, hub: Stack, shot: Shot, *, seconds: float | None = None, rate: float | None = None) -> Run:
    """A run that leaves nothing behind: a query whose reader is gone goes on all the same."""
    run = await rig.fire(shot, seconds=seconds, rate=rate)
    database = await asyncpg.connect(hub.settings.database_url, ssl=False)
    try:
        for _ in range(QUIET):
            if not await database.fetchval(_AT_WORK):
                break
            await asyncio.sleep(0.1)
    finally:
        await database.close()
    return run


async def _accept(rig: Rig, few: Stack, full: Stack, tokens: dict[int, list[str]], floor: str) -> Line:
    sides = []
    for hub, count in ((few, FEW), (full, rig.plan.held)):
        shot = calls.put_location(hub, tokens[count][0], calls.code(hub), count)
        sides.append(partial(accept.accept, rig, hub, shot))
        await sides[-1](seconds=rig.plan.warm)
    floors, mine = await rig.interleaved(*sides)
    rate, seconds = rig.pace(mine)
    paced = await sides[1](seconds=seconds, rate=rate)
    return rig.line("held-accept", full.pids["api"], floor, mine, floors, paced)
