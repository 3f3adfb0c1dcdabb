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
from hub.exchange import handshake
from hub.exchange.context import Hub
from hub.sandbox.platform import Platform
from hub.settings import Settings


@dataclass
class Running:
    """A running API process, inside the test."""

    app: FastAPI
    url: str

    @property
    def hub(self) -> Hub:
        """The hub behind the API."""
        hub: Hub = self.app.state.hub
        return hub

    async def join(self, platform: Platform, role: str) -> None:
        """Invite a platform and let it register."""
        roles = [(party, role) for party in platform.parties]
        token_a = await handshake.invite(self.hub, platform.name, roles)
        await platform.register(self.hub.versions_url, token_a)


@contextlib.asynccontextmanager
async def serve(settings: Settings) -> AsyncIterator[Running]:
    """The API on the port of its settings."""
    app = create_app(settings)
    config = uvicorn.Config(app, port=settings.port, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
            raise RuntimeError("the API did not start")
        await asyncio.sleep(0.01)
    try:
        yield Running(app, settings.public_url)
    finally:
        server.should_exit = True
        await task


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
async def running(settings: Settings) -> AsyncIterator[Running]:
    """The hub's API, without workers: what is owed stays owed."""
    async with serve(settings) as started:
        yield started
