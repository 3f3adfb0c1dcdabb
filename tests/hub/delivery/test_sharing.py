"""Several workers: who has more than its share lets lanes go, cleanly, once another can take them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.delivery import engine as engines

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]
RECEIVERS = ("DE*MSA", "FR*MSB", "SE*MSC", "DK*MSD", "NO*MSE")
ALIVE = (
    "INSERT INTO heartbeat (process, kind, started_at, figures) VALUES (:process, 'worker', now(), '{}')"
    " ON CONFLICT (process) DO UPDATE SET at = now()"
)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SETTLED", 0.5)
    monkeypatch.setattr(engines, "FRESH", 3_600.0)


async def test_a_worker_that_joins_gets_its_share(
    small_hub: Any, location: Location, quick: Any, eventually: Eventually
) -> None:
    receivers = [await small_hub.receiver(code) for code in RECEIVERS]
    await small_hub.run(ALIVE, process="worker@here:1")
    async with small_hub.engine(timing=quick) as one:
        await eventually(lambda: len(one.receivers) == 5)
        await _sweeps(one, eventually)
        assert len(one.receivers) == 5  # alone it keeps them
        async with small_hub.engine(timing=quick) as two:
            await small_hub.run(ALIVE, process="worker@here:2")
            await eventually(lambda: (len(one.receivers), len(two.receivers)) == (3, 2))
            assert not one.receivers & two.receivers
            await small_hub.accept(location(1))
            one.wake()
            two.wake()
            await eventually(lambda: all(receiver.state for receiver in receivers))
        await eventually(lambda: len(one.receivers) == 5)  # the other one has ended
    assert all(len(receiver.calls) == 1 for receiver in receivers)


async def test_lanes_that_nobody_takes_come_back(
    small_hub: Any, location: Location, quick: Any, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other worker is there by its row alone: it hangs, or has just died."""
    monkeypatch.setattr(engines, "CEDED", 1.0)
    for code in RECEIVERS[:2]:
        await small_hub.receiver(code)
    async with small_hub.engine(timing=quick) as one:
        await eventually(lambda: len(one.receivers) == 2)
        for number in (1, 2):
            await small_hub.run(ALIVE, process=f"worker@here:{number}")
        await eventually(lambda: len(one.receivers) == 1)
        await eventually(lambda: len(one.receivers) == 2)


async def _sweeps(engine: Any, eventually: Eventually) -> None:
    before = engine.turns
    await eventually(lambda: engine.turns >= before + 3)
