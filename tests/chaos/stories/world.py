"""A hub for a story: its API on a port and its workers on threads of their own in this process, as the real processes
run them; a PostgreSQL whose commits can be stopped, partners on sockets. A worker that must be paused or killed is a
process (`Process`)."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from hub import worker
from hub.delivery import log
from hub.delivery.runtime import Runtime
from hub.exchange import handshake
from hub.exchange.context import Hub
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.platform import Platform
from hub.sandbox.wire import Answer
from hub.settings import CHECKOUT, Settings
from tests.chaos.stories.partner import Partner, named
from tests.chaos.stories.promise import until

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
BRAKE = 7_300_001
"""The advisory lock that a commit waits for."""

_TRIGGER = f"""
CREATE FUNCTION brake() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_advisory_xact_lock_shared({BRAKE}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER brake AFTER {{event}} ON {{table}} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
{{when}} EXECUTE FUNCTION brake();
"""
_BRAKED = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"


def at(second: int) -> str:
    """A moment of the story, as OCPI writes it."""
    return format_datetime(START + timedelta(seconds=second))


class Brake:
    """Transactions wait at their commit, until they are let through or their database sessions are ended."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def caught(self) -> bool:
        """Whether a commit waits."""
        return bool(await self._connection.fetch(_BRAKED, BRAKE))

    async def catches(self) -> None:
        """Wait until a commit waits."""
        await until(self.caught, "no commit came")

    async def crash(self) -> None:
        """The database loses the transactions that wait; from now on commits go through."""
        for waiting in await self._connection.fetch(_BRAKED, BRAKE):
            await self._connection.execute("SELECT pg_terminate_backend($1)", waiting["pid"])
        await self.release()

    async def release(self) -> None:
        """What waits is committed, and what comes later."""
        await self._connection.execute(f"SELECT pg_advisory_unlock({BRAKE})")


@dataclass
class World:
    """The hub, its CPO NL*CPA, and whoever joins."""

    settings: Settings
    hub: Hub
    operator: httpx.AsyncClient
    folder: Path
    stack: contextlib.AsyncExitStack
    cpo: CpoBackend = field(default_factory=lambda: CpoBackend("NL*CPA"))
    _runtimes: list[Runtime] = field(default_factory=list)

    async def join(self, platform: Platform) -> None:
        """A platform starts, is invited and registers."""
        await self.stack.enter_async_context(platform)
        await self.register(platform)

    async def register(self, platform: Platform) -> None:
        """A platform is invited and registers. Raises Refused."""
        invited = [(party, platform.role) for party in platform.parties]
        token_a = await handshake.invite(self.hub, platform.name, invited)
        await platform.register(self.hub.versions_url, token_a)

    async def partner(self, party: str = "DE*MSA") -> Partner:
        """An eMSP that has joined."""
        partner = Partner(party)
        await self.join(partner)
        return partner

    async def put(self, location_id: str, second: int = 0, to: Any = None) -> Answer:
        """The CPO pushes a Location under the name "v" and the second, to everybody; and the bell rings."""
        location = named(samples.location(id=location_id, at=at(second)), f"v{second}")
        answer = await self.cpo.put_location(location, to=to or self.cpo.hub)
        self.ring()
        return answer

    async def accepted(self, location_id: str, second: int = 0, to: Any = None) -> None:
        """The same, and the hub takes it."""
        answer = await self.put(location_id, second, to)
        assert answer.ok, answer.body

    # --- workers ---

    @contextlib.asynccontextmanager
    async def worker(self, *, at_once: bool = False) -> AsyncIterator[None]:
        """A worker, ended well. The story goes on when what registrations began is over, or `at_once`."""
        runtime = Runtime()
        runtime.start(worker.opening)
        self._runtimes.append(runtime)
        try:
            if not at_once:
                await self.settled()
            yield
        finally:
            self._runtimes.remove(runtime)
            await asyncio.to_thread(runtime.stop)

    async def settled(self) -> None:
        """Wait until full deliveries are over, so that what comes from here on comes by the log."""
        await until(lambda: self.ask("SELECT NOT EXISTS (SELECT FROM backfill)"), "full deliveries do not end", 30)

    def ring(self) -> None:
        """The bell is heard by the workers in this process. Those that are processes find out by themselves."""
        for runtime in self._runtimes:
            runtime.wake()

    @contextlib.asynccontextmanager
    async def process(self) -> AsyncIterator["Process"]:
        """A worker that is a process of its own, killed at the end."""
        process = await Process.start(self.settings, self.folder)
        try:
            yield process
        finally:
            await process.kill()

    # --- the database ---

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """The database, as its owner."""
        connection = await asyncpg.connect(self.settings.database_url, ssl=False)
        try:
            yield connection
        finally:
            await connection.close()

    async def ask(self, query: str) -> Any:
        """The first value that a query gives."""
        async with self.connection() as connection:
            return await connection.fetchval(query)

    @contextlib.asynccontextmanager
    async def brake(self, table: str, event: str = "INSERT", when: str = "") -> AsyncIterator[Brake]:
        """Commits wait that have done `event` in a table, `when` something holds of the row."""
        async with self.connection() as connection:
            condition = f"WHEN ({when})" if when else ""
            await connection.execute(_TRIGGER.format(table=table, event=event, when=condition))
            await connection.execute(f"SELECT pg_advisory_lock({BRAKE})")
            brake = Brake(connection)
            try:
                yield brake
            finally:
                await brake.release()

    async def a_week_later(self) -> None:
        """What stands in the log by now is older than the log is kept, and the hourly chore has been there."""
        await log.stamp(self.hub.db)
        await self.ask("UPDATE change_log SET at = at - interval '8 days' RETURNING 1")
        await log.prune(self.hub.db)

    async def cut_lane_sessions(self) -> None:
        """The server ends every session that holds lanes."""
        await self.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'knutpunkt lanes' AND datname = current_database()"
        )


class Process:
    """A worker in a process. While the file `gate` exists, its requests wait before they leave, as if a name server
    were slow; `waiting` then tells that one does."""

    def __init__(self, child: asyncio.subprocess.Process, folder: Path) -> None:
        self._child = child
        self.gate, self.waiting = folder / "gate", folder / "waiting"

    @classmethod
    async def start(cls, settings: Settings, folder: Path) -> "Process":
        """Start it; it is at work when it delivers."""
        environment = settings.environment(os.environ) | {"PYTHONPATH": str(CHECKOUT), "CHAOS_GATE": str(folder)}
        with (folder / "worker.log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "tests.chaos.stories.worker"),
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return cls(child, folder)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It stands still, as on a machine that swaps."""
        os.killpg(self._child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._child.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it, at once."""
        if self._child.returncode is None:
            os.killpg(self._child.pid, signal.SIGKILL)
        await self._child.wait()
