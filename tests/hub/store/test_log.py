"""hub.store.log: positions are given after commit, gapless, unique, in commit order, and no row is lost."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from hub.delivery import log as delivery_log
from hub.store import log
from hub.store.db import Database
from hub.store.log import Entry


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def _append(db: Database, key: str, audience: str = "*", **values: Any) -> None:
    row: dict[str, Any] = {"owner": "NL*CPA", "module": "locations", "part_ids": [], "fields": None}
    async with db.unit_of_work() as session:
        await log.append(session, [Entry(key=key, audience=audience, correlation_id=f"c-{key}", **row | values)])


async def _rows(db: Database, after: int = 0, limit: int = 10_000) -> list[log.Row]:
    async with db.unit_of_work() as session:
        return (await log.read(session, 0, after, limit))[0]


async def test_a_row_is_read_back_as_it_was_written(db: Database) -> None:
    await _append(db, "A", "DE*MSA", part_ids=["E1", "1"], fields=["status"])
    await _append(db, "B")
    assert await delivery_log.stamp(db) == 2
    assert await _rows(db) == [
        log.Row(1, "NL*CPA", "locations", "A", "DE*MSA", ["E1", "1"], ["status"], "c-A"),
        log.Row(2, "NL*CPA", "locations", "B", "*", [], None, "c-B"),
    ]
    async with db.unit_of_work() as session:
        assert await log.head(session, 0) == log.Head(2, 0)
        assert (await log.read(session, 0, 1, 10))[1] == 1


async def test_positions_are_gapless_under_concurrent_commits_and_stampers(db: Database) -> None:
    done = False
    seen: list[str] = []

    async def write(writer: int) -> None:
        chance = random.Random(writer)
        for number in range(40):
            async with db.unit_of_work() as session:
                values: dict[str, Any] = {"owner": "NL*CPA", "module": "locations", "part_ids": [], "fields": None}
                await log.append(session, [Entry(key=f"{writer}-{number}", audience="*", correlation_id="c", **values)])
                await asyncio.sleep(chance.random() * 0.01)  # rows commit in another order than they were inserted

    async def stamp(full: bool) -> None:
        while not done:
            await delivery_log.stamp(db, full)
            await asyncio.sleep(0)

    async def read() -> None:
        """A reader with a plain number as its cursor."""
        cursor = 0
        while not done or cursor < 320:
            for row in await _rows(db, cursor, 50):
                assert row.position == cursor + 1
                cursor = row.position
                seen.append(row.key)
            await asyncio.sleep(0.001)

    others = [asyncio.create_task(stamp(False)), asyncio.create_task(stamp(True)), asyncio.create_task(read())]
    await asyncio.gather(*(write(writer) for writer in range(8)))
    done = True
    await delivery_log.stamp(db, full=True)
    await asyncio.wait_for(asyncio.gather(*others), 20)
    assert sorted(seen) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(40))


async def test_batches_are_bounded_and_all_are_stamped(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        await _append(db, str(number))
    async with db.unit_of_work() as session:
        assert await log.stamp(session, 0, full=False, limit=3) == (3, 3)
    monkeypatch.setattr(log, "STAMPED_AT_ONCE", 2)
    assert await delivery_log.stamp(db) == 7
    assert [row.position for row in await _rows(db)] == list(range(1, 8))


async def test_a_row_that_commits_long_after_its_neighbours_is_found_by_the_full_scan(db: Database) -> None:
    async with db.unit_of_work() as session:
        await session.execute(text("UPDATE log_head SET low_water = 1000000"))
    await _append(db, "late")
    assert await delivery_log.stamp(db, full=False) == 0
    assert await delivery_log.stamp(db, full=True) == 1


async def test_stamping_notifies_once_a_batch_and_not_for_nothing(db: Database, database_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url, ssl=False)
    try:
        await listener.add_listener(log.CHANNEL, lambda *message: heard.put_nowait(str(message[-1])))
        await _append(db, "A")
        await _append(db, "B")
        await delivery_log.stamp(db)
        await delivery_log.stamp(db)
        assert await asyncio.wait_for(heard.get(), 5) == "0:2"
        await listener.fetchval("SELECT 1")
        assert heard.empty()
    finally:
        await listener.close()


async def test_one_receivers_part_is_filtered_and_folded_by_the_database(db: Database) -> None:
    status: dict[str, Any] = {"part_ids": ["E1"], "fields": ["status"]}
    for _ in range(3):
        await _append(db, "A", **status)
    await _append(db, "A", "DE*MSA")
    await _append(db, "A", "FR*MSB")
    await _append(db, "T", module="tariffs")
    await _append(db, "A", owner="NL*CPB")
    await delivery_log.stamp(db)
    async with db.unit_of_work() as session:
        found = await log.folded(session, 0, 0, 7, "DE*MSA", [("NL*CPA", "locations")])
        later = await log.folded(session, 0, 1, 3, "DE*MSA", [("NL*CPA", "locations"), ("NL*CPB", "locations")])
        assert await log.folded(session, 0, 0, 7, "BE*XXX", []) == []
    assert [(row.position, row.key, row.audience, row.fields) for row in found] == [
        (1, "A", "*", ["status"]),
        (4, "A", "DE*MSA", None),
    ]
    assert [row.position for row in later] == [2]


async def test_pruning_moves_the_tail_first_and_spares_what_has_no_position(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PRUNED_AT_ONCE", 2)
    for key in "ABCDE":
        await _append(db, key)
    await delivery_log.stamp(db)
    await _append(db, "unstamped")
    async with db.unit_of_work() as session:
        await session.execute(text("UPDATE change_log SET at = now() - interval '8 days' WHERE key IN ('A', 'B', 'C')"))
        await session.execute(text("UPDATE change_log SET at = now() - interval '9 days' WHERE key = 'unstamped'"))
    assert await delivery_log.prune(db) == 3
    assert await delivery_log.prune(db) is None
    assert [row.key for row in await _rows(db)] == ["D", "E"]
    async with db.unit_of_work() as session:
        assert await log.head(session, 0) == log.Head(5, 3)
    assert await delivery_log.stamp(db) == 6
    assert await delivery_log.prune(db, timedelta(0)) == 6
