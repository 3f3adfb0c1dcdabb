"""The floor of delivery: the same requests to the same receivers from a loop that does nothing else.

    python -m tests.bench.floors.loop PORT RECEIVERS CHANGES AT_ONCE TIME

AT_ONCE requests at a time to each receiver, over connections that are open before it begins. It prints when it began.
"""

import asyncio
import json
import sys
import time

import aiohttp
import uvloop

from hub.ocpi import headers
from hub.ocpi.types import PartyId
from tests.bench import calls, stock
from tests.bench.load import receiver


async def deliver(port: int, receivers: int, changes: int, at_once: int, at: str) -> float:
    """Send all; the moment (of the monotonic clock) it began."""
    bodies = [stock.location(number, at) for number in range(changes)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=_headers()
    ) as session:

        async def send(number: int, work: list[int]) -> None:
            base = f"http://{receiver.host(number)}:{port}/ocpi/{calls.LOCATIONS}"
            while work:
                location = work.pop()
                url = f"{base}/{stock.location_id(location)}"
                async with session.put(url, data=bodies[location]) as answer:
                    assert json.loads(await answer.read())["status_code"] == 1000

        async def warm(number: int) -> None:
            async with session.get(f"http://{receiver.host(number)}:{port}/") as answer:
                await answer.read()

        await asyncio.gather(*(warm(number) for number in range(receivers) for _ in range(at_once)))
        queues = [list(range(changes)) for _ in range(receivers)]
        begun = time.monotonic()
        await asyncio.gather(*(send(number, queue) for number, queue in enumerate(queues) for _ in range(at_once)))
    return begun


def _headers() -> dict[str, str]:
    ids = {headers.REQUEST_ID: headers.new_id(), headers.CORRELATION_ID: headers.new_id()}
    parties = headers.routing(PartyId.parse("DE*000"), PartyId.parse("NL*HUB"))
    return {"Authorization": headers.encode_token("token"), **ids, **parties, "Content-Type": "application/json"}


if __name__ == "__main__":
    port, receivers, changes, at_once = map(int, sys.argv[1:5])
    begun = uvloop.run(deliver(port, receivers, changes, at_once, sys.argv[5]))
    sys.stdout.write(json.dumps({"begun": begun}) + "\n")
