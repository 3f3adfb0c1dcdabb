from typing import Any

import httpx
from sqlalchemy import text

from hub.exchange.context import Hub
from hub.store.db import Database
from hub.store.heartbeats import Pulse


async def examined(api: httpx.AsyncClient) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in (await api.get("/doctor")).json():
        found.setdefault(finding["check"], []).append(finding)
    return found


async def test_a_hub_that_is_well(api: httpx.AsyncClient, hub: Hub) -> None:
    async with hub.db.unit_of_work() as session:
        await session.execute(text("DELETE FROM alert"))
    for kind in ("worker", "beat"):
        await Pulse(hub.db, kind).beat()
    found = await examined(api)
    assert {finding["verdict"] for findings in found.values() for finding in findings} == {"ok"}
    assert found["database"][0]["detail"].startswith("PostgreSQL")
    assert found["Redis"][0]["detail"] == "answers, noeviction"


async def test_a_schema_of_another_release_is_noticed(api: httpx.AsyncClient, hub: Hub, database_url: str) -> None:
    owner = Database(database_url)
    async with owner.engine.connect() as connection:
        await connection.execute(text("RESET ROLE"))
        await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        await connection.commit()
    await owner.close()
    finding = (await examined(api))["database"][0]
    assert (finding["verdict"], "knutpunkt migrate" in finding["advice"]) == ("fail", True)


async def test_the_doctor_answers_without_a_database_and_without_redis(api: httpx.AsyncClient, hub: Hub) -> None:
    there, hub.db = hub.db, Database("postgresql://nobody:none@127.0.0.1:9/none")
    try:
        found = await examined(api)
    finally:
        hub.db = there
    assert found["database"][0]["verdict"] == "fail"
    hub.settings = hub.settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    redis = (await examined(api))["Redis"][0]
    assert (redis["verdict"], "REDIS_URL" in redis["advice"]) == ("warn", True)
