"""The ledger's chain in the database: made by it, for whoever enters a CDR, and changed by nobody."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from hub.store import chain, ledger
from hub.store.db import Database

AT = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def facts(number: int, owner: str = "NL*CPA", **more: Any) -> dict[str, Any]:
    """A CDR's columns."""
    amounts = {"total_energy": Decimal("12.500"), "total_excl_vat": Decimal("0.10"), "total_incl_vat": None}
    times = {"start_date_time": AT, "end_date_time": AT, "last_updated": AT}
    ids = {"owner": owner, "key": f"CDR{number}", "session_key": None, "credit_of": None}
    return {**ids, "receiver": "DE*MSA", "hash": bytes([number % 256]), "currency": "EUR", **amounts, **times, **more}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The application's way to the database."""
    database = Database(database_url)
    yield database
    await database.close()


async def enter(db: Database, number: int, **more: Any) -> None:
    async with db.unit_of_work() as session:
        await ledger.record(session, facts(number, **more), "{}", "delivered", None)


async def entries(db: Database, owner: str = "NL*CPA") -> list[chain.Entry]:
    async with db.unit_of_work() as session:
        return list(await chain.page(session, owner, 0, 1000))


def holds(found: list[chain.Entry]) -> bool:
    """Whether these entries are a whole chain."""
    before = [chain.START, *(entry.entry_hash for entry in found)]
    return all(
        entry.number == place + 1 and entry.prev == prev and chain.entry_hash(entry, prev) == entry.entry_hash
        for place, (entry, prev) in enumerate(zip(found, before, strict=False))
    )


async def test_the_database_and_the_product_make_the_same_hash(db: Database) -> None:
    odd = ["plain", 'quote " and \\ and \n\t\x01\x7f', "Ünïcödé 🚗", ""]
    seed = random.Random(7)
    for number in range(40):
        amount = Decimal(seed.randrange(-(10**12), 10**12)).scaleb(-seed.randrange(12))
        moment = datetime.fromtimestamp(seed.randrange(-(10**9), 4 * 10**9), UTC).replace(
            microsecond=seed.randrange(10**6)
        )
        await enter(
            db, number, total_energy=amount, total_incl_vat=seed.choice([None, amount]), end_date_time=moment,
            session_key=seed.choice([None, *odd]), currency=seed.choice(odd),
            findings=seed.sample(odd, seed.randrange(4)),
        )  # fmt: skip
    found = await entries(db)
    assert len(found) == 40
    assert holds(found)


async def test_entries_made_at_once_stand_in_one_chain_per_owner(db: Database) -> None:
    await asyncio.gather(*(enter(db, number, owner=f"NL*CP{'AB'[number % 2]}") for number in range(40)))
    for owner in ("NL*CPA", "NL*CPB"):
        found = await entries(db, owner)
        assert len(found) == 20
        assert holds(found)
    async with db.unit_of_work() as session:
        heads = await chain.heads(session)
        assert [(head.owner, head.number) for head in heads] == [("NL*CPA", 20), ("NL*CPB", 20)]
        assert await chain.strays(session) == []


async def test_what_is_rolled_back_leaves_no_gap(db: Database) -> None:
    await enter(db, 1)
    with pytest.raises(ledger.AlreadyEntered):
        await enter(db, 1)
    await enter(db, 2)
    assert [entry.number for entry in await entries(db)] == [1, 2]


async def test_an_entry_of_the_release_before_is_chained_as_well(db: Database, database_url: str) -> None:
    """It goes on while the schema is new, and knows no chain."""
    old = text(
        "INSERT INTO cdr (owner, key, public_id, receiver, hash, currency, total_energy, start_date_time,"
        " end_date_time, last_updated) VALUES ('NL*CPA', 'OLD', 'x', 'DE*MSA', 'h', 'EUR', 1.5, now(), now(), now())"
    )
    await enter(db, 1)
    async with db.unit_of_work() as session:
        await session.execute(old)
    await enter(db, 2)
    found = await entries(db)
    assert [entry.key for entry in found] == ["CDR1", "OLD", "CDR2"]
    assert holds(found)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cdr SET receiver = 'X'",
        "UPDATE cdr SET receiver = 'X' WHERE false",
        "DELETE FROM cdr",
        "TRUNCATE cdr",
        "TRUNCATE cdr CASCADE",
        "UPDATE ledger_head SET number = 7",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_head",
        "INSERT INTO ledger_head VALUES ('FR*CPB', 1, '', '')",
    ],
)
async def test_nobody_changes_the_ledger(db: Database, database_url: str, statement: str) -> None:
    await enter(db, 1)
    owner = await asyncpg.connect(database_url, ssl=False)
    try:
        with pytest.raises(asyncpg.RestrictViolationError, match="the ledger only grows"):
            await owner.execute(statement)
    finally:
        await owner.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with db.unit_of_work() as session:
            await session.execute(text(statement))
    assert holds(await entries(db))
