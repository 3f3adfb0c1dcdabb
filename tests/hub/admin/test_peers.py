"""The operator and other hubs: who is admitted behind them, and what partners are shown of each other."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx
from sqlalchemy import text

from hub.delivery import clientinfo
from hub.delivery.clientinfo import Pace
from hub.exchange.context import Hub
from hub.ocpi.types import PartyId
from hub.store import peers as store
from hub.store.peers import Info

Connect = Callable[[str, str], Awaitable[int]]
MSA = PartyId.parse("DE*MSA")
AT = datetime(2026, 1, 1, tzinfo=UTC)


async def announce(hub: Hub, platform_id: int, *codes: str) -> None:
    infos = [Info(code, "EMSP", "CONNECTED", AT, "{}") for code in codes]
    async with hub.db.unit_of_work() as session:
        await store.take(session, platform_id, infos)
    await hub.directory.refresh()


async def test_who_is_behind_a_hub_is_admitted_by_name_or_all_of_them(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    number = await connect("DE*HB2", "HUB")
    await announce(hub, number, "DE*MSA", "DE*MSB")
    order = {"parties": [{"code": "de*msa", "role": "EMSP"}]}
    answer = await api.put(f"/platforms/{number}/behind", json=order)
    rows = {row["code"]: (row["admitted"], row["here"], row["status"]) for row in answer.json()}
    assert rows == {"DE*MSA": (True, True, "CONNECTED"), "DE*MSB": (False, False, "CONNECTED")}
    assert (hub.directory.now.party(MSA) is not None, PartyId.parse("DE*MSB") in hub.directory.now.behind) == (
        True,
        False,
    )
    everyone = await api.put(f"/platforms/{number}/behind", json={"parties": "any"})
    assert [row["here"] for row in everyone.json()] == [True, True]
    assert (await api.get("/peers")).json() == everyone.json()
    nobody = await api.put(f"/platforms/{number}/behind", json={"parties": []})
    assert [row["admitted"] for row in nobody.json()] == [False, False]
    assert hub.directory.now.party(MSA) is None


async def test_who_registers_here_is_not_reached_through_the_other_hub(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    number = await connect("DE*HB2", "HUB")
    await announce(hub, number, "DE*MSA")
    await api.put(f"/platforms/{number}/behind", json={"parties": "any"})
    invited = await api.post("/invitations", json={"parties": [{"code": "DE*MSA", "role": "EMSP"}]})
    assert invited.status_code == 201  # that it is behind a hub keeps nobody from registering
    await connect("DE*MSA", "EMSP")
    [row] = (await api.get("/peers")).json()
    assert (row["admitted"], row["here"], row["hub"]) == (True, False, "DE*HB2 back end")


async def test_there_must_be_such_a_platform_of_somebody_else(api: httpx.AsyncClient, hub: Hub) -> None:
    assert (await api.put("/platforms/99/behind", json={"parties": "any"})).status_code == 404
    hosted = next(p.id for p in hub.directory.now.platforms.values() if p.hosted)
    assert (await api.put(f"/platforms/{hosted}/behind", json={"parties": []})).status_code == 409
    assert (await api.put(f"/platforms/{hosted}/behind", json={"parties": "some"})).status_code == 400


async def test_an_invitation_names_who_is_behind(api: httpx.AsyncClient, hub: Hub) -> None:
    role = {"code": "DE*HB2", "role": "HUB"}
    order = {"parties": [role], "behind": [{"code": "DE*MSA", "role": "EMSP"}]}
    assert (await api.post("/invitations", json=order)).status_code == 201
    async with hub.db.unit_of_work() as session:
        [[admitted]] = await session.execute(text("SELECT array_agg(code || ':' || role) FROM behind"))
    assert admitted == ["DE*MSA:EMSP"]


async def test_the_operator_sees_what_partners_are_shown(api: httpx.AsyncClient, hub: Hub, connect: Connect) -> None:
    emsp, _ = await connect("DE*MSA", "EMSP"), await connect("NL*CPA", "CPO")
    for number in hub.directory.now.platforms:
        await clientinfo.bring_up_to_date(hub.db, hub.directory, number, False, Pace())
    both = (await api.get("/clients")).json()
    assert [(row["platform"], row["code"], row["status"]) for row in both] == [
        ("DE*MSA back end", "NL*CPA", "CONNECTED"),
        ("NL*CPA back end", "DE*MSA", "CONNECTED"),
    ]
    [one] = (await api.get(f"/clients?platform_id={emsp}")).json()
    assert (one["code"], one["told"], one["reason"]) == ("NL*CPA", None, None)
