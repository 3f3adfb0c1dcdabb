"""A hub on a restored database: lists first, then deliveries; of others only what was owed."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import restored
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from modules.catalog import CATALOG


class WithoutLists(CpoBackend):
    """A CPO that only pushes."""

    modules = (("tokens", "RECEIVER"), ("commands", "RECEIVER"))


@pytest.fixture
async def pusher(running: Any) -> AsyncIterator[WithoutLists]:
    """NL*CPB, connected, offers no list."""
    async with WithoutLists("NL*CPB") as platform:
        await running.join(platform, "CPO")
        yield platform


async def rows(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def push(platform: CpoBackend, names: Iterable[str]) -> None:
    code = str(platform.parties[0])
    for name in names:
        body = samples.location(code, id=name)
        assert (await platform.send("PUT", "locations", *code.split("*"), name, to=platform.hub, body=body)).ok


async def resume(running: Any) -> restored.Restored:
    hub = running.hub
    return await restored.resume(hub.db, hub.seal, CATALOG, hub.settings)


async def test_only_what_was_owed_is_owed_and_lists_are_asked_for(
    running: Any, cpo: CpoBackend, pusher: WithoutLists, emsp: Emsp
) -> None:
    """Without a worker nothing is delivered: all of it is owed, stamped or not."""
    await push(cpo, ["LOC1", "LOC2"])
    await push(pusher, ["LOC3", "LOC4"])
    found = await resume(running)
    assert found.owed == 2
    assert ("NL*CPA", "locations") in found.read
    assert ("NL*CPB", "locations") in found.not_read
    owed = await rows(running, "SELECT receiver, owner, key FROM owed ORDER BY key")
    assert owed == [("DE*MSA", "NL*CPB", "LOC3"), ("DE*MSA", "NL*CPB", "LOC4")]
    behind = "SELECT count(*) FROM lane_cursor c JOIN log_head h USING (shard) WHERE c.position <> h.position"
    assert await rows(running, behind) == [(0,)]
    asked = await rows(running, "SELECT wanted FROM pull WHERE module = 'locations' AND next_at <= now()")
    assert asked == [("full",)]
    assert await rows(running, "SELECT FROM backfill WHERE owner = 'NL*CPA' AND module = 'locations'") == []


async def test_a_list_is_delivered_when_it_has_been_read(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await push(cpo, ["LOC1"])
    await resume(running)
    assert await restored.turn(running.hub) == 0
    await rows(running, "UPDATE pull SET full_at = now() + interval '1 second' WHERE module = 'locations' RETURNING 1")
    assert await restored.turn(running.hub) == 1
    assert await rows(running, "SELECT receiver, owner, module, reason FROM backfill") == [
        ("DE*MSA", "NL*CPA", "locations", restored.REASON)
    ]
    assert await restored.turn(running.hub) == 0


async def test_a_list_that_cannot_be_read_does_not_hold_its_delivery_up(
    running: Any, cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resume(running)
    lists = len(await rows(running, "SELECT FROM restored_list"))
    await rows(running, "UPDATE pull SET failures = 1 WHERE module = 'tariffs' RETURNING 1")
    assert await restored.turn(running.hub) == 1
    monkeypatch.setattr(restored, "PATIENCE", 0.0)
    assert await restored.turn(running.hub) == lists - 1


async def test_what_was_done_twice_is_as_if_done_once(running: Any, pusher: WithoutLists, emsp: Emsp) -> None:
    await push(pusher, ["LOC1"])
    first, again = await resume(running), await resume(running)
    assert (first.owed, again.owed) == (1, 0)
    assert len(await rows(running, "SELECT FROM owed")) == 1


async def test_cdrs_in_custody_stay_owed_and_are_doubtful(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await emsp.go_away()
    cdr = samples.cdr(samples.session(of=samples.token()) | {"kwh": 1}, samples.location(), samples.tariff())
    assert (await cpo.post_cdr(cdr, to="DE*MSA")).http_status == 201
    assert (await resume(running)).custody == 1
    assert await rows(running, "SELECT doubtful FROM cdr_intent") == [(True,)]
    await emsp.come_back()


async def test_a_lane_that_had_fallen_off_the_log_gets_everything(
    running: Any, pusher: WithoutLists, emsp: Emsp
) -> None:
    await push(pusher, ["LOC1"])
    await rows(running, "UPDATE log_head SET tail = 1, position = 5 RETURNING 1")
    await resume(running)
    assert ("NL*CPB", "locations") in await rows(running, "SELECT owner, module FROM backfill")


async def test_numbers_that_chargers_were_given_are_not_given_again(running: Any) -> None:
    ((before,),) = await rows(running, "SELECT nextval('transaction_number')")
    await resume(running)
    ((after,),) = await rows(running, "SELECT nextval('transaction_number')")
    assert after > before + 9_000
