"""The worker's own watchdog: a loop that is stuck holds its lanes, and nothing but the end of the process frees them.

It counts turns of its own, not time: a whole process that was paused (SIGSTOP, a machine that slept) is as good as
before, and goes on.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable

from hub import telemetry

STUCK = 30
"""Turns, of a second each, without a turn of the loop."""

log = telemetry.logger(__name__)


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog:
    """Watches a loop from a thread of its own, and ends the process (`end`) when the loop is stuck."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, end: Callable[[], None] = _end_process, turn: float = 1.0
    ) -> None:
        self._loop, self._end, self._turn = loop, end, turn
        self._missed = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._turn):
            self._missed += 1
            if self._missed > STUCK:
                log.critical("delivery is stuck: this process ends at once, so that others take its lanes")
                self._end()
                return
            try:
                self._loop.call_soon_threadsafe(self._heard)
            except RuntimeError:  # the loop is closed
                return

    def _heard(self) -> None:
        self._missed = 0
