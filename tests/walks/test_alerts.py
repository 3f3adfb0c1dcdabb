"""Stories: each kind of alert is raised when its cause comes, told to a webhook once, and cleared when it is over.

One story runs a whole hub; for the others a real API process' insides run in the test, with short times, and causes
that would take hours are written into the database.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.fernet import Fernet
from sqlalchemy import text

from hub.app import create_app
from hub.delivery import log
from hub.ocpi.errors import InvalidParameters, OcpiError, Unauthorized
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.services.data import DataDirectory
from hub.services.redis import Redis
from hub.settings import CHECKOUT, Settings
from hub.store.db import Database
from hub.watch.limits import Limits

QUICK = Limits(
    every=0.2, silent=7.0, patience=0.5, settling=0.5, certificates_every=0.2, full=0.03, cleared=0.02,
    webhook_timeout=1.0, webhook_pause=1.0,
)  # fmt: skip


@dataclass
class Webhook:
    """What the operator's webhook was told. It answers 500 to the first `failures`."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    failures: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """A POST of the hub."""
        self.told.append(await request.json())
        return web.Response(status=500 if len(self.told) <= self.failures else 204)

    def about(self, kind: str, subject: str) -> list[str]:
        """The states told of one alert, in order."""
        return [told["state"] for told in self.told if told["kind"] == kind and subject in told["subject"]]

    async def until(self, kind: str, subject: str, *states: str, patience: float = 30.0) -> dict[str, Any]:
        """Wait until just these states have been told; the last message."""
        deadline = time.monotonic() + patience
        while self.about(kind, subject) != list(states):
            assert time.monotonic() < deadline, (kind, subject, states, self.told)
            await asyncio.sleep(0.05)
        return next(told for told in reversed(self.told) if told["kind"] == kind)


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    """The operator's webhook."""
    found, app = Webhook(), web.Application()
    app.router.add_post("/hook", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/hook"))
        yield found


@pytest.fixture
def settings(database_url: str, redis_url: str, webhook: Webhook) -> Settings:
    """A hub with a limit of 1 GiB for its database, told to nobody but the webhook."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_key=Fernet.generate_key().decode(),
        alert_url=webhook.url,
        database_limit=1,
        outbound_allow=(ip_network("127.0.0.0/8"),),
    )


@dataclass
class Sql:
    """The database of a hub, for what would take hours to come by itself."""

    db: Database

    async def run(self, statement: str, **values: Any) -> Any:
        """Run SQL; the first value, if there is one."""
        async with self.db.unit_of_work() as session:
            row = (await session.execute(text(statement), values)).first()
            return row[0] if row is not None else None

    async def until(self, statement: str) -> None:
        """Run SQL until it gives something."""
        async with asyncio.timeout(20):
            while True:
                if await self.run(statement) is not None:
                    return
                await asyncio.sleep(0.05)

    async def platform(self, name: str, role: str = "CPO") -> int:
        """A connected platform with a party of this code."""
        number = await self.run(
            "INSERT INTO platform (name, hosted, status, resync, token_form, strict, last_seen_at)"
            " VALUES (:name, false, 'CONNECTED', 'push', 'base64', false, now()) RETURNING id", name=name,
        )  # fmt: skip
        await self.run(
            "INSERT INTO party (code, platform_id, roles, business_details) VALUES (:code, :id, ARRAY[:role], '{}')",
            code=name, id=number, role=role,
        )  # fmt: skip
        await self.run(
            "INSERT INTO access_token (hash, platform_id, kind) VALUES (:hash, :id, 'C')",
            hash=os.urandom(32),
            id=number,
        )
        await self.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
        return int(number)


@contextlib.asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Database]:
    db = Database(url)
    yield db
    await db.close()


@pytest.fixture
async def sql(settings: Settings) -> AsyncIterator[Sql]:
    """The database of an API process that watches; there is no worker."""
    app = create_app(settings, QUICK)
    async with app.router.lifespan_context(app):
        yield Sql(app.state.hub.db)


@pytest.fixture
def world_settings(tmp_path: Path, webhook: Webhook) -> Settings:
    """A hub that tells its alerts to the webhook."""
    return Settings(
        data=tmp_path / "data",
        port=0,
        bridge_port=0,
        outbound_allow=(ip_network("127.0.0.0/8"),),
        log_format="json",
        alert_url=webhook.url,
        database_limit=1,
    )


class Moody(Emsp):
    """An eMSP that at times refuses whatever is pushed to it."""

    refusal: OcpiError | None = None

    def admit(self, seen: Received) -> None:
        """Refuse, if in the mood."""
        super().admit(seen)
        if self.refusal is not None and "/receiver/" in seen.path:
            raise self.refusal


async def test_a_whole_hub_is_quiet_until_partners_refuse(world: Any, webhook: Webhook, tmp_path: Path) -> None:
    cpo, locked, picky = CpoBackend("NL*CPA"), Moody("DE*MSA"), Moody("FR*MSB")
    for platform in (cpo, locked, picky):
        await world.join(platform)
    assert (await world.operator.get("/alerts")).json() == []
    async with _opened(world.stack.settings.database_url) as db:  # or the first delivery of all brings the tariff
        await Sql(db).until("SELECT 1 WHERE NOT EXISTS (SELECT FROM backfill)")
    locked.refusal, picky.refusal = Unauthorized(), InvalidParameters("price: too high")
    pushed = await cpo.put_tariff(samples.tariff("NL*CPA", "T1"), to=cpo.hub)
    assert pushed.ok
    await picky.until(lambda: any("/tariffs/" in seen.path for seen in picky.received), 20, "a refused push")
    async with _opened(world.stack.settings.database_url) as db:
        await Sql(db).until("SELECT 1 FROM heartbeat HAVING count(DISTINCT kind) = 4")  # beat is heard after 10 s
        await Sql(db).until("UPDATE owed SET tries = 7, next_at = now() WHERE receiver = 'FR*MSB' RETURNING tries")
    stopped = await webhook.until("lane_stopped", "DE*MSA", "raised")
    parked = await webhook.until("object_parked", "FR*MSB", "raised")
    assert stopped["hub"] == "NL*HUB"
    assert "HTTP 401" in stopped["detail"]
    assert "renew the credentials" in stopped["text"]
    assert parked["detail"].startswith("1 object that it refuses, first tariffs NL*CPA/T1: ")
    assert "price: too high" in parked["detail"]
    kinds = [alert["kind"] for alert in (await world.operator.get("/alerts")).json()]
    assert sorted(kinds) == ["lane_stopped", "object_parked"]
    locked.refusal = picky.refusal = None
    await locked.renew()
    assert (await cpo.put_tariff(samples.tariff("NL*CPA", "T1"), to=cpo.hub)).ok
    await webhook.until("lane_stopped", "DE*MSA", "raised", "cleared")
    await webhook.until("object_parked", "FR*MSB", "raised", "cleared")
    assert {told["kind"] for told in webhook.told} == {"lane_stopped", "object_parked"}
    assert (await world.operator.get("/alerts")).json() == []
    assert len((await world.operator.get("/alerts", params={"all": "true"})).json()) == 2
    lines = [json.loads(line) for line in (tmp_path / "hub.log").read_text(encoding="utf-8").splitlines()]
    assert all(line["process"] and line["level"] and line["timestamp"] for line in lines)
    parking = [line for line in lines if line["message"].startswith("parked: ")]
    assert [(line["process"], line["correlation_id"]) for line in parking] == [("worker", pushed.correlation_id)]
    assert [line["process"] for line in lines if line.get("alert") == "lane_stopped"] == ["api", "api"]
    assert not [line for line in lines if "push.ring" in line["message"] or "cron.beat" in line["message"]]


async def test_partners_that_fall_silent(sql: Sql, webhook: Webhook) -> None:
    number = await sql.platform("NL*CPA")
    await sql.run("UPDATE platform SET last_seen_at = now() - interval '25 hours'")
    silent = await webhook.until("partner_silent", "NL*CPA", "raised")
    assert silent["detail"] == "a CPO that has not called for 25 h"
    await sql.run("UPDATE platform SET last_seen_at = now()")
    await webhook.until("partner_silent", "NL*CPA", "raised", "cleared")
    await sql.run("UPDATE platform SET status = 'OFFLINE' WHERE id = :id", id=number)
    await webhook.until("partner_silent", "NL*CPA", "raised", "cleared", "raised")
    await sql.run("UPDATE platform SET status = 'CONNECTED' WHERE id = :id", id=number)
    await webhook.until("partner_silent", "NL*CPA", "raised", "cleared", "raised", "cleared")


async def test_credentials_about_to_lapse_and_a_bill_that_waits(sql: Sql, webhook: Webhook) -> None:
    await sql.platform("NL*CPA")
    invited = "INSERT INTO platform (name, hosted, status, resync, token_form, strict)"
    number = await sql.run(f"{invited} VALUES ('Guest', false, 'PLANNED', 'push', 'base64', false) RETURNING id")
    ends = (
        "INSERT INTO access_token (hash, platform_id, kind, expires_at) VALUES ('a', :id, 'A', now() + interval '{}')"
    )
    await sql.run(ends.format("3 hours"), id=number)
    await sql.run("UPDATE access_token SET expires_at = now() + interval '3 hours' WHERE kind = 'C'")
    held = (
        "INSERT INTO held_cdr (session_id, owner, transaction_id, reason, body) VALUES ('S1', 'NL*LOC', 1, :why, '{}')"
    )
    await sql.run(held, why="no tariff fits")
    invitation = await webhook.until("credentials_lapse", "Guest", "raised")
    await webhook.until("credentials_lapse", "NL*CPA", "raised")
    bill = await webhook.until("cdr_held", "NL*LOC", "raised")
    assert "ends" in invitation["detail"]
    assert bill["detail"] == "1 CDR waits for you, first of session S1: no tariff fits"
    await sql.run("UPDATE access_token SET expires_at = NULL WHERE kind = 'C'")
    await sql.run("DELETE FROM access_token WHERE kind = 'A'")
    await sql.run("DELETE FROM held_cdr")
    await webhook.until("credentials_lapse", "Guest", "raised", "cleared")
    await webhook.until("credentials_lapse", "NL*CPA", "raised", "cleared")
    await webhook.until("cdr_held", "NL*LOC", "raised", "cleared")


async def test_a_certificate_that_ends_soon(sql: Sql, webhook: Webhook, certify: Any) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certify(tls, datetime.now(UTC) + timedelta(days=3))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        await sql.platform("NL*CPA")
        await sql.run("UPDATE platform SET versions_url = :url WHERE NOT hosted", url=f"https://{address}/versions")
        await sql.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
        soon = await webhook.until("certificate_expires", address, "raised")
        assert soon["detail"].startswith("its certificate ends at 20")
        certify(tls, datetime.now(UTC) + timedelta(days=60))
        await webhook.until("certificate_expires", address, "raised", "cleared")


async def test_changes_without_a_position(sql: Sql, webhook: Webhook) -> None:
    await sql.run(
        "INSERT INTO change_log (owner, module, key, audience, correlation_id, at)"
        " VALUES ('NL*CPA', 'tariffs', 'T1', '*', 'c', now() - interval '1 minute')"
    )
    behind = await webhook.until("stamping_behind", "change log", "raised")
    assert behind["detail"] == "changes without a position wait, the oldest for 60 s"
    await log.stamp(sql.db, full=True)
    await webhook.until("stamping_behind", "change log", "raised", "cleared")


async def test_a_database_that_fills_its_room(sql: Sql, webhook: Webhook, database_url: str) -> None:
    owner = await asyncpg.connect(database_url, ssl=False)
    await owner.execute("CREATE TABLE ballast AS SELECT generate_series(1, 1000000) AS n")
    full = await webhook.until("database_nearly_full", "database", "raised")
    assert full["detail"] == "0.0 of 1.0 GiB are in use"
    await owner.execute("DROP TABLE ballast")
    await owner.close()
    await webhook.until("database_nearly_full", "database", "raised", "cleared")


async def test_a_worker_that_hangs_and_comes_back(sql: Sql, settings: Settings, webhook: Webhook) -> None:
    await webhook.until("sweep_behind", "workers", "raised")
    command = [sys.executable, "-m", "hub", "worker"]
    environment = settings.environment(os.environ)
    worker = await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, env=environment, start_new_session=True)
    try:
        await webhook.until("sweep_behind", "workers", "raised", "cleared")
        os.killpg(worker.pid, signal.SIGSTOP)
        gone = await webhook.until("process_gone", "worker@", "raised")
        await webhook.until("sweep_behind", "workers", "raised", "cleared", "raised")
        os.killpg(worker.pid, signal.SIGCONT)
        await webhook.until("process_gone", "worker@", "raised", "cleared")
        await webhook.until("sweep_behind", "workers", "raised", "cleared", "raised", "cleared")
        worker.terminate()
        assert await worker.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        await worker.wait()
    assert "it did not end by itself" in gone["detail"]
    await asyncio.sleep(2 * QUICK.patience)
    assert await sql.run("SELECT count(*) FROM heartbeat WHERE kind = 'worker'") == 0
    assert webhook.about("process_gone", "worker@") == ["raised", "cleared"]  # a clean stop is no alert


async def test_a_process_that_is_replaced_is_not_missed(sql: Sql, webhook: Webhook) -> None:
    sign = "INSERT INTO heartbeat (process, kind, started_at, at, figures) VALUES (:name, 'bridge', {}, {}, '{{}}')"
    dead = sign.format("now() - interval '1 hour'", "now() - interval '1 minute'")
    await sql.run(dead, name="bridge@a:1")
    await webhook.until("process_gone", "bridge@a:1", "raised")
    await sql.run(sign.format("now()", "now() + interval '1 minute'"), name="bridge@b:2")
    await webhook.until("process_gone", "bridge@a:1", "raised", "cleared")
    assert await sql.run("SELECT count(*) FROM heartbeat WHERE kind = 'bridge'") == 1


class TestBroker:
    """Redis goes and comes back."""

    @pytest.fixture
    async def redis(self, tmp_path: Path) -> AsyncIterator[Redis]:
        """A Redis of this test's own."""
        data = DataDirectory(tmp_path / "redis")
        data.create()
        server = Redis(data)
        await server.start()
        yield server
        await server.stop()

    @pytest.fixture
    def redis_url(self, redis: Redis) -> str:
        """Its address."""
        return redis.url

    async def test_a_broker_that_is_away(self, redis: Redis, sql: Sql, webhook: Webhook) -> None:
        await redis.stop()
        away = await webhook.until("broker_away", "broker", "raised")
        assert away["severity"] == "warning"
        await redis.start()
        await webhook.until("broker_away", "broker", "raised", "cleared")


async def test_a_webhook_that_is_down_is_told_when_it_is_back(sql: Sql, webhook: Webhook) -> None:
    webhook.failures = 2
    await webhook.until("sweep_behind", "workers", *["raised"] * 3)
    assert len({told["id"] for told in webhook.told}) == 1
    await sql.run("INSERT INTO heartbeat (process, kind, started_at, figures) VALUES ('w', 'worker', now(), '{}')")
    await webhook.until("sweep_behind", "workers", *["raised"] * 3, "cleared")
