"""hub.delivery.holder: one holder for each lane, whoever dies in whatever way."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hub.delivery.holder import Holder, Timing

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]
HOLDERS = "SELECT receiver, holder FROM lane WHERE holder IS NOT NULL ORDER BY receiver"


@pytest.fixture
async def holders(small_hub: Any, quick: Timing) -> AsyncIterator[Callable[[], Awaitable[Holder]]]:
    """Makes holders that are closed at the end."""
    made: list[Holder] = []

    async def make(woken: Callable[[str], None] = lambda _: None, lost: Callable[[], None] = lambda: None) -> Holder:
        holder = Holder(small_hub.db.url, woken, lost, quick)
        await holder.open()
        made.append(holder)
        return holder

    yield make
    for holder in made:
        await holder.close()


async def test_a_lane_has_one_holder_and_its_name_is_cleared_when_it_is_let_go(small_hub: Any, holders: Any) -> None:
    await small_hub.receiver("DE*MSA")
    ((party_id,),) = await small_hub.run("SELECT party_id FROM lane WHERE receiver = 'DE*MSA'")
    one, other = await holders(), await holders()
    assert await one.claim([party_id, 999_999]) == {party_id: True}
    assert await other.claim([party_id]) == {}
    assert await small_hub.run(HOLDERS) == [("DE*MSA", one.name)]
    await one.release([party_id])
    assert await small_hub.run(HOLDERS) == []
    assert await other.claim([party_id]) == {party_id: True}


async def test_a_name_that_was_not_cleared_is_told(small_hub: Any, holders: Any) -> None:
    await small_hub.receiver("DE*MSA")
    ((party_id,),) = await small_hub.run("SELECT party_id FROM lane WHERE receiver = 'DE*MSA'")
    one, other = await holders(), await holders()
    await one.claim([party_id])
    await one.close()
    assert await other.claim([party_id]) == {party_id: False}
    await other.release([party_id], clean=False)
    assert await small_hub.run(HOLDERS) == [("DE*MSA", other.name)]


async def test_a_lost_session_is_noticed(small_hub: Any, holders: Any, eventually: Eventually) -> None:
    lost: list[bool] = []
    holder = await holders(lost=lambda: lost.append(True))
    await small_hub.cut_lane_sessions()
    await eventually(lambda: lost == [True])
    assert not holder.alive
    with pytest.raises(ConnectionError):
        await holder.claim([1])
    await holder.open()
    assert holder.alive


async def test_new_positions_wake_the_holder(small_hub: Any, holders: Any, eventually: Eventually) -> None:
    heard: list[str] = []
    await holders(woken=heard.append)
    await small_hub.run("SELECT pg_notify('change_log', '0:7')")
    await eventually(lambda: heard == ["0:7"])


async def test_two_engines_never_serve_one_lane_and_the_second_takes_over(
    small_hub: Any, location: Location, eventually: Eventually, quick: Timing
) -> None:
    receivers = [await small_hub.receiver(f"DE*M{number:02}") for number in range(6)]
    under_way: dict[str, int] = {}

    async def alone(call: Any) -> None:
        """No receiver may see two requests about one object at once."""
        key = f"{call.headers['OCPI-to-party-id']} {call.path}"
        under_way[key] = under_way.get(key, 0) + 1
        assert under_way[key] == 1
        await asyncio.sleep(0.005)
        under_way[key] -= 1

    for receiver in receivers:
        receiver.before = alone
    async with small_hub.engine(timing=quick) as second:
        async with small_hub.engine(timing=quick) as first:
            await eventually(lambda: len(first.receivers | second.receivers) == 6)
            assert not first.receivers & second.receivers
            for minute in range(1, 11):
                await small_hub.accept(location(minute, E1=(minute, "A")))
                first.wake()
            await eventually(
                lambda: all(r.state.get("/locations/NL/CPA/Loc%201") == location(10, E1=(10, "A")) for r in receivers)
            )
        begun = time.monotonic()
        await eventually(lambda: len(second.receivers) == 6)
        assert time.monotonic() - begun < 10
        await small_hub.accept(location(11))
        second.wake()
        await eventually(lambda: all(r.state["/locations/NL/CPA/Loc%201"] == location(11) for r in receivers))


async def test_a_lane_that_was_not_let_go_rests_for_the_takeover_wait(
    small_hub: Any, location: Location, eventually: Eventually, quick: Timing
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    await small_hub.run("UPDATE lane SET holder = 'a worker that was killed' WHERE receiver = 'DE*MSA'")
    await small_hub.accept(location(1))
    begun = time.monotonic()
    async with small_hub.engine(timing=quick) as engine:
        await eventually(lambda: msa.calls)
        assert time.monotonic() - begun >= quick.takeover
        assert await small_hub.run(HOLDERS) == [("DE*MSA", engine.name)]
    assert await small_hub.run(HOLDERS) == []


async def test_a_lost_session_cuts_off_what_is_under_way_and_the_lane_rests_first(
    small_hub: Any, location: Location, eventually: Eventually, quick: Timing
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    hanging = asyncio.Event()

    async def hang(call: Any) -> None:
        if not hanging.is_set():
            hanging.set()
            await asyncio.sleep(60)

    msa.before = hang
    await small_hub.accept(location(1))
    async with small_hub.engine(timing=quick) as engine:
        await asyncio.wait_for(hanging.wait(), 20)
        await small_hub.cut_lane_sessions()
        lost_at = time.monotonic()
        await eventually(lambda: not engine.receivers)
        await eventually(lambda: msa.state)
        assert time.monotonic() - lost_at >= quick.takeover
    assert msa.state["/locations/NL/CPA/Loc%201"] == location(1)
