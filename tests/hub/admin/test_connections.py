from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hub.delivery import owed
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples

Connect = Callable[[str, str], Awaitable[int]]


async def test_suspend_and_resume(api: httpx.AsyncClient, connect: Connect) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    suspended = await api.post(f"/platforms/{platform_id}/suspend")
    assert (suspended.status_code, suspended.json()["status"], suspended.json()["correlation_id"]) == (
        200, "SUSPENDED", None,
    )  # fmt: skip
    assert (await api.post(f"/platforms/{platform_id}/suspend")).status_code == 409
    resumed = (await api.post(f"/platforms/{platform_id}/resume")).json()
    assert resumed["status"] == "CONNECTED"
    assert resumed["correlation_id"]


@pytest.mark.parametrize(
    ("order", "status", "named"),
    [
        ({"resync": "pull", "strict": True}, 200, None),
        ({}, 400, "body: give resync, strict, short_retry, pull or quirks"),
        ({"resync": "never"}, 400, "resync: "),
        ({"pull": ["commands"]}, 400, "pull: auto, or some of "),
        ({"quirks": {"links": "backwards"}}, 400, "quirks: links is one of follow, query, none"),
        ({"strickt": True}, 400, "strickt: no such field"),
    ],
)
async def test_how_a_platform_is_served(
    api: httpx.AsyncClient, connect: Connect, order: dict[str, Any], status: int, named: str | None
) -> None:
    answer = await api.patch(f"/platforms/{await connect('DE*MSA', 'EMSP')}", json=order)
    assert answer.status_code == status
    if named is None:
        assert (answer.json()["resync"], answer.json()["strict"]) == ("pull", True)
    else:
        assert answer.json()["error"].startswith(named)


async def test_what_a_removal_takes_and_leaves(api: httpx.AsyncClient, hub: Hub, host: str, connect: Connect) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    await api.put("/tariffs", content=json.dumps(samples.tariff(host)))
    await api.post("/agreements", json={"a": host, "b": "DE*MSA"})
    async with hub.db.unit_of_work() as session:
        for module in ("tariffs", "cdrs", "cdrs"):
            key = f"{module.upper()}1"
            await owed.add(session, receiver="DE*MSA", owner=host, module=module, key=key, correlation_id="c")
    told = (await api.get(f"/platforms/{platform_id}/removal")).json()
    assert told["agreements"] == [{"a": "DE*MSA", "b": host}]
    assert (told["parties"], told["owed"], told["cdrs_in_custody"]) == (["DE*MSA"], 1, 1)
    assert told["still_held"] == [{"receiver": "DE*MSA", "owner": host, "module": "tariffs", "objects": 1}]
    removed = await api.delete(f"/platforms/{platform_id}")
    assert (removed.status_code, removed.json()) == (200, {**told, "told": False})
    assert (await api.get(f"/platforms/{platform_id}")).status_code == 404
    assert (await api.get("/agreements")).json() == []


async def test_an_invitation_is_withdrawn(api: httpx.AsyncClient) -> None:
    await api.post("/invitations", json={"parties": [{"code": "NL*CPA", "role": "CPO"}]})
    invited = (await api.get("/platforms")).json()[-1]
    removed = (await api.delete(f"/platforms/{invited['id']}")).json()
    assert (removed["parties"], removed["invited"]) == ([], ["NL*CPA"])
    assert invited["id"] not in [platform["id"] for platform in (await api.get("/platforms")).json()]


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"versions_url": "ftp://partner.example"}, 400, "versions_url: "),
        ({"token": "two words"}, 400, "token: holds characters"),
        ({"parties": [{"code": "NL*LOC", "role": "CPO"}]}, 409, "NL*LOC is on platform 1"),
        ({"parties": [{"code": "NL*HUB", "role": "HUB"}]}, 409, "NL*HUB is this hub itself"),
        ({"versions_url": "https://127.0.0.1:1/versions"}, 502, "GET of the versions endpoint failed: "),
    ],
)
async def test_with_whom_the_hub_cannot_register(
    api: httpx.AsyncClient, host: str, change: dict[str, Any], status: int, named: str
) -> None:
    order = {"versions_url": "https://partner.example/ocpi/versions", "token": "secret-token-a"}
    answer = await api.post("/platforms", json=order | change)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(named)
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("GET", "/removal"),
        ("DELETE", ""),
        ("PATCH", ""),
        ("POST", "/renewal"),
        ("POST", "/unregister"),
        ("PUT", "/admissions"),
    ],
)
async def test_no_such_platform(api: httpx.AsyncClient, method: str, path: str) -> None:
    bodies = {"": {"strict": True}, "/renewal": {}, "/admissions": {"parties": [{"code": "NL*CPA", "role": "CPO"}]}}
    body = bodies.get(path) if method in ("PATCH", "POST", "PUT") else None
    answer = await api.request(method, f"/platforms/4711{path}", json=body)
    assert (answer.status_code, "platform list" in answer.json()["error"]) == (404, True)


