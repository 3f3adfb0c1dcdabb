"""Readiness: the database takes writes, the schema fits, the directory is fresh, and nobody has asked it to end."""

import time
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from hub.exchange import readiness


async def _asked(running: Any) -> tuple[int, dict[str, str]]:
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        answer = await client.get("/readyz")
        return answer.status_code, answer.json()


async def _run(running: Any, sql: str) -> None:
    async with running.hub.db.unit_of_work() as unit:
        await unit.execute(text(sql))


async def test_a_hub_that_is_well_is_ready_without_redis(running: Any) -> None:
    assert await _asked(running) == (200, {"status": "ready"})


async def test_who_was_asked_to_end_is_not_ready_and_lives(running: Any) -> None:
    running.app.state.readiness.drain()
    assert await _asked(running) == (503, {"status": "not ready", "reason": "draining"})


async def test_a_database_that_takes_no_write_makes_it_unready(running: Any, database_url: str) -> None:
    name = database_url.rpartition("/")[2]
    owner = await asyncpg.connect(database_url, ssl=False)
    await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
    status, said = await _asked(running)
    assert (status, said["status"]) == (503, "not ready")
    assert said["reason"].startswith("database: ")
    await owner.execute("SET default_transaction_read_only = off")
    await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    await owner.close()


@pytest.mark.parametrize(("revision", "ready"), [("0001", False), ("9999", True)])
async def test_a_schema_that_is_older_than_the_code_makes_it_unready(
    running: Any, revision: str, ready: bool, database_url: str
) -> None:
    """A later one does not: during an upgrade the old processes serve on."""
    owner = await asyncpg.connect(database_url, ssl=False)
    await owner.execute("UPDATE alembic_version SET version_num = $1", revision)
    await owner.close()
    status, said = await _asked(running)
    assert (status == 200) is ready
    assert said.get("reason") == (None if ready else "migrations pending")


async def test_a_stale_directory_makes_it_unready(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was suspended or disagreed with meanwhile would still be served."""
    monkeypatch.setattr(readiness, "STALE", -1.0)
    assert await _asked(running) == (503, {"status": "not ready", "reason": "directory stale"})
    assert running.hub.directory.looked_at <= time.monotonic()
