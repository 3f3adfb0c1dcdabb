"""The engine inside a Celery worker process: one asyncio loop on a thread of its own, for as long as the process lives.

Celery's tasks are shims that poke this loop and return. A fork must not inherit a loop or connections, so everything
is opened after it.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import uvloop

from hub import telemetry
from hub.delivery.chores import Chores
from hub.delivery.engine import Engine
from hub.delivery.watchdog import Watchdog

START_TIME = 60.0
STOP_TIME = 15.0

log = telemetry.logger(__name__)

Chore = Callable[[Chores], Awaitable[None]]

Opening = Callable[[], AbstractAsyncContextManager[tuple[Engine, Chores]]]
"""Opens what the engine needs, and closes it again; the engine is started and drained here."""


class Runtime:
    """Runs one engine beside Celery."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: Engine | None = None
        self._chores: Chores | None = None
        self._stop: asyncio.Event | None = None

    def start(self, opening: Opening) -> None:
        """Start the thread and return; what is wrong with the services is logged and tried again."""
        self._thread = threading.Thread(target=self._main, args=(opening,), name="delivery", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """The bell rang."""
        if self._loop is not None and self._engine is not None:
            self._loop.call_soon_threadsafe(self._engine.wake)

    def submit(self, chore: Chore) -> None:
        """Have a chore done on the loop."""
        if self._loop is not None and self._chores is not None:
            asyncio.run_coroutine_threadsafe(_done(chore, self._chores), self._loop)

    def stop(self) -> None:
        """Drain the engine and end the thread, within 15 seconds."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(timeout=STOP_TIME)

    def _main(self, opening: Opening) -> None:
        uvloop.run(self._run(opening))

    async def _run(self, opening: Opening) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        with Watchdog(self._loop):
            await self._serve(opening, self._stop)

    async def _serve(self, opening: Opening, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with opening() as (engine, self._chores):
                    await engine.start()
                    self._engine = engine
                    await stop.wait()
                    self._engine = None
                    await engine.drain()
            except Exception as error:  # services that are not there yet: the worker waits for them
                log.error("delivery could not start, will try again in 2 s", error=repr(error))
                await asyncio.sleep(2)


async def _done(chore: Chore, chores: Chores) -> None:
    try:
        await chore(chores)
    except Exception as error:  # the next beat tries again
        log.warning("chore not done, the next beat tries again", chore=chore.__name__, error=repr(error))
