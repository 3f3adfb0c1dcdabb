"""A hub on a real port in the test's own loop, with a database of its own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
import uvicorn
from cryptography.fernet import Fernet
from fastapi import FastAPI

from hub.app import create_app
from hub.exchange.context import Hub
from hub.sandbox.platform import Platform
from hub.settings import Settings
from tests import joining


@dataclass
class Running:
    """A running API process, inside the test. `handshakes`: whether platforms join it by one (the mark `handshake`)."""

    app: FastAPI
    url: str
    handshakes: bool = False

    @property
    def hub(self) -> Hub:
        """The hub behind the API."""
        hub: Hub = self.app.state.hub
        return hub

    async def join(self, platform: Platform, role: str) -> None:
        """Have a platform registered."""
        assert role == platform.role
        await (joining.shake_hands if self.handshakes else joining.join)(self.hub, platform)


class Server(uvicorn.Server):
    """uvicorn's server, started and stopped by the test: at once, where uvicorn itself looks around each 0.1 s."""

    def __init__(self, config: uvicorn.Config, *sockets: socket.socket) -> None:
        super().__init__(config)
        self._sockets = list(sockets) or None

    async def __aenter__(self) -> None:
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(self._sockets)
        await self.on_tick(0)  # makes the headers of every answer

    async def __aexit__(self, *_: object) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 (uvicorn tells nobody)
            await asyncio.sleep(0.005)
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[Running]:
    """The API on the port of its settings."""
    app = create_app(settings)
    async with Server(uvicorn.Config(app, port=settings.port, log_config=None, access_log=False, lifespan="on")):
        yield Running(app, settings.public_url)


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings of a hub that may talk to loopback, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=Fernet.generate_key().decode(),
        api_token="operator-token-for-tests",
        public_url=f"http://127.0.0.1:{port}",
        port=port,
        outbound_allow=(ip_network("127.0.0.0/8"),),
    )


@pytest.fixture
async def running(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """The hub's API, without workers: what is owed stays owed."""
    async with serve(settings) as started:
        started.handshakes = request.node.get_closest_marker("handshake") is not None
        yield started
