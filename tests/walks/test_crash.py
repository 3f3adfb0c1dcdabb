"""Story: the worker is killed, then the API, while a CPO pushes; afterwards every eMSP holds the newest state."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

PUSHES, LOCATIONS, SENDERS = 2_000, 50, 8
KILLS = {PUSHES // 4: "worker", PUSHES // 2: "api"}
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def version(number: int) -> str:
    return format_datetime(START + timedelta(seconds=number))


@pytest.mark.timeout(240)
async def test_nothing_accepted_is_lost_when_worker_and_api_are_killed(world: Any) -> None:
    cpo, emsps = CpoBackend("NL*CPA"), [Emsp("DE*MSA"), Emsp("FR*MSB"), Emsp("SE*MSC")]
    for platform in (cpo, *emsps):
        await world.join(platform)
    numbers = itertools.count()
    accepted = 0

    async def push(number: int) -> None:
        """Send one version until the hub takes it: an answer that got lost is no answer."""
        nonlocal accepted
        location = samples.location(id=f"LOC{number % LOCATIONS}", at=version(number)) | {"name": f"version {number}"}
        while True:
            try:
                answer = await cpo.send("PUT", "locations", "NL", "CPA", location["id"], to=cpo.hub, body=location)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)
                continue
            if answer.ok:
                accepted += 1
                if accepted in KILLS:
                    world.stack.kill(KILLS[accepted])
                return
            assert answer.http_status in (500, 503), answer.body

    async def sender() -> None:
        for number in numbers:
            if number >= PUSHES:
                return
            await push(number)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    assert accepted == PUSHES
    newest = {f"LOC{n % LOCATIONS}": f"version {n}" for n in range(PUSHES)}
    for emsp in emsps:

        def held(emsp: Emsp = emsp) -> bool:
            return {o["id"]: o["name"] for o in emsp.locations.all()} == newest

        await emsp.until(held, 90, "the newest version of every location")
        assert emsp.backwards == []
