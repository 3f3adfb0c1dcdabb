"""The migrations: they make just what the tables say, can be run twice at once, and set up the application's role."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from hub.store import migrate
from hub.store.db import Database, driver_url
from hub.store.tables import METADATA


def test_the_migrated_schema_is_the_one_of_the_tables(database_url: str) -> None:
    engine = create_engine(driver_url(database_url, "psycopg"))
    with engine.connect() as connection:
        no_partitions = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith("hop_")}
        differences = compare_metadata(MigrationContext.configure(connection, opts=no_partitions), METADATA)
    engine.dispose()
    assert differences == []
    assert migrate.current(database_url) == migrate.newest()


async def test_migrating_again_and_at_once_changes_nothing(database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate.upgrade, database_url) for _ in range(3)))
    assert migrate.current(database_url) == migrate.newest()


async def test_a_party_sees_its_own_and_what_is_for_everybody(database_url: str) -> None:
    db = Database(database_url)
    insert = text(
        "INSERT INTO object (owner, module, key, audience, body, times, last_updated)"
        " VALUES (:owner, 'locations', :key, :audience, '{}', '{}', now())"
    )
    try:
        async with db.session() as session:
            for key, audience in [("ALL", "*"), ("A", "DE*MSA"), ("B", "FR*MSB")]:
                await session.execute(insert, {"owner": "NL*CPA", "key": key, "audience": audience})
        for party, seen in [
            ("DE*MSA", "A ALL"),
            ("FR*MSB", "ALL B"),
            ("NL*CPA", "A ALL B"),
            ("*", "A ALL B"),
            ("", "ALL"),
        ]:
            async with db.session(party) as session:
                keys = (await session.execute(text("SELECT key FROM object ORDER BY key"))).scalars()
                assert " ".join(keys) == seen
        async with db.session("DE*MSA") as session:
            foreign = {"owner": "NL*CPA", "key": "C", "audience": "*"}
            with pytest.raises(DBAPIError, match="row-level security"):
                await session.execute(insert, foreign)
            await session.rollback()
    finally:
        await db.close()


async def test_a_failed_unit_of_work_leaves_nothing(database_url: str) -> None:
    db = Database(database_url)
    try:
        with pytest.raises(ZeroDivisionError):
            await _fail(db)
        async with db.session() as session:
            values = (await session.execute(text("SELECT value FROM counter"))).scalars().all()
        assert 99 not in values
    finally:
        await db.close()


async def _fail(db: Database) -> None:
    async with db.session() as session:
        await session.execute(text("UPDATE counter SET value = 99"))
        raise ZeroDivisionError
