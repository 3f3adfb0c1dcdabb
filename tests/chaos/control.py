"""Processes of the harness that can be told what to do: JSON over HTTP, one path for each word of command."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from hub.services.process import Process
from tests.bench import processes

Order = Callable[..., Awaitable[Any]]
PATIENCE = aiohttp.ClientTimeout(total=120)


class Remote:
    """A process that obeys: `await remote("join", code="DE*AAA")`."""

    def __init__(self, port: int, process: Process, session: aiohttp.ClientSession) -> None:
        self._url, self._session, self.process = f"http://127.0.0.1:{port}", session, process

    async def __call__(self, word: str, **arguments: Any) -> Any:
        """Give an order and wait for what comes of it. Raises processes.Failed."""
        async with self._session.post(f"{self._url}/{word}", json=arguments) as response:
            told = await response.json()
        if response.status != 200:
            raise processes.Failed(f"{self.process.name} could not {word}: {told}")
        return told


@asynccontextmanager
async def running(module: str, log: Path, *arguments: object) -> AsyncIterator[Remote]:
    """A process of `python -m MODULE PORT ARGUMENTS...` that calls `serve`, until the block ends."""
    port = free_port()
    command = processes.python(module, port, *arguments)
    async with (
        processes.serving(command, port, log) as process,
        aiohttp.ClientSession(timeout=PATIENCE) as session,
    ):
        yield Remote(port, process, session)


def serve(port: int, orders: Mapping[str, Order]) -> None:
    """Obey until the process is ended."""
    uvloop.run(_serve(port, orders))


async def _serve(port: int, orders: Mapping[str, Order]) -> None:
    app = web.Application()
    for word, order in orders.items():
        app.router.add_post(f"/{word}", _handler(order))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _handler(order: Order) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await order(**await request.json()))
        except Exception as error:
            return web.json_response(f"{type(error).__name__}: {error}", status=500)

    return handle


def free_port() -> int:
    """A port that no outgoing connection takes while its server is down: below those that the kernel gives out."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
