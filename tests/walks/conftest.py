"""A whole hub for a story: its own processes, PostgreSQL and Redis, started as `knutpunkt up` starts them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from hub.sandbox.platform import Platform
from hub.services.supervisor import Stack
from hub.settings import Settings


@dataclass
class World:
    """The running hub, its operator, and partners that join it."""

    stack: Stack
    operator: httpx.AsyncClient
    _partners: AsyncExitStack

    async def join(self, platform: Platform) -> None:
        """Start a simulated platform, invite it and let it register."""
        await self._partners.enter_async_context(platform)
        parties = [{"code": str(party), "role": platform.role} for party in platform.parties]
        invitation = await self.operator.post("/invitations", json={"name": platform.name, "parties": parties})
        assert invitation.status_code == 201, invitation.text
        await platform.register(invitation.json()["versions_url"], invitation.json()["token_a"])


@pytest.fixture
def world_settings(tmp_path: Path) -> Settings:
    """A hub that may talk to loopback."""
    return Settings(
        data=tmp_path / "data", port=0, bridge_port=0, outbound_allow=(ip_network("127.0.0.0/8"),), log_format="json"
    )


@pytest.fixture
async def world(world_settings: Settings, tmp_path: Path) -> AsyncIterator[World]:
    """A fresh hub."""
    async with AsyncExitStack() as stories:
        stack = await stories.enter_async_context(Stack(world_settings, log_file=tmp_path / "hub.log"))
        bearer = {"Authorization": f"Bearer {stack.settings.api_token}"}
        operator = await stories.enter_async_context(httpx.AsyncClient(base_url=f"{stack.url}/api/v1", headers=bearer))
        partners = await stories.enter_async_context(AsyncExitStack())
        yield World(stack, operator, partners)
