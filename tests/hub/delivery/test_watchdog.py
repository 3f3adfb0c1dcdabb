"""A loop that is stuck ends its process; one that is busy, or a process that was paused, does not."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable

import pytest

from hub.delivery import watchdog
from hub.delivery.watchdog import Watchdog
from hub.settings import CHECKOUT

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

STUCK = """
import asyncio, time
from hub.delivery import watchdog
watchdog.STUCK = 5
async def main():
    with watchdog.Watchdog(asyncio.get_running_loop(), turn=0.02):
        time.sleep(60)
asyncio.run(main())
"""


def test_a_stuck_loop_ends_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", STUCK], cwd=CHECKOUT, capture_output=True, timeout=50)
    assert ended.returncode == -9
    assert b"delivery is stuck" in ended.stdout + ended.stderr


async def test_a_loop_that_turns_is_left_alone(monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> None:
    """It blocks again and again, but never for long."""
    monkeypatch.setattr(watchdog, "STUCK", 20)
    ended, blocking = threading.Event(), threading.Event()
    with Watchdog(asyncio.get_running_loop(), ended.set, turn=0.01) as dog:
        for _ in range(30):
            blocking.wait(0.02)
            await asyncio.sleep(0)
        await eventually(lambda: dog._missed <= 1)
    assert not ended.is_set()
    dog._thread.join(5)
    assert not dog._thread.is_alive()
