"""Simulated partners, registered with the running hub."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp


@pytest.fixture
async def cpo(running: Any) -> AsyncIterator[CpoBackend]:
    """NL*CPA, connected."""
    async with CpoBackend("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.fixture
async def emsp(running: Any) -> AsyncIterator[Emsp]:
    """DE*MSA, connected."""
    async with Emsp("DE*MSA") as platform:
        await running.join(platform, "EMSP")
        yield platform


@pytest.fixture
async def other_emsp(running: Any) -> AsyncIterator[Emsp]:
    """FR*MSB, connected."""
    async with Emsp("FR*MSB") as platform:
        await running.join(platform, "EMSP")
        yield platform
