"""Each floor starts and does what it stands for; so do the fakes and the generators that need no other program."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from hub.services import process
from tests.bench import calls, processes, stock
from tests.bench.benches import deliver, ocpp
from tests.bench.load import chargers
from tests.bench.load.receivers import Receivers
from tests.bench.rig import QUICK, Rig

AT = "2026-01-01T00:00:00.000Z"
BODY = stock.location(3, AT)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(QUICK, tmp_path, "abc1234")


@pytest.fixture
async def receivers(rig: Rig) -> AsyncIterator[Receivers]:
    """Two receivers that expect BODY."""
    async with rig.receivers(2) as started:
        await started.expect(f'"last_updated":"{AT}"')
        yield started


async def _ask(method: str, url: str, body: bytes = b"") -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.request(method, url, data=body) as answer:
        return answer.status, await answer.read()


async def test_receivers_count_what_they_expect_by_receiver_and_path(receivers: Receivers) -> None:
    for number, path in ((0, "/a"), (0, "/b"), (1, "/a"), (1, "/a")):
        status, body = await _ask("PUT", receivers.url(number) + path, BODY)
        assert (status, json.loads(body)["status_code"]) == (200, 1000)
    await _ask("PUT", receivers.url(0) + "/c", b'{"last_updated":"2020-01-01T00:00:00.000Z"}')
    told = await receivers.arrivals(each=True)
    assert (told["count"], told["twice"]) == (3, 1)
    assert [(number, path) for number, path, _ in told["each"]] == [(0, "/a"), (0, "/b"), (1, "/a")]
    assert told["first"] <= told["last"]
    await receivers.expect("something else")
    assert (await receivers.arrivals())["count"] == 0


async def test_the_sink_and_the_page_answer(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_bytes(BODY)
    async with rig.web("sink") as sink, rig.web("page", str(tmp_path / "page.json")) as page, rig.web("emsp") as emsp:
        assert await _ask("PUT", f"{sink}/a/b", BODY) == (200, b"{}")
        assert await _ask("GET", f"{page}/locations?limit=100") == (200, BODY)
        assert b'"allowed":"ALLOWED"' in (await _ask("POST", f"{emsp}/tokens/1/authorize", b"{}"))[1]


async def test_the_forwarder_passes_on_and_back(rig: Rig, receivers: Receivers) -> None:
    async with rig.web("forwarder", receivers.url(0)) as forwarder:
        status, body = await _ask("PUT", f"{forwarder}/ocpi/locations/NL/CPA/LOC000003", BODY)
    assert (status, json.loads(body)["status_code"]) == (200, 1000)
    [[number, path, _]] = (await receivers.arrivals(each=True))["each"]
    assert (number, path) == (0, "/ocpi/locations/NL/CPA/LOC000003")


async def test_the_bare_loop_brings_every_change_to_every_receiver(rig: Rig, receivers: Receivers) -> None:
    run = await deliver.bare_loop(rig, receivers, 5)
    assert (run.count, run.faults) == (10, ())
    paths = {path for _, path, _ in (await receivers.arrivals(each=True))["each"]}
    assert paths == {f"/ocpi/{calls.LOCATIONS}/{stock.location_id(number)}" for number in range(5)}


async def test_a_celery_task_makes_one_delivery(rig: Rig, receivers: Receivers, redis_url: str) -> None:
    few = dataclasses.replace(rig, plan=dataclasses.replace(QUICK, tasks=20))
    run = await deliver.task_each(few, redis_url, receivers)
    assert (run.count, run.faults) == (20, ())


async def test_the_central_system_answers_the_chargers(rig: Rig) -> None:
    port = process.free_port()
    command = processes.ours("floors.central_system", port)
    async with processes.serving(command, port, rig.folder / "central_system.log"):
        stations = [("STATION1", "secret"), ("STATION2", "secret")]
        run = await ocpp.meter(rig, f"ws://127.0.0.1:{port}", stations, seconds=0.3)
        paced = await ocpp.meter(rig, f"ws://127.0.0.1:{port}", stations, seconds=0.5, rate=40)
    assert run.count > 0
    assert run.faults == ()
    assert paced.count == 20
    assert paced.faults == ()


async def test_a_charger_that_is_turned_away_says_so() -> None:
    async with await asyncio.start_server(_turn_away, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError, match="STATION1 was turned away"):
            await chargers.work(f"ws://127.0.0.1:{port}/ocpp", [("STATION1", "wrong")], 1, None)


async def _turn_away(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_a_program_that_fails_is_told_with_its_last_words(rig: Rig) -> None:
    with pytest.raises(processes.Failed, match=r"(?s)broken ended with status 1 .*no such thing"):
        await processes.output_of(
            [*processes.python("timeit")[:1], "-c", "exit('no such thing')"], rig.folder / "broken.log"
        )
