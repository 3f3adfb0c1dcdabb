from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import col, update

from hub.delivery import log, owed
from hub.exchange.context import Hub
from hub.store.lanes import Owed

Connect = Callable[[str, str], Awaitable[int]]


async def owe(hub: Hub, module: str, key: str, **values: object) -> None:
    async with hub.db.session() as session:
        await owed.add(session, receiver="DE*MSA", owner="NL*CPA", module=module, key=key, correlation_id="c")
        await session.exec(update(Owed).where(col(Owed.key) == key).values(tries=2, **values))


async def test_lanes_and_debts(api: httpx.AsyncClient, hub: Hub, connect: Connect) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    await owe(hub, "locations", "LOC1", reason="PUT answered HTTP 500")
    await owe(hub, "locations", "LOC2", reason="PUT answered HTTP 400", parked=True)
    found = (await api.get("/deliveries")).json()
    (lane,) = found["lanes"]
    assert (lane["receiver"], lane["platform_id"], lane["status"]) == ("DE*MSA", platform_id, "CONNECTED")
    assert (lane["behind"], lane["behind_since"], lane["owed"], lane["parked"]) == (0, None, 1, 1)
    parked, tried = found["items"]
    assert (parked["key"], parked["state"], parked["next_try_at"]) == ("LOC2", "parked", None)
    assert (tried["key"], tried["state"], tried["tries"], tried["reason"]) == (
        "LOC1", "owed", 2, "PUT answered HTTP 500",
    )  # fmt: skip
    assert tried["next_try_at"] >= tried["since"]
    assert not found["more"]


async def test_what_is_owed_longer_stays_owed_since_then(api: httpx.AsyncClient, hub: Hub) -> None:
    await owe(hub, "locations", "LOC1")
    first = (await api.get("/deliveries")).json()["items"][0]["since"]
    await owe(hub, "locations", "LOC1")
    assert (await api.get("/deliveries")).json()["items"][0]["since"] == first


async def test_a_lane_that_is_behind_says_since_when(api: httpx.AsyncClient, hub: Hub, connect: Connect) -> None:
    await connect("DE*MSA", "EMSP")
    change: dict[str, Any] = {"owner": "NL*CPA", "module": "locations", "key": "LOC1", "audience": "*"}
    async with hub.db.session() as session:
        await log.append(session, **change, part_ids=(), fields=None, correlation_id="c")
    async with hub.db.session() as session:
        await session.execute(text("UPDATE change_log SET position = 1"))
        await session.execute(text("UPDATE log_head SET position = 1"))
    (lane,) = (await api.get("/deliveries")).json()["lanes"]
    assert lane["behind"] == 1
    assert lane["behind_since"] is not None


async def test_filters_and_personal_keys(api: httpx.AsyncClient, hub: Hub) -> None:
    await owe(hub, "locations", "LOC1")
    await owe(hub, "tokens", "RFID:04A1B2C3D4E580", parked=True)
    for query, keys in (
        ({"state": "owed"}, ["LOC1"]),
        ({"state": "parked"}, ["…80"]),
        ({"receiver": "de*msa"}, ["…80", "LOC1"]),
        ({"receiver": "FR*MSB"}, []),
        ({"limit": "1"}, ["…80"]),
    ):
        found = (await api.get("/deliveries", params=query)).json()
        assert [item["key"] for item in found["items"]] == keys
        assert found["more"] == (query == {"limit": "1"})
    assert (await api.get("/deliveries", params={"receiver": "DEMSA"})).status_code == 400
