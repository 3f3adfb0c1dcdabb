"""A hub that answers on a port, announced in a data directory as `up` does it, and commands called as users do."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from cryptography.fernet import Fernet

from hub import cli, settings
from hub.app import create_app
from hub.exchange.context import Hub
from hub.services.data import DataDirectory
from hub.settings import Settings
from tests.hub.conftest import Server

TOKEN = "operator-token-for-tests"


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """What --json printed; the hub of the test logs to the same place."""
        return json.loads(self.out.splitlines()[-1])


class Served(NamedTuple):
    """A hub that runs, and its data directory."""

    hub: Hub
    url: str
    data: Path


Knutpunkt = Callable[..., Awaitable[Ended]]


@pytest.fixture(autouse=True)
def fresh_settings() -> None:
    """Settings are read once per process; each test reads its own."""
    settings._load.cache_clear()


@pytest.fixture
async def served(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """A hub with a database of its own, its API in this process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = create_app(
            Settings(
                database_url=database_url,
                redis_url=redis_url,
                secret_key=Fernet.generate_key().decode(),
                api_token=TOKEN,
                public_url=url,
                outbound_allow=(ip_network("127.0.0.0/8"),),
            )
        )
        async with Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"), listening):
            data = _announced(tmp_path / "var", url)
            yield Served(app.state.hub, url, data.path)
            data.unlock()


def _announced(path: Path, url: str) -> DataDirectory:
    data = DataDirectory(path)
    data.create()
    data.lock()
    data.secret("api_token", lambda: TOKEN)
    data.announce(url, "ws://127.0.0.1:9")
    return data


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Knutpunkt:
    """Run a command and see how it ends."""

    async def call(*arguments: str) -> Ended:
        capsys.readouterr()
        status = await asyncio.to_thread(cli.run, arguments)
        return Ended(status, *capsys.readouterr())

    return call


@pytest.fixture
def knutpunkt(command: Knutpunkt, served: Served) -> Knutpunkt:
    """Run a command against the hub that runs."""

    async def call(*arguments: str) -> Ended:
        return await command(*arguments, "--data", str(served.data))

    return call


@pytest.fixture
async def host(knutpunkt: Knutpunkt) -> str:
    """NL*LOC, hosted."""
    assert (await knutpunkt("party", "add", "NL*LOC", "--role", "CPO", "--name", "Square")).status == 0
    return "NL*LOC"
