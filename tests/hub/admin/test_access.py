"""Who gets in, and how the operator API says no."""

import httpx
import pytest

from hub.exchange.context import Hub
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


async def test_the_token_is_judged_before_the_body(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.post("/parties", content=b"{")).status_code == 401


async def test_a_token_of_the_table_is_as_good_as_that_of_the_settings(anybody: httpx.AsyncClient, hub: Hub) -> None:
    async with hub.db.unit_of_work() as session:
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


async def test_everything_is_in_the_openapi_document(anybody: httpx.AsyncClient) -> None:
    paths = (await anybody.get("/openapi.json")).json()["paths"]
    found = {
        f"{method.upper()} {path.removeprefix('/api/v1')}" for path, methods in paths.items() for method in methods
    }
    assert found == {
        "POST /invitations", "GET /platforms", "GET /platforms/{platform_id}", "POST /parties", "GET /parties",
        "PUT /locations", "GET /locations", "PUT /tariffs", "GET /tariffs", "DELETE /tariffs/{owner}/{tariff_id}",
        "POST /agreements", "GET /agreements", "DELETE /agreements/{agreement_id}", "POST /chargers", "GET /chargers",
        "DELETE /chargers/{station_id}", "GET /cdrs", "GET /cdrs/export", "GET /trace/{correlation_id}", "GET /status",
    }  # fmt: skip
