"""A database as the first release left it is migrated, and a hub goes on with all that is in it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from hub.delivery.engine import Engine
from hub.exchange import ledger_check
from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Peer
from hub.services.postgres import Postgres
from hub.settings import Settings
from hub.store import migrate
from hub.store.db import driver_url
from modules.catalog import CATALOG

FIXTURE = (Path(__file__).parent / "fixtures" / "walking_hub.sql").read_text(encoding="utf-8")
KEY = "d2Fsa2luZy1odWItd2Fsa2luZy1odWItd2Fsa2luZyE="
HUB = ({"role": "HUB", "country_code": "NL", "party_id": "HUB"},)


class Partners(NamedTuple):
    """Who was connected."""

    cpo: CpoBackend
    emsp: Emsp


@pytest.fixture
async def partners() -> AsyncIterator[Partners]:
    """They listen, and remember their tokens."""
    async with CpoBackend("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        yield Partners(cpo, emsp)


@pytest.fixture
async def database_url(
    postgres_server: Postgres, database_names: "itertools.count[int]", partners: Partners
) -> AsyncIterator[str]:
    """The old database, migrated."""
    name = f"old_{next(database_names)}"
    connection = await asyncpg.connect(postgres_server.url, ssl=False)
    url = postgres_server.url.rpartition("/")[0] + f"/{name}"
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        await asyncio.to_thread(to_the_first_release, url)
        await load(url, partners)
        await asyncio.to_thread(migrate.upgrade, url)
        yield url
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


def to_the_first_release(url: str) -> None:
    engine = create_engine(driver_url(url, "psycopg"))
    with engine.connect() as connection:
        command.upgrade(migrate._config(connection), "0001")
    engine.dispose()


async def load(url: str, partners: Partners) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1)
    old = FIXTURE.replace("2026-11-20 12:00:00+00", moment.isoformat(" "))
    for port, partner in (("19911", partners.cpo), ("19912", partners.emsp)):
        old = old.replace(f"http://127.0.0.1:{port}", partner.origin)
    connection = await asyncpg.connect(url, ssl=False)
    await connection.execute(old)
    empty = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )
    for table in empty:
        assert await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table[0]}")'), table[0]  # noqa: S608
    await connection.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The key is the one of that hub."""
    return settings.model_copy(update={"secret_key": KEY})


@pytest.fixture
async def connected(running: Any, partners: Partners) -> Any:
    """The hub runs on it, and the partners go on with the tokens they had."""
    for partner in partners:
        name = str(partner.parties[0])
        partner.peer = Peer(f"token-of-{name}", f"token-for-{name}", running.hub.versions_url, HUB, {})
        endpoints = await partner._look_up(running.hub.versions_url, f"token-for-{name}")
        partner.peer = Peer(f"token-of-{name}", f"token-for-{name}", running.hub.versions_url, HUB, endpoints)
    return running


async def rows(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def cdr(running: Any, name: str) -> dict[str, Any]:
    """A CDR that its owner sent, or tried to send, to the release before."""
    ((body,),) = await rows(running, "SELECT body FROM cdr_body JOIN cdr USING (seq) WHERE key = 'CDR1'")
    found: dict[str, Any] = json.loads(body.encode())
    return found | {"id": name, "session_id": f"S-{name}"}


async def test_everything_of_it_is_there(connected: Any, partners: Partners) -> None:
    assert migrate.current(connected.hub.settings.database_url) == migrate.newest()
    cpo, emsp = partners
    locations = await emsp.pull("locations", to=emsp.hub)
    assert [one["id"] for one in locations] == ["LOC1", "LOC2", "LOC3", "SQUARE"]
    assert [one["id"] for one in await emsp.pull("tariffs", to=emsp.hub)] == ["TARIFF1"]
    sessions = await emsp.pull("sessions", to=emsp.hub, date_from="2026-01-01T00:00:00Z")
    assert [one["id"] for one in sessions] == ["SESSION1"]
    assert [one["id"] for one in await emsp.pull("cdrs", to=emsp.hub)] == ["CDR1", "CDR2", "CDR2-C", "CDR3"]
    assert [one["uid"] for one in await cpo.pull("tokens", to=cpo.hub)] == [samples.token()["uid"]]
    assert await rows(connected, "SELECT correlation_id FROM hop ORDER BY at LIMIT 1") == [("corr",)]
    assert await rows(connected, "SELECT live FROM object_count ORDER BY owner, module") == [(1,), (3,), (1,), (1,)]


async def test_its_ledger_is_chained_and_goes_on(connected: Any, partners: Partners) -> None:
    cpo, _ = partners
    assert (await cpo.post_cdr(await cdr(connected, "CDR4"), to="DE*MSA")).http_status == 201
    verdict = await ledger_check.verify(connected.hub.db, connected.hub.seal)
    assert verdict.ok, verdict
    assert [(chain.owner, chain.entries) for chain in verdict.chains] == [("NL*CPA", 5)]


async def test_cdrs_that_come_again_are_answered_as_before(connected: Any, partners: Partners) -> None:
    cpo, emsp = partners
    again = await cpo.post_cdr(await cdr(connected, "CDR1"), to="DE*MSA")
    assert again.http_status == 201
    assert again.headers["Location"].endswith("/cdrs/public-CDR1")
    assert (await cpo.post_cdr(await cdr(connected, "CDR1") | {"remark": "x"}, to="DE*MSA")).status_code == 2001
    assert not emsp.cdrs
    for name in ("UNCLEAR", "PENDING"):
        assert (await cpo.post_cdr(await cdr(connected, name) | {"remark": "x"}, to="DE*MSA")).status_code == 2001
        assert (await cpo.post_cdr(await cdr(connected, name), to="DE*MSA")).http_status == 201
    assert (await cpo.post_cdr(await cdr(connected, "REFUSED") | {"remark": "x"}, to="DE*MSA")).http_status == 201
    assert len(emsp.cdrs) == 3


async def test_what_it_owed_is_delivered(connected: Any, partners: Partners) -> None:
    """Changes its lane had not come to, stamped or not, a backfill, a CDR in custody; what was parked stays so."""
    hub, emsp = connected.hub, partners.emsp
    engine = Engine(
        db=hub.db, outbound=hub.outbound, directory=hub.directory, catalog=CATALOG, code=hub.code, note=hub.journal.note
    )
    await engine.start()
    try:
        await emsp.until(lambda: {o["id"] for o in emsp.locations.all()} >= {"LOC2", "LOC3"}, 60, "the lane")
        await emsp.until(lambda: len(emsp.cdrs) == 1, 60, "the CDR in custody")
        await emsp.until(lambda: len(emsp.tariffs.all()) == 1, 60, "the backfill")
    finally:
        await engine.drain(limit=2)
    assert await rows(connected, "SELECT key, parked FROM owed") == [("SESSION1", True)]
    assert emsp.sessions.all() == []
