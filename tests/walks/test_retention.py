"""Story: three weeks of traffic, each day of them a moment long. Message log and change log keep to their retention,
and a receiver that was away all the time still gets all it must have.

A day passes by making all there is a day older; the worker's own chores, rung as beat rings them, do the rest.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from celery import Celery

from hub.delivery import broker, tasks
from hub.delivery.log import KEPT
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.settings import Settings

DAYS, LOCATIONS, VERSIONS = 21, 4, 2
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
OLDER = [
    "UPDATE hop SET at = at - interval '1 day'",
    "UPDATE change_log SET at = at - interval '1 day'",
]
FACTS = """
SELECT (SELECT count(*) FROM hop) AS hops, (SELECT now() - min(at) FROM hop) AS oldest_hop,
       (SELECT count(*) FROM pg_inherits WHERE inhparent = 'hop'::regclass) AS partitions,
       (SELECT count(*) FROM change_log) AS changes, (SELECT now() - min(at) FROM change_log) AS oldest_change,
       (SELECT tail FROM log_head) AS tail
"""


@pytest.fixture
async def owner(world: Any) -> AsyncIterator[asyncpg.Connection]:
    """The hub's database, as its owner."""
    connection = await asyncpg.connect(world.stack.settings.database_url, ssl=False)
    yield connection
    await connection.close()


@pytest.fixture
def ring(world: Any) -> Callable[[str], None]:
    """Ring for a chore, as beat does."""
    celery = Celery("beat", set_as_current=False)
    celery.conf.update(broker.configuration(world.stack.settings.broker))

    def send(task: str) -> None:
        celery.send_task(task, queue=broker.CRON)

    return send


async def a_day_passes(owner: asyncpg.Connection, ring: Callable[[str], None]) -> asyncpg.Record:
    """Everything is a day older, and the worker has done its chores; how much there is now."""
    eldest = datetime.now(UTC).date() - timedelta(days=Settings().message_retention + 1)
    name = f"hop_{eldest:%Y%m%d}"
    await owner.execute(
        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF hop"
        f" FOR VALUES FROM ('{eldest} 00:00+00') TO ('{eldest + timedelta(days=1)} 00:00+00')"
    )
    for statement in OLDER:
        await owner.execute(statement)
    ring(tasks.EXPIRE)
    ring(tasks.PRUNE)
    old = "SELECT to_regclass($1) IS NOT NULL OR EXISTS (SELECT FROM change_log WHERE at < now() - $2::interval)"
    deadline = time.monotonic() + 20
    while await owner.fetchval(old, name, KEPT):
        assert time.monotonic() < deadline, "the chores were not done"
        await asyncio.sleep(0.02)
    return await owner.fetchrow(FACTS)


@pytest.mark.timeout(120)
async def test_three_weeks(world: Any, owner: asyncpg.Connection, ring: Callable[[str], None]) -> None:
    cpo, home, away = CpoBackend("NL*CPA"), Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (cpo, home, away):
        await world.join(platform)
    numbers = itertools.count()
    newest: dict[str, str] = {}

    async def push(location_id: str) -> str:
        at = format_datetime(START + timedelta(seconds=(number := next(numbers))))
        body = samples.location(id=location_id, at=at) | {"name": f"version {number}"}
        answer = await cpo.send("PUT", "locations", "NL", "CPA", location_id, to=cpo.hub, body=body)
        assert answer.ok
        newest[location_id] = str(body["name"])
        return str(answer.correlation_id)

    def holds_all(emsp: Emsp) -> bool:
        return {o["id"]: o["name"] for o in emsp.locations.all()} == newest

    await away.go_away()
    await owner.execute("UPDATE platform SET status = 'OFFLINE' WHERE name = $1", away.name)
    await owner.execute("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    first = await push("LOC0")
    facts = []
    for day in range(DAYS):
        for _ in range(VERSIONS):
            await asyncio.gather(*(push(f"LOC{day}-{number}") for number in range(LOCATIONS)))
        last = await push("LOC0")
        await home.until(lambda: holds_all(home), 20, "the day's traffic")
        facts.append(await a_day_passes(owner, ring))

    pushes = LOCATIONS * VERSIONS + 1
    retention = timedelta(days=Settings().message_retention)
    for fact in facts:
        assert fact["oldest_hop"] < retention + timedelta(days=1, minutes=5)
        assert fact["oldest_change"] < KEPT + timedelta(minutes=5)
        assert fact["changes"] <= pushes * (KEPT.days + 1)
        assert fact["partitions"] == retention.days + 1 + 3
    grown = [fact["hops"] for fact in facts]
    assert grown[0] < grown[5] < grown[10]
    assert max(grown) < 2 * pushes * (retention.days + 2)
    assert facts[-1]["tail"] > pushes * (DAYS - KEPT.days - 2)
    assert (await world.operator.get(f"/trace/{first}")).status_code == 404
    assert (await world.operator.get(f"/trace/{last}")).status_code == 200

    assert not away.locations.all()
    await away.come_back()
    while not holds_all(away):
        await away.send("GET", "locations", interface="SENDER", to=away.hub, query={"limit": "1"})
        await asyncio.sleep(0.2)
    assert home.backwards == away.backwards == []
