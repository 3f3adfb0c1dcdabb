import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
import pytest
from sqlmodel import select

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.store import objects
from hub.store.lanes import Backfill
from hub.store.objects import New

Connect = Callable[[str, str], Awaitable[int]]
CPO, EMSP = PartyId.parse("NL*CPA"), PartyId.parse("DE*MSA")


@pytest.fixture
async def pair(connect: Connect) -> None:
    """NL*CPA and DE*MSA, registered."""
    await connect("NL*CPA", "CPO")
    await connect("DE*MSA", "EMSP")


async def backfills(hub: Hub) -> set[tuple[str, str, str]]:
    async with hub.db.session() as session:
        return {(row.receiver, row.owner, row.module) for row in await session.exec(select(Backfill))}


async def test_an_agreement_decides_and_fills_both_sides(api: httpx.AsyncClient, hub: Hub, pair: None) -> None:
    answer = await api.post("/agreements", json={"a": "NL*CPA", "b": "DE*MSA", "modules": ["tokens", "locations"]})
    assert answer.status_code == 201
    assert answer.json()["modules"] == ["locations", "tokens"]
    assert hub.directory.now.allows(CPO, EMSP, "locations")
    assert not hub.directory.now.allows(CPO, EMSP, "tariffs")
    begun = await backfills(hub)
    assert {("DE*MSA", "NL*CPA", "locations"), ("NL*CPA", "DE*MSA", "tokens")} <= begun
    assert "tariffs" not in {module for _, _, module in begun}


async def test_one_direction_fills_one_side(api: httpx.AsyncClient, hub: Hub, pair: None) -> None:
    await api.post("/agreements", json={"a": "NL*CPA", "b": "DE*MSA", "direction": "a_to_b"})
    assert {receiver for receiver, _, _ in await backfills(hub)} == {"DE*MSA"}


async def test_a_pair_has_one_agreement_whichever_way_it_is_named(api: httpx.AsyncClient, hub: Hub, pair: None) -> None:
    first = await api.post("/agreements", json={"a": "NL*CPA", "b": "DE*MSA"})
    second = await api.post(
        "/agreements", json={"a": "DE*MSA", "b": "NL*CPA", "direction": "b_to_a", "options": {"custody": False}}
    )
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    listed = (await api.get("/agreements")).json()
    assert [(row["a"], row["direction"], row["options"]) for row in listed] == [
        ("DE*MSA", "b_to_a", {"custody": False, "authorise": True})
    ]
    assert hub.directory.now.allows(CPO, EMSP, "locations")
    assert not hub.directory.now.allows(EMSP, CPO, "tokens")


async def test_two_orders_at_once_make_one_agreement(api: httpx.AsyncClient, pair: None) -> None:
    orders = [{"a": "NL*CPA", "b": "DE*MSA"}, {"a": "DE*MSA", "b": "NL*CPA"}] * 2
    answers = await asyncio.gather(*(api.post("/agreements", json=order) for order in orders))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len((await api.get("/agreements")).json()) == 1


async def test_a_hosted_party_agrees_with_one_that_is_only_invited(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    await api.post("/invitations", json={"parties": [{"code": "DE*MSA", "role": "EMSP"}]})
    assert (await api.post("/agreements", json={"a": host, "b": "DE*MSA"})).status_code == 201
    assert await backfills(hub) == set()


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"b": "FR*XXX"}, 404, "FR*XXX is neither"),
        ({"b": "NL*CPA"}, 400, "b: "),
        ({"modules": ["location"]}, 400, "modules: "),
        ({"modules": []}, 400, "modules: "),
        ({"direction": "up"}, 400, "direction: "),
        ({"options": {"costudy": False}}, 400, "options.costudy: no such field"),
    ],
)
async def test_what_cannot_be_agreed(
    api: httpx.AsyncClient, pair: None, change: dict[str, object], status: int, named: str
) -> None:
    answer = await api.post("/agreements", json={"a": "NL*CPA", "b": "DE*MSA"} | change)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(named)


async def test_the_end_says_what_is_still_held(api: httpx.AsyncClient, hub: Hub, host: str, connect: Connect) -> None:
    await connect("DE*MSA", "EMSP")
    for tariff in ("T1", "T2"):
        await api.put("/tariffs", content=json.dumps(samples.tariff(host, tariff)))
    agreed = (await api.post("/agreements", json={"a": host, "b": "DE*MSA", "modules": ["tariffs"]})).json()
    ended = await api.delete(f"/agreements/{agreed['id']}")
    assert ended.status_code == 200
    assert ended.json()["still_held"] == [{"receiver": "DE*MSA", "owner": host, "module": "tariffs", "objects": 2}]
    assert ended.json()["default_agreement"] == "open"
    assert (await api.get("/agreements")).json() == []
    assert hub.directory.now.allows(PartyId.parse(host), EMSP, "locations")


async def test_sessions_of_before_are_still_held_though_the_agreement_did_not_allow_them(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    await connect("NL*CPA", "CPO")
    await connect("DE*MSA", "EMSP")
    kept = [("sessions", "DE*MSA"), ("sessions", "FR*XXX"), ("locations", "*")]
    rows = [New(module, f"for {audience}", audience, "{}", "{}", datetime.now(UTC)) for module, audience in kept]
    async with hub.db.unit_of_work() as session:
        await objects.write(session, "NL*CPA", rows)
    agreed = (await api.post("/agreements", json={"a": "NL*CPA", "b": "DE*MSA", "modules": ["tariffs"]})).json()
    shown = (await api.get(f"/agreements/{agreed['id']}")).json()
    ended = (await api.delete(f"/agreements/{agreed['id']}")).json()
    held = [{"receiver": "DE*MSA", "owner": "NL*CPA", "module": "sessions", "objects": 1}]
    assert (shown["held"], ended["still_held"]) == (held, held)
    assert shown["backfills"] == len([b for b in await backfills(hub) if {"NL*CPA", "DE*MSA"} == {b[0], b[1]}])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_no_such_agreement(api: httpx.AsyncClient, method: str) -> None:
    answer = await api.request(method, "/agreements/4711")
    assert (answer.status_code, "agreement list" in answer.json()["error"]) == (404, True)
