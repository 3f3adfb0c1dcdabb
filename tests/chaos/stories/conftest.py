"""The world of a story, fresh for each."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography.fernet import Fernet

from hub.app import create_app
from hub.services import process
from hub.settings import Settings
from tests.chaos.stories import haste
from tests.chaos.stories.world import World


@pytest.fixture
async def world(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A hub with the CPO NL*CPA, and no worker yet."""
    port = process.free_port()
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=Fernet.generate_key().decode(),
        api_token="operator-token-for-stories",
        public_url=f"http://127.0.0.1:{port}",
        port=port,
        outbound_allow=(ip_network("127.0.0.0/8"),),
    )
    monkeypatch.setattr(Settings, "load", lambda: settings)
    haste.make(monkeypatch)
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="on"))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            assert not serving.done(), "the API did not start"
            await asyncio.sleep(0.01)
        async with contextlib.AsyncExitStack() as stack:
            bearer = {"Authorization": f"Bearer {settings.api_token}"}
            operator = httpx.AsyncClient(base_url=f"{settings.public_url}/api/v1", headers=bearer, trust_env=False)
            await stack.enter_async_context(operator)
            world = World(settings, app.state.hub, operator, tmp_path, stack)
            await world.join(world.cpo)
            yield world
    finally:
        server.should_exit = True
        await serving
