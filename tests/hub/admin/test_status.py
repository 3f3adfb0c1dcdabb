from collections.abc import Awaitable, Callable

import httpx

from hub.delivery import log
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store.db import Database


async def test_a_hub_that_is_well(
    api: httpx.AsyncClient, hub: Hub, host: str, connect: Callable[[str, str], Awaitable[int]]
) -> None:
    await connect("DE*MSA", "EMSP")
    await api.put("/tariffs", content=json.dumps(samples.tariff(host, "T1")))
    await log.stamp(hub.db)
    await api.put("/tariffs", content=json.dumps(samples.tariff(host, "T2")))
    found = (await api.get("/status")).json()
    assert (found["hub"], found["database"], found["broker"]) == ("NL*HUB", "ok", "ok")
    assert found["version"]
    assert found["numbers"] == {
        "log_head": 1, "unstamped": 1, "lanes": 1, "lanes_behind": 1, "owed": 0, "parked": 0, "backfills": 0,
        "held_cdrs": 0, "platforms": {"CONNECTED": 1},
    }  # fmt: skip


async def test_it_answers_without_its_services(api: httpx.AsyncClient, hub: Hub) -> None:
    there, settings = hub.db, hub.settings
    hub.db = Database("postgresql://nobody:none@127.0.0.1:9/none")
    hub.settings = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    try:
        answer = await api.get("/status")
    finally:
        hub.db, hub.settings = there, settings
    assert answer.status_code == 200
    found = answer.json()
    assert found["database"].startswith("does not answer")
    assert found["broker"].startswith("does not answer")
    assert found["numbers"] is None
