"""hub.delivery.backfill: full deliveries, by object, resumed after a crash."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.delivery import backfill, reader

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]


async def _fill(small_hub: Any, location: Location, count: int) -> None:
    """Locations that the log does not tell of any more."""
    for number in range(count):
        await small_hub.accept(location(1) | {"id": f"L{number}"})
    await small_hub.run("DELETE FROM change_log")


async def _start(small_hub: Any, receiver: str, module: str = "locations", reason: str = backfill.REGISTRATION) -> None:
    async with small_hub.db.unit_of_work() as session:
        await backfill.start(session, receiver, [("NL*CPA", module)], reason, "c-backfill")


async def test_a_new_receiver_gets_everything_once_and_nobody_else_does(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE_SIZE", 3)
    await _fill(small_hub, location, 10)
    msa, msb = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    await _start(small_hub, "DE*MSA")
    async with small_hub.engine():
        await small_hub.becomes("SELECT id FROM backfill", [])
    assert sorted(msa.state) == sorted(f"/locations/NL/CPA/L{number}" for number in range(10))
    assert len(msa.calls) == 10
    assert msa.calls[0].headers["X-Correlation-ID"] == "c-backfill"
    assert not msb.calls


async def test_it_walks_objects_not_rows_and_sends_what_the_receiver_sees(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.accept(location(1, "all"))
    await small_hub.accept(location(2, "own"), audience="DE*MSA")
    await small_hub.accept(location(3, "somebody else's"), audience="FR*MSB")
    await small_hub.run("DELETE FROM change_log")
    await _start(small_hub, "DE*MSA")
    async with small_hub.engine():
        await small_hub.becomes("SELECT id FROM backfill", [])
    assert [call.body["name"] for call in msa.calls] == ["own"]


@pytest.mark.parametrize(("reason", "calls"), [(backfill.REGISTRATION, 0), (backfill.RESUMED, 1)])
async def test_tombstones_only_go_to_who_may_hold_the_object(
    small_hub: Any, location: Location, reason: str, calls: int
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.accept(location(1), module="tariffs", deleted=True)
    await small_hub.run("DELETE FROM change_log")
    await _start(small_hub, "DE*MSA", "tariffs", reason)
    async with small_hub.engine():
        await small_hub.becomes("SELECT id FROM backfill", [])
    assert [method for method, _ in msa.methods()] == ["DELETE"] * calls


async def test_a_backfill_goes_on_where_its_last_page_was_committed(
    small_hub: Any, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PAGE_SIZE", 2)
    await _fill(small_hub, location, 6)
    msa = await small_hub.receiver("DE*MSA")
    await _start(small_hub, "DE*MSA")
    await small_hub.run("UPDATE backfill SET last_id = (SELECT id FROM object WHERE key = 'L3')")
    async with small_hub.engine():
        await small_hub.becomes("SELECT id FROM backfill", [])
    assert sorted(msa.state) == ["/locations/NL/CPA/L4", "/locations/NL/CPA/L5"]


async def test_an_object_that_fails_is_owed_and_does_not_hold_up_the_rest(small_hub: Any, location: Location) -> None:
    await _fill(small_hub, location, 3)
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (200, 2001) if call.body["id"] == "L1" else (200, 1000)
    await _start(small_hub, "DE*MSA")
    async with small_hub.engine():
        await small_hub.becomes("SELECT id FROM backfill", [])
        await small_hub.becomes("SELECT key FROM owed", [("L1",)])
    assert sorted(msa.state) == ["/locations/NL/CPA/L0", "/locations/NL/CPA/L2"]


@pytest.mark.parametrize("cause", ["below the tail", "far behind"])
async def test_a_lane_that_the_log_left_behind_gets_a_full_delivery_and_goes_on_live(
    small_hub: Any, location: Location, eventually: Eventually, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await _fill(small_hub, location, 3)
    if cause == "below the tail":
        await small_hub.run("UPDATE log_head SET position = 100, tail = 90")
    else:
        monkeypatch.setattr(reader, "TOO_FAR", 50)
        await small_hub.run("UPDATE log_head SET position = 100")
    async with small_hub.engine() as engine:
        await eventually(lambda: len(msa.state) == 3)
        await small_hub.becomes("SELECT id FROM backfill", [])
        assert (await small_hub.cursors())["DE*MSA"] == 100
        await small_hub.accept(location(5) | {"id": "LIVE"})
        engine.wake()
        await eventually(lambda: "/locations/NL/CPA/LIVE" in msa.state)
        await small_hub.becomes("SELECT max(position) FROM lane_cursor", [(101,)])
