"""The door of a sandbox platform: what it records, echoes, notes as faults, and how it misbehaves."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.site import Knobs

PLACE = samples.location()


@pytest.fixture
async def cpo() -> AsyncIterator[CpoBackend]:
    async with CpoBackend("NL*CPA") as platform:
        yield platform


@pytest.fixture
async def emsp(cpo: CpoBackend) -> AsyncIterator[Emsp]:
    async with Emsp("DE*MSA", "DE*MSB") as platform:
        await cpo.register(*reversed(platform.invite()))
        platform.received.clear()
        yield platform


async def test_a_request_is_recorded_and_its_headers_come_back(cpo: CpoBackend, emsp: Emsp) -> None:
    answer = await cpo.put_location(PLACE, to="DE*MSB")
    [seen] = emsp.received
    assert (seen.method, seen.path) == ("PUT", "/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1")
    assert (str(seen.to), str(seen.sender)) == ("DE*MSB", "NL*CPA")
    assert seen.body == PLACE
    assert answer.http_status == 201
    assert answer.headers["X-Request-ID"] == seen.headers["x-request-id"]
    assert answer.correlation_id == seen.correlation_id
    assert (answer.headers["OCPI-to-party-id"], answer.headers["OCPI-from-party-id"]) == ("CPA", "MSB")
    assert emsp.faults == cpo.faults == []


async def test_unknown_paths_methods_and_receivers(cpo: CpoBackend, emsp: Emsp) -> None:
    answer = await cpo.send("GET", "locations", "NL", "CPA", "LOC9", to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (404, 2003)
    answer = await cpo.send("DELETE", "locations", "NL", "CPA", "LOC1", to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (405, 2000)
    answer = await cpo.send("PUT", "locations", "NL", "CPA", to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (404, 2003)
    assert (await cpo.put_location(PLACE, to="DE*MSX")).status_code == 2001
    half = {"OCPI-to-party-id": "MSA"}
    answer = await cpo.call("GET", emsp.url("tokens", "SENDER"), cpo.registered.token_out, extra=half)
    assert (answer.http_status, answer.status_code) == (200, 2001)


async def test_faults_of_the_peer_are_listed(cpo: CpoBackend, emsp: Emsp) -> None:
    assert emsp.peer is not None
    headers = {"Authorization": "Token " + emsp.peer.token_in}
    async with aiohttp.ClientSession() as http:
        async with http.get(emsp.versions_url, headers=headers) as response:
            assert response.status == 401, "the token was not encoded"
        async with http.get(emsp.versions_url) as response:
            assert response.status == 401
    body = b'{"last_updated":"2026-01-01T00:00:00Z"}'
    extra = {"X-Request-ID": "r1", "Content-Type": "text/plain"}
    for _ in range(2):
        await cpo.call("PUT", emsp.url("tariffs", "RECEIVER") + "/NL/CPA/T1", emsp.peer.token_in, body, extra)
    assert [fault.partition("T1: ")[2][:25] for fault in emsp.faults] == [
        "body without Content-Type",
        "X-Request-ID was used bef",
        "body without Content-Type",
    ]


async def test_refuse_with_a_status_of_choice(cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.knobs = Knobs(http_status=503)
    assert (await cpo.put_location(PLACE, to="DE*MSA")).http_status == 503
    emsp.knobs = Knobs(status_code=2003, applies=lambda received: received.method == "PUT")
    answer = await cpo.put_location(PLACE, to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (200, 2003)
    assert len(emsp.locations) == 0
    assert (await cpo.call("GET", emsp.versions_url, cpo.registered.token_out)).ok


async def test_do_the_work_and_answer_late_or_never(cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.knobs = Knobs(delay=30)
    sending = asyncio.create_task(cpo.put_location(PLACE, to="DE*MSA"))
    await emsp.until(lambda: len(emsp.locations) == 1)
    assert not sending.done()
    sending.cancel()
    emsp.knobs = Knobs(hang_up=True)
    with pytest.raises(aiohttp.ClientError):
        await cpo.put_tariff(samples.tariff(), to="DE*MSA")
    assert len(emsp.tariffs) == 1


async def test_be_away_and_come_back_on_the_same_port(cpo: CpoBackend, emsp: Emsp) -> None:
    origin = emsp.origin
    for _ in range(2):
        await emsp.go_away()
        with pytest.raises(aiohttp.ClientConnectionError):
            await cpo.put_location(PLACE, to="DE*MSA")
        await emsp.come_back()
        assert (await cpo.put_location(PLACE, to="DE*MSA")).ok
    assert emsp.origin == origin
