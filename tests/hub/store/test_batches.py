"""hub.store.batches: one transaction for many callers, of one party, each key once, and nobody pays for another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import asyncpg
import pytest
from sqlalchemy import TextClause, text

from hub.store import batches
from hub.store.batches import Batches
from hub.store.db import Database, DatabaseUnable, Unit

WRITE = text(
    "INSERT INTO note (number, party) SELECT n, current_setting('hub.party') FROM unnest(CAST(:n AS bigint[])) n"
)
END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state = 'idle in transaction'"
)
WRITTEN = text("SELECT number FROM note ORDER BY id")
BY_WHOM = text("SELECT party || number FROM note ORDER BY 1")
BAD = -1
"""What its bringer hears is wrong with it."""
HUGE = 2**31
"""What the column does not take."""


class Note(NamedTuple):
    key: str
    number: int


class Notes:
    """Writes numbers, as many at once as come; `held` lets nobody go on."""

    def __init__(self, db: Database) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.all = Batches(db, self.write, lambda note: note.key)

    async def write(self, unit: Unit, notes: Sequence[Note]) -> list[int | Exception]:
        self.batches.append([note.number for note in notes])
        good = [note.number for note in notes if note.number != BAD]
        if good:
            await unit.execute(WRITE, {"n": good})
        self.begun.set()
        await self.free.wait()
        return [ValueError("bad") if note.number == BAD else note.number for note in notes]

    def bring(self, *numbers: int, key: str = "", party: str = "*") -> list[asyncio.Task[int]]:
        """Somebody for each number; without a `key` each is of its own."""
        return [asyncio.create_task(self.all.add(party, Note(key or f"{number}", number))) for number in numbers]

    async def under_way(self) -> None:
        """Wait for a batch to have begun."""
        async with asyncio.timeout(10):
            await self.begun.wait()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    owner = await asyncpg.connect(database_url)
    await owner.execute("CREATE TABLE note (id serial, number integer, party text); GRANT ALL ON note TO knutpunkt_app")
    await owner.execute("GRANT ALL ON SEQUENCE note_id_seq TO knutpunkt_app")
    await owner.close()
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def notes(db: Database) -> Notes:
    return Notes(db)


async def _written(db: Database, statement: TextClause = WRITTEN) -> list[object]:
    async with db.unit_of_work() as unit:
        return list((await unit.execute(statement)).scalars())


async def test_one_alone_goes_at_once_and_who_comes_meanwhile_goes_together(notes: Notes, db: Database) -> None:
    notes.free.clear()
    first = notes.bring(1)
    await notes.under_way()
    others = notes.bring(2, 3, 4)
    await asyncio.sleep(0)
    assert notes.batches == [[1]]
    notes.free.set()
    assert await asyncio.gather(*first, *others) == [1, 2, 3, 4]
    assert notes.batches == [[1], [2, 3, 4]]
    assert await _written(db) == [1, 2, 3, 4]


async def test_nobody_is_answered_before_the_commit(notes: Notes, db: Database) -> None:
    notes.free.clear()
    (brought,) = notes.bring(1)
    await notes.under_way()
    assert (await _written(db), brought.done()) == ([], False)
    notes.free.set()
    assert await brought == 1
    assert await _written(db) == [1]


async def test_of_one_key_there_is_one_in_a_batch_and_their_order_stays(notes: Notes, db: Database) -> None:
    brought = [*notes.bring(1, 2, 3, key="a"), *notes.bring(10), *notes.bring(4, key="a")]
    assert await asyncio.gather(*brought) == [1, 2, 3, 10, 4]
    assert notes.batches == [[1, 10], [2], [3], [4]]


async def test_a_batch_is_bounded(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    await asyncio.gather(*notes.bring(1, 2, 3, 4, 5))
    assert notes.batches == [[1, 2], [3, 4], [5]]


async def test_a_batch_is_of_one_party_and_in_its_name(notes: Notes, db: Database) -> None:
    brought = [*notes.bring(1, 2, party="NL*CPA"), *notes.bring(3, party="NL*CPB"), *notes.bring(4, party="NL*CPA")]
    await asyncio.gather(*brought)
    assert sorted(notes.batches) == [[1, 2, 4], [3]]
    assert await _written(db, BY_WHOM) == ["NL*CPA1", "NL*CPA2", "NL*CPA4", "NL*CPB3"]


async def test_what_is_wrong_with_one_is_no_concern_of_the_others(notes: Notes, db: Database) -> None:
    found = await asyncio.gather(*notes.bring(1, BAD, 2), return_exceptions=True)
    assert (found[0], str(found[1]), found[2]) == (1, "bad", 2)
    assert await _written(db) == [1, 2]


async def test_what_the_database_refuses_is_found_out_one_by_one(notes: Notes, db: Database) -> None:
    found = await asyncio.gather(*notes.bring(1, HUGE, 2), return_exceptions=True)
    assert (found[0], found[2]) == (1, 2)
    assert isinstance(found[1], asyncpg.DataError)
    assert notes.batches == [[1, HUGE, 2], [1], [HUGE], [2]]
    assert await _written(db) == [1, 2]


async def test_a_fault_of_the_database_is_everybodys_and_over_with_it(
    notes: Notes, db: Database, database_url: str
) -> None:
    notes.free.clear()
    brought = notes.bring(1, 2)
    await notes.under_way()
    owner = await asyncpg.connect(database_url)
    await owner.execute(END)
    await owner.close()
    notes.free.set()
    found = await asyncio.gather(*brought, return_exceptions=True)
    assert [type(one) for one in found] == [DatabaseUnable, DatabaseUnable]
    assert await asyncio.gather(*notes.bring(3)) == [3]
    assert (notes.batches, await _written(db)) == ([[1, 2], [3]], [3])


async def test_who_is_gone_before_the_turn_is_left_out_and_after_it_costs_nobody_anything(
    notes: Notes, db: Database
) -> None:
    notes.free.clear()
    (first,) = notes.bring(1)
    await notes.under_way()
    waiting, other = notes.bring(2, 3)
    await asyncio.sleep(0)
    first.cancel()
    waiting.cancel()
    notes.free.set()
    assert await other == 3
    assert (first.cancelled(), waiting.cancelled()) == (True, True)
    assert (notes.batches, await _written(db)) == ([[1], [3]], [1, 3])


async def test_nothing_is_left_behind(notes: Notes) -> None:
    notes.free.clear()
    (only,) = notes.bring(1)
    await notes.under_way()
    (cancelled,) = notes.bring(2)
    await asyncio.sleep(0)
    cancelled.cancel()
    notes.free.set()
    await only
    await asyncio.sleep(0)
    assert (notes.all._waiting, notes.all._tasks) == ({}, {})
