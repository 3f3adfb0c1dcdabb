"""Holding lanes: advisory locks of one database session per worker, and the holder's name on each lane.

The locks live and die with the session, so a worker that is paused keeps its lanes and one that is killed loses them
at once. What a dead holder had under way may still arrive: its name, which only a clean release clears, tells the
next holder (or the same worker with a new session) to wait until no request of it can be alive: one send deadline,
the interval of the session checks and their timeout. A pool would release the locks, so the connection is its own; it
also listens for the notification of new positions.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
from sqlalchemy import make_url

from hub import telemetry
from hub.delivery.send import DEADLINE
from hub.store.db import APPLICATION_ROLE
from hub.store.lanes import LOCKS
from hub.store.log import CHANNEL

SETTINGS = {
    "role": APPLICATION_ROLE,
    "application_name": "knutpunkt lanes",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

log = telemetry.logger(__name__)


@dataclass(frozen=True)
class Timing:
    """Seconds between checks of the session, their timeout, and the longest a request may take."""

    check: float = 5.0
    check_timeout: float = 2.0
    deadline: float = DEADLINE

    @property
    def takeover(self) -> float:
        """How long a lane rests that its holder did not let go cleanly."""
        return self.deadline + self.check + self.check_timeout


class Holder:
    """One worker's hold on its lanes. `woken` is given each notification, `lost` called when the session is gone."""

    def __init__(
        self, url: str, woken: Callable[[str], None], lost: Callable[[], None], timing: Timing | None = None
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.timing = timing or Timing()
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._woken, self._lost = woken, lost
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()
        self._checks: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a session that can hold locks."""
        return self._connection is not None

    async def open(self) -> None:
        """Open the session."""
        connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5, server_settings=SETTINGS)
        connection.add_termination_listener(self._gone)
        await connection.add_listener(CHANNEL, lambda *message: self._woken(str(message[-1])))
        self._connection = connection
        if self._checks is None:
            self._checks = asyncio.create_task(self._check(), name="lane session")

    async def claim(self, party_ids: list[int]) -> dict[int, bool]:
        """Take the lanes that nobody holds; for each whether its former holder had let it go cleanly."""
        async with self._session() as connection:
            found = await connection.fetch(
                "SELECT id FROM unnest($1::integer[]) AS id WHERE pg_try_advisory_lock($2, id)", party_ids, LOCKS
            )
            locked = [row[0] for row in found]
            # Read after locking: what the former holder wrote is all there now.
            rows = await connection.fetch("SELECT party_id, holder FROM lane WHERE party_id = ANY($1)", locked)
            clean = {row[0]: row[1] is None for row in rows}
            await connection.execute("UPDATE lane SET holder = $2 WHERE party_id = ANY($1)", list(clean), self.name)
            await self._unlock(connection, [party_id for party_id in locked if party_id not in clean])
        return clean

    async def release(self, party_ids: list[int], clean: bool = True) -> None:
        """Let lanes go. Not `clean`: something of them may still be under way, so the name stays."""
        async with self._session() as connection:
            if clean:
                await connection.execute(
                    "UPDATE lane SET holder = NULL WHERE party_id = ANY($1) AND holder = $2", party_ids, self.name
                )
            await self._unlock(connection, party_ids)

    async def close(self) -> None:
        """End the session; what is still locked is let go, uncleanly."""
        if self._checks is not None:
            self._checks.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._checks
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)

    def drop(self) -> None:
        """Take the session for lost."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
            log.error("lane session lost: requests under way are cut off, lanes are taken again when it is back")
            self._lost()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self.timing.check)
            if self._connection is None:
                continue
            try:
                async with asyncio.timeout(self.timing.check_timeout), self._session() as connection:
                    await connection.fetchval("SELECT 1")
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.drop()

    @contextlib.asynccontextmanager
    async def _session(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection, for one user at a time. A fault on it means that the locks cannot be trusted any more."""
        async with self._turn:
            if self._connection is None:
                raise ConnectionError("there is no lane session")
            try:
                yield self._connection
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                self.drop()
                raise

    async def _unlock(self, connection: asyncpg.Connection, party_ids: list[int]) -> None:
        if party_ids:
            await connection.execute(
                "SELECT pg_advisory_unlock($2, id) FROM unnest($1::integer[]) AS id", party_ids, LOCKS
            )

    def _gone(self, connection: asyncpg.Connection) -> None:
        if connection is self._connection:
            self.drop()
