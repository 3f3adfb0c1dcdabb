"""The unit of work: SQL as text on the driver, in one transaction that is kept whole or not at all."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text

from hub.store.db import Database, DatabaseUnable, positional

VALUE = text("SELECT value FROM counter WHERE name = 'directory'")
RAISE = text("UPDATE counter SET value = :value WHERE name = 'directory'")
SLOW = text("SELECT pg_sleep(5)")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A database with one connection, so that one that is lost is missed."""
    database = Database(database_url, pool_size=1)
    yield database
    await database.close()


async def _value(db: Database) -> int:
    async with db.unit_of_work() as unit:
        return int((await unit.execute(VALUE)).scalar_one())


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :b, :a", ("SELECT $1, $2, $1", ("a", "b"))),
        ("SELECT x::text, CAST(:x AS text)", ("SELECT x::text, CAST($1 AS text)", ("x",))),
        ("SELECT 1", ("SELECT 1", ())),
    ],
)
def test_names_become_the_drivers_numbers(sql: str, expected: tuple[str, tuple[str, ...]]) -> None:
    assert positional(text(sql).text) == expected


async def test_rows_are_read_by_place_name_and_attribute(db: Database) -> None:
    async with db.unit_of_work() as unit:
        rows = await unit.execute(
            text("SELECT n, n * 2 AS twice, '{\"a\": 1}'::jsonb AS j FROM generate_series(1, 2) n")
        )
        nothing = await unit.execute(text("SELECT 1 WHERE false"))
    assert [(row[0], row["twice"], row.j, dict(row)["n"]) for row in rows] == [(1, 2, {"a": 1}, 1), (2, 4, {"a": 1}, 2)]
    assert (rows.scalars().all(), rows.first().n, nothing.first(), nothing.one_or_none()) == ([1, 2], 1, None, None)
    for wrong in (rows.one, rows.one_or_none, nothing.one):
        with pytest.raises(LookupError):
            wrong()
    with pytest.raises(AttributeError):
        _ = rows[0].none_such


async def test_what_fails_leaves_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await _raise_and_fail(db)
    assert await _value(db) == 1


async def _raise_and_fail(db: Database) -> None:
    async with db.unit_of_work() as unit:
        await unit.execute(RAISE, {"value": 99})
        raise ZeroDivisionError


async def test_a_transaction_that_failed_inside_is_not_taken_for_kept(db: Database) -> None:
    with pytest.raises(DatabaseUnable, match="nothing of it was kept"):
        await _swallow(db)
    assert await _value(db) == 1


async def _swallow(db: Database) -> None:
    async with db.unit_of_work() as unit:
        await unit.execute(RAISE, {"value": 99})
        try:
            await unit.execute(text("SELECT 1 / 0"))
        except Exception:
            return


async def test_who_is_cancelled_gives_the_connection_back_clean(db: Database) -> None:
    for _ in range(5):  # more often than there are connections
        with pytest.raises(TimeoutError):
            await _cancelled(db)
    assert await _value(db) == 1


async def _cancelled(db: Database) -> None:
    async with asyncio.timeout(0.05), db.unit_of_work() as unit:
        await unit.execute(RAISE, {"value": 99})
        await unit.execute(SLOW)


async def test_a_connection_that_is_ended_is_told_and_replaced(db: Database) -> None:
    with pytest.raises(DatabaseUnable):
        await _ended(db)
    assert await _value(db) == 1


async def _ended(db: Database) -> None:
    async with db.unit_of_work() as unit:
        await unit.execute(RAISE, {"value": 99})
        (pid,) = (await unit.execute(text("SELECT pg_backend_pid()"))).one()
        owner = await asyncpg.connect(db.url, ssl=False)
        await owner.execute("SELECT pg_terminate_backend($1)", pid)
        await owner.close()
        await unit.execute(VALUE)


async def test_a_database_that_is_away_is_unable() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnable, match="no connection"):
        await _value(away)
    await away.close()


async def test_everybody_waits_for_a_free_connection(db: Database) -> None:
    assert await asyncio.gather(*(_value(db) for _ in range(20))) == [1] * 20


async def test_names_are_quoted_whatever_they_hold(db: Database) -> None:
    async with db.unit_of_work("NL'; DROP TABLE counter; --") as unit:
        assert (await unit.execute(text("SELECT current_setting('hub.party')"))).scalar_one().startswith("NL'; DROP")
    assert await _value(db) == 1


async def test_nothing_of_one_unit_is_left_for_the_next(db: Database) -> None:
    async with db.unit_of_work("DE*MSA") as unit:
        await unit.execute(text("SELECT pg_advisory_xact_lock(1)"))
    async with db.unit_of_work() as unit:
        locks = await unit.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1"))
        party = await unit.execute(text("SELECT current_setting('hub.party'), current_user"))
        assert (locks.scalar_one(), *party.one()) == (0, "*", "knutpunkt_app")


async def test_a_statement_alone_names_its_party_and_leaves_none_behind(db: Database) -> None:
    named = text("WITH me AS MATERIALIZED (SELECT set_config('hub.party', :party, true) AS party) SELECT party FROM me")
    assert (await db.alone(named, {"party": "NL*CPA"})).scalar_one() == "NL*CPA"
    assert not (await db.alone(text("SELECT current_setting('hub.party', true)"), {})).scalar_one()
    async with db.unit_of_work() as unit:
        await unit.execute(
            text(
                "INSERT INTO object (owner, module, key, audience, body, times, last_updated)"
                " VALUES ('NL*CPA', 'locations', 'L', '*', '{}', '{}', now())"
            )
        )
    assert (await db.alone(text("SELECT count(*) FROM object WHERE audience <> '*'"), {})).scalar_one() == 0


async def test_a_statement_alone_that_hangs_is_given_up_with_its_connection(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.store.db._PATIENCE", 0.2)
    with pytest.raises(DatabaseUnable):
        await db.alone(SLOW, {})
    monkeypatch.undo()
    assert await _value(db) == 1
