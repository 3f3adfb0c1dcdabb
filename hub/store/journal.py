"""The journal of hops: noted in memory on the hot path, written to the database in batches.

A crash loses at most what the last flush interval noted; nothing but `knutpunkt trace` depends on it.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import insert

from hub.store import messages
from hub.store.db import Database

log = structlog.get_logger(__name__)

FLUSH_INTERVAL = 0.25
CAPACITY = 20_000


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of a message: who asked whom for what, what the hub decided, what was answered and how long it took."""

    correlation_id: str
    request_id: str
    sender: str
    receiver: str
    method: str
    what: str
    decision: str
    http_status: int | None = None
    status_code: int | None = None
    ms: int | None = None
    detail: str | None = None


Note = Callable[[Hop], None]


class Journal:
    """Buffers hops and writes them every quarter of a second."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._hops: list[dict[str, object]] = []
        self._dropped = 0
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def note(self, hop: Hop) -> None:
        """Remember one hop; an overloaded hub loses hops rather than memory."""
        if len(self._hops) >= CAPACITY:
            self._dropped += 1
        else:
            self._hops.append({"at": datetime.now(UTC), **asdict(hop)})

    async def start(self) -> None:
        """Begin to flush in the background."""
        self._task = asyncio.create_task(self._run(), name="journal")

    async def stop(self) -> None:
        """Write what is left and end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Write what was noted so far; when it returns, that is written (or given up)."""
        async with self._turn:
            hops, self._hops = self._hops, []
            if hops:
                await self._write(hops)
            if self._dropped:
                log.warning("hops dropped, trace will miss them", hops=self._dropped)
                self._dropped = 0

    async def _write(self, hops: list[dict[str, object]]) -> None:
        try:
            async with self._db.unit_of_work() as session:
                await session.execute(insert(messages.Hop), hops)
        except Exception as error:  # the journal must never take the exchange down with it
            log.warning("hops not written, trace will miss them", hops=len(hops), error=repr(error))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            await self.flush()
