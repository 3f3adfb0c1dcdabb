"""hub.worker: a real Celery worker, woken through a real Redis, that ends well and is killed without harm."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from celery.worker.consumer import Consumer
from cryptography.fernet import Fernet
from sqlalchemy import text

from hub import worker as hub_worker
from hub.delivery import lanes, log
from hub.delivery.bell import Bell
from hub.settings import CHECKOUT
from hub.store import objects, parties
from hub.store.db import Database
from hub.store.log import Entry
from hub.store.objects import New
from hub.store.parties import Endpoint, Party, Platform
from hub.store.seal import Seal

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
KEY = Fernet.generate_key().decode()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def received(db: Database) -> AsyncIterator[dict[str, str]]:
    """What DE*MSA holds: the name of each Location, by path."""
    held: dict[str, str] = {}

    async def take(request: web.Request) -> web.Response:
        held[request.path] = (await request.json())["name"]
        return web.json_response({"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"})

    app = web.Application()
    app.router.add_put("/{tail:.*}", take)
    async with TestServer(app) as server:
        async with db.session() as session:
            for code, role in (("NL*CPA", "CPO"), ("DE*MSA", "EMSP")):
                platform = Platform(name=code, status="CONNECTED", token_out=Seal(KEY).close("token"))
                session.add(platform)
                await session.flush()
                party = Party(code=code, platform_id=platform.id or 0, roles=[role])
                session.add(party)
                await session.flush()
                await lanes.open_for(session, party.id or 0, code)
            url = str(server.make_url("/locations"))
            session.add(Endpoint(platform_id=platform.id or 0, module="locations", role="RECEIVER", url=url))
            await parties.touch(session)
        yield held


@pytest.fixture
async def worker(database_url: str, redis_url: str) -> AsyncIterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts `knutpunkt worker`; killed at the end if it still runs."""
    given = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "HUB_SECRET_KEY": KEY}
    environment = os.environ | given | {"HUB_OUTBOUND_ALLOW": "127.0.0.0/8"}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "hub", "worker"]
        started.append(subprocess.Popen(command, cwd=CHECKOUT, env=environment))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)


async def _accept(db: Database, number: int, name: str) -> None:
    body = f'{{"country_code": "NL", "party_id": "CPA", "id": "L{number}", "name": "{name}"}}'
    row = New("locations", f"L{number}", "*", body, "{}", datetime(2026, 1, 1, tzinfo=UTC))
    async with db.session() as session:
        await objects.write(session, "NL*CPA", [row])
        await log.append(session, [Entry("NL*CPA", "locations", f"L{number}", "*", (), None, "c")])


async def _holders(db: Database) -> list[str]:
    async with db.session() as session:
        return list((await session.execute(text("SELECT holder FROM lane WHERE holder IS NOT NULL"))).scalars())


def test_on_rabbitmq_no_queues_are_made_but_our_own() -> None:
    theirs, ours = set(Consumer.Blueprint.default_steps), set(hub_worker.Listener.Blueprint.default_steps)
    assert theirs - ours == {"celery.worker.consumer.delayed_delivery:DelayedDelivery"}
    assert ours < theirs
    assert not hub_worker.celery.conf.worker_enable_remote_control
    assert hub_worker.celery.conf.worker_consumer == "hub.worker:Listener"


async def test_a_ring_is_heard_and_sigterm_lets_the_lanes_go(
    db: Database, received: dict[str, str], worker: Any, redis_url: str, eventually: Eventually
) -> None:
    process = worker()
    bell = Bell(redis_url)
    bell.start()
    await _accept(db, 1, "first")
    await eventually(lambda: received.get("/locations/NL/CPA/L1") == "first")
    for version in range(20):
        await _accept(db, 1, f"version {version}")
        bell.ring()
    await eventually(lambda: received["/locations/NL/CPA/L1"] == "version 19")
    bell.stop()
    assert len(await _holders(db)) == 1
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) == 0
    assert await _holders(db) == []


async def test_nothing_is_lost_when_a_worker_is_killed_and_redis_is_not_asked(
    db: Database, received: dict[str, str], worker: Any, eventually: Eventually
) -> None:
    """No bell at all: the sweep of the next worker finds what is owed, and lanes without a holder."""
    process = worker()
    await _accept(db, 0, "first")
    await eventually(lambda: received)
    for number in range(50):
        await _accept(db, number, "newest")
    process.kill()
    process.wait(10)
    async with db.session() as session:
        await session.execute(text("UPDATE lane SET holder = NULL"))  # the rest before a takeover is tested elsewhere
    worker()
    await eventually(lambda: sum(name == "newest" for name in received.values()) == 50)


async def test_a_pool_process_that_ended_itself_is_replaced(
    db: Database, received: dict[str, str], worker: Any, eventually: Eventually
) -> None:
    """As the watchdog does when the loop is stuck."""
    process = worker()
    await _accept(db, 0, "before")
    await eventually(lambda: received)
    (child,) = _children(process.pid)
    os.kill(child, signal.SIGKILL)
    await eventually(lambda: _children(process.pid) not in ([], [child]))
    async with db.session() as session:
        await session.execute(text("UPDATE lane SET holder = NULL"))  # the rest before a takeover is tested elsewhere
    await _accept(db, 1, "after")
    await eventually(lambda: "after" in received.values())


async def test_another_worker_takes_lanes_at_once_that_were_let_go(
    db: Database, received: dict[str, str], worker: Any, eventually: Eventually
) -> None:
    first = worker()
    await _accept(db, 0, "before")
    await eventually(lambda: received)
    (holder,) = await _holders(db)
    second = worker()
    await _lives(db, 2)
    first.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(first.wait, 20) == 0
    await _accept(db, 1, "after")
    await eventually(lambda: "after" in received.values())
    assert second.poll() is None
    assert await _holders(db) != [holder]


async def _lives(db: Database, number: int) -> None:
    for _ in range(600):
        async with db.session() as session:
            if (await session.execute(text("SELECT count(*) FROM heartbeat"))).scalar_one() >= number:
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the worker did not show its life")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
