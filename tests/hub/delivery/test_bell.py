"""hub.delivery.bell: many rings, few tasks, and no harm when Redis is away."""

import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio

from hub.delivery import bell as bells
from hub.delivery import broker
from hub.delivery.bell import Bell

Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def bell(redis_url: str) -> Iterator[Bell]:
    made = Bell(redis_url)
    made.start()
    yield made
    made.stop()


async def test_a_ring_becomes_one_task_without_content(bell: Bell, redis_url: str) -> None:
    for _ in range(1000):
        bell.ring()
    async with redis.asyncio.from_url(redis_url) as client:
        popped = await client.brpop([broker.PUSH], timeout=10)
        assert popped is not None
        message: dict[str, Any] = json.loads(popped[1])
        assert message["headers"]["task"] == bells.TASK
        assert message["headers"]["ignore_result"]
        assert (message["headers"]["eta"], message["headers"]["retries"]) == (None, 0)
        assert await client.llen(broker.PUSH) <= 3


async def test_nobody_at_the_door_is_not_rung_at_for_ever(
    bell: Bell, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "CHECK_EVERY", 0.02)
    monkeypatch.setattr(bells, "LONG_QUEUE", 5)
    async with redis.asyncio.from_url(redis_url) as client:
        longest = 0
        for _ in range(30):
            bell.ring()
            longest = max(longest, await client.llen(broker.PUSH))
            await client.blpop(["nothing comes here"], timeout=0.01)
        assert 0 < longest < 30


async def test_without_redis_a_ring_costs_nothing_and_the_breaker_opens(
    eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "FIRST_BREAK", 0.05)
    made = Bell("redis://127.0.0.1:1/0")
    tries: list[int] = []
    original = made._queue_length

    def count() -> int:
        tries.append(1)
        return original()

    monkeypatch.setattr(made, "_queue_length", count)
    made.start()
    for _ in range(10_000):
        made.ring()
    await eventually(lambda: tries)
    made.ring()
    await eventually(lambda: len(tries) > 1)
    assert len(tries) < 10
    made.stop()


def test_a_bell_that_was_not_started_is_silent(redis_url: str) -> None:
    made = Bell(redis_url)
    made.ring()
    made.stop()
    assert "bell" not in {thread.name for thread in threading.enumerate()}
