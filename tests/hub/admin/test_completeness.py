"""How complete an agreement is: only what the receiver has acknowledged counts as delivered."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hub.delivery import owed
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store import objects
from hub.store.objects import New

Connect = Callable[[str, str], Awaitable[int]]
Told = Callable[[], Awaitable[dict[str, Any]]]


@pytest.fixture
async def platform_id(connect: Connect) -> int:
    """DE*MSA, registered; no worker delivers anything to it."""
    return await connect("DE*MSA", "EMSP")


@pytest.fixture
async def told(api: httpx.AsyncClient, hub: Hub, host: str, platform_id: int) -> Told:
    """What is said of the hosted CPO's three tariffs, which DE*MSA may have."""
    for name in ("T1", "T2", "T3"):
        assert (await api.put("/tariffs", content=json.dumps(samples.tariff(host, name)))).status_code == 201
    order = {"a": host, "b": "DE*MSA", "modules": ["tariffs", "tokens"]}
    agreed = (await api.post("/agreements", json=order)).json()

    async def look() -> dict[str, Any]:
        rows = (await api.get(f"/agreements/{agreed['id']}")).json()["completeness"]
        assert [(row["owner"], row["module"]) for row in rows] == [(host, "tariffs"), ("DE*MSA", "tokens")]
        return {name: rows[0][name] for name in ("are", "delivered", "waiting", "owed", "parked", "discarded", "note")}

    return look


async def run(hub: Hub, *statements: str) -> None:
    async with hub.db.unit_of_work() as session:
        for statement in statements:
            await session.execute(text(statement))


def counted(delivered: int | None, waiting: int = 0, *, note: str | None = None, **numbers: int) -> Any:
    others = {"owed": 0, "parked": 0, "discarded": 0} | numbers
    return {"are": 3, "delivered": delivered, "waiting": waiting, "note": note, **others}


async def test_what_is_on_its_way_is_not_delivered(hub: Hub, told: Told) -> None:
    assert await told() == counted(0, waiting=3)
    await run(hub, "DELETE FROM change_log")
    assert await told() == counted(0, waiting=3)  # the full delivery has still to come to them
    await run(hub, "UPDATE backfill SET last_id = (SELECT min(id) FROM object)")
    assert await told() == counted(1, waiting=2)
    await run(hub, "DELETE FROM backfill")
    assert await told() == counted(3)
    await run(
        hub,
        "INSERT INTO change_log (owner, module, key, audience, correlation_id, position)"
        " VALUES ('NL*LOC', 'tariffs', 'T1', '*', 'c', 1)",
    )
    assert await told() == counted(2, waiting=1)


async def test_what_is_owed_or_was_refused_is_not_delivered(hub: Hub, told: Told) -> None:
    await run(hub, "DELETE FROM change_log", "DELETE FROM backfill")
    async with hub.db.unit_of_work() as session:
        for key in ("T1", "T2"):
            await owed.add(session, receiver="DE*MSA", owner="NL*LOC", module="tariffs", key=key, correlation_id="c")
    await run(hub, "UPDATE owed SET parked = true WHERE key = 'T2'")
    assert await told() == counted(1, owed=1, parked=1)
    await run(
        hub,
        "DELETE FROM owed WHERE parked",
        "INSERT INTO discard (receiver, owner, module, key, why, who, tries, correlation_id)"
        " SELECT 'DE*MSA', 'NL*LOC', 'tariffs', k, 'sold', 'operator', 8, 'c' FROM unnest(ARRAY['T1', 'T2']) AS k",
    )
    assert await told() == counted(1, owed=1, discarded=1)
    await run(hub, "UPDATE object SET stored_at = now() + interval '1 s' WHERE key = 'T2'")  # it has changed since
    assert await told() == counted(2, owed=1)


async def test_who_pulls_and_who_is_away(api: httpx.AsyncClient, hub: Hub, told: Told, platform_id: int) -> None:
    await run(hub, "UPDATE platform SET status = 'OFFLINE' WHERE NOT hosted", "UPDATE counter SET value = value + 1")
    assert await told() == counted(0, waiting=3, note="is OFFLINE: goes on when it is back")
    await run(hub, "UPDATE platform SET status = 'CONNECTED'", "UPDATE counter SET value = value + 1")
    await api.patch(f"/platforms/{platform_id}", json={"resync": "pull"})
    assert await told() == counted(None, note="pulls for itself (resync)")


async def test_what_a_hosted_party_holds_is_what_is_kept(
    api: httpx.AsyncClient, hub: Hub, host: str, platform_id: int
) -> None:
    kept = [("RFID:1", "*"), ("RFID:2", host), ("RFID:3", "FR*XXX"), ("RFID:1", host)]
    tokens = [New("tokens", key, audience, "{}", "{}", datetime.now(UTC)) for key, audience in kept]
    async with hub.db.unit_of_work() as session:
        await objects.write(session, "DE*MSA", tokens)
        await objects.write(session, host, [New("sessions", "S", "DE*MSA", "{}", "{}", datetime.now(UTC))])
    agreed = (await api.post("/agreements", json={"a": host, "b": "DE*MSA"})).json()
    rows = (await api.get(f"/agreements/{agreed['id']}")).json()["completeness"]
    found = {row["module"]: (row["are"], row["delivered"], row["note"]) for row in rows}
    assert found["tokens"] == (2, 2, "hosted here")
    assert found["sessions"][0] == 1
    assert "cdrs" not in found


async def test_a_party_that_is_only_invited_has_nothing(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    await api.post("/invitations", json={"parties": [{"code": "DE*MSA", "role": "EMSP"}]})
    agreed = (await api.post("/agreements", json={"a": host, "b": "DE*MSA", "modules": ["tariffs"]})).json()
    (row,) = (await api.get(f"/agreements/{agreed['id']}")).json()["completeness"]
    assert (row["delivered"], row["note"]) == (None, "is not connected to this hub")
