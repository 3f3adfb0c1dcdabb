"""Story: two connected hubs of this product; a CPO at the one serves the drivers of an eMSP at the other.

Both hubs run here, with a database each, on real ports and with the work of a worker; they register with each other by
the real handshake, and each learns of the other's parties by hubclientinfo alone.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_network
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.fernet import Fernet

from hub.delivery.announce import Announcer
from hub.delivery.clientinfo import Pace
from hub.delivery.engine import Engine
from hub.exchange import peers
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.informed import InformedCpo, InformedEmsp
from hub.sandbox.platform import Platform
from hub.sandbox.recorder import Received
from hub.settings import Settings
from modules.catalog import CATALOG
from tests.conftest import TEMPLATE
from tests.hub.conftest import Running, serve

OPERATOR = "operator-token-for-tests"
CPA, MSA = PartyId.parse("NL*CPA"), PartyId.parse("DE*MSA")


@dataclass
class World:
    """Two connected hubs, a CPO at the first, an eMSP at the second."""

    one: Running
    two: Running
    cpo: InformedCpo
    emsp: InformedEmsp


@asynccontextmanager
async def working(hub: Hub) -> AsyncIterator[None]:
    """What a worker does: lanes, announcing, reading the other's list."""
    engine = Engine(
        db=hub.db, outbound=hub.outbound, directory=hub.directory, catalog=CATALOG, code=hub.code,
        note=hub.journal.note,
    )  # fmt: skip
    announcer = Announcer(
        hub.db, hub.directory, hub.outbound, hub.code, hub.journal.note, pace=Pace(steady=0, splay=0, pause=0)
    )
    await engine.start()
    async with announcer.running(), peers.reading_lists(hub):
        yield
    await engine.drain(limit=2)


def settings_of(database_url: str, redis_url: str, country_code: str, party_id: str) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(
        database_url=database_url, redis_url=redis_url, secret_key=Fernet.generate_key().decode(),
        public_url=f"http://127.0.0.1:{port}", port=port, country_code=country_code, party_id=party_id,
        api_token=OPERATOR, outbound_allow=(ip_network("127.0.0.0/8"),),
    )  # fmt: skip


@pytest.fixture
async def other_database_url(postgres_server: Any, database_names: Any) -> AsyncIterator[str]:
    """A database for the second hub."""
    name = f"test_{next(database_names)}"
    connection = await asyncpg.connect(postgres_server.url, ssl=False)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield postgres_server.url.rpartition("/")[0] + f"/{name}"
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def order(running: Running, path: str, body: Any) -> Any:
    """What the operator of a hub orders."""
    bearer = {"Authorization": f"Bearer {OPERATOR}"}
    async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers=bearer, timeout=30) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def join(running: Running, platform: Platform) -> None:
    await running.join(platform, platform.role)


@pytest.fixture
async def world(database_url: str, other_database_url: str, redis_url: str) -> AsyncIterator[World]:
    """Hub NL*HB1 with NL*CPA, hub DE*HB2 with DE*MSA, each admitting whom the other announces."""
    first = settings_of(database_url, redis_url, "NL", "HB1")
    second = settings_of(other_database_url, redis_url, "DE", "HB2")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serve(first))
        two = await stack.enter_async_context(serve(second))
        cpo = await stack.enter_async_context(InformedCpo("NL*CPA"))
        emsp = await stack.enter_async_context(InformedEmsp("DE*MSA"))
        await join(one, cpo)
        await join(two, emsp)
        invitation = {"parties": [{"code": "DE*HB2", "role": "HUB"}], "behind": [{"code": "DE*MSA", "role": "EMSP"}]}
        invited = await order(one, "/invitations", invitation)
        registration = {"versions_url": invited["versions_url"], "token": invited["token_a"], "behind": "any"}
        assert (await order(two, "/platforms", registration))["status"] == "CONNECTED"
        for running in (one, two):
            await stack.enter_async_context(working(running.hub))
        yield World(one, two, cpo, emsp)


async def introduced(world: World) -> None:
    """Wait until each has been told of the other."""
    await world.emsp.until(lambda: world.emsp.status("NL*CPA", "CPO") == "CONNECTED", 20, "the CPO's ClientInfo")
    await world.cpo.until(lambda: world.cpo.status("DE*MSA", "EMSP") == "CONNECTED", 20, "the eMSP's ClientInfo")


async def hops(running: Running, correlation_id: str) -> list[tuple[str, str, str]]:
    """Request id, sender and receiver of each onward hop of a message."""
    await running.hub.journal.flush()
    query = (
        "SELECT request_id, sender, receiver FROM hop WHERE correlation_id = $1 AND decision = 'forward' ORDER BY id"
    )
    connection = await asyncpg.connect(running.hub.db.url, ssl=False)
    rows = await connection.fetch(query, correlation_id)
    await connection.close()
    return [tuple(row) for row in rows]


def arrived(platform: Platform, what: str) -> Received:
    return next(r for r in platform.received if what in r.path)


