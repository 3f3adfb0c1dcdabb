"""/metrics: for operators only, all there is to know, and an answer even without the database."""

import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from hub import metrics
from hub.delivery import log
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store.db import Database

Connect = Callable[[str, str], Awaitable[int]]
BEARER = {"Authorization": "Bearer operator-token-for-tests"}


@pytest.fixture
def scrape(app: FastAPI) -> Callable[..., Awaitable[httpx.Response]]:
    """Ask for the metrics as Prometheus does."""

    async def ask(shown: dict[str, str] = BEARER) -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), trust_env=False, base_url="http://hub"
        ) as client:
            return await client.get("/metrics", headers=shown)

    return ask


def value(exposition: str, series: str) -> float:
    """The value of one series: value(text, 'knutpunkt_parked_objects{receiver="DE*MSA"}')."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", exposition, re.MULTILINE)
    assert found, f"{series} is not in\n{exposition}"
    return float(found[1])


async def test_it_needs_the_operators_token(scrape: Callable[..., Awaitable[httpx.Response]]) -> None:
    assert (await scrape({})).status_code == 401
    assert (await scrape({"Authorization": "Bearer wrong"})).status_code == 401
    answer = await scrape()
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_what_the_database_knows(
    scrape: Callable[..., Awaitable[httpx.Response]], api: httpx.AsyncClient, hub: Hub, host: str, connect: Connect
) -> None:
    await connect("DE*MSA", "EMSP")
    await api.put("/tariffs", content=json.dumps(samples.tariff(host, "T1")))
    await log.stamp(hub.db)
    await api.put("/tariffs", content=json.dumps(samples.tariff(host, "T2")))
    owed = "INSERT INTO owed (receiver, owner, module, key, need, correlation_id, parked) VALUES"
    alert = "INSERT INTO alert (kind, subject, detail) VALUES ('object_parked', 'DE*MSA', 'one')"
    beat = "INSERT INTO heartbeat (process, kind, started_at, at, figures) VALUES"
    for statement in (
        f"{owed} ('DE*MSA', 'NL*LOC', 'tariffs', 'A', '{{}}', 'c', true)",
        f"{owed} ('DE*MSA', 'NL*LOC', 'tariffs', 'B', '{{}}', 'c', false)",
        "UPDATE change_log SET at = now() - interval '90 seconds'",
        alert,
        f"{beat} ('worker@dead', 'worker', now(), now() - interval '10 minutes', :figures)",
        f"{beat} ('worker@a:1', 'worker', now(), now(), :figures)",
    ):
        async with hub.db.unit_of_work() as session:
            figures = {"knutpunkt_deliveries": [("knutpunkt_deliveries_total", {"verdict": "delivered"}, 7)]}
            bound = {"figures": json.dumps(figures).decode()} if ":figures" in statement else {}
            await session.execute(text(statement), bound)
    shown = (await scrape()).text
    assert value(shown, "knutpunkt_database_up") == 1
    assert value(shown, 'knutpunkt_lane_depth{receiver="DE*MSA"}') == 1
    assert 90 <= value(shown, 'knutpunkt_lane_age_seconds{receiver="DE*MSA"}') < 120
    assert value(shown, 'knutpunkt_owed_objects{receiver="DE*MSA"}') == 1
    assert value(shown, 'knutpunkt_parked_objects{receiver="DE*MSA"}') == 1
    assert value(shown, "knutpunkt_log_head") == 1
    assert value(shown, "knutpunkt_log_unstamped") == 1
    assert 90 <= value(shown, "knutpunkt_log_unstamped_age_seconds") < 120
    assert value(shown, 'knutpunkt_platforms{status="CONNECTED"}') == 1
    assert value(shown, 'knutpunkt_alerts{kind="object_parked"}') == 1
    assert value(shown, "knutpunkt_database_size_bytes") > 1_000_000
    assert value(shown, 'knutpunkt_heartbeat_age_seconds{kind="worker",process="worker@dead"}') >= 600
    assert value(shown, 'knutpunkt_deliveries_total{process="worker@a:1",verdict="delivered"}') == 7
    assert 'knutpunkt_deliveries_total{process="worker@dead"' not in shown


async def test_without_the_database_it_tells_what_the_process_knows(
    scrape: Callable[..., Awaitable[httpx.Response]], hub: Hub
) -> None:
    metrics.forwards("tariffs").observe(0.2)
    there, hub.db = hub.db, Database("postgresql://nobody:none@127.0.0.1:9/none")
    try:
        answer = await scrape()
    finally:
        hub.db = there
    assert answer.status_code == 200
    assert value(answer.text, "knutpunkt_database_up") == 0
    assert value(answer.text, 'knutpunkt_forward_seconds_count{module="tariffs"}') >= 1
    assert "knutpunkt_log_head" not in answer.text
