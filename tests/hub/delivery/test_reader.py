"""hub.delivery.reader: the tail read once for all, and lanes that are behind reading for themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.delivery import dispatch, engine, log, reader

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]


async def test_a_receiver_that_was_away_gets_each_object_once_in_its_newest_state(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    await small_hub.run("UPDATE platform SET stopped_reason = 'away' WHERE name = 'DE*MSA'")
    async with small_hub.engine() as worker:
        for minute in range(1, 6):
            for number in range(10):
                await small_hub.accept(location(minute) | {"id": f"L{number}"})
            worker.wake()
        await eventually(
            lambda: len(msb.state) == 10 and all(b == b | {"last_updated": _minute(5)} for b in msb.state.values())
        )
        assert not msa.calls
        await small_hub.run("UPDATE platform SET stopped_reason = NULL")
        await eventually(lambda: len(msa.state) == 10)
        await small_hub.accept(location(6) | {"id": "LIVE"})
        worker.wake()
        await eventually(lambda: len(msa.state) == 11)
    assert len(msa.calls) == 11
    assert {body["last_updated"] for path, body in msa.state.items() if "LIVE" not in path} == {_minute(5)}


async def test_a_slow_receiver_leaves_the_tail_and_misses_nothing(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FULL": 5, "LOW": 2, "AT_ONCE": 7}.items():
        monkeypatch.setattr(reader, name, value)
    for module in (engine, dispatch):
        monkeypatch.setattr(module, "LOW", 2)
    monkeypatch.setattr(engine, "FULL", 5)
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")

    async def slow(_: Any) -> None:
        await asyncio.sleep(0.005)

    msa.before = slow
    async with small_hub.engine(budget=1) as worker:
        for minute in range(1, 4):
            for number in range(30):
                await small_hub.accept(location(minute) | {"id": f"L{number}"})
                worker.wake()
        newest = {f"/locations/NL/CPA/L{number}": _minute(3) for number in range(30)}
        await eventually(lambda: _stamps(msa) == _stamps(msb) == newest)
    for receiver in (msa, msb):
        for path in newest:
            stamps = [call.body["last_updated"] for call in receiver.calls if call.path == path]
            assert stamps == sorted(stamps)
    assert len(msa.calls) < 90


async def test_what_another_worker_stamped_is_heard(small_hub: Any, location: Location, eventually: Eventually) -> None:
    """No bell: only the notification of new positions wakes this one before its sweep."""
    msa = await small_hub.receiver("DE*MSA")
    async with small_hub.engine() as worker:
        await eventually(lambda: worker.receivers and worker.turns > 2)
        turns = worker.turns
        await small_hub.accept(location(1))
        await log.stamp(small_hub.db)
        await eventually(lambda: msa.calls and worker.turns > turns)


@pytest.mark.parametrize("state", [("SUSPENDED", "push"), ("CONNECTED", "pull")])
async def test_who_is_not_pushed_to_has_no_lane_until_it_is(
    small_hub: Any, location: Location, eventually: Eventually, state: tuple[str, str]
) -> None:
    msa = await small_hub.receiver("DE*MSA")

    async def becomes(status: str, resync: str) -> None:
        names = {"status": status, "resync": resync}
        await small_hub.run("UPDATE platform SET status = :status, resync = :resync WHERE name = 'DE*MSA'", **names)
        await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")

    async with small_hub.engine() as worker:
        await eventually(lambda: worker.receivers == {"DE*MSA"})
        await becomes(*state)
        await eventually(lambda: not worker.receivers)
        await small_hub.becomes("SELECT holder FROM lane WHERE holder IS NOT NULL", [])
        await small_hub.accept(location(1))
        worker.wake()
        await becomes("CONNECTED", "push")
        await eventually(lambda: msa.state)


def _stamps(receiver: Any) -> dict[str, str]:
    return {path: body["last_updated"] for path, body in receiver.state.items()}


def _minute(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"
