"""A hub with a hosted CPO, an eMSP that is really connected, and a bridge with short times.

The API and the bridge run in the test's own loop on real ports, without workers: what is published is looked up in
the hub's store, as the lanes would find it.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlmodel import select
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from hub.admin import chargers, objects, parties
from hub.admin.chargers import ChargerOrder
from hub.admin.parties import PartyOrder
from hub.bridge.server import Bridge
from hub.bridge.timing import Timing
from hub.delivery.engine import Engine
from hub.exchange.context import Hub
from hub.ocpi import json as ocpi_json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.charger import Charger
from hub.sandbox.emsp import Emsp
from hub.store.chargers import Charging, HeldCdr
from hub.store.ledger import CdrBody
from hub.store.objects import KeptObject
from modules.catalog import CATALOG, LOCATIONS, TARIFFS
from tests import joining

Json = dict[str, Any]
T = TypeVar("T")
OWNER = PartyId.parse("NL*LOC")
STATION = "Cp-1"
SHORT = timedelta(milliseconds=50)
TIMING = Timing(
    debounce=timedelta(0),
    preparing=timedelta(0),
    settle=timedelta(milliseconds=100),
    ping=SHORT,
    grace=timedelta(seconds=2),  # a station that takes longer to sit down would count as away
    seen=SHORT,
    sweep=SHORT,
    retry=timedelta(milliseconds=200),
    quiet_ac=timedelta(0),
    call=timedelta(seconds=5),
)


def basic(user: str, password: str) -> str:
    """HTTP Basic."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class Raw:
    """A station that says what it is told to, word by word."""

    socket: ClientConnection
    number: int = 0
    calls: list[list[Any]] = field(default_factory=list)
    """CALLs of the bridge that came while an answer was awaited."""

    async def send(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    async def hear(self) -> list[Any]:
        async with asyncio.timeout(10):
            heard: list[Any] = json.loads(await self.socket.recv())
        return heard

    async def ask(self, action: str, payload: object) -> Json:
        """The payload of the CALLRESULT."""
        self.number += 1
        await self.send([2, f"m{self.number}", action, payload])
        while True:
            heard = await self.hear()
            if heard[0] == 2:
                self.calls.append(heard)
                continue
            assert heard[:2] == [3, f"m{self.number}"], heard
            answer: Json = heard[2]
            return answer


@dataclass
class Stage:
    """Everything in its place: NL*LOC with SQUARE and the charger Cp-1, DE*MSA with the card CARD1."""

    hub: Hub
    emsp: Emsp
    password: str
    port: int = 0
    bridge: Bridge | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ocpp/{STATION}"

    def charger(self, **values: Any) -> Charger:
        return Charger(self.url, STATION, self.password, **values)

    async def raw(self) -> Raw:
        """A raw socket of the station; it closes with the bridge, or by `socket.close()`."""
        shown = {"Authorization": basic(STATION, self.password)}
        protocols = [Subprotocol("ocpp1.6")]
        return Raw(await connect(self.url, additional_headers=shown, subprotocols=protocols, proxy=None))

    async def stored(self, module: str, audience: str = "*") -> list[Json]:
        """The kept objects of NL*LOC."""
        async with self.hub.db.session() as session:
            query = select(KeptObject).where(KeptObject.owner == str(OWNER), KeptObject.module == module)
            rows = await session.exec(query.where(KeptObject.audience == audience).order_by("id"))
            return [ocpi_json.loads(row.body.encode()) for row in rows]

    async def sessions(self) -> list[Json]:
        """Sessions as DE*MSA is to get them."""
        return await self.stored("sessions", "DE*MSA")

    async def evse_status(self, number: int = 1) -> str:
        (location,) = await self.stored("locations")
        return str(location["evses"][number - 1]["status"])

    async def cdrs(self) -> list[Json]:
        """CDRs in the ledger."""
        async with self.hub.db.session() as session:
            rows = await session.exec(select(CdrBody).order_by("seq"))
            return [ocpi_json.loads(row.body.encode()) for row in rows]

    async def held(self) -> list[HeldCdr]:
        async with self.hub.db.session() as session:
            return list(await session.exec(select(HeldCdr)))

    async def transactions(self) -> list[Charging]:
        async with self.hub.db.session() as session:
            return list(await session.exec(select(Charging).order_by("transaction_id")))

    async def until(self, look: Callable[[], Awaitable[T]], holds: Callable[[T], object]) -> T:
        """Look until it holds; fails after 20 seconds with what was seen last."""
        deadline = time.monotonic() + 20
        while not holds(found := await look()):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)
        return found


@pytest.fixture
def hub(running: Any) -> Hub:
    """The hub behind a running API."""
    hub: Hub = running.hub
    return hub


@pytest.fixture
async def password(hub: Hub) -> str:
    """Of the charger Cp-1 of NL*LOC at SQUARE."""
    await parties.add(hub, PartyOrder.model_validate({"code": "NL*LOC", "role": "CPO", "name": "Square"}))
    await objects.put(hub, TARIFFS, ocpi_json.dumps(samples.tariff(str(OWNER))))
    await objects.put(hub, LOCATIONS, ocpi_json.dumps(samples.location(str(OWNER), "SQUARE")))
    order = {"station_id": STATION, "party": "NL*LOC", "location_id": "SQUARE"}
    installed = await chargers.add(hub, ChargerOrder.model_validate(order))
    return installed.password


@pytest.fixture
async def emsp(hub: Hub) -> AsyncIterator[Emsp]:
    """DE*MSA, connected, with the card CARD1."""
    async with Emsp("DE*MSA") as platform:
        await joining.join(hub, platform)
        answer = await platform.put_token(samples.token("DE*MSA", "CARD1"), to=platform.hub)
        assert answer.ok
        yield platform


@pytest.fixture
async def stage(hub: Hub, password: str, emsp: Emsp) -> AsyncIterator[Stage]:
    """The hub with its parties and a bridge in this process."""
    async with Bridge.running(hub, "127.0.0.1", 0, TIMING) as bridge:
        yield Stage(hub, emsp, password, bridge.port, bridge)


@pytest.fixture
async def lanes(stage: Stage) -> AsyncIterator[None]:
    """What is owed goes out, as by a worker."""
    hub = stage.hub
    engine = Engine(
        db=hub.db,
        outbound=hub.outbound,
        directory=hub.directory,
        catalog=CATALOG,
        code=hub.code,
        note=lambda *_: None,
    )

    async def ring() -> None:
        while True:
            engine.wake()
            await asyncio.sleep(0.02)

    await engine.start()
    ringing = asyncio.create_task(ring())
    yield
    ringing.cancel()
    await engine.drain(limit=2)


@pytest.fixture
async def other_emsp(hub: Hub) -> AsyncIterator[Emsp]:
    """FR*MSB, connected, with no card yet."""
    async with Emsp("FR*MSB") as platform:
        await joining.join(hub, platform)
        yield platform


@pytest.fixture
def backdrop(hub: Hub, password: str, emsp: Emsp) -> Stage:
    """The same without a bridge: set `port` to that of one."""
    return Stage(hub, emsp, password)
