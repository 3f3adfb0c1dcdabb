"""Rows and bodies that the tests of the delivery share, and a small hub with receivers on real sockets."""

import asyncio
import contextlib
import ipaddress
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet
from sqlalchemy import CursorResult, text

from hub.delivery import lanes, log
from hub.delivery.engine import Engine
from hub.delivery.holder import Timing
from hub.ocpi.client import Outbound
from hub.ocpi.types import PartyId
from hub.store import objects, parties
from hub.store.db import Database
from hub.store.directory import DirectoryCache
from hub.store.journal import Hop
from hub.store.log import Entry
from hub.store.objects import Kept, New
from hub.store.parties import Endpoint, Party, Platform
from hub.store.seal import Seal
from modules.catalog import CATALOG
from tests.rows import put

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> str:
    """A time of the test day, as OCPI writes it."""
    return (DAY + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")


def times_of(body: dict[str, Any], path: str = "") -> dict[str, str]:
    """Each level's own time of a body that arrived whole."""
    times = {path: body["last_updated"]}
    for name, id_field in (("evses", "uid"), ("connectors", "id")):
        for child in body.get(name) or []:
            times |= times_of(child, f"{path}/{child[id_field]}".strip("/").upper())
    return times


@pytest.fixture(scope="session")
def location() -> Callable[..., dict[str, Any]]:
    """A Location: `location(10, E1=(5, "AVAILABLE"))` is of minute 10, its EVSE E1 of minute 5."""

    def make(minute: int, name: str = "L", **evses: tuple[int, str]) -> dict[str, Any]:
        return {
            "country_code": "NL",
            "party_id": "CPA",
            "id": "Loc 1",
            "name": name,
            "evses": [
                {
                    "uid": uid,
                    "status": status,
                    "connectors": [{"id": "1", "max_voltage": 230, "last_updated": at(when)}],
                    "last_updated": at(when),
                }
                for uid, (when, status) in evses.items()
            ],
            "last_updated": at(max([minute, *(when for when, _ in evses.values())])),
        }

    return make


@pytest.fixture(scope="session")
def kept() -> Callable[..., Kept]:
    """A row: `kept(body, audience="DE*MSA", minute=3)`; `minute` is when it was stored."""

    def make(
        body: dict[str, Any],
        audience: str = "*",
        minute: int = 0,
        deleted: bool = False,
        times: dict[str, str] | None = None,
    ) -> Kept:
        stamp = datetime.fromisoformat(body["last_updated"])
        row_times = times_of(body) if times is None else times
        stored_at = DAY + timedelta(days=1, minutes=minute)
        return Kept(1, "NL*CPA", "LOC 1", audience, json.dumps(body), row_times, stamp, deleted, stored_at)

    return make


@dataclass
class Call:
    """A request as a receiver got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answer = tuple[int, int]
"""HTTP status and status_code."""


@dataclass
class Receiver:
    """A partner's platform. `answer` says what it replies; what it accepted is in `calls` and `state`."""

    code: str
    platform_id: int = 0
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    answer: Callable[[Call], Answer] = lambda call: (200, 1000)
    before: Callable[[Call], Any] | None = None

    def methods(self) -> list[tuple[str, str]]:
        """What was asked of it, in order."""
        return [(call.method, call.path) for call in self.calls]

    async def handle(self, request: web.Request) -> web.Response:
        """Take a request as `answer` says."""
        text = await request.text()
        call = Call(request.method, request.path_qs, dict(request.headers), json.loads(text) if text else None)
        if self.before is not None:
            await self.before(call)
        self.calls.append(call)
        status, code = self.answer(call)
        if status < 300 and code < 2000 and call.method != "GET":
            self.state[call.path] = call.body
        envelope = {"status_code": code, "data": [], "timestamp": "2026-01-01T00:00:00Z"}
        location = {"Location": f"{self.url}/cdrs/1"} if call.method == "POST" else {}
        return web.json_response(envelope, status=status, headers=location)


@dataclass
class SmallHub:
    """A database, a directory and a door out, with parties to deliver to."""

    db: Database
    directory: DirectoryCache
    outbound: Outbound
    seal: Seal
    stack: contextlib.AsyncExitStack
    hops: list[Hop] = field(default_factory=list)

    async def receiver(self, code: str, role: str = "EMSP", token_form: str = "base64", **platform: Any) -> Receiver:
        """Register a partner with receiver endpoints for everything, and its lane."""
        receiver = Receiver(code)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", receiver.handle)
        server = TestServer(app)
        await self.stack.enter_async_context(server)
        receiver.url = str(server.make_url("")).rstrip("/")
        values = {"status": "CONNECTED", "versions_url": f"{receiver.url}/versions", "token_form": token_form}
        token = self.seal.close(f"token of {code}")
        receiver.platform_id = await self._register(
            code, role, Platform(name=code, token_out=token, **values | platform)
        )
        async with self.db.unit_of_work() as session:
            for module in ("locations", "tariffs", "tokens", "sessions", "cdrs"):
                url = f"{receiver.url}/{module}/"
                await put(session, Endpoint(platform_id=receiver.platform_id, module=module, role="RECEIVER", url=url))
            await parties.touch(session)
        await self.directory.refresh()
        return receiver

    async def owner(self, code: str, role: str = "CPO") -> None:
        """Register a party that only pushes."""
        await self._register(code, role, Platform(name=code, status="CONNECTED"))
        await self.directory.refresh()

    async def accept(
        self,
        body: dict[str, Any],
        *,
        module: str = "locations",
        audience: str = "*",
        part_ids: tuple[str, ...] = (),
        fields: tuple[str, ...] | None = None,
        deleted: bool = False,
    ) -> None:
        """Store an object and tell the lanes, as an accepted push does."""
        owner, key = f"{body['country_code']}*{body['party_id']}", CATALOG[module].key_of(body)
        at = body["last_updated"]
        row = New(
            module, key, audience, json.dumps(body), json.dumps(times_of(body)), datetime.fromisoformat(at), deleted
        )
        async with self.db.session() as session:
            await objects.write(session, owner, [row])
            await log.append(session, [Entry(owner, module, key, audience, part_ids, fields, f"c-{at}")])

    @contextlib.asynccontextmanager
    async def engine(self, **options: Any) -> AsyncIterator[Engine]:
        """A worker's engine at work; drained at the end."""
        engine = Engine(
            db=self.db,
            outbound=self.outbound,
            directory=self.directory,
            catalog=CATALOG,
            code=PartyId("SE", "HUB"),
            note=lambda hop, *_: self.hops.append(hop),
            **options,
        )
        await engine.start()
        try:
            yield engine
        finally:
            await engine.drain(limit=2)

    async def run(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run SQL as the hub; the rows, if it gives any."""
        async with self.db.session() as session:
            found = await session.execute(text(statement), values)
            has_rows = isinstance(found, CursorResult) and found.returns_rows
            return [tuple(row) for row in found] if has_rows else []

    async def cut_lane_sessions(self) -> None:
        """End every session that holds lanes, as the server may at any time."""
        connection = await asyncpg.connect(self.db.url, ssl=False)
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'knutpunkt lanes'"
        await connection.execute(f"{sessions} AND datname = current_database()")
        await connection.close()

    async def cursors(self) -> dict[str, int]:
        """Where each lane stands."""
        found = await self.run("SELECT receiver, position FROM lane JOIN lane_cursor USING (party_id)")
        return {row[0]: row[1] for row in found}

    async def owed(self, expected: list[tuple[str, int, bool]]) -> None:
        """Wait until just this is owed: receiver, tries, parked."""
        query = "SELECT receiver, tries, parked FROM owed ORDER BY receiver, key"
        await self.becomes(query, expected)

    async def becomes(self, query: str, expected: list[Any]) -> None:
        """Wait until a query gives these rows."""
        deadline = time.monotonic() + 20
        while (found := await self.run(query)) != expected:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.02)

    async def _register(self, code: str, role: str, platform: Platform) -> int:
        async with self.db.unit_of_work() as session:
            platform_id: int = (await put(session, platform)).id
            party = await put(session, Party(code=code, platform_id=platform_id, roles=[role]))
            await lanes.open_for(session, party.id, code)
            await parties.touch(session)
        return platform_id


@pytest.fixture(scope="session")
def quick() -> Timing:
    """A takeover wait of a second and a half."""
    return Timing(check=0.2, check_timeout=0.3, deadline=1.0)


@pytest.fixture
async def small_hub(database_url: str) -> AsyncIterator[SmallHub]:
    """A hub with the owner NL*CPA and no receivers yet."""
    async with contextlib.AsyncExitStack() as stack:
        db = Database(database_url)
        stack.push_async_callback(db.close)
        outbound = await stack.enter_async_context(Outbound([ipaddress.ip_network("127.0.0.0/8")]))
        seal = Seal(Fernet.generate_key().decode())
        directory = DirectoryCache(db, seal, open_policy=True)
        await directory.start()
        stack.push_async_callback(directory.stop)
        hub = SmallHub(db, directory, outbound, seal, stack)
        await hub.owner("NL*CPA")
        yield hub
