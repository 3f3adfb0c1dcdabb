"""A PostgreSQL of the hub's own, in the data directory.

The server's programs are called directly. It listens on 127.0.0.1 only, on a port that may change at every start,
and knows one user with a random password.
"""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from hub.services import ServiceError, binaries, privilege, process
from hub.services.data import DataDirectory
from hub.services.postmaster import Postmaster
from hub.services.process import Process

OLDEST = 15
NAME = "knutpunkt"  # of the owner and of the database
START_TIME = 60.0  # seconds; recovery after a crash is part of it
STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast: ends the sessions, writes a checkpoint; then at once
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # their paths may not be longer than 107 characters
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_LOST_RACE = ("Address already in use", "could not bind")
_STILL_ATTACHED = "shared memory block"  # processes of a killed server are about to notice and end


class Postgres:
    """One server; `settings` overrides lines of its configuration."""

    name = "postgres"

    def __init__(self, data: DataDirectory, settings: Mapping[str, str] | None = None) -> None:
        self.process: Process | None = None
        self._data = data
        self._cluster = data.postgres
        self._postmaster = Postmaster(data.postgres)
        self._log = data.logs / "postgres.log"
        self._settings = SETTINGS | dict(settings or {})
        self._port = 0
        self._port_is_known = False  # to others, who would not follow if it changed

    @property
    def url(self) -> str:
        """The address of the hub's database, as its owner; the same for all the life of this object."""
        return self._url(NAME)

    async def start(self) -> Process:
        """Start the server, the first time make its files and the database. Raises ServiceError."""
        program = await self.program()
        await self._postmaster.stop_leftover(*STOP)
        process.put_aside(self._log)
        if not self._cluster.exists():
            await self._initialise(program)
        self.process = await self._serve(program)
        await self._make_database()
        self._port_is_known = True
        return self.process

    def attach(self) -> bool:
        """Use the server that somebody else runs on these files; False when none is ready."""
        self._port = self._postmaster.port()
        return bool(self._port)

    async def stop(self) -> None:
        """End all sessions and stop; everything committed is on disk."""
        if self.process:
            await self.process.stop(*STOP)

    async def program(self) -> Path:
        """Files of one major version can only be read by programs of the same."""
        found = [one for one in await binaries.postgres() if one.major >= OLDEST]
        made_by = self._cluster / "PG_VERSION"
        if not made_by.exists():
            if found:
                return found[0].program
            raise ServiceError(
                f"there is no PostgreSQL {OLDEST} or newer on this machine: "
                "install one (Debian: apt install postgresql), or set DATABASE_URL"
            )
        wanted = int(made_by.read_text(encoding="ascii"))
        for one in found:
            if one.major == wanted:
                return one.program
        versions = ", ".join(sorted({str(one.major) for one in found})) or "none"
        raise ServiceError(
            f"the database in {self._cluster} was made by PostgreSQL {wanted}, which is not on this machine "
            f"(found: {versions}): install PostgreSQL {wanted}"
        )

    async def _initialise(self, program: Path) -> None:
        """Built beside its place and moved there when whole, so that an interrupted first start leaves no ruin."""
        draft = self._cluster.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._data.secret(f"{self.name}_password")
        options = (
            f"--pgdata={draft}",
            f"--username={NAME}",
            f"--pwfile={self._password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-instructions",
        )
        wrapper = await privilege.wrapper(program, draft)
        initdb = await self._run("initdb", (str(program.with_name("initdb")), *options), wrapper)
        if await initdb.wait() != 0:
            words = process.tail(self._log, lines=1)
            raise ServiceError(f"PostgreSQL could not make its files, see {self._log}: {words}")
        draft.rename(self._cluster)

    async def _serve(self, program: Path) -> Process:
        wrapper = await privilege.wrapper(program, self._cluster)
        deadline = time.monotonic() + START_TIME
        while True:
            self._port = self._port or process.free_port()
            settings = (f"--{key}={value}" for key, value in (self._settings | {"port": str(self._port)}).items())
            log_start = process.size(self._log)
            server = await self._run(self.name, (str(program), "-D", str(self._cluster), *settings), wrapper)
            if await self._becomes_ready(server, deadline):
                return server
            await server.stop(*STOP)
            words = process.tail(self._log, log_start, lines=12)
            if time.monotonic() > deadline or not self._worth_another_try(words):
                raise ServiceError(f"PostgreSQL did not start, see {self._log}: {_last_fatal(words)}")
            await asyncio.sleep(0.2)

    async def _becomes_ready(self, server: Process, deadline: float) -> bool:
        """The server says so itself in its pid file; whoever answers at the port might be somebody else's."""
        try:
            while server.exit_status is None and time.monotonic() < deadline:
                if self._postmaster.is_ready(server.pid):
                    return True
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            await server.stop(*STOP)
            raise
        return False

    def _worth_another_try(self, words: str) -> bool:
        lost_race = any(sign in words for sign in _LOST_RACE)
        if lost_race and not self._port_is_known:
            self._port = 0
        return lost_race or _STILL_ATTACHED in words

    async def _run(self, name: str, command: tuple[str, ...], wrapper: tuple[str, ...]) -> Process:
        environment = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
        return await Process.start(
            name, command, environment, log=self._log, death_signal=signal.SIGINT, wrapper=wrapper
        )

    async def _make_database(self) -> None:
        try:
            connection = await asyncpg.connect(self._url("postgres"), ssl=False, timeout=10)
        except asyncpg.InvalidPasswordError:
            raise ServiceError(
                f"the password kept in {self._password_file} does not open the database in {self._cluster}: "
                "restore both from the same backup"
            ) from None
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
                await connection.execute(f"CREATE DATABASE {NAME}")
        finally:
            await connection.close()

    def _url(self, database: str) -> str:
        password = self._data.secret(f"{self.name}_password")
        return f"postgresql://{NAME}:{password}@127.0.0.1:{self._port}/{database}"

    @property
    def _password_file(self) -> Path:
        return self._data.secret_file(f"{self.name}_password")


def _last_fatal(words: str) -> str:
    lines = [line for line in words.splitlines() if "FATAL" in line or "PANIC" in line]
    return (lines or words.splitlines() or ["it wrote nothing"])[-1]
