"""Signs of life: when each platform was last heard, written every second for those that were.

A worker reads it: a platform that is OFFLINE and calls is probed at once, so that it does not wait for the next probe.
"""

import asyncio
import contextlib

import structlog
from sqlalchemy import text

from hub.store import rotations
from hub.store.db import Database

log = structlog.get_logger(__name__)

INTERVAL = 1.0
_SEEN = text("UPDATE platform SET last_seen_at = now() WHERE id = ANY(CAST(:ids AS integer[]))")


class Presence:
    """Collects who was heard; `heard` costs an insertion into a set."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._heard: set[int] = set()
        self._shown: set[bytes] = set()
        self._task: asyncio.Task[None] | None = None

    def heard(self, platform_id: int) -> None:
        """A valid request of this platform came in."""
        self._heard.add(platform_id)

    def shown(self, token_hash: bytes) -> None:
        """This token came in, of a platform whose tokens are being renewed (hub.exchange.renewal)."""
        self._shown.add(token_hash)

    async def start(self) -> None:
        """Begin to write in the background."""
        self._task = asyncio.create_task(self._run(), name="presence")

    async def stop(self) -> None:
        """End; a second of signs of life may be lost."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            heard, self._heard = self._heard, set()
            shown, self._shown = self._shown, set()
            if not heard:
                continue
            try:
                async with self._db.unit_of_work() as session:
                    await session.execute(_SEEN, {"ids": sorted(heard)})
                    if shown:
                        await rotations.shown(session, sorted(shown))
            except Exception as error:  # the database may be away; the next second writes again
                log.warning("signs of life not written", platforms=len(heard), error=repr(error)[:300])
