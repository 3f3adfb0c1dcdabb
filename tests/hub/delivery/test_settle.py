"""hub.delivery.settle: cursor and owed rows move in one commit; what was not committed is sent again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from hub.delivery import settle
from hub.delivery.lanes import Lane, Settlement
from hub.delivery.policy import Next
from hub.delivery.settle import Facts, Settler
from hub.ocpi.types import PartyId

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]
LOC = "/locations/NL/CPA/Loc%201"


def _lane(party_id: int) -> Lane:
    """A lane with one object that landed and one that failed."""
    lane = Lane(party_id, PartyId("DE", "MSA"), 0)
    for position, key in enumerate("AB", 1):
        lane.change(position, ("NL*CPA", "locations", key), {"": None}, "c")
    lane.read_to = 2
    landed, failed = lane.take(0), lane.take(0)
    assert landed is not None
    assert failed is not None
    lane.landed(landed)
    lane.failed(failed, Next(1, 30.0, False), "HTTP 500")
    return lane


async def _party_id(small_hub: Any) -> int:
    await small_hub.receiver("DE*MSA")
    ((party_id,),) = await small_hub.run("SELECT party_id FROM lane WHERE receiver = 'DE*MSA'")
    assert isinstance(party_id, int)
    return party_id


async def test_the_cursor_and_what_it_leaves_behind_are_one_commit(small_hub: Any) -> None:
    settlement = _lane(await _party_id(small_hub)).settlement(0.0)
    assert settlement is not None
    async with small_hub.db.session() as session:
        await settle.write(session, [settlement], Facts())
        await session.rollback()
    assert (await small_hub.cursors())["DE*MSA"] == 0
    assert await small_hub.run("SELECT key FROM owed") == []
    async with small_hub.db.session() as session:
        await settle.write(session, [settlement], Facts())
    assert (await small_hub.cursors())["DE*MSA"] == 2
    assert await small_hub.run("SELECT key, tries, reason FROM owed") == [("B", 1, "HTTP 500")]


async def test_outcomes_wait_for_a_database_that_is_away(small_hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lane = _lane(await _party_id(small_hub))
    settler = Settler(small_hub.db, lambda _: None, lambda: None)
    away, write = [True, True], settle.write

    async def sometimes(session: Any, settlements: list[Settlement], facts: Facts) -> settle.Written:
        if away:
            away.pop()
            raise OperationalError("", {}, Exception("gone"))
        return await write(session, settlements, facts)

    monkeypatch.setattr(settle, "write", sometimes)
    monkeypatch.setattr(settle, "PAUSE_AFTER_ERROR", 0.01)
    task = asyncio.create_task(settler.run())
    settler.touch(lane)
    await small_hub.becomes("SELECT key FROM owed", [("B",)])
    task.cancel()
    assert (await small_hub.cursors())["DE*MSA"] == 2


async def test_what_is_known_of_a_dropped_lane_is_still_written(small_hub: Any) -> None:
    settler = Settler(small_hub.db, lambda _: None, lambda: None)
    settler.keep(_lane(await _party_id(small_hub)))
    assert settler.behind
    await settler.settle()
    assert not settler.behind
    assert (await small_hub.cursors())["DE*MSA"] == 2


async def test_a_lane_below_the_tail_is_reported_and_its_cursor_stays(small_hub: Any) -> None:
    party_id = await _party_id(small_hub)
    await small_hub.run("UPDATE log_head SET tail = 1")
    fallen: list[int] = []
    settler = Settler(small_hub.db, fallen.append, lambda: None)
    settler.touch(_lane(party_id))
    await settler.settle()
    assert fallen == [party_id]
    assert (await small_hub.cursors())["DE*MSA"] == 0


async def test_what_was_sent_and_not_committed_is_sent_again_after_a_crash(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.accept(location(1, "newest"))
    write = settle.write

    async def crash(*_: Any) -> settle.Written:
        raise OperationalError("", {}, Exception("gone"))

    monkeypatch.setattr(settle, "write", crash)
    async with small_hub.engine():
        await eventually(lambda: msa.calls)
    assert (await small_hub.cursors())["DE*MSA"] == 0
    monkeypatch.setattr(settle, "write", write)
    await small_hub.run("UPDATE lane SET holder = NULL")
    async with small_hub.engine():
        await eventually(lambda: len(msa.calls) == 2)
        await small_hub.becomes("SELECT position FROM lane_cursor ORDER BY position DESC LIMIT 1", [(1,)])
    assert msa.methods() == [("PUT", LOC), ("PUT", LOC)]
