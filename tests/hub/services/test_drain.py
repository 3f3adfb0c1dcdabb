"""A server that ends: told to leave, nobody loses a request."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from hub.services import drain
from hub.services.process import free_port

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class App:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.let.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await receive()
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class Serving:
    """A server in the test's own loop."""

    def __init__(self) -> None:
        self.app, self.port, self.unready = App(), free_port(), asyncio.Event()
        config = uvicorn.Config(
            self.app, port=self.port, lifespan="off", log_config=None, http="httptools", timeout_graceful_shutdown=5
        )
        self.server = drain.Server(config, self.unready.set)
        self.task = asyncio.create_task(self.server._serve())

    def end(self) -> None:
        self.server.should_exit = True


@pytest.fixture
async def serving(monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> AsyncIterator[Serving]:
    monkeypatch.setattr(drain, "NOTICE", 0.6)
    monkeypatch.setattr(drain, "FAREWELL", 0.4)
    one = Serving()
    await eventually(lambda: one.server.started)
    yield one
    one.end()
    await one.task


class Client:
    """A connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self) -> bytes:
        """The head of the answer, in lower case."""
        self.writer.write(REQUEST)
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert await self.reader.readexactly(2) == b"ok"
        return head.lower()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def test_who_still_comes_is_served_and_told_to_leave(serving: Serving) -> None:
    kept, idle = await Client.to(serving.port), await Client.to(serving.port)
    assert b"connection: close" not in await kept.ask()
    assert b"connection: close" not in await idle.ask()
    serving.end()
    await serving.unready.wait()
    assert b"connection: close" in await kept.ask()
    assert await kept.reader.read() == b""
    late = await Client.to(serving.port)  # the door is open until the proxies have noticed
    assert b"connection: close" in await late.ask()
    await serving.task
    assert await idle.reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await Client.to(serving.port)
    for client in (kept, idle, late):
        await client.close()


async def test_a_request_that_is_being_served_is_finished(serving: Serving, eventually: Eventually) -> None:
    serving.app.let.clear()
    client = await Client.to(serving.port)
    asked = asyncio.create_task(client.ask())
    await asyncio.sleep(0.05)
    serving.end()
    await eventually(lambda: not serving.server.servers[0].is_serving())
    serving.app.let.set()
    assert (await asked).startswith(b"http/1.1 200")
    await serving.task
    await client.close()


async def test_what_the_kernel_has_taken_before_the_door_closes_is_served(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections that come in the very step in which the door closes, before anybody can accept them."""
    made: list[socket.socket] = []
    close = serving.server._close_the_door

    def come_just_before() -> None:
        for _ in range(20):
            made.append(socket.create_connection(("127.0.0.1", serving.port)))
            made[-1].sendall(REQUEST)
        close()

    monkeypatch.setattr(serving.server, "_close_the_door", come_just_before)
    serving.end()
    await serving.task
    for one in made:
        one.settimeout(1)
        with one:
            assert one.recv(1000).startswith(b"HTTP/1.1 200")


async def test_with_nobody_there_it_ends_at_once(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "NOTICE", 60)
    serving.end()
    async with asyncio.timeout(20):
        await serving.task
