from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlmodel import select

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store import pull_plan, pulls
from hub.store.log import Change

Connect = Callable[[str, str], Awaitable[int]]


async def _run(hub: Hub, statement: str, **names: str) -> None:
    async with hub.db.unit_of_work() as session:
        await session.execute(text(statement), names)


_KEEP = (
    "INSERT INTO object (owner, module, key, audience, body, times, last_updated)"
    " VALUES (:owner, :module, :key, '*', :body, '{}', now())"
)
_VANISH = "INSERT INTO pulled (owner, module, key, crawl, missing_since) VALUES (:owner, :module, :key, 0, now())"


async def _keep(hub: Hub, owner: str, module: str, key: str, body: dict[str, Any]) -> None:
    await _run(hub, _KEEP, owner=owner, module=module, key=key, body=json.dumps(body).decode())


async def _vanish(hub: Hub, owner: str, module: str, key: str) -> None:
    await _run(hub, _VANISH, owner=owner, module=module, key=key)


@pytest.fixture
async def listed(hub: Hub, connect: Connect) -> int:
    """NL*CPA with two lists: one Tariff of the first has vanished, and one was not taken; the platform's id."""
    platform_id = await connect("NL*CPA", "CPO")
    rows = [("NL*CPA", "tariffs", platform_id), ("NL*CPA", "locations", platform_id)]
    async with hub.db.unit_of_work() as session:
        await pull_plan.arrange(session, rows, 600)
    await _keep(hub, "NL*CPA", "tariffs", "GONE", samples.tariff(id="gone"))
    await _keep(hub, "NL*CPA", "tariffs", "HERE", samples.tariff(id="here"))
    await _vanish(hub, "NL*CPA", "tariffs", "GONE")
    await _run(
        hub,
        "INSERT INTO pull_finding (party, module, object, reason)"
        " VALUES ('NL*CPA', 'tariffs', 'BAD', 'currency: field required')",
    )
    return platform_id


@pytest.mark.usefixtures("listed")
async def test_the_lists_and_what_is_the_matter_with_them(api: httpx.AsyncClient) -> None:
    locations, tariffs = (await api.get("/pulls")).json()
    assert (locations["module"], locations["state"], locations["vanished"]) == ("locations", "waiting", 0)
    assert (tariffs["module"], tariffs["vanished"]) == ("tariffs", 1)
    assert (await api.get("/pulls", params={"party": "DE*MSA"})).json() == []
    one = (await api.get("/pulls/nl*cpa/tariffs")).json()
    assert [row["key"] for row in one["gone"]] == ["GONE"]
    assert [(row["object"], row["reason"]) for row in one["findings"]] == [("BAD", "currency: field required")]
    assert (await api.get("/pulls/NL*CPA/tokens")).status_code == 404


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("UPDATE pull SET held_until = now() + interval '1 minute'", "reading"),
        ("UPDATE pull SET failures = 2, error = 'no'", "failing"),
        ("UPDATE pull SET next_at = NULL, pushes = true", "pushed"),
    ],
)
async def test_the_states_of_a_list(api: httpx.AsyncClient, hub: Hub, listed: int, change: str, state: str) -> None:
    await _run(hub, change)
    assert {row["state"] for row in (await api.get("/pulls")).json()} == {state}


async def test_a_list_is_read_when_the_operator_says_so(api: httpx.AsyncClient, hub: Hub, listed: int) -> None:
    begun = await api.post("/pulls", json={"party": "NL*CPA"})
    assert (begun.status_code, begun.json()) == (202, {"party": "NL*CPA", "modules": ["locations", "tariffs"]})
    assert (await api.post("/pulls", json={"party": "NL*CPA", "module": "tariffs", "full": True})).status_code == 202
    async with hub.db.session() as session:
        rows = {row.module: row for row in await session.exec(select(pulls.Pull))}
        now = (await session.execute(text("SELECT now()"))).scalar_one()
    assert {module: row.wanted for module, row in rows.items()} == {"locations": "delta", "tariffs": "full"}
    assert all(row.next_at is not None and row.next_at <= now for row in rows.values())
    assert (await api.post("/pulls", json={"party": "DE*MSA"})).status_code == 404
    assert (await api.post("/pulls", json={"party": "NL*CPA", "module": "tokens"})).status_code == 404
    await api.post(f"/platforms/{listed}/suspend")
    away = await api.post("/pulls", json={"party": "NL*CPA"})
    assert (away.status_code, "SUSPENDED" in away.json()["error"]) == (409, True)


async def test_what_has_vanished_can_be_taken_for_deleted(api: httpx.AsyncClient, hub: Hub, listed: int) -> None:
    forgotten = (await api.delete("/pulls/NL*CPA/tariffs/vanished")).json()
    assert forgotten["objects"] == 1
    async with hub.db.session() as session:
        alive = (await session.execute(text("SELECT key FROM object WHERE NOT deleted"))).scalars().all()
        log = list(await session.exec(select(Change)))
    assert list(alive) == ["HERE"]
    assert [(row.key, row.correlation_id) for row in log] == [("GONE", forgotten["correlation_id"])]
    assert (await api.get("/pulls/NL*CPA/tariffs")).json()["vanished"] == 0
    assert (await api.delete("/pulls/NL*CPA/tokens/vanished")).status_code == 404


async def test_of_tokens_only_the_end_is_shown(api: httpx.AsyncClient, hub: Hub, connect: Connect) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    async with hub.db.unit_of_work() as session:
        await pull_plan.arrange(session, [("DE*MSA", "tokens", platform_id)], 600)
    await _keep(hub, "DE*MSA", "tokens", "RFID:04A1B2C3", samples.token(uid="04A1B2C3"))
    await _vanish(hub, "DE*MSA", "tokens", "RFID:04A1B2C3")
    answer = await api.get("/pulls/DE*MSA/tokens")
    assert [row["key"] for row in answer.json()["gone"]] == ["…C3"]
    assert "04A1" not in answer.text
    assert (await api.delete("/pulls/DE*MSA/tokens/vanished")).json()["objects"] == 1
