"""When a platform was last heard is written, once a second, for those that called."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

pytestmark = pytest.mark.handshake


@pytest.mark.catalogue("HCI-013")
async def test_a_platform_that_calls_is_seen(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async def seen() -> list[str]:
        async with running.hub.db.unit_of_work() as session:
            rows = await session.execute(text("SELECT name FROM platform WHERE last_seen_at IS NOT NULL ORDER BY id"))
            return list(rows.scalars())

    async def until(names: list[str]) -> None:
        for _ in range(400):
            if await seen() == names:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{names} were not seen")

    await until(["NL*CPA", "DE*MSA"])  # both were heard while they registered
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE platform SET last_seen_at = NULL"))
    await cpo.pull("tokens", to=cpo.hub)
    await until(["NL*CPA"])
