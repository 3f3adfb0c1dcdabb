from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import text
from sqlmodel import col, update

from hub.delivery import log, owed
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store.lanes import Owed
from hub.store.log import Entry

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
        await log.append(session, [Entry(**change, part_ids=(), fields=None, correlation_id="c")])
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


async def run(hub: Hub, statement: str) -> list[Any]:
    """Run SQL; its rows."""
    async with hub.db.unit_of_work() as session:
        return list((await session.execute(text(statement))).all())


async def test_a_parked_object_is_shown_with_what_its_receiver_answered(api: httpx.AsyncClient, hub: Hub) -> None:
    await owe(hub, "locations", "LOC1", parked=True, sample='{"status_code": 2001}')
    await owe(hub, "tokens", "RFID:04A1B2C3D4E580", sample="of an earlier time")
    numbers = {item["key"]: item["number"] for item in (await api.get("/deliveries")).json()["items"]}
    parked = (await api.get(f"/deliveries/{numbers['LOC1']}")).json()
    assert (parked["state"], parked["sample"], parked["tries"]) == ("parked", '{"status_code": 2001}', 2)
    tried = (await api.get(f"/deliveries/{numbers['…80']}")).json()
    assert (tried["state"], tried["key"], tried["sample"]) == ("owed", "…80", None)
    assert (await api.get("/deliveries/999999")).status_code == 404
    assert (await api.get(f"/deliveries/{2**63}")).status_code == 400


async def test_parked_objects_are_tried_again_all_or_some(api: httpx.AsyncClient, hub: Hub) -> None:
    for key in ("LOC1", "LOC2", "LOC3"):
        await owe(hub, "locations", key, parked=True, sample="no")
    await owe(hub, "tariffs", "T1", parked=True)
    await owe(hub, "tariffs", "T2")
    for order, objects in (
        ({"receiver": "FR*MSB"}, None),
        ({"owner": "NL*CPA", "module": "tariffs"}, 1),
        ({"number": (await run(hub, "SELECT mark FROM owed WHERE key = 'LOC2'"))[0][0]}, 1),
        ({"all": True}, 2),
        ({"all": True}, None),
    ):
        answer = await api.post("/deliveries/replay", json=order)
        assert answer.status_code == (404 if objects is None else 200), answer.text
        assert answer.json().get("objects") == objects
    rows = await run(hub, "SELECT key, tries, parked, sample, next_at <= now() FROM owed ORDER BY key")
    assert rows == [(k, 0 if k != "T2" else 2, False, None, True) for k in ("LOC1", "LOC2", "LOC3", "T1", "T2")]
    nothing = await api.post("/deliveries/replay", json={})
    assert (nothing.status_code, "or say all" in nothing.json()["error"]) == (400, True)


async def test_what_is_given_up_leaves_a_word_of_who_and_why(api: httpx.AsyncClient, hub: Hub) -> None:
    await owe(hub, "locations", "LOC1", parked=True, reason="PUT answered HTTP 400")
    await owe(hub, "locations", "LOC2")
    answer = await api.post("/deliveries/discard", json={"receiver": "DE*MSA", "reason": "site is sold"})
    assert answer.json() == {"objects": 1, "reason": "site is sold", "who": "operator"}
    assert await run(hub, "SELECT key FROM owed") == [("LOC2",)]
    assert await run(hub, "SELECT receiver, key, why, who, refusal, tries FROM discard") == [
        ("DE*MSA", "LOC1", "site is sold", "operator", "PUT answered HTTP 400", 2)
    ]
    await hub.journal.flush()
    assert await run(hub, "SELECT decision, sender, receiver, detail, key FROM hop WHERE decision = 'discard'") == [
        ("discard", "operator", "DE*MSA", "site is sold", "LOC1")
    ]
    assert (await api.post("/deliveries/discard", json={"receiver": "DE*MSA"})).status_code == 400
    assert (await api.post("/deliveries/discard", json={"reason": "no idea"})).status_code == 400
    assert (await api.post("/deliveries/discard", json={"all": True, "reason": "no idea"})).status_code == 404


async def test_a_cdr_is_given_up_only_if_it_is_meant_and_stays_in_the_ledger(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    await connect("DE*MSA", "EMSP")
    await run(hub, "INSERT INTO cdr (owner, key, public_id, receiver, hash, currency, total_energy, start_date_time,"
                   " end_date_time, last_updated) VALUES ('NL*CPA', 'CDR1', 'p', 'DE*MSA', '', 'EUR', 7, now(), now(),"
                   " now())")  # fmt: skip
    bill = json.dumps(samples.cdr(samples.session() | {"kwh": 7}, samples.location(), samples.tariff())).decode()
    async with hub.db.unit_of_work() as session:
        await session.execute(text("INSERT INTO cdr_body SELECT seq, :body FROM cdr"), {"body": bill})
    await run(hub, "INSERT INTO cdr_delivery (seq, state) SELECT seq, 'custody' FROM cdr")
    await owe(hub, "cdrs", "CDR1", parked=True, reason="POST answered HTTP 400")
    order: dict[str, Any] = {"all": True, "reason": "settled by letter"}
    refused = await api.post("/deliveries/discard", json=order)
    assert (refused.status_code, "--cdr" in refused.json()["error"]) == (409, True)
    assert (await api.post("/deliveries/discard", json=order | {"cdr": True})).status_code == 200
    (row,) = (await api.get("/cdrs", params={"state": "discarded"})).json()
    assert (row["id"], row["state"], row["reason"]) == (
        "CDR1", "discarded", "discarded by operator: settled by letter",
    )  # fmt: skip
