"""Group commit: everybody's answer waits for the commit, nobody's for somebody else's mistake."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from asyncpg import PostgresError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bridge.intake import Intake
from hub.store import charging
from hub.store.chargers import Reading
from hub.store.charging import Metered
from hub.store.db import Database

NOW = datetime.now(UTC)


@asynccontextmanager
async def writing(database_url: str) -> AsyncIterator[tuple[Intake, Database]]:
    db = Database(database_url)
    writer = Intake(db)
    task = asyncio.create_task(writer.run())
    yield writer, db
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await db.close()


def reading(station: str, connector: int = 1) -> Metered:
    return Metered(station, connector, None, NOW, Decimal(1), "[]")


async def kept(db: Database) -> list[str]:
    async with db.session() as session:
        return [row.station_id for row in await session.exec(select(Reading).order_by("id"))]


async def test_many_messages_are_few_commits(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    real = charging.metered

    async def counted(session: AsyncSession, readings: list[Metered]) -> None:
        batches.append(len(readings))
        await real(session, readings)

    monkeypatch.setattr(charging, "metered", counted)
    async with writing(database_url) as (writer, db):
        await asyncio.gather(*(writer.add([reading(f"CP{n}")]) for n in range(100)))
        assert len(await kept(db)) == sum(batches) == 100
        assert len(batches) < 5


async def test_a_bad_message_fails_alone(database_url: str) -> None:
    async with writing(database_url) as (writer, db):
        messages = [writer.add([reading(name, connector)]) for name, connector in (("A", 1), ("B", 2**40), ("C", 1))]
        good, bad, fine = await asyncio.gather(*messages, return_exceptions=True)
        assert (good, fine) == (None, None)
        assert isinstance(bad, PostgresError)
        assert await kept(db) == ["A", "C"]


async def test_a_database_that_is_away(database_url: str) -> None:
    async with writing(database_url.rpartition("/")[0] + "/nowhere") as (writer, _):
        first, second = await asyncio.gather(*(writer.add([reading("A")]) for _ in range(2)), return_exceptions=True)
        assert isinstance(first, Exception)
        assert isinstance(second, Exception)
