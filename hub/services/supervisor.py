"""The whole hub on one machine: `Stack` starts it in order, keeps it alive, and stops it in the reverse order.

PostgreSQL and Redis come first (unless settings name others), then the migrations, then the hub's own processes. A
process that ends before the hub was ready fails the start; one that ends later is started again, after a pause that
doubles while it keeps falling; one that hangs is killed first. Processes are separate on purpose: what one of them does
wrong, the others survive.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx
from cryptography.fernet import Fernet

from hub import provenance, telemetry
from hub.services import ServiceError, process
from hub.services.data import DataDirectory
from hub.services.log import Log
from hub.services.postgres import Postgres
from hub.services.process import Process
from hub.services.redis import Redis
from hub.services.watchdog import Watchdog
from hub.settings import CHECKOUT, Settings

PROCESSES = ("api", "worker", "beat", "bridge")
READY_TIME = 60.0  # seconds
STOP = ((signal.SIGTERM, 20.0),)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between a fall and the next start
STEADY = 10.0  # seconds after which a process counts as recovered

log = telemetry.logger(__name__)


class Service(Protocol):
    """What the supervisor keeps alive."""

    name: str
    process: Process | None

    async def start(self) -> Process:
        """Start it, or start it again."""

    async def stop(self) -> None:
        """Stop it if it runs."""


class Child:
    """One of the hub's own processes."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str], log: Log) -> None:
        self.name = name
        self.process: Process | None = None
        self._command = command
        self._environment = environment
        self._log = log

    async def start(self) -> Process:
        """Start it; it is not ready yet."""
        self.process = await Process.start(self.name, self._command, self._environment, log=self._log.entrance)
        return self.process

    async def stop(self) -> None:
        """Ask it to finish what it does, kill it when it takes too long."""
        if self.process:
            await self.process.stop(*STOP)


def hub_command(name: str) -> list[str]:
    """The command line of a hub process, whatever the current directory is."""
    return [sys.executable, "-P", "-m", "hub", name]


def pause(falls: int) -> float:
    """Seconds to wait before the next start, after so many falls in a row."""
    return min(FIRST_PAUSE * 2.0 ** (min(falls, 10) - 1), LONGEST_PAUSE)


