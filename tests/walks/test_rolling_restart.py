"""Story: two API processes and two workers are restarted one after the other under load, and nobody notices."""

import asyncio
import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiohttp import web
from cryptography.fernet import Fernet

from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.services.process import free_port
from hub.settings import CHECKOUT

PUSHES, LOCATIONS, SENDERS, RESTARTS = 1_000, 100, 4, 4
UNANNOUNCED = 2
"""So many of them without the proxy knowing, which has to notice; before the others it is told to leave the API out."""
EXIT = 20
PAUSE = 0.03
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
TOKEN = "operator-token-for-tests"
HOP_BY_HOP = {"connection", "host", "transfer-encoding", "content-length"}


class Process:
    """`knutpunkt api` or `worker`, which can be asked to end and started again."""

    def __init__(self, command: str, environment: dict[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hub", self._command,
                cwd=CHECKOUT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    async def end(self) -> None:
        """SIGTERM, and no more than so many seconds until it is gone."""
        assert self._child is not None
        if self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(EXIT):
            await self._child.wait()

    def kill(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()


class Front:
    """A proxy in front of the APIs. It keeps connections, takes turns between those that are not `left_out`, and tries
    another one only where no connection was made."""

    def __init__(self, urls: list[str]) -> None:
        self._clients = [httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) for url in urls]
        self._turn = itertools.count()
        self.failures: list[str] = []
        self.left_out: set[int] = set()
        self.url = ""

    async def __aenter__(self) -> "Front":
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._pass_on)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port := free_port()).start()
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        for client in self._clients:
            await client.aclose()

    async def ready(self, number: int) -> bool:
        """Whether an API takes requests."""
        try:
            return (await self._clients[number].get("/readyz")).is_success
        except httpx.TransportError:
            return False

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        given = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        first = next(self._turn)
        for number in range(200):
            turn = (first + number) % len(self._clients)
            if turn in self.left_out:
                continue
            try:
                answer = await self._clients[turn].request(
                    request.method, request.raw_path, headers=given, content=body
                )
            except httpx.ConnectError:
                await asyncio.sleep(0.02 * (number > 0))
                continue
            except httpx.TransportError as error:
                self.failures.append(f"{request.method} {request.path}: {error!r}")
                return web.Response(status=502)
            if answer.status_code >= 500 and "Retry-After" not in answer.headers:
                self.failures.append(f"{request.method} {request.path}: HTTP {answer.status_code} {answer.text}")
            kept = [(name, value) for name, value in answer.headers.multi_items() if name not in HOP_BY_HOP]
            return web.Response(status=answer.status_code, headers=kept, body=answer.content)
        return web.Response(status=503)


@pytest.fixture
async def stories() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def _join(front: Front, platform: Platform, stories: AsyncExitStack) -> None:
    await stories.enter_async_context(platform)
    parties = [{"code": str(party), "role": platform.role} for party in platform.parties]
    async with httpx.AsyncClient(base_url=front.url, headers={"Authorization": f"Bearer {TOKEN}"}) as operator:
        invited = await operator.post("/api/v1/invitations", json={"name": platform.name, "parties": parties})
    assert invited.status_code == 201, invited.text
    await platform.register(invited.json()["versions_url"], invited.json()["token_a"])


@pytest.mark.timeout(600)
async def test_a_rolling_restart_fails_no_request_and_doubles_no_delivery(
    database_url: str, redis_url: str, tmp_path: Path, stories: AsyncExitStack
) -> None:
    ports = [free_port(), free_port()]
    front = await stories.enter_async_context(Front([f"http://127.0.0.1:{port}" for port in ports]))
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "HUB_SECRET_KEY": Fernet.generate_key().decode(),
        "HUB_API_TOKEN": TOKEN,
        "HUB_PUBLIC_URL": front.url,
        "HUB_OUTBOUND_ALLOW": "127.0.0.0/8",
    }
    log = tmp_path / "hub.log"
    apis = [Process("api", environment | {"HUB_PORT": str(port)}, log) for port in ports]
    workers = [Process("worker", environment, log) for _ in range(2)]
    for process in (*apis, *workers):
        stories.callback(process.kill)
        await process.start()
    for number in range(2):
        await _until_ready(front, number)

    cpo, emsps = CpoBackend("NL*CPA"), [Emsp("DE*MSA"), Emsp("FR*MSB")]
    for platform in (cpo, *emsps):
        await _join(front, platform, stories)
    await _until_backfilled(database_url)
    numbers, restarted, pushed, told_to_wait = itertools.count(), asyncio.Event(), 0, 0

    async def sender() -> None:
        nonlocal pushed, told_to_wait
        while not restarted.is_set() or pushed < PUSHES:
            number = next(numbers)
            name, path = f"version {number}", ("locations", "NL", "CPA", f"LOC{number % LOCATIONS}")
            at = format_datetime(START + timedelta(seconds=number))
            body = samples.location(id=path[-1], at=at) | {"name": name}
            while not (answer := await cpo.send("PUT", *path, to=cpo.hub, body=body)).ok:
                assert "Retry-After" in answer.headers, answer.body  # the machine is too busy for its database
                told_to_wait += 1
                await asyncio.sleep(1)
            pushed += 1
            await asyncio.sleep(PAUSE)

    async def restarts() -> None:
        for number in range(RESTARTS):
            if number >= UNANNOUNCED:
                front.left_out = {number % 2}
            await apis[number % 2].end()
            await apis[number % 2].start()
            await _until_ready(front, number % 2)
            front.left_out = set()
            if number == 1:  # its lanes go to the other worker
                worker = workers[0]
                await worker.end()
                await worker.start()
        restarted.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(restarts())
        for _ in range(SENDERS):
            group.create_task(sender())
    assert front.failures == []
    assert pushed >= PUSHES
    assert told_to_wait * 50 < pushed

    last = next(numbers)
    newest = {f"LOC{n % LOCATIONS}": f"version {n}" for n in range(last)}
    for emsp in emsps:

        def held(emsp: Emsp = emsp) -> bool:
            return {o["id"]: o["name"] for o in emsp.locations.all()} == newest

        await emsp.until(held, 60, "the newest version of every location")
        assert emsp.backwards == []
        delivered = Counter((seen.path, seen.raw) for seen in emsp.received if seen.method in ("PUT", "PATCH"))
        assert [what for what, times in delivered.items() if times > 1] == []
    for process in (*apis, *workers):
        await process.end()


async def _until_backfilled(database_url: str) -> None:
    """What is pushed while a partner's first full delivery is under way may come twice."""
    connection = await asyncpg.connect(database_url, ssl=False)
    try:
        for _ in range(300):
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM backfill)"):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the first full deliveries did not end")
    finally:
        await connection.close()


async def _until_ready(front: Front, number: int) -> None:
    for _ in range(1_200):
        if await front.ready(number):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the API did not become ready")
