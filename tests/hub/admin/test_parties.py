import asyncio
from collections.abc import Awaitable, Callable

import httpx

from hub.exchange.context import Hub
from hub.ocpi.types import PartyId


async def test_a_hosted_party_is_routable_at_once(api: httpx.AsyncClient, hub: Hub) -> None:
    answer = await api.post("/parties", json={"code": "nl*loc", "role": "CPO", "name": "Station Square"})
    assert answer.status_code == 201
    party = hub.directory.now.party(PartyId.parse("NL*LOC"))
    assert party is not None
    assert party.platform.hosted
    assert answer.json() == {
        "code": "NL*LOC", "name": "Station Square", "roles": ["CPO"], "hosted": True, "platform_id": party.platform.id,
        "status": "CONNECTED",
    }  # fmt: skip


async def test_parties_are_listed_hosted_or_not(
    api: httpx.AsyncClient, host: str, connect: Callable[[str, str], Awaitable[int]]
) -> None:
    await connect("DE*MSA", "EMSP")
    listed = (await api.get("/parties")).json()
    assert [(party["code"], party["hosted"]) for party in listed] == [("DE*MSA", False), ("NL*LOC", True)]


async def test_a_code_is_given_once(api: httpx.AsyncClient, host: str) -> None:
    for code in (host, "NL*HUB"):
        answer = await api.post("/parties", json={"code": code, "role": "CPO", "name": "Again"})
        assert answer.status_code == 409
        assert code in answer.json()["error"]


async def test_only_cpos_are_hosted(api: httpx.AsyncClient) -> None:
    answer = await api.post("/parties", json={"code": "NL*LOC", "role": "EMSP", "name": "Drivers"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("role: ")


async def test_two_orders_at_once_make_one_party(api: httpx.AsyncClient) -> None:
    order = {"code": "NL*LOC", "role": "CPO", "name": "Square"}
    answers = await asyncio.gather(*(api.post("/parties", json=order) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
