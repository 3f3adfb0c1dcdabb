"""Simulated partners, registered with the running hub."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from aiohttp import web

from hub.delivery.engine import Engine
from hub.exchange.context import Hub
from hub.exchange.puller import Puller
from hub.ocpi import envelope
from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE
from hub.sandbox.site import Route
from hub.sandbox.wire import Answer
from hub.store import pull_plan, pulls
from modules.catalog import CATALOG


@pytest.fixture
async def cpo(running: Any) -> AsyncIterator[CpoBackend]:
    """NL*CPA, connected."""
    async with CpoBackend("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.fixture
async def emsp(running: Any) -> AsyncIterator[Emsp]:
    """DE*MSA, connected."""
    async with Emsp("DE*MSA") as platform:
        await running.join(platform, "EMSP")
        yield platform


@pytest.fixture
async def other_emsp(running: Any) -> AsyncIterator[Emsp]:
    """FR*MSB, connected."""
    async with Emsp("FR*MSB") as platform:
        await running.join(platform, "EMSP")
        yield platform


class Station(CpoBackend):
    """A CPO whose answer to commands and charging profiles is scripted: `said` (ACCEPTED by default) under `code`."""

    modules = (*CpoBackend.modules, ("chargingprofiles", "RECEIVER"))
    said: Any = None
    code = 1000

    def routes(self) -> Iterable[Route]:
        yield "POST", f"{BASE}/receiver/commands/{{name}}", self._say
        for method in ("GET", "PUT", "DELETE"):
            yield method, f"{BASE}/receiver/chargingprofiles/{{session_id}}", self._say
        yield "PUT", f"{BASE}/sender/sessions/{{session_id}}/charging_preferences", self._say
        yield from super().routes()

    async def _say(self, request: web.Request) -> web.Response:
        said = self.said or {"result": "ACCEPTED", "timeout": 30}
        return wire.reply(envelope.envelope(said, self.code, "as scripted"), 200)

    def asked(self, part: str) -> list[Received]:
        """The calls whose path holds `part`."""
        return [seen for seen in self.received if part in seen.path]


class SmartEmsp(Emsp):
    """An eMSP that sets charging profiles; `told` are the results and changes that came."""

    modules = (*Emsp.modules, ("chargingprofiles", "SENDER"))

    def routes(self) -> Iterable[Route]:
        yield "PUT", f"{BASE}/sender/chargingprofiles/{{session_id}}", self._take
        yield "POST", f"{BASE}/sender/chargingprofiles/results/{{id}}", self._take
        yield from super().routes()

    async def _take(self, request: web.Request) -> web.Response:
        return wire.ok()

    def told(self, part: str) -> list[Received]:
        """The calls whose path holds `part`."""
        return [seen for seen in self.received if part in seen.path]

    async def set_profile(self, session_id: str, to: str | None, url: str = "") -> Answer:
        """PUT a charging profile."""
        profile = {"charging_rate_unit": "W", "charging_profile_period": [{"start_period": 0, "limit": 11000}]}
        body = {"charging_profile": profile, "response_url": url or self.result_url("1")}
        return await self.send("PUT", "chargingprofiles", session_id, to=to, body=body)

    def result_url(self, name: str) -> str:
        """Where a result is to go."""
        return f"{self.url('chargingprofiles', 'SENDER')}/results/{name}"


@pytest.fixture
async def station(running: Any) -> AsyncIterator[Station]:
    """NL*CPA, connected, answering as scripted."""
    async with Station("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.fixture
async def other_station(running: Any) -> AsyncIterator[Station]:
    """NL*CPB, connected, answering as scripted."""
    async with Station("NL*CPB") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.fixture
async def smart(running: Any) -> AsyncIterator[SmartEmsp]:
    """DE*MSA, connected, with charging profiles."""
    async with SmartEmsp("DE*MSA") as platform:
        await running.join(platform, "EMSP")
        yield platform


@pytest.fixture
def pull(running: Any) -> Callable[..., Awaitable[pulls.Pull]]:
    """Have a list pulled now, whatever the clock says: `await pull("NL*CPA", "locations", full=True)`; its row."""

    async def now(party: str, module: str, full: bool = False) -> pulls.Pull:
        hub: Hub = running.hub
        puller = Puller(hub)
        await hub.directory.refresh()
        await puller.turn()
        async with hub.db.unit_of_work() as session:
            assert await pull_plan.now(session, party, module, pulls.FULL if full else pulls.DELTA) == [module]
        while await puller.turn():
            await puller.settle()
        async with hub.db.session() as session:
            return await session.get_one(pulls.Pull, (party, module))

    return now


@pytest.fixture
async def delivering(running: Any) -> AsyncIterator[Engine]:
    """The lanes of the running hub at work: what is broadcast arrives."""
    hub = running.hub
    engine = Engine(
        db=hub.db, outbound=hub.outbound, directory=hub.directory, catalog=CATALOG, code=hub.code, note=hub.journal.note
    )
    await engine.start()
    yield engine
    await engine.drain(limit=2)
