"""Work that a process does again and again, for as long as it lives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from hub import telemetry
from hub.store.db import FAULTS

log = telemetry.logger(__name__)


@asynccontextmanager
async def repeating(what: str, work: Callable[[], Awaitable[None]], every: float) -> AsyncIterator[None]:
    """Do `work` in the background until the block ends, with `every` seconds in between.

    What fails is done again the next time. The log calls it `what`, in words for the operator.
    """
    task = asyncio.create_task(_repeat(what, work, every), name=what)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _repeat(what: str, work: Callable[[], Awaitable[None]], every: float) -> None:
    while True:
        try:
            await work()
        except FAULTS as error:
            log.warning(f"{what}: waits for the database, will try again", error=repr(error)[:300])
        except Exception:  # a fault of ours: the work must go on, and the operator must see it
            log.exception(f"{what}: stumbled, will try again")
        await asyncio.sleep(every)
