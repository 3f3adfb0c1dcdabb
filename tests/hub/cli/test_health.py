"""`knutpunkt health`: it says yes only for a process that does its work."""

import re
import socket
from typing import Any

import pytest
from sqlalchemy import text

from hub.cli import health
from hub.cli.health import Kind
from hub.exchange import readiness
from hub.services.process import free_port
from hub.services.supervisor import PROCESSES
from hub.store import heartbeats
from hub.store.db import Database
from hub.store.heartbeats import Pulse


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


async def test_the_api_is_asked_whether_it_is_ready(command: Any, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_HOST", "0.0.0.0")
    monkeypatch.setenv("HUB_PORT", served.url.rpartition(":")[2])
    ended = await command("health", "api")
    assert (ended.status, ended.out) == (0, "api is well\n")
    monkeypatch.setattr(readiness, "STALE", -1.0)
    ended = await command("health", "api")
    assert ended.status == 1
    assert "/readyz answers HTTP 503" in ended.err


@pytest.mark.parametrize(("process", "variable"), [("api", "HUB_PORT"), ("bridge", "HUB_BRIDGE_PORT")])
async def test_a_process_that_does_not_listen_is_not_well(
    command: Any, process: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(free_port()))
    ended = await command("health", process)
    assert ended.status == 1
    assert "does not answer (Connection refused)" in ended.err


async def test_a_worker_is_well_while_it_shows_life_here(
    command: Any, database: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "worker: no sign of life: " in (await command("health", "worker")).err
    db = Database(database_url)
    async with Pulse.beating(db, "worker"):
        assert (await command("health", "worker")).status == 0
        async with db.unit_of_work() as session:
            await session.execute(text("UPDATE heartbeat SET at = at - interval '31 seconds'"))
        assert re.search(r"worker: no sign of life for 3[1-9] s: ", (await command("health", "worker")).err)
    async with Pulse.beating(db, "worker"):
        monkeypatch.setattr(socket, "gethostname", lambda: "another")
        assert (await command("health", "worker")).status == 1
    await db.close()


async def test_beat_is_well_while_it_is_heard(command: Any, database: None, database_url: str) -> None:
    assert (await command("health", "beat")).status == 1
    db = Database(database_url)
    async with db.unit_of_work() as session:
        await heartbeats.shown(session, "beat")
    await db.close()
    assert (await command("health", "beat")).status == 0


async def test_without_the_database_no_life_can_be_seen(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DATABASE_URL is not set" in (await command("health", "worker")).err
    monkeypatch.setenv("DATABASE_URL", f"postgresql+asyncpg://nobody:none@127.0.0.1:{free_port()}/none")
    from hub import settings

    settings._load.cache_clear()
    assert "the database does not answer (OperationalError)" in (await command("health", "worker")).err


def test_it_knows_the_processes_and_their_pace() -> None:
    assert {str(kind) for kind in Kind} == set(PROCESSES)
    assert health.SILENT == heartbeats.SILENT
