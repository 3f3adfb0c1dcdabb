"""The door out, against real sockets: deadlines, caps, redirects and addresses."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpx
import pytest
import respx
from aiohttp import web
from aiohttp.test_utils import TestServer

from hub.ocpi import client
from hub.ocpi.client import NetworkError, NoAnswer, Outbound, Refused, Unreachable, Use

LOOPBACK = (ip_network("127.0.0.0/8"),)
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(script: Script) -> AsyncIterator[str]:
    """A server that reads one request head and then does as `script` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


def says(raw: bytes) -> Script:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()

    return script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nX-Total-Count: 7\r\n\r\n{}"


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    async with Outbound(LOOPBACK) as door:
        yield door


async def test_both_ways_bring_the_answer(outbound: Outbound) -> None:
    async with peer(says(OK)) as url:
        for way in (outbound.send, outbound.call):
            answer = await way("GET", url, {})
            assert (answer.status, answer.body, answer.headers["x-total-count"]) == (200, b"{}", "7")


async def test_a_redirect_is_an_answer_and_is_not_followed(outbound: Outbound) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(moved)) as url:
        assert (await outbound.send("GET", url, {})).status == 302
        assert (await outbound.call("GET", url, {})).status == 302


async def test_the_deadline_is_total_even_against_a_dripping_peer(outbound: Outbound) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _turn in range(100):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with peer(drip) as url:
        for way in (outbound.send, outbound.call):
            with pytest.raises(NoAnswer):
                await way("GET", url, {}, timeout=0.3)


async def test_a_gzip_bomb_is_cut_off_at_the_cap(outbound: Outbound) -> None:
    bomb = gzip.compress(b"\0" * (client.ANSWER_CAP * 2))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with peer(says(head + bomb)) as url:
        for way in (outbound.send, outbound.call):
            with pytest.raises(NoAnswer, match="larger"):
                await way("GET", url, {})


async def test_nobody_there_is_told_from_no_answer(outbound: Outbound) -> None:
    for way in (outbound.send, outbound.call):
        with pytest.raises(Unreachable):
            await way("GET", "http://127.0.0.1:1/", {})
    async with peer(says(b"")) as url:
        with pytest.raises(NoAnswer):
            await outbound.send("POST", url, {}, b"{}")
        with pytest.raises(NetworkError):  # the transport under httpx does not tell the two apart
            await outbound.call("POST", url, {}, b"{}")


async def test_deliveries_to_a_host_that_hangs_take_no_connection_from_what_somebody_waits_for(
    eventually: Callable[[Callable[[], object]], Awaitable[None]],
) -> None:
    free, busy = asyncio.Event(), 0

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal busy
        busy += 1
        if busy <= 2:
            await free.wait()
        writer.write(OK)
        await writer.drain()

    async with Outbound(LOOPBACK, connections_per_host=2) as door, peer(hang) as url:
        pushes = [asyncio.create_task(door.send("PUT", url, {})) for _ in range(5)]
        await eventually(lambda: busy == 2)
        for _ in range(3):
            assert (await door.send("POST", url, {}, use=Use.INTERACTIVE)).status == 200
        assert (await door.call("GET", url, {})).status == 200
        assert not any(push.done() for push in pushes)
        free.set()
        assert [(await push).status for push in pushes] == [200] * 5


async def test_a_host_with_too_much_to_answer_gets_no_more(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client.UNDER_WAY, Use.INTERACTIVE, 2)
    free = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        writer.write(OK)
        await writer.drain()

    async with peer(hang) as url, peer(says(OK)) as other:
        asked = [asyncio.create_task(outbound.send("POST", url, {}, use=Use.INTERACTIVE)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unreachable, match="has 2 requests to answer"):
            await outbound.send("POST", url, {}, use=Use.INTERACTIVE)
        assert (await outbound.send("POST", other, {}, use=Use.INTERACTIVE)).status == 200
        free.set()
        await asyncio.gather(*asked)
        assert (await outbound.send("POST", url, {}, use=Use.INTERACTIVE)).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[64:ff9b::7f00:1]/",
        "ftp://127.0.0.1/",
        "https://user:secret@example.org/",
        "http://a.example\\@10.0.0.1/",
        "http:///nohost",
        "not a url",
        "http://0x0a000001/",
        "http://167772161/",
    ],
)
async def test_addresses_that_are_not_allowed_are_refused(outbound: Outbound, url: str) -> None:
    for way in (outbound.send, outbound.call):
        with pytest.raises((Refused, Unreachable)):
            await way("GET", url, {})


@pytest.mark.catalogue("TF-001")
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://127.0.0.1:1/", "http://localhost:1/", "https://2130706433:1/"]
)
async def test_without_an_allow_list_loopback_and_plain_http_are_refused(url: str) -> None:
    async with Outbound() as door:
        for way in (door.send, door.call):
            with pytest.raises(Refused):
                await way("GET", url, {})


async def test_scripted_answers_reach_callers_of_httpx(outbound: Outbound) -> None:
    with respx.mock(using="httpx") as partner:
        partner.get("http://127.0.0.1:9/versions").mock(return_value=httpx.Response(200, json={"status_code": 1000}))
        answer = await outbound.call("GET", "http://127.0.0.1:9/versions", {})
    assert answer.body == b'{"status_code":1000}'


@pytest.mark.catalogue("CHP-009")
async def test_a_url_that_is_encoded_goes_out_as_it_is(outbound: Outbound) -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response()

    app = web.Application()
    app.router.add_get("/{tail:.*}", note)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        for path in ("a%20b?u=https%3A%2F%2Fx.example%2F%3Fa%3Db", "a b?u=ä"):
            await outbound.send("GET", url + path, {})
    assert asked == ["/a%20b?u=https%3A%2F%2Fx.example%2F%3Fa%3Db", "/a%20b?u=%C3%A4"]
