"""hub.store.lanes: cursors, owed rows and backfills, and what two writers of one row do to each other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store import lanes
from hub.store.db import Database
from hub.store.lanes import Debt
from hub.store.parties import Party

RECEIVER = "DE*MSA"
OBJECT = ("NL*CPA", "locations", "A")
WHOLE = {"": None}
STATUS = {"E1": ["status"]}


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def _lane(session: AsyncSession, code: str = RECEIVER) -> int:
    party = Party(code=code, platform_id=1, roles=["EMSP"])
    session.add(party)
    await session.flush()
    assert party.id is not None
    await lanes.open_lane(session, party.id, code)
    return party.id


async def _add(session: AsyncSession, due_in: float = 0.0, key: str = "A") -> None:
    names = {"receiver": RECEIVER, "owner": "NL*CPA", "module": "locations", "key": key, "correlation_id": "c"}
    await lanes.add(session, **names, due_in=due_in)


def _debt(**values: Any) -> Debt:
    return Debt(RECEIVER, *OBJECT, **{"need": STATUS, "correlation_id": "c"} | values)


async def _standing(session: AsyncSession) -> Debt:
    (debt,) = await lanes.standing(session, [RECEIVER], [OBJECT])
    return debt


async def test_a_lane_opens_at_the_head_and_again_when_its_party_comes_back(db: Database) -> None:
    async with db.session() as session:
        await session.execute(text("UPDATE log_head SET position = 41"))
        party_id = await _lane(session)
        assert await lanes.every(session) == {party_id: RECEIVER}
        assert await lanes.cursors(session, 0, [party_id]) == {party_id: 41}
        await session.execute(text("UPDATE log_head SET position = 50"))
        await lanes.open_lane(session, party_id, RECEIVER)
        assert await lanes.cursors(session, 0, [party_id]) == {party_id: 50}


async def test_cursors_never_go_back_and_not_from_below_the_tail(db: Database) -> None:
    async with db.session() as session:
        one, other = await _lane(session), await _lane(session, "FR*MSB")
        assert await lanes.advance(session, 0, {one: 10, other: 5}) == {one, other}
        await lanes.advance(session, 0, {one: 3})
        assert await lanes.cursors(session, 0, [one, other]) == {one: 10, other: 5}
        await session.execute(text("UPDATE log_head SET tail = 7"))
        assert await lanes.advance(session, 0, {one: 12, other: 12}) == {one}
        assert await lanes.fallen(session, 0, [one, other]) == [other]
        assert await lanes.cursors(session, 0, [one, other]) == {one: 12, other: 5}


async def test_a_debt_is_due_in_its_time_and_taken_away_by_its_mark(db: Database) -> None:
    async with db.session() as session:
        await _add(session, due_in=60)
        assert await lanes.due(session, [RECEIVER], 10) == []
        waiting = await _standing(session)
        assert waiting.need == WHOLE
        assert 50 < waiting.delay <= 60
        await _add(session)
        (due,) = await lanes.due(session, [RECEIVER, "FR*MSB"], 10)
        await lanes.settle(session, [waiting.mark or 0])
        assert await _standing(session) == due
        await lanes.settle(session, [due.mark or 0])
        assert await lanes.standing(session, [RECEIVER], [OBJECT]) == []


async def test_what_is_due_is_limited_for_each_receiver_longest_due_first(db: Database) -> None:
    async with db.session() as session:
        for key in "ABC":
            await _add(session, due_in=-ord(key), key=key)
        await session.execute(text("UPDATE owed SET parked = true WHERE key = 'C'"))
        assert [debt.key for debt in await lanes.due(session, [RECEIVER], 10)] == ["B", "A"]
        assert [debt.key for debt in await lanes.due(session, [RECEIVER], 1)] == ["B"]


async def test_a_failure_is_written_and_written_anew_with_the_mark_it_was_read_with(db: Database) -> None:
    async with db.session() as session:
        marks = await lanes.owe(session, [_debt(tries=1, delay=5.0, reason="HTTP 500")])
        first = await _standing(session)
        assert marks == {(RECEIVER, *OBJECT): first.mark}
        assert (first.need, first.tries, first.reason) == (STATUS, 1, "HTTP 500")
        again = await lanes.owe(session, [_debt(need={"E2": None}, tries=8, parked=True, mark=first.mark)])
        second = await _standing(session)
        assert (second.need, second.tries, second.parked) == ({"E2": None}, 8, True)
        assert again == {(RECEIVER, *OBJECT): second.mark}
        assert second.mark != first.mark


@pytest.mark.parametrize("stale", [None, 1_000_000])
async def test_a_row_that_somebody_else_wrote_meanwhile_is_not_the_lanes_to_take_away(
    db: Database, stale: int | None
) -> None:
    async with db.session() as session:
        await _add(session, due_in=10)
        assert await lanes.owe(session, [_debt(tries=8, parked=True, mark=stale)]) == {}
        kept = await _standing(session)
        assert (kept.need, kept.parked, kept.tries) == (WHOLE, False, 0)
        assert kept.delay > 5


async def test_two_partial_needs_of_two_writers_become_the_whole_object(db: Database) -> None:
    async with db.session() as session:
        await lanes.owe(session, [_debt()])
        await lanes.owe(session, [_debt()])
        assert (await _standing(session)).need == STATUS
        await lanes.owe(session, [_debt(need={"E2": None})])
        assert (await _standing(session)).need == WHOLE


async def test_owing_it_outright_unparks_it(db: Database) -> None:
    async with db.session() as session:
        await lanes.owe(session, [_debt(tries=8, parked=True)])
        await _add(session)
        (debt,) = await lanes.due(session, [RECEIVER], 10)
        assert (debt.tries, debt.parked, debt.need) == (0, False, WHOLE)


async def test_a_backfill_begun_again_is_another_one(db: Database) -> None:
    async with db.session() as session:
        pairs = [("NL*CPA", "locations"), ("NL*CPA", "tariffs")]
        await lanes.start_backfill(session, RECEIVER, pairs, "registration", "c")
        first, second = await lanes.backfills(session, [RECEIVER])
        await lanes.progress(session, {first.id: 7}, [second.id])
        (walk,) = await lanes.backfills(session, [RECEIVER])
        assert (walk.id, walk.last_id, walk.module) == (first.id, 7, "locations")
        await lanes.start_backfill(session, RECEIVER, pairs[:1], "resync", "c2")
        await lanes.progress(session, {first.id: 9}, [])
        (again,) = await lanes.backfills(session, [RECEIVER, "FR*MSB"])
        assert (again.last_id, again.reason, again.correlation_id) == (0, "resync", "c2")