class Stack:
    """A hub with all it needs. Use it as an async context manager, or call `start` and `stop`.

    `settings` are those of its processes; what they leave out (services, secrets, public addresses) is provided. A
    port of 0 is any free one. The output of the hub's processes goes to `log_file`; without one, to logs/hub.log in the
    data directory and to stderr.
    `processes` and `command` (from a process name to a command line) may be replaced in tests.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log_file: Path | None = None,
        processes: Iterable[str] = PROCESSES,
        command: Callable[[str], Sequence[str]] = hub_command,
    ) -> None:
        self.data = DataDirectory(settings.data)
        self.settings = settings
        self.first_start = False
        self.log = Log(log_file) if log_file else Log(self.data.logs / "hub.log", sys.stderr.buffer)
        self._names = tuple(processes)
        self._command = command
        self._services: list[Service] = []
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where the API listens, as seen from this machine."""
        return f"http://{process.reachable(self.settings.host)}:{self.settings.port}"

    @property
    def bridge_url(self) -> str:
        """Where the bridge listens, as seen from this machine."""
        return f"ws://{process.reachable(self.settings.bridge_host)}:{self.settings.bridge_port}"

    @property
    def pids(self) -> dict[str, int]:
        """The process id of everything that runs now, by name; a restart changes it."""
        running = (service.process for service in (*self._services, *self._children))
        return {one.name: one.pid for one in running if one and one.exit_status is None}

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process, as an accident would; the supervisor starts it again."""
        os.kill(self.pids[name], number)

    async def start(self) -> None:
        """Start everything and wait until the hub answers. Raises ServiceError, with all stopped again."""
        self.data.create()
        self.data.lock()
        self.log.open()
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything: the hub's processes together, then Redis, then PostgreSQL."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(child.stop() for child in self._children))
        for service in reversed(self._services):
            await service.stop()
        self._keepers, self._children, self._services = [], [], []
        self.log.close()
        self.data.unlock()

    async def _start(self) -> None:
        self.settings = self._with_secrets(await self._with_ports(self.settings))
        self.settings = await self._with_services(self.settings)
        environment = self.settings.environment(os.environ) | {"PYTHONPATH": _python_path()}
        environment |= provenance.carried(self.settings)
        await self._migrate(environment)
        self._children = [Child(name, self._command(name), environment, self.log) for name in self._names]
        for child in self._children:
            await child.start()
        await self._until_ready()
        self._keepers = [asyncio.create_task(self._keep(one)) for one in (*self._services, *self._children)]
        self._keepers.append(asyncio.create_task(Watchdog(self.settings.database_url, self._end_hung).run()))
        self.data.announce(self.url, self.bridge_url)

    async def _with_ports(self, settings: Settings) -> Settings:
        """The processes of a hub that was killed are asked to finish by the kernel: they are given the time."""
        patience = STOP[0][1] if self.data.after_crash else 0.0
        port = await _port(settings.host, settings.port, "--port", patience)
        bridge_port = await _port(settings.bridge_host, settings.bridge_port, "--bridge-port", patience)
        changes: dict[str, object] = {"port": port, "bridge_port": bridge_port}
        if "public_url" not in settings.model_fields_set:
            changes["public_url"] = f"http://{process.reachable(settings.host)}:{port}"
        if "bridge_url" not in settings.model_fields_set:
            changes["bridge_url"] = f"ws://{process.reachable(settings.bridge_host)}:{bridge_port}"
        return settings.model_copy(update=changes)

    def _with_secrets(self, settings: Settings) -> Settings:
        """Those that settings leave out are made at the first start and kept."""
        self.first_start = not settings.api_token and not self.data.secret_file("api_token").exists()
        return settings.model_copy(
            update={
                "data": self.data.path,
                "secret_key": settings.secret_key
                or self.data.secret("secret_key", lambda: Fernet.generate_key().decode()),
                "api_token": settings.api_token or self.data.secret("api_token"),
            }
        )

    async def _with_services(self, settings: Settings) -> Settings:
        changes: dict[str, str] = {}
        for field, needed, service in (
            ("database_url", not settings.database_url, Postgres(self.data)),
            ("redis_url", not settings.broker, Redis(self.data)),
        ):
            if needed:
                self._services.append(service)
                await service.start()
                changes[field] = service.url
        return settings.model_copy(update=changes)

    async def _migrate(self, environment: dict[str, str]) -> None:
        migration = await Process.start("migrate", self._command("migrate"), environment, log=self.log.entrance)
        try:
            status = await migration.wait()
        except asyncio.CancelledError:
            await migration.stop(*STOP)
            raise
        if status != 0:
            raise ServiceError(
                f"the migrations of the database ended with {process.meaning(status)}: see {self.log.path}"
            )

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIME
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while not await self._is_ready(client):
                for child in self._children:
                    if child.process and child.process.exit_status is not None:
                        words = process.meaning(child.process.exit_status)
                        raise ServiceError(
                            f"{child.name} ended with {words} before the hub was ready: see {self.log.path}"
                        )
                if time.monotonic() > deadline:
                    raise ServiceError(f"the hub was not ready within {READY_TIME:.0f} s: see {self.log.path}")
                await asyncio.sleep(0.05)

    async def _is_ready(self, client: httpx.AsyncClient) -> bool:
        """The API says so, and the bridge's port is open if there is a bridge."""
        with suppress(httpx.TransportError):
            answer = await client.get(f"{self.url}/readyz")
            return answer.is_success and ("bridge" not in self._names or await self._bridge_listens())
        return False

    async def _bridge_listens(self) -> bool:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(_bare(self.settings.bridge_host), self.settings.bridge_port)
            writer.close()
            await writer.wait_closed()
            return True
        return False

    def _end_hung(self, pid: int) -> str | None:
        """Kill the child that this process belongs to, or is; it is started again like any that has fallen."""
        with suppress(ProcessLookupError):
            session = os.getsid(pid)
            for child in self._children:
                if child.process and child.process.pid == session:
                    child.process.send(signal.SIGKILL)
                    return child.name
        return None

    async def _keep(self, service: Service) -> None:
        """Start a service again whenever it has ended."""
        falls, started = 0, time.monotonic()
        while True:
            ended = await service.process.wait() if service.process else 0
            falls = 1 if time.monotonic() - started > STEADY else falls + 1
            log.error(
                f"{service.name} ended with {process.meaning(ended)}; it is started again",
                pause_s=pause(falls),
                falls=falls,
            )
            await asyncio.sleep(pause(falls))
            started = time.monotonic()
            try:
                await service.start()
            except ServiceError as error:
                log.error(str(error))
            except Exception:  # whatever it was, the next attempt may succeed: a keeper never gives up
                log.exception(f"{service.name} could not be started again")


async def run(stack: Stack, announce: Callable[[Stack], None]) -> None:
    """Run a hub until SIGTERM, SIGINT or a closed terminal; `announce` is called once, when it is ready."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, asked.set)
    starting, stopping = asyncio.create_task(stack.start()), asyncio.create_task(asked.wait())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return
    try:
        await starting
        announce(stack)
        await stopping
        log.info("stopping")
    finally:
        stopping.cancel()
        await stack.stop()


async def _port(host: str, port: int, option: str, patience: float) -> int:
    if port == 0:
        return process.free_port(_bare(host))
    deadline = time.monotonic() + patience
    while not process.is_free(_bare(host), port):
        if time.monotonic() >= deadline:
            raise ServiceError(f"port {port} on {host} is in use by another program: choose another with {option}")
        await asyncio.sleep(0.1)
    return port


def _bare(host: str) -> str:
    return host.strip("[]")


def _python_path() -> str:
    """The checkout first: the package is run from it, it is never installed."""
    return os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
