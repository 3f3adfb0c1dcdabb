"""Alerts in the database: one open at a time, told in order by one process, forgotten in the end."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from hub.store import alerts
from hub.store.db import Database

HELD = ("cdr_held", "NL*LOC", "1 waits")


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def test_one_looks_after_them_at_a_time(db: Database) -> None:
    async with db.unit_of_work() as one, db.unit_of_work() as other:
        assert await alerts.lock(one)
        assert not await alerts.lock(other)
    async with db.unit_of_work() as other:
        assert await alerts.lock(other)


async def test_an_alert_is_open_once_and_may_come_again(db: Database) -> None:
    async with db.unit_of_work() as session:
        await alerts.begin(session, [HELD, ("broker_away", "broker", "gone")])
        await alerts.begin(session, [HELD])
        assert await alerts.count_open(session) == {"cdr_held": 1, "broker_away": 1}
        opened = {alert.kind: alert for alert in await alerts.every(session, cleared=False)}
        await alerts.renew(session, {opened["cdr_held"].id or 0: "2 wait"})
        await alerts.clear(session, [opened["broker_away"].id or 0])
        await alerts.begin(session, [("broker_away", "broker", "gone again")])
    async with db.unit_of_work() as session:
        found = [(alert.kind, alert.detail, alert.cleared_at is None) for alert in await alerts.every(session, True)]
    assert found == [("broker_away", "gone again", True), ("cdr_held", "2 wait", True), ("broker_away", "gone", False)]


async def test_news_come_in_order_to_one_process_and_again_after_a_pause(db: Database) -> None:
    async with db.unit_of_work() as session:
        await alerts.begin(session, [HELD])
    async with db.unit_of_work() as session:
        news = await alerts.next_news(session, 10, 600)
        assert news is not None
        assert (news.kind, news.cleared, news.tries) == ("cdr_held", False, 1)
        await alerts.clear(session, [news.id])
    async with db.unit_of_work() as session:
        assert await alerts.next_news(session, 10, 600) is None
        await session.execute(text("UPDATE alert SET tell_at = now()"))
        again = await alerts.next_news(session, 10, 600)
        assert again is not None
        assert (again.cleared, again.tries) == (False, 2)
        wait = "SELECT extract(epoch FROM tell_at - now())::float8 FROM alert"
        assert (await session.execute(text(wait))).scalar_one() == 20
        await alerts.told(session, again)
        over = await alerts.next_news(session, 10, 600)
        assert over is not None
        assert (over.cleared, over.tries) == (True, 1)
        await alerts.told(session, over)
        assert await alerts.next_news(session, 10, 600) is None


async def test_what_is_long_over_is_neither_told_nor_kept(db: Database) -> None:
    old = "INSERT INTO alert (kind, subject, detail, cleared_at) VALUES ('cdr_held', 'A', '', now() - interval '{}')"
    async with db.unit_of_work() as session:
        await session.execute(text(old.format("25 hours")))
        await session.execute(text(old.format("91 days")))
        assert await alerts.next_news(session, 10, 600) is None
        await alerts.forget(session)
        assert len(await alerts.every(session, cleared=True)) == 1