@pytest.mark.catalogue("TF-083")
async def test_a_put_passes_two_hubs_and_its_answer_comes_back(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    session = samples.session(of=samples.token())
    answer = await cpo.put_session(session, to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert emsp.sessions.get("NL", "CPA", session["id"]) is not None

    put = arrived(emsp, "/sessions/NL/CPA/")
    assert (put.sender, put.to) == (CPA, MSA)  # unchanged by both
    assert put.correlation_id == answer.correlation_id
    [[id_one, *pair_one]] = await hops(world.one, answer.correlation_id)
    [[id_two, *pair_two]] = await hops(world.two, answer.correlation_id)
    assert pair_one == pair_two == ["NL*CPA", "DE*MSA"]
    assert put.headers[headers.REQUEST_ID] == id_two
    assert len({id_one, id_two, answer.headers[headers.REQUEST_ID]}) == 3  # a new one on each hop, the first one back
    assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == MSA
    assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == CPA
    assert cpo.faults == emsp.faults == []


async def test_a_driver_charges_across_two_hubs(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    token = samples.token()
    emsp.tokens["RFID", token["uid"].upper()] = token
    cpo.locations.put(("NL", "CPA", "LOC1"), samples.location())
    cpo.tariffs.put(("NL", "CPA", "TARIFF1"), samples.tariff())

    asked = await cpo.authorise(token["uid"], to="DE*MSA")
    assert (asked.data["allowed"], asked.headers[headers.FROM_PARTY]) == ("ALLOWED", "MSA")

    started = await emsp.start_session(token, "LOC1", "EVSE1", to="NL*CPA")
    assert started.accepted
    assert await emsp.result(started, 20) == "ACCEPTED"
    taken = arrived(cpo, "START_SESSION")
    assert taken.body["response_url"].startswith(world.one.url)  # hub by hub, nobody sees farther than the next

    await emsp.until(lambda: emsp.sessions.all(), 20, "the Session")
    running_session = emsp.sessions.all()[0]["id"]
    stopped = await emsp.stop_session(running_session, to="NL*CPA")
    assert await emsp.result(stopped, 20) == "ACCEPTED"
    await emsp.until(lambda: emsp.cdrs, 20, "the CDR")
    [cdr] = emsp.cdrs.values()
    assert cdr["session_id"] == running_session
    assert cpo.faults == emsp.faults == []
    assert emsp.backwards == []


async def test_a_cdr_is_handed_over_and_looked_at_across_two_hubs(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    session = samples.session(of=samples.token()) | {"kwh": Decimal("1.5")}
    cdr = samples.cdr(session, samples.location(), samples.tariff())
    posted = await cpo.post_cdr(cdr, to="DE*MSA")
    assert (posted.http_status, len(emsp.cdrs)) == (201, 1)
    assert posted.headers["Location"].startswith(world.one.url)
    peer = cpo.registered
    looked = await cpo.call("GET", posted.headers["Location"], peer.token_out, None, headers.routing(MSA, CPA))
    assert looked.data["id"] == cdr["id"]
    assert arrived(emsp, "/receiver/cdrs/").sender == CPA
    again = await cpo.post_cdr(cdr, to="DE*MSA")
    assert (again.ok, again.headers["Location"], len(emsp.cdrs)) == (True, posted.headers["Location"], 1)


async def test_a_list_is_read_page_by_page_across_two_hubs(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    for number in range(120):
        cpo.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert first.next_url is not None
    assert first.next_url.startswith(world.two.url)
    found = await emsp.pull("locations", to="NL*CPA")
    assert [location["id"] for location in found] == [f"L{number}" for number in range(120)]
    again = await emsp.call("GET", first.next_url, emsp.registered.token_out)
    assert [location["id"] for location in again.data] == [f"L{number}" for number in range(50, 100)]


async def test_who_goes_away_is_away_at_the_other_hub_too(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    await cpo.leave()
    await emsp.until(lambda: emsp.status("NL*CPA") == "SUSPENDED", 20, "the ClientInfo of the CPO that left")
    answer = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert (answer.http_status, answer.status_code) == (200, 4003)


async def test_a_broadcast_stays_at_its_hub(world: World) -> None:
    cpo, emsp = world.cpo, world.emsp
    await introduced(world)
    async with InformedEmsp("FR*MSB") as near:
        await join(world.one, near)
        location = samples.location()
        assert (await cpo.put_location(location, to=cpo.hub)).ok
        await near.until(lambda: near.locations.all(), 20, "the Location")
        assert (await emsp.pull("locations", to=emsp.hub)) == emsp.locations.all() == []
        tariff = samples.tariff() | {"elements": [{"price_components": [
            {"type": "ENERGY", "price": Decimal("0.10"), "step_size": 1}]}]}  # fmt: skip
        assert (await cpo.put_tariff(tariff, to="DE*MSA")).ok  # to one party it goes
        assert emsp.tariffs.get("NL", "CPA", tariff["id"]) is not None


@pytest.mark.catalogue("TF-108")
async def test_a_receiver_takes_from_the_hub_what_is_another_partys(world: World) -> None:
    cpo = world.cpo
    async with InformedEmsp("FR*MSB") as near:
        await join(world.one, near)
        assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok
        put = await near.wait_for(lambda r: r.path.endswith("/locations/NL/CPA/LOC1"), 20)
        assert (put.sender, put.to) == (world.one.hub.code, PartyId.parse("FR*MSB"))
        await near.until(lambda: near.locations.get("NL", "CPA", "LOC1"), 20, "the Location on its shelf")