async def test_the_admission_list_is_edited(api: httpx.AsyncClient, hub: Hub, connect: Connect, host: str) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    both = {"parties": [{"code": "DE*MSA", "role": "EMSP"}, {"code": "DE*MSB", "role": "EMSP"}]}
    changed = (await api.put(f"/platforms/{platform_id}/admissions", json=both)).json()
    assert [(row["code"], row["role"]) for row in changed["admitted"]] == [("DE*MSA", "EMSP"), ("DE*MSB", "EMSP")]
    assert [row["code"] for row in changed["parties"]] == ["DE*MSA"]
    taken = {"parties": [{"code": host, "role": "EMSP"}]}
    assert (await api.put(f"/platforms/{platform_id}/admissions", json=taken)).status_code == 409
    none_left = {"parties": [{"code": "DE*MSB", "role": "EMSP"}]}
    refused = await api.put(f"/platforms/{platform_id}/admissions", json=none_left)
    assert (refused.status_code, "platform remove" in refused.json()["error"]) == (409, True)
    assert (await api.put("/platforms/1/admissions", json=none_left)).status_code == 409


async def test_a_partner_without_credentials_endpoint_is_not_renewed_with(
    api: httpx.AsyncClient, connect: Connect
) -> None:
    answer = await api.post(f"/platforms/{await connect('DE*MSA', 'EMSP')}/renewal", json={})
    assert (answer.status_code, "no credentials endpoint" in answer.json()["error"]) == (502, True)


async def test_all_is_delivered_anew_on_demand(api: httpx.AsyncClient, hub: Hub, host: str, connect: Connect) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    await connect("NL*CPA", "CPO")
    everything = {(o, m) for o in ("NL*CPA", host) for m in ("locations", "tariffs")} | {
        (host, "sessions"),
        (host, "tokens"),
    }
    for order, expected in (
        ({}, everything),
        ({"owner": "NL*CPA"}, {("NL*CPA", "locations"), ("NL*CPA", "tariffs")}),
        ({"modules": ["tariffs"]}, {("NL*CPA", "tariffs"), (host, "tariffs")}),
        ({"modules": ["sessions"], "owner": "NL*CPA"}, {("NL*CPA", "sessions")}),
    ):
        async with hub.db.unit_of_work() as session:
            await session.execute(text("DELETE FROM backfill"))
        answer = await api.post(f"/platforms/{platform_id}/resync", json=order)
        assert answer.status_code == 200, answer.text
        async with hub.db.unit_of_work() as session:
            rows = (await session.execute(text("SELECT * FROM backfill"))).all()
        assert {(row.owner, row.module) for row in rows} == expected
        found = {(row.receiver, row.reason, row.correlation_id) for row in rows}
        assert found == {("DE*MSA", "resync", answer.json()["correlation_id"])}


@pytest.mark.parametrize(
    ("order", "served", "status", "named"),
    [
        ({"modules": ["cdrs"]}, {}, 400, "`knutpunkt reconcile` finds"),
        ({"owner": "NL*NIX"}, {}, 409, "nothing of that kind"),
        ({}, {"resync": "pull"}, 409, "it pulls for itself"),
        ({"everything": True}, {}, 400, "no such field"),
    ],
)
async def test_what_cannot_be_delivered_anew(
    api: httpx.AsyncClient, connect: Connect, order: dict[str, Any], served: dict[str, Any], status: int, named: str
) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    if served:
        assert (await api.patch(f"/platforms/{platform_id}", json=served)).status_code == 200
    answer = await api.post(f"/platforms/{platform_id}/resync", json=order)
    assert (answer.status_code, named in answer.json()["error"]) == (status, True)


async def test_from_pull_to_push_everything_is_delivered_in_the_commit_of_the_change(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    await connect("NL*CPA", "CPO")
    assert (await api.patch(f"/platforms/{platform_id}", json={"resync": "pull", "short_retry": False})).json()[
        "short_retry"
    ] is False
    async with hub.db.unit_of_work() as session:
        await session.execute(text("DELETE FROM backfill"))
    assert (await api.patch(f"/platforms/{platform_id}", json={"resync": "push"})).json()["correlation_id"]
    async with hub.db.unit_of_work() as session:  # both were written by one transaction
        rows = await session.execute(
            text("SELECT count(*), bool_and(b.xmin = f.xmin) FROM backfill b, platform f WHERE f.id = :id"),
            {"id": platform_id},
        )
    assert rows.all() == [(2, True)]
    platform = hub.directory.now.platform(platform_id)
    assert (platform.resync, platform.short_retry) == ("push", False)
