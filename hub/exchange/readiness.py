"""Whether this API process can serve: what a proxy or a scheduler must know before it sends anybody here.

The database must take a write (one that is read-only, full or hangs does not), its schema must be this release's or a
later one, and the picture of parties and agreements must be fresh. Redis is not asked, the hub works without it.
"""

import asyncio
import time

from sqlalchemy import text

from hub.exchange.context import Hub
from hub.store import migrate
from hub.store.db import FAULTS
from hub.store.heartbeats import Pulse

PATIENCE = 2.0
STALE = 15.0
"""Seconds without a look at the directory, which is looked at every second."""

_REVISION = text("SELECT version_num FROM alembic_version")


class Readiness:
    """Of one process."""

    def __init__(self, hub: Hub, pulse: Pulse) -> None:
        self._hub, self._pulse = hub, pulse
        self._migrated = False
        self._draining = False

    def drain(self) -> None:
        """From now on it is to get no requests: it was asked to end."""
        self._draining = True

    async def trouble(self) -> str | None:
        """What keeps this process from serving, in a word or two; None when nothing does."""
        if self._draining:
            return "draining"
        try:
            async with asyncio.timeout(PATIENCE):
                await self._pulse.write()
                if not self._migrated and not await self._schema_fits():
                    return "migrations pending"
        except FAULTS as error:
            return f"database: {type(error).__name__}"
        self._migrated = True
        return "directory stale" if time.monotonic() - self._hub.directory.looked_at > STALE else None

    async def _schema_fits(self) -> bool:
        """A revision that this release does not know is a later one's: during an upgrade both run side by side."""
        async with self._hub.db.unit_of_work() as unit:
            found = (await unit.execute(_REVISION)).scalar_one()
        return found == migrate.newest() or not migrate.is_known(found)
