"""Lists for GET ALL, held against a plain reading of the rows: what is on the pages, in which order, and how many."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hub.ocpi.paging import PageQuery
from hub.store import pages
from hub.store.db import Database
from hub.store.pages import Page

READER = "DE*MSA"
OWNERS = ["NL*CPA", "NL*CPB", "NL*CPC"]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
Row = tuple[int, str, str, str, datetime, datetime, bool]
"""id, owner, key, audience, last_updated, stored_at, deleted."""


def scattered(seed: int, own: bool) -> list[Row]:
    """Rows in every state that counts: for everybody, for the reader, for another, alive and dead, older and newer."""
    dice = random.Random(seed)
    audiences = ["*", "FR*MSB", READER] if own else ["*", "FR*MSB"]
    identities = list(itertools.product([*OWNERS, "NL*NOT"], [f"L{n}" for n in range(8)], audiences))
    dice.shuffle(identities)
    return [
        (
            number + 1,
            *identity,
            BEGAN + timedelta(minutes=dice.randrange(6)),
            BEGAN + timedelta(hours=1, seconds=dice.randrange(3)),
            dice.random() < 0.3,
        )
        for number, identity in enumerate(identities[: dice.randrange(20, len(identities))])
    ]


def listed(rows: list[Row], page: PageQuery) -> list[tuple[int, str]]:
    """Place and name of every object that the reader sees between the dates, in order."""
    by_name: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        if row[1] in OWNERS and row[3] in ("*", READER):
            by_name.setdefault((row[1], row[2]), {})[row[3]] = row
    found = []
    for (owner, key), views in by_name.items():
        own, everybody = views.get(READER), views.get("*")
        place = everybody if everybody is not None and not everybody[6] else own
        hides = own is not None and own[6] and everybody is not None and own[4:6] >= everybody[4:6]
        if place is None or place[6] or hides:
            continue
        changed = max(row[4] for row in (own, everybody) if row is not None and not row[6])
        if (page.date_from is None or changed >= page.date_from) and (page.date_to is None or changed < page.date_to):
            found.append((place[0], f"{owner}/{key}"))
    return sorted(found)


def names(page: Page) -> list[str]:
    bodies = [item.decode() if isinstance(item, bytes) else item[1].body for item in page.items]
    return [name for body in bodies for name in body.split(",")]


def queries() -> Iterator[PageQuery]:
    dates = [None, BEGAN + timedelta(minutes=2), BEGAN + timedelta(minutes=4)]
    for date_from, date_to in itertools.product(dates, dates):
        for offset in (0, 3, 50):
            yield PageQuery(date_from, date_to, offset, limit=4)


async def store(db: Database, rows: list[Row]) -> None:
    async with db.unit_of_work() as session:
        for row in rows:
            await session.execute(
                text(
                    "INSERT INTO object (id, owner, module, key, audience, body, times, last_updated, stored_at,"
                    " deleted) VALUES (:id, :owner, 'locations', :key, :audience, :body, '{}', :changed, :stored,"
                    " :deleted)"
                ),
                dict(zip(("id", "owner", "key", "audience", "changed", "stored", "deleted"), row, strict=True))
                | {"body": f"{row[1]}/{row[2]}"},
            )


@pytest.mark.catalogue("TF-024", "TF-025", "TF-034")
@pytest.mark.parametrize("few", [0, 5_000])
@pytest.mark.parametrize(("seed", "own"), [(seed, seed % 3 > 0) for seed in range(6)])
async def test_pages_hold_what_the_rows_say(
    database_url: str, monkeypatch: pytest.MonkeyPatch, seed: int, own: bool, few: int
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    rows, db = scattered(seed, own), Database(database_url)
    try:
        await store(db, rows)
        for query in queries():
            wanted = listed(rows, query)
            page = await pages.objects(db, "locations", READER, OWNERS, query)
            assert page.total == len(wanted)
            assert names(page) == [name for _, name in wanted[query.offset :][:4]]
            assert page.count == len(names(page))
            assert page.more == (len(wanted) > query.offset + 4)
            for after, _ in wanted[3:9:3]:
                onward = PageQuery(query.date_from, query.date_to, 99, 3, after, page.total)
                page = await pages.objects(db, "locations", READER, OWNERS, onward)
                assert names(page) == [name for place, name in wanted if place > after][:3]
    finally:
        await db.close()


async def test_objects_are_counted_as_they_come_go_and_come_back(database_url: str) -> None:
    db = Database(database_url)
    try:
        await store(db, [(n, OWNERS[0], f"L{n}", "*", BEGAN, BEGAN, n == 4) for n in range(1, 7)])
        counted = [5]
        for change in (
            "UPDATE object SET last_updated = now() WHERE id < 4",
            "UPDATE object SET deleted = true WHERE id < 3",
            "UPDATE object SET deleted = false WHERE id IN (2, 4)",
            "DELETE FROM object WHERE id IN (1, 5)",
        ):
            async with db.unit_of_work() as session:
                await session.execute(text(change))
            counted.append((await pages.objects(db, "locations", READER, OWNERS, PageQuery())).total)
        assert counted == [5, 5, 3, 5, 4]
    finally:
        await db.close()
