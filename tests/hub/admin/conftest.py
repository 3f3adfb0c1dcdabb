"""The operator API of a hub with a database of its own, called without a network in between."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from cryptography.fernet import Fernet
from fastapi import FastAPI

from hub.app import create_app
from hub.delivery import lanes
from hub.exchange.context import Hub
from hub.settings import Settings
from hub.store import parties
from hub.store.parties import Endpoint, Party, Platform
from tests.rows import put

TOKEN = "operator-token-for-tests"
MODULES = ("locations", "tariffs", "sessions", "cdrs", "tokens")

Connect = Callable[[str, str], Awaitable[int]]


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings of a hub that nobody can call."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=Fernet.generate_key().decode(),
        api_token=TOKEN,
        public_url="https://hub.example",
        bridge_url="wss://bridge.example",
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The API process, started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def hub(app: FastAPI) -> Hub:
    """The hub behind the API."""
    hub: Hub = app.state.hub
    return hub


@pytest.fixture
async def anybody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), trust_env=False, base_url="http://hub/api/v1"
    ) as client:
        yield client


@pytest.fixture
async def api(anybody: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that shows the operator's token."""
    anybody.headers["Authorization"] = f"Bearer {TOKEN}"
    return anybody


@pytest.fixture
def connect(hub: Hub) -> Connect:
    """Make a party that counts as registered, with its lane; the id of its platform."""

    async def connect(code: str, role: str) -> int:
        sealed = hub.seal.close("token-b")
        async with hub.db.unit_of_work() as session:
            row = Platform(name=f"{code} back end", status="CONNECTED", version="2.2.1", token_out=sealed)
            platform_id: int = (await put(session, row)).id
            for module in MODULES:
                url = f"https://partner.example/{module}"
                await put(session, Endpoint(platform_id=platform_id, module=module, role="RECEIVER", url=url))
            details = {"name": f"Party {code}"}
            party = Party(code=code, platform_id=platform_id, roles=[role], business_details=details)
            await lanes.open_for(session, (await put(session, party)).id, code)
            await parties.touch(session)
        await hub.directory.refresh()
        return platform_id

    return connect


@pytest.fixture
async def host(api: httpx.AsyncClient) -> str:
    """NL*LOC, hosted."""
    answer = await api.post("/parties", json={"code": "NL*LOC", "role": "CPO", "name": "Station Square"})
    assert answer.status_code == 201, answer.text
    return "NL*LOC"
