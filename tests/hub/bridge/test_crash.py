"""kill -9: what a station was told is accepted reaches the eMSP's hands all the same, and only once."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hub.bridge.publish import Publisher
from hub.bridge.timing import Timing
from hub.exchange import push
from hub.store import charging

ROUNDS = 3


@asynccontextmanager
async def bridge_process(stage: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bridge in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        stage.port = probe.getsockname()[1]
    settings = stage.hub.settings
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "HUB_SECRET_KEY": settings.secret_key,
        "HUB_BRIDGE_PORT": str(stage.port),
        "HUB_OUTBOUND_ALLOW": "127.0.0.0/8",
    }
    checkout = Path(push.__file__).parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hub", "bridge", cwd=checkout, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await stage.until(lambda: _is_listening(stage.port), bool)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_a_bridge_that_is_killed_after_each_stop(backdrop: Any) -> None:
    for turn in range(ROUNDS):
        async with bridge_process(backdrop) as process, backdrop.charger() as charger:
            assert await charger.authorize("CARD1") == "Accepted"
            await charger.start(1, "CARD1", 1000 * turn)
            await charger.meter(1000 * turn + 500)
            await charger.stop(1000 * turn + 700)
            process.kill()
            await process.wait()
    async with backdrop.hub.db.unit_of_work() as session:  # the leases of the dead run out
        await session.execute(text("UPDATE charging SET due_at = now() WHERE due_at IS NOT NULL"))
    async with bridge_process(backdrop) as process:
        cdrs = await backdrop.until(backdrop.cdrs, lambda found: len(found) == ROUNDS)
        process.terminate()
        assert await process.wait() == 0
    assert [cdr["total_energy"] for cdr in cdrs] == [Decimal("0.700")] * ROUNDS
    sessions = await backdrop.sessions()
    assert [(each["status"], each["kwh"]) for each in sessions] == [("COMPLETED", Decimal("0.700"))] * ROUNDS
    assert {cdr["session_id"] for cdr in cdrs} == {each["id"] for each in sessions}


async def test_a_publisher_that_dies_between_the_ledger_and_its_own_note(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CDR has gone out, nobody wrote that down: the next look sends the same text, which is the same CDR."""

    async def crash(*_: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(charging, "cdr_sent", crash)
        async with stage.charger() as charger:
            await charger.authorize("CARD1")
            await charger.start(1, "CARD1", 0)
            await charger.stop(1234)
        await stage.until(stage.cdrs, lambda found: found)
    async with stage.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE charging SET due_at = now()"))
    await Publisher(stage.hub, Timing()).once()
    (row,) = await stage.until(stage.transactions, lambda rows: rows[0].cdr_state == "sent")
    assert row.due_at is None
    assert len(await stage.cdrs()) == 1
    assert await stage.held() == []
