"""A database that is away, has no connection left or hangs: 503 with Retry-After, at once, and never 1000."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.wire import Answer
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.settings import Settings
from hub.store import migrate

DEADLINE = 10.0
"""A deadline of waiting: an answer takes about a second at most, on a machine that does nothing else."""


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL of the test's own, with few connections: one that may be hurt."""
    data = DataDirectory(tmp_path)
    data.create()
    server = Postgres(data, {"fsync": "off", "max_connections": "40"})
    await server.start()
    await asyncio.to_thread(migrate.upgrade, server.url)
    yield server
    await server.stop()


@pytest.fixture
def settings(settings: Settings, own_server: Postgres) -> Settings:
    return settings.model_copy(update={"database_url": own_server.url})


async def _pushes(cpo: CpoBackend, number: int) -> list[Answer]:
    async with asyncio.timeout(DEADLINE):
        sending = (cpo.put_location(samples.location(id=f"LOC{n}"), to=cpo.hub) for n in range(number))
        return await asyncio.gather(*sending)


def _all_told_to_come_again(answers: list[Answer]) -> bool:
    return all((a.http_status, a.status_code, a.headers["Retry-After"]) == (503, 3000, "1") for a in answers)


async def _until_well(cpo: CpoBackend) -> None:
    for _ in range(100):
        if all(answer.ok for answer in await _pushes(cpo, 20)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the hub did not recover")


async def test_a_database_that_is_stopped(running: Any, cpo: CpoBackend, own_server: Postgres) -> None:
    assert all(answer.ok for answer in await _pushes(cpo, 20))
    await own_server.stop()
    assert _all_told_to_come_again(await _pushes(cpo, 40))
    await own_server.start()
    await _until_well(cpo)


async def test_a_database_that_hangs(running: Any, cpo: CpoBackend, own_server: Postgres) -> None:
    assert all(answer.ok for answer in await _pushes(cpo, 20))
    assert own_server.process is not None
    processes = [own_server.process.pid, *_children(own_server.process.pid)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert _all_told_to_come_again(await _pushes(cpo, 40))
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
    await _until_well(cpo)


async def test_a_database_without_a_connection_left(running: Any, cpo: CpoBackend, own_server: Postgres) -> None:
    """Others have taken every connection; those that the hub has open serve on, and it needs no more to live."""
    taken = []
    try:
        while True:
            taken.append(await asyncpg.connect(own_server.url, ssl=False))
    except asyncpg.PostgresError:
        answers = await _pushes(cpo, 40)
        assert all(answer.ok or _all_told_to_come_again([answer]) for answer in answers)
    finally:
        for connection in taken:
            await connection.close()
    await _until_well(cpo)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
