"""Signs of life: written with figures, taken away by who ends well, inherited from who did not."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from hub.store import heartbeats
from hub.store.db import Database
from hub.store.heartbeats import Pulse, Sign


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def signs(db: Database) -> list[Sign]:
    async with db.unit_of_work() as session:
        return await heartbeats.every(session)


async def test_a_process_shows_its_life_while_it_lives(db: Database) -> None:
    async with Pulse.beating(db, "worker", lambda: {"lanes": 3}) as pulse:
        (sign,) = await signs(db)
        assert sign.process == pulse.process
        assert sign.process.startswith("worker@")
        assert sign.process.endswith(f":{os.getpid()}")
        assert (sign.kind, sign.figures) == ("worker", {"lanes": 3})
        assert sign.age < 5
    assert await signs(db) == []


async def test_without_the_database_a_process_lives_on() -> None:
    db = Database("postgresql://nobody:none@127.0.0.1:9/none")
    async with Pulse.beating(db, "worker"):
        await asyncio.sleep(0)
    await db.close()


async def test_an_heir_has_the_place_of_the_dead(db: Database) -> None:
    insert = "INSERT INTO heartbeat (process, kind, started_at, figures) VALUES (:name, 'worker', :started, '{}')"
    async with db.unit_of_work() as session:
        await heartbeats.shown(session, "beat")
        for name, started in (("old", "2026-01-01Z"), ("new", "2026-01-02Z")):
            await session.execute(text(insert.replace(":started", f"'{started}'")), {"name": name})
        await heartbeats.inherit(session, "old", "new")
    beat, new = await signs(db)
    assert (beat.process, new.process, new.started_at.day) == ("beat", "new", 1)
    async with db.unit_of_work() as session:
        await heartbeats.forget(session, ["new"])
    assert [sign.process for sign in await signs(db)] == ["beat"]
