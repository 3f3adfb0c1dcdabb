"""A hub of real processes that can be killed, paused and held down, and that comes back as under any supervisor.

PostgreSQL (with fsync) and Redis are the product's own way to start them, the hub's processes its own commands. Each
leads a process group; what a killed one leaves of children is killed with it.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Protocol

import asyncpg
import httpx
import redis.asyncio
from cryptography.fernet import Fernet

from hub.services import ServiceError
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.services.process import Process
from hub.services.redis import Redis
from hub.settings import CHECKOUT, Settings
from tests.bench.processes import Failed
from tests.chaos.clock import HUB, Clock, ClockedPostgres
from tests.chaos.control import free_port

PAUSE = 0.2
"""Seconds between the end of a process and its next start."""

READY = 90.0
"""Seconds until a hub answers."""

STOP = ((signal.SIGTERM, 15.0),)


class Service(Protocol):
    """What is kept running."""

    name: str
    process: Process | None

    async def start(self) -> Process:
        """Start it, or start it again."""

    async def stop(self) -> None:
        """Stop it if it runs."""


class Command:
    """One of the hub's own processes."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._command, self._environment, self._log = command, environment, log
        self.process: Process | None = None

    async def start(self) -> Process:
        """Start it; it is not ready yet."""
        self.process = await Process.start(self.name, self._command, self._environment, log=self._log)
        return self.process

    async def stop(self) -> None:
        """Ask it to end, then kill it."""
        if self.process:
            await self.process.stop(*STOP)


class Kept:
    """A service that is started again whenever it has ended, unless it is held down."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.starts = 0
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self.service.process
        return process.pid if process and process.exit_status is None else None

    async def start(self) -> None:
        """Start it and keep it."""
        await self._start()
        self._keeper = asyncio.create_task(self._keep())

    async def up(self) -> None:
        """Wait until it runs."""
        await self._up.wait()

    async def stop(self) -> None:
        """Let it go, whatever state it is in."""
        if self._keeper:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        self.resume()
        await self.service.stop()

    def kill(self, hold: bool = False) -> bool:
        """SIGKILL to it and its children; whether it ran. `hold`: it stays down until `release`."""
        self._up.clear()
        if hold:
            self._wanted.clear()
        return self._signal(signal.SIGKILL)

    def release(self) -> None:
        """It may run again."""
        self._wanted.set()

    def pause(self) -> bool:
        """SIGSTOP to it and its children; whether it ran."""
        return self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to all of them."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> bool:
        pid = self.pid
        if pid is None:
            return False
        reached: set[int] = set()
        while found := [one for one in (pid, *descendants(pid)) if one not in reached]:  # one may just have been born
            for one in found:
                with suppress(ProcessLookupError):
                    os.kill(one, number)
            reached.update(found)
        return True

    async def _keep(self) -> None:
        while True:
            if self.service.process:
                await self.service.process.wait()
            await asyncio.sleep(PAUSE)
            self._up.clear()
            await self._wanted.wait()
            with suppress(ServiceError):  # its place may not be free yet: again
                await self._start()

    async def _start(self) -> None:
        await self.service.start()
        self.starts += 1
        self._up.set()


class Hub:
    """The hub. `patch` is a module that its processes import before anything of theirs runs; `variables` are added to
    the environment of the processes named, "" for all. With a `clock` all but Redis goes by that."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 1,
        patch: str = "",
        settings: Mapping[str, object] | None = None,
        variables: Mapping[str, Mapping[str, str]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.folder = folder
        self.data = DataDirectory(folder / "data")
        self.data.create()
        self.postgres = ClockedPostgres(self.data, clock) if clock else Postgres(self.data)
        self.redis = Redis(self.data)
        self.workers = tuple(f"worker{number}" for number in range(1, workers + 1))
        self.kept = {"postgres": Kept(self.postgres), "redis": Kept(self.redis)}
        self._names = ("api", *self.workers, "beat")
        self._patch, self._wished = patch, dict(settings or {})
        self._variables = dict(variables or {})
        if clock:
            self._variables[""] = clock.variables(HUB) | dict(self._variables.get("", {}))
        self.settings = Settings()

    @property
    def url(self) -> str:
        """Where the API listens."""
        return self.settings.public_url

    def command(self, name: str) -> list[str]:
        """The command line of a hub process."""
        if not self._patch:
            return [sys.executable, "-P", "-m", "hub", name]
        return [sys.executable, "-P", "-c", f"import {self._patch}; from hub.cli import main; main()", name]

    async def start(self) -> None:
        """Start everything and wait until the hub answers. Raises Failed."""
        for name in ("postgres", "redis"):
            await self.kept[name].start()
        port = free_port()
        self.settings = Settings(
            data=self.data.path,
            database_url=self.postgres.url,
            redis_url=self.redis.url,
            secret_key=Fernet.generate_key().decode(),
            api_token="chaos",
            port=port,
            public_url=f"http://127.0.0.1:{port}",
            outbound_allow=(ip_network("127.0.0.0/8"),),
            log_format="json",
        ).model_copy(update=self._wished)
        migration = Command("migrate", self.command("migrate"), self._environment("migrate"), self._log("migrate"))
        if await (await migration.start()).wait() != 0:
            raise Failed(f"the migrations failed: see {self._log('migrate')}")
        for name in self._names:
            command = self.command("worker" if name in self.workers else name)
            self.kept[name] = Kept(Command(name, command, self._environment(name), self._log(name)))
            await self.kept[name].start()
        await self.until_ready()

    async def stop(self) -> None:
        """Stop everything, in the reverse order."""
        for kept in self.kept.values():
            kept.resume()
        await asyncio.gather(*(self.kept[name].stop() for name in self._names if name in self.kept))
        for name in ("redis", "postgres"):
            await self.kept[name].stop()

    async def until_ready(self, patience: float = READY) -> float:
        """Wait until the hub says that it is ready; the seconds that took. Raises Failed."""
        begun = time.monotonic()
        async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
            while time.monotonic() < begun + patience:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return time.monotonic() - begun
                await asyncio.sleep(0.05)
        raise Failed(f"the hub was not ready within {patience:.0f} s: see the logs in {self.folder}")

    async def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a query, asked as the owner of the database."""
        connection = await asyncpg.connect(self.postgres.url, ssl=False, timeout=10)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows
        finally:
            await connection.close()

    @asynccontextmanager
    async def redis_client(self) -> AsyncIterator["redis.asyncio.Redis"]:
        """A client of the broker."""
        client = redis.asyncio.from_url(self.redis.url, socket_timeout=5)
        try:
            yield client
        finally:
            await client.aclose()

    def operator(self) -> httpx.AsyncClient:
        """A client of the operator's API."""
        bearer = {"Authorization": f"Bearer {self.settings.api_token}"}
        return httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=bearer, trust_env=False, timeout=30)

    def _environment(self, name: str) -> dict[str, str]:
        settings = self.settings.environment(os.environ) | {"PYTHONPATH": str(CHECKOUT)}
        return settings | dict(self._variables.get("", {})) | dict(self._variables.get(name, {}))

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def descendants(pid: int) -> Iterable[int]:
    """The children of a process, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(file.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(file.parent.name))
    found = list(children.get(pid, ()))
    for one in found:
        found += children.get(one, ())
    return found
