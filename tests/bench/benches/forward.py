"""forward: a direct PUT of a Location through the hub to a partner, against a bare forwarder to the same partner."""

import dataclasses

from tests.bench import calls, partners
from tests.bench.figures import Line
from tests.bench.rig import Rig

OBJECTS = 1_000
FLOOR = "a bare ASGI forwarder on aiohttp"


async def bench(rig: Rig) -> list[Line]:
    """One line; the floor's own latency at the same rate stands beside ours."""
    async with rig.receivers() as receivers, rig.hub("api") as hub, rig.web("forwarder", receivers.url(0)) as floor_url:
        emsp = calls.emsp(receivers)
        token, _ = await partners.connect(hub.settings, [calls.CPO, emsp])
        ours = calls.put_location(hub, token, emsp.code, OBJECTS)
        floor = dataclasses.replace(ours, url=ours.url.replace(f"{hub.url}/ocpi/2.2.1/receiver", f"{floor_url}/ocpi"))
        pid = hub.pids["api"]
        return [await rig.duel("forward", ours, floor, name=FLOOR, pid=pid, at=receivers.pid, added=True)]
