"""Who gets in, and how the operator API says no."""

from ipaddress import ip_network

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from hub.exchange.context import Hub
from hub.openapi import operator
from hub.store.db import Database
from hub.store.parties import OperatorToken
from hub.store.seal import hash_token


@pytest.mark.parametrize(
    "shown", [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Token abc"}]
)
async def test_without_a_token_of_this_hub_nothing_is_said(anybody: httpx.AsyncClient, shown: dict[str, str]) -> None:
    answer = await anybody.get("/parties", headers=shown)
    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_who_is_turned_away_stands_in_the_log(anybody: httpx.AsyncClient, hub: Hub) -> None:
    with capture_logs() as lines:
        await anybody.get("/parties", headers={"X-Forwarded-For": "192.0.2.1"})
        hub.settings = hub.settings.model_copy(update={"trusted_proxies": (ip_network("127.0.0.0/8"),)})
        await anybody.get("/parties", headers={"X-Forwarded-For": "192.0.2.1"})
    refused = [line for line in lines if line["event"] == "no operator, turned away"]
    assert [line["address"] for line in refused] == ["127.0.0.1", "192.0.2.1"]
    assert {line["path"] for line in refused} == {"/api/v1/parties"}


async def test_the_token_is_judged_before_the_body(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.post("/parties", content=b"{")).status_code == 401


async def test_a_token_of_the_table_is_as_good_as_that_of_the_settings(anybody: httpx.AsyncClient, hub: Hub) -> None:
    async with hub.db.session() as session:
        session.add(OperatorToken(hash=hash_token("second"), name="night shift"))
    assert (await anybody.get("/parties", headers={"Authorization": "bearer second"})).status_code == 200


async def test_a_bad_body_is_named_and_not_repeated(api: httpx.AsyncClient) -> None:
    for body, named in (
        (b"{", "body: is not valid JSON"),
        (b"", "body: field required"),
        (b'{"code": "NL*LOC", "role": "CPO"}', "name: field required"),
        (b'{"code": "secret!", "role": "CPO", "name": "L"}', "code: must be a party like NL*CPA"),
        (b'{"code": "NL*LOC", "role": "CPO", "name": "L", "nmae": "secret!"}', "nmae: no such field"),
    ):
        answer = await api.post("/parties", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (400, {"error": named})


async def test_a_bad_parameter_is_a_plain_400(api: httpx.AsyncClient) -> None:
    answer = await api.get("/locations", params={"limit": "many"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("limit: ")
    assert "many" not in answer.text


async def test_a_database_that_is_away_is_a_503(api: httpx.AsyncClient, hub: Hub) -> None:
    there = hub.db
    hub.db = Database("postgresql://nobody:none@127.0.0.1:9/none")
    try:
        answer = await api.get("/agreements")
    finally:
        hub.db = there
    assert answer.status_code == 503
    assert "database" in answer.json()["error"]


async def test_everything_is_in_the_openapi_document(anybody: httpx.AsyncClient, app: FastAPI) -> None:
    document = (await anybody.get("/openapi.json")).json()
    assert document == operator.describe(app)
    offered = {(m, p.removeprefix("/api/v1")) for p, methods in document["paths"].items() for m in methods}
    assert {("post", "/platforms"), ("get", "/doctor"), ("get", "/deliveries")} <= offered


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing/here", 404), ("DELETE", "/status", 405)])
async def test_where_nothing_is_the_document_is_named(
    api: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await api.request(method, path)
    assert answer.status_code == status
    assert "GET /api/v1/openapi.json" in answer.json()["error"]
