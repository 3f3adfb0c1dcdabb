"""hub.delivery.dispatch: budgets, turns, and what one bad object or receiver costs the others."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.delivery import compose, dispatch, policy
from hub.delivery.policy import Judgement, Verdict
from hub.store import parked
from hub.store.parked import Which

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]


class Gauge:
    """How many requests a platform sees at once, and in which order parties are served."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.order: list[str] = []

    async def __call__(self, call: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.order.append(call.headers["OCPI-to-party-id"])
        await asyncio.sleep(0.01)
        self.now -= 1


async def test_the_parties_of_a_platform_share_its_budget_in_turn(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    await small_hub.run("UPDATE party SET platform_id = :id WHERE code = 'FR*MSB'", id=msa.platform_id)
    await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await small_hub.directory.refresh()
    gauge = msa.before = Gauge()
    for number in range(30):
        await small_hub.accept(location(1) | {"id": f"L{number}"})
    async with small_hub.engine(budget=4):
        await eventually(lambda: len(msa.calls) == 60)
    assert gauge.most == 4
    assert not msb.calls
    middle = gauge.order[10:50]
    assert 15 <= middle.count("MSA") <= 25


async def test_a_receiver_that_hangs_slows_nobody_else(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    released = asyncio.Event()

    async def hang(_: Any) -> None:
        await released.wait()

    msa.before = hang
    async with small_hub.engine() as engine:
        for number in range(30):
            await small_hub.accept(location(1) | {"id": f"L{number}"})
        engine.wake()
        await eventually(lambda: len(msb.state) == 30)
        assert not msa.state
        released.set()
        await eventually(lambda: len(msa.state) == 30)


async def test_an_object_that_cannot_be_composed_does_not_stop_the_lane(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    whole = compose.messages

    def poisoned(module: Any, need: Any, own: Any, everybody: Any) -> list[compose.Message]:
        if everybody.key == "POISON":
            raise ValueError("poison")
        return whole(module, need, own, everybody)

    monkeypatch.setattr(compose, "messages", poisoned)
    for name in ("A", "POISON", "B"):
        await small_hub.accept(location(1) | {"id": name})
    async with small_hub.engine():
        await eventually(lambda: len(msa.state) == 2)
        await small_hub.becomes("SELECT key, reason FROM owed", [("POISON", "the hub could not send it: ValueError")])


async def test_counters_and_the_hook_tell_what_became_of_each_object(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (200, 2001) if call.body["id"] == "BAD" else (200, 1000)
    told: list[Judgement] = []
    await small_hub.accept(location(1) | {"id": "BAD"})
    await small_hub.accept(location(1) | {"id": "GOOD"})
    async with small_hub.engine(outcome=told.append) as engine:
        await eventually(lambda: len(told) == 2)
        assert (engine.delivered, engine.failed) == (1, 1)
    assert {judgement.verdict for judgement in told} == {Verdict.DELIVERED, Verdict.REFUSED}


async def test_a_drain_lets_what_is_under_way_end(small_hub: Any, location: Location, eventually: Eventually) -> None:
    msa = await small_hub.receiver("DE*MSA")
    begun, released = asyncio.Event(), asyncio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await released.wait()

    msa.before = hang
    await small_hub.accept(location(1))
    async with small_hub.engine() as engine:
        await asyncio.wait_for(begun.wait(), 20)
        draining = asyncio.create_task(engine.drain(limit=10))
        await asyncio.sleep(0)
        released.set()
        await draining
    assert len(msa.state) == 1
    assert (await small_hub.cursors())["DE*MSA"] == 1
    assert await small_hub.run("SELECT holder FROM lane WHERE holder IS NOT NULL") == []


async def test_a_drain_that_must_cut_something_off_leaves_its_name_on_the_lane(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.receiver("FR*MSB")
    begun = asyncio.Event()

    async def hang(_: Any) -> None:
        begun.set()
        await asyncio.sleep(60)

    msa.before = hang
    await small_hub.accept(location(1))
    async with small_hub.engine() as engine:
        await asyncio.wait_for(begun.wait(), 20)
        await engine.drain(limit=0.05)
    found = await small_hub.run("SELECT receiver, holder FROM lane WHERE holder IS NOT NULL")
    assert found == [("DE*MSA", engine.name)]
    assert (await small_hub.cursors())["DE*MSA"] == 0


@pytest.mark.parametrize(
    ("quirks", "expected"),
    [
        ({}, ("PATCH", "/locations/NL/CPA/Loc%201/E1")),
        ({"patch": "no"}, ("PUT", "/locations/NL/CPA/Loc%201/E1")),
        ({"slash": True}, ("PATCH", "/locations/NL/CPA/Loc%201/E1/")),
    ],
)
async def test_the_quirks_of_a_receiver_are_heeded(
    small_hub: Any, location: Location, eventually: Eventually, quirks: dict[str, Any], expected: tuple[str, str]
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.run("UPDATE platform SET quirks = CAST(:quirks AS jsonb)", quirks=json.dumps(quirks))
    await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await small_hub.directory.refresh()
    await small_hub.accept(location(2, E1=(2, "CHARGING")), part_ids=["E1"], fields=["status", "last_updated"])
    async with small_hub.engine():
        await eventually(lambda: msa.calls)
    assert msa.methods()[0] == expected


async def test_a_receiver_that_is_known_to_answer_soon_is_not_waited_for_longer(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.run("UPDATE platform SET quirks = '{\"timeout\": 1}'")
    await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await small_hub.directory.refresh()

    async def hang(_: Any) -> None:
        await asyncio.sleep(5)

    msa.before = hang
    await small_hub.accept(location(1))
    async with small_hub.engine():
        await eventually(lambda: small_hub.hops)
    assert "within 1 s" in small_hub.hops[0].detail


async def test_what_a_receiver_always_refuses_is_parked_with_its_answer_and_all_else_arrives(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "PLAN", (0.01, 0.02, 0.02, 0.02, 0.02, 0.02))
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    msa.answer = lambda call: (200, 2001) if call.body["id"].startswith("BAD") else (200, 1000)
    for number in range(550):
        await small_hub.accept(location(1) | {"id": f"BAD{number}" if number % 11 == 0 else f"GOOD{number}"})
    async with small_hub.engine() as engine:
        await eventually(lambda: len(msa.state) == 500 and len(msb.state) == 550)
        await small_hub.becomes("SELECT count(*) FROM owed WHERE parked", [(50,)])
        assert await small_hub.run("SELECT DISTINCT tries, reason, sample FROM owed") == [
            (8, "PUT answered HTTP 200, status_code 2001",
             '{"status_code": 2001, "data": [], "timestamp": "2026-01-01T00:00:00Z"}')
        ]  # fmt: skip
        bad = [call.body["id"] for call in msa.calls if call.body["id"].startswith("BAD")]
        assert {bad.count(name) for name in bad} == {8}
        msa.answer = lambda call: (200, 1000)
        async with small_hub.db.unit_of_work() as session:
            assert await parked.replay(session, Which(receiver="DE*MSA")) == 50
        engine.wake()
        await eventually(lambda: len(msa.state) == 550)
        await small_hub.becomes("SELECT count(*) FROM owed", [(0,)])


async def test_many_that_come_back_at_once_share_few_requests_and_leave_room_for_the_others(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    back = [await small_hub.receiver(f"DE*M{number:02}", status="OFFLINE") for number in range(10)]
    well = await small_hub.receiver("FR*MSB")
    gauge = Gauge()
    for number in range(30):
        await small_hub.accept(location(1) | {"id": f"L{number}"})

    async def measure(call: Any) -> None:
        if call.method != "GET":  # which is a probe: they are back
            await gauge(call)

    for receiver in back:
        receiver.before = measure
    async with small_hub.engine() as engine:
        await eventually(lambda: all(len(receiver.state) == 30 for receiver in (*back, well)))
        assert gauge.most <= dispatch.RETURNING_AT_ONCE + len(back)  # of 80 that their budgets would allow
        await small_hub.accept(location(2) | {"id": "NEW"})
        engine.wake()
        await eventually(lambda: all(len(receiver.state) == 31 for receiver in (*back, well)))
        assert not any(line.health.returning for line in engine._dispatcher.lines.values())


async def test_a_platform_without_short_retry_is_asked_for_its_versions_at_once(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA", short_retry=False)
    msa.answer = lambda call: (200, 1000) if call.path == "/versions" else (503, 3000)
    await small_hub.accept(location(1))
    async with small_hub.engine():
        await eventually(lambda: ("GET", "/versions") in msa.methods())
        assert len(msa.calls) == 2
        ((wait,),) = await small_hub.run("SELECT extract(epoch FROM next_try_at - now())::float8 FROM platform"
                                         " WHERE name = 'DE*MSA'")  # fmt: skip
        assert 20 < wait < 40


async def test_one_without_short_retry_that_does_not_answer_is_offline_after_one_failure(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA", short_retry=False)
    msa.answer = lambda call: (503, 3000)
    await small_hub.accept(location(1))
    async with small_hub.engine():
        await small_hub.becomes("SELECT status FROM platform WHERE name = 'DE*MSA'", [("OFFLINE",)])
        assert msa.methods()[1:] == [("GET", "/versions")]
