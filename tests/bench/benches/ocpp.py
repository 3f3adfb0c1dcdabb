"""ocpp: MeterValues of ten samples on 200 sockets, committed before they are answered, against the `ocpp` package's own
server, which stores nothing."""

import json
from functools import partial

import asyncpg
from sqlmodel import select

from hub.ocpi import json as ocpi_json
from hub.services import process
from hub.services.supervisor import Stack
from hub.store import parties, stations
from hub.store.db import Database
from hub.store.parties import Party, Platform
from tests.bench import figures, processes, stock
from tests.bench.figures import Line, Run
from tests.bench.rig import Rig

SOCKETS = 200
FLOOR = "the ocpp package's default server, nothing stored"

Stations = list[tuple[str, str]]
"""Ids and passwords."""


async def bench(rig: Rig) -> list[Line]:
    """One line. Each socket has a transaction running; its card is nobody's, so nothing goes out over OCPI."""
    port = process.free_port()
    central_system = processes.ours("floors.central_system", port)
    async with (
        rig.hub("api", "bridge") as hub,
        processes.serving(central_system, port, rig.folder / "central_system.log"),
    ):
        enrolled = await enrol(hub)
        beside = partial(meter, rig, f"ws://127.0.0.1:{port}", enrolled)
        ours = partial(metered, rig, hub, enrolled)
        await beside(seconds=rig.plan.warm)
        await ours(seconds=rig.plan.warm)
        floors, mine = await rig.interleaved(beside, ours)
        rate, seconds = rig.pace(mine)
        paced = await ours(seconds=seconds, rate=rate)
        return [rig.line("ocpp", hub.pids["bridge"], FLOOR, mine, floors, paced)]


async def enrol(hub: Stack) -> Stations:
    """A hosted party with a charger at each socket."""
    location = ocpi_json.loads(stock.location(0, stock.LOADED_AT))
    db = Database(hub.settings.database_url, pool_size=1)
    try:
        async with db.session() as session:
            hosting = (await session.exec(select(Platform).where(Platform.hosted))).one()
            session.add(Party(code=stock.OWNER, platform_id=hosting.id or 0, roles=["CPO"]))
            await parties.touch(session)
            names = [f"STATION{number:03}" for number in range(SOCKETS)]
            return [(name, await stations.enrol(session, stock.OWNER, name, location)) for name in names]
    finally:
        await db.close()


async def metered(
    rig: Rig, hub: Stack, enrolled: Stations, *, seconds: float | None = None, rate: float | None = None
) -> Run:
    """A run through the bridge, checked in the database: each answer stands for a reading."""
    database = await asyncpg.connect(hub.settings.database_url, ssl=False)
    try:
        before = await database.fetchval("SELECT count(*) FROM reading")
        run = await meter(rig, f"{hub.bridge_url}/ocpp", enrolled, seconds=seconds, rate=rate)
        written = await database.fetchval("SELECT count(*) FROM reading") - before
    finally:
        await database.close()
    return figures.kept(run, written)


async def meter(
    rig: Rig, url: str, enrolled: Stations, *, seconds: float | None = None, rate: float | None = None
) -> Run:
    """A run of the chargers."""
    order = rig.folder / "chargers.json"
    order.write_text(
        json.dumps({"url": url, "stations": enrolled, "seconds": seconds or rig.plan.seconds, "rate": rate})
    )
    return read(await processes.output_of(processes.ours("load.chargers", order), rig.folder / "chargers.log"))


def read(output: str) -> Run:
    """What a run found out, from the last line that the chargers wrote."""
    told = json.loads(output)
    faults = [f"{told[name]} {words}" for name, words in _FAULTS.items() if told[name]]
    busy = told["cpu_s"] / told["seconds"]
    per_s = told["count"] / told["seconds"]
    return Run(per_s, told["count"], busy, told["p50_ms"], told["p99_ms"], tuple(faults))


_FAULTS = {"wrong": "answers that are no CALLRESULT", "lost": "messages without an answer"}
