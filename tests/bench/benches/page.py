"""page: a GET list of 100 locations with X-Total-Count, against a FastAPI route with the same bytes in memory."""

import httpx

from hub.ocpi import json
from tests.bench import calls, partners, stock
from tests.bench.figures import Line
from tests.bench.load.wrk import Shot
from tests.bench.processes import Failed
from tests.bench.rig import Rig

LENGTH = 100
FLOOR = "a FastAPI route returning the same bytes from memory"


async def bench(rig: Rig) -> list[Line]:
    """One line."""
    async with rig.receivers() as receivers, rig.hub("api") as hub:
        emsp = calls.emsp(receivers)
        _, token = await partners.connect(hub.settings, [calls.CPO, emsp])
        await stock.fill(hub.settings, LENGTH)
        ours = calls.list_locations(hub, token, emsp)
        content = rig.folder / "page.json"
        content.write_bytes(await first_page(ours, total=LENGTH))
        async with rig.web("page", str(content)) as floor_url:
            floor = Shot(f"{floor_url}/locations?limit={LENGTH}", headers=ours.headers)
            return [await rig.duel("page", ours, floor, name=FLOOR, pid=hub.pids["api"])]


async def first_page(shot: Shot, total: int) -> bytes:
    """What the hub answers, looked at once in full. Raises Failed."""
    url, headers, _ = shot.one(0, "")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url, headers=headers)
    found = json.loads(answer.content)
    if len(found["data"]) != LENGTH or answer.headers["X-Total-Count"] != str(total):
        raise Failed(f"the page holds {len(found['data'])} of {answer.headers['X-Total-Count']} locations")
    return answer.content
