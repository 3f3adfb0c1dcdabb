"""Which endpoint a URL leads to, and what it is handed."""

import re
from typing import Any

import pytest
from fastapi import Request, Response
from fastapi.routing import APIRoute

from hub.app import OCPI_ROUTES
from hub.ocpi.errors import MethodNotAllowed, NotFound
from modules.calls import receiver_router, sender_router
from modules.endpoints import Endpoints
from modules.tokens.routes import TokenRef

ROUTES = [route for route in OCPI_ROUTES if isinstance(route, APIRoute)]
ALL = Endpoints(OCPI_ROUTES)
sender, receiver = sender_router("locations"), receiver_router("tokens")


@sender.get("/{location_id}")
async def one(location_id: str, request: Request, wanted: str = "all") -> Response:
    """One thing."""
    return Response(f"{location_id} {request.method} {wanted}")


@sender.get("/new")
async def newest() -> Response:
    """The newest thing."""
    return Response("the newest")


@receiver.put("/{country_code}/{party_id}/{token_uid}")
async def token(ref: TokenRef) -> Response:
    """A thing of somebody."""
    return Response(str(ref))


async def answer(method: str, path: str, query: str = "") -> str:
    scope = {"type": "http", "method": method, "path": path, "headers": [], "state": {"query": query}}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the gate has read the body")

    await Endpoints([*sender.routes, *receiver.routes])(scope, receive, send)
    return bytes(sent[1]["body"]).decode()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{sorted(route.methods)[0]} {route.path}")
def test_every_route_is_found_by_its_path_and_no_other(route: APIRoute) -> None:
    path = "/ocpi" + re.sub(r"\{(\w+)\}", r"of-\1", route.path)
    ids = {name: f"of-{name}" for name in re.findall(r"\{(\w+)\}", route.path)}
    for method in route.methods or ():
        assert ALL.find(method, path)[1] == ids
    with pytest.raises(MethodNotAllowed):
        ALL.find("OPTIONS", path)
    for nowhere in (f"{path}/", f"/{path}", f"{path}/and/far/too/many/parts"):
        with pytest.raises(NotFound):
            ALL.find("GET", nowhere)


@pytest.mark.parametrize("path", ["/ocpi", "/ocpi/", "/ocpi/2.2.1/sender", "/ocpi/2.2.1/receiver/locations/NL//LOC1"])
def test_a_path_that_ends_halfway_leads_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        ALL.find("GET", path)


async def test_ids_come_from_the_path_and_parameters_from_the_query() -> None:
    assert await answer("GET", "/ocpi/2.2.1/sender/locations/LOC1") == "LOC1 GET all"
    assert await answer("GET", "/ocpi/2.2.1/sender/locations/a b", "wanted=&x=1") == "a b GET "
    assert await answer("GET", "/ocpi/2.2.1/sender/locations/L", "wanted=one&wanted=t%2Bwo") == "L GET t+wo"
    assert await answer("GET", "/ocpi/2.2.1/sender/locations/new") == "the newest"


async def test_what_is_asked_for_may_ask_in_turn() -> None:
    path = "/ocpi/2.2.1/receiver/tokens/nl/msa/0123"
    assert "kind='RFID'" in await answer("PUT", path)
    said = await answer("PUT", path, "type=APP_USER")
    assert "kind='APP_USER'" in said
    assert "NL" in said
