"""A little hub that is not ours, right in all that the kit looks at; then with one fault at a time."""

from collections.abc import AsyncIterator, Iterable
from typing import Any, ClassVar

import pytest
from aiohttp import web

from hub.kit import runner
from hub.kit.peer import Plan
from hub.ocpi import errors, headers, json
from hub.ocpi.types import PartyId
from hub.sandbox import samples, wire
from hub.sandbox.platform import Platform
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE, Registration
from hub.sandbox.shelf import EVSES_AND_CONNECTORS, Shelf
from hub.sandbox.site import Route
from modules.locations.schemas import EVSE, Connector, Location
from modules.tariffs.schemas import Tariff
from modules.tokens.schemas import Token

HUB, CPO = PartyId("NL", "LIT"), PartyId("NL", "CPA")
MODULES = ("locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles")
Response = web.Response


class LittleHub(Platform):
    """NL*LIT, with NL*CPA behind it: what routing asks of a hub, without anybody else to route to."""

    role: ClassVar[str] = "HUB"
    modules: ClassVar[tuple[tuple[str, str], ...]] = (
        *((module, role) for module in MODULES for role in ("SENDER", "RECEIVER")),
        ("hubclientinfo", "SENDER"),
    )

    def __init__(self) -> None:
        super().__init__(str(HUB))
        self.mangle: Any = lambda request, response: None
        self.shelves = {
            "locations": Shelf("locations", Location, EVSE, Connector, levels=EVSES_AND_CONNECTORS),
            "tariffs": Shelf("tariffs", Tariff),
            "tokens": Shelf("tokens", Token, id_field="uid"),
        }
        for number in range(3):
            at = f"2026-01-01T00:0{number}:00Z"
            self.shelves["locations"].put((*CPO, f"L{number}"), samples.location(id=f"L{number}", at=at))
            self.shelves["tariffs"].put((*CPO, f"T{number}"), samples.tariff(id=f"T{number}", at=at))
        of = {"country_code": "NL", "party_id": "CPA", "role": "CPO", "status": "CONNECTED"}
        self.clients = [{**of, "last_updated": samples.now()}]

    def routes(self) -> Iterable[Route]:
        """Both sides of all modules, by their shape."""
        yield from super().routes()
        for module in MODULES[:5]:
            yield "GET", f"{BASE}/sender/{module}", self._list
        yield "GET", f"{BASE}/sender/hubclientinfo", self._clients
        yield "GET", f"{BASE}/sender/{{module}}/{{tail:.+}}", self._object
        yield "POST", f"{BASE}/sender/tokens/{{uid}}/authorize", self._authorize
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            yield method, f"{BASE}/receiver/{{module:locations|tariffs|tokens|sessions}}/{{tail:.+}}", self._receive
        yield "POST", f"{BASE}/receiver/cdrs", self._no_broadcast
        yield "POST", f"{BASE}/receiver/commands/STOP_SESSION", self._ask
        yield "GET", f"{BASE}/receiver/chargingprofiles/{{session_id}}", self._ask

    def admit(self, seen: Received) -> None:
        """As any platform, but that it takes what is for others; FROM has to be the partner's."""
        functional = f"{BASE}/sender/" in seen.path or f"{BASE}/receiver/" in seen.path
        is_peer = self._is_peer(seen.headers)
        guest = any(seen.headers.get("Authorization") == wire.authorization(token) for token in self._guests)
        if not is_peer and (functional or not guest):
            raise errors.Unauthorized
        ours = {PartyId.of(r["country_code"], r["party_id"]) for r in (self.peer.roles if self.peer else ())}
        if functional and seen.sender is not None and seen.sender not in ours:
            raise errors.InvalidParameters

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await super()._door(request, handler)
        assert isinstance(response, Response)
        code = json.loads(response.body).get("status_code")  # type: ignore[arg-type]
        if headers.FROM_PARTY in request.headers and "hubclientinfo" not in request.path:
            answering = CPO if request.headers.get(headers.TO_PARTY) == "CPA" and code == 1000 else HUB
            response.headers.update(headers.routing(_named(request, "from"), answering))
        return self.mangle(request, response) or response

    async def _list(self, request: web.Request) -> Response:
        to = self._to(request)
        if to is None:
            raise errors.InvalidParameters
        module = request.path.rpartition("/")[2]
        found = self.shelves[module].all() if module in self.shelves else []
        of_others = [o for o in found if PartyId.of(o["country_code"], o["party_id"]) == CPO]
        return wire.page(request, of_others, self.url(module, "SENDER"))

    async def _clients(self, request: web.Request) -> Response:
        return wire.page(request, self.clients, self.url("hubclientinfo", "SENDER"))

    async def _object(self, request: web.Request) -> Response:
        if self._to(request) is None:
            raise errors.UnknownReceiver
        held = self.shelves["locations"].get(*CPO, *request.match_info["tail"].split("/"))
        if held is None:
            raise errors.NotFound
        return wire.ok(held)

    async def _authorize(self, request: web.Request) -> Response:
        raise errors.UnknownToken

    async def _receive(self, request: web.Request) -> Response:
        to, shelf = self._to(request), self.shelves.get(request.match_info["module"])
        if request.method == "GET":
            raise errors.InvalidParameters if to else errors.UnknownReceiver
        if shelf is None:
            raise errors.InvalidParameters
        ref = tuple(request.match_info["tail"].split("/"))
        if request.method == "PUT":
            return wire.ok(http_status=201 if shelf.put(ref, await wire.body_of(request)) else 200)
        if request.method == "PATCH" and shelf.module == "tariffs":
            raise errors.MethodNotAllowed
        if request.method == "PATCH":
            shelf.patch(ref, await wire.body_of(request))
        else:
            shelf.delete(ref)
        return wire.ok()

    async def _no_broadcast(self, request: web.Request) -> Response:
        raise errors.InvalidParameters

    async def _ask(self, request: web.Request) -> Response:
        given = request.query if request.method == "GET" else await wire.body_of(request)
        raise errors.InvalidParameters if "response_url" not in given else errors.UnknownReceiver

    def _to(self, request: web.Request) -> PartyId | None:
        to = _named(request, "to")
        if to not in (None, HUB, CPO):
            raise errors.UnknownReceiver
        return to


def _named(request: web.Request, which: str) -> PartyId | None:
    return headers.party(request.headers, f"OCPI-{which}-country-code", f"OCPI-{which}-party-id")


@pytest.fixture
async def hub() -> AsyncIterator[LittleHub]:
    async with LittleHub() as platform:
        yield platform


async def look(hub: LittleHub, role: str, *only: str) -> set[str]:
    """The first ids of what failed, for the kit as a CPO or as an eMSP that registers."""
    token_a, url = hub.invite()
    us = PartyId("DE", "KIT")
    plan = Plan(
        url, token_a, party=us, role=role, writes=True, register=True, only=frozenset(only), pause=0
    )  # fmt: skip
    run = await runner.examine(plan)
    assert run.kinds == ("hub",)
    return {r.check.ids[0] for r in run.results if r.outcome == "failed"} - {"TF-013", "TF-182", "SES-013"}


@pytest.mark.parametrize("role", ["CPO", "EMSP"])
async def test_a_hub_as_it_should_be(hub: LittleHub, role: str) -> None:
    assert await look(hub, role) == set()


def on(path: str, change: Any, method: str = "") -> Any:
    """A mangle of the answers to some requests."""

    def mangle(request: web.Request, response: Response) -> Response | None:
        wanted = path in request.path and method in ("", request.method)
        answer: Response | None = change(request, response) if wanted else None
        return answer

    return mangle


def link_elsewhere(request: web.Request, response: Response) -> None:
    if "Link" in response.headers:
        response.headers["Link"] = response.headers["Link"].replace("http://", "http://owner.")


def fewer_pages(request: web.Request, response: Response) -> Response | None:
    """The second page cannot be had."""
    return wire.ok(http_status=404) if request.query.get("offset") == "1" else None


def signed_by(party: PartyId) -> Any:
    def change(request: web.Request, response: Response) -> None:
        response.headers.update({headers.FROM_COUNTRY: party.country_code, headers.FROM_PARTY: party.party_id})

    return change


def fine(request: web.Request, response: Response) -> Response:
    """A success, whatever was asked."""
    return wire.ok([], 200, {name: value for name, value in response.headers.items() if name.startswith("OCPI-")})


def without_to(change: Any) -> Any:
    return lambda request, response: None if headers.TO_PARTY in request.headers else change(request, response)


def data(change: Any) -> Any:
    """An edit of the objects in a list."""

    def edit(request: web.Request, response: Response) -> None:
        envelope = json.loads(response.body)  # type: ignore[arg-type]
        if envelope.get("data"):
            response.body = json.dumps({**envelope, "data": [change(found) for found in envelope["data"]]})

    return edit


def more_than_asked(request: web.Request, response: Response) -> Response | None:
    """Above its own maximum it gives more than that."""
    if request.query.get("limit") != "51":
        return None
    return wire.ok([{}] * 60, 200, {name: value for name, value in response.headers.items() if name.startswith("OCPI")})


def failing(request: web.Request, response: Response) -> Response:
    """HTTP 500, whatever was asked."""
    return wire.ok(http_status=500)


LIST, PUSH = "/sender/locations", "/receiver/locations"
OF_THE_HUB = data(lambda found: {**found, "country_code": "NL", "party_id": "LIT"})
FAULTS = [
    ("EMSP", "locations", on(LIST, link_elsewhere), "TF-043"),
    ("EMSP", "locations", on(LIST, OF_THE_HUB), "TF-122 LOC-016"),
    ("EMSP", "locations", on(LIST, more_than_asked), "TF-041"),
    ("EMSP", "routing", on(LIST, fewer_pages), "TF-044"),
    ("EMSP", "routing", on(LIST, signed_by(HUB)), "TF-087"),
    ("EMSP", "routing", on(LIST, signed_by(CPO)), "TF-121 TF-169"),
    ("EMSP", "routing", on("/receiver/", fine, "GET"), "TF-101 TF-175"),
    ("EMSP", "routing", on(LIST, without_to(fine)), "TF-115 TF-118 TF-082"),
    (
        "EMSP",
        "routing",
        on(LIST, failing),
        "TF-120 TF-121 TF-078 TF-090 TF-167 TF-169 TF-082 TF-115 TF-118 TF-062",
    ),
    ("EMSP", "commands", on("/receiver/c", fine), "CMD-044 CMD-047 CMD-007 CMD-009"),
    ("EMSP", "chargingprofiles", on("/receiver/c", fine), "CHP-008 CHP-042"),
    ("CPO", "cdrs", on("/receiver/", fine), "TF-110"),
    ("CPO", "sessions", on("/receiver/", fine), "TF-110"),
    ("CPO", "tariffs", on("/receiver/tariffs", failing, "DELETE"), "TAR-010"),
    ("CPO", "locations", on(PUSH, failing, "PUT"), "LOC-019 TF-148 TF-147 TF-048 TF-063 TF-144"),
    ("CPO", "locations", on(PUSH, fine, "PATCH"), "LOC-028"),
    ("EMSP", "hubclientinfo", on("hubclientinfo", data(lambda found: {**found, "role": "MSP"})), "HCI-025"),
    ("EMSP", "hubclientinfo", on("hubclientinfo", data(lambda found: {"role": found["role"]})), "HCI-022"),
]


@pytest.mark.parametrize(("role", "group", "mangle", "catalogue_ids"), FAULTS)
async def test_the_broken_rule_is_named(hub: LittleHub, role: str, group: str, mangle: Any, catalogue_ids: str) -> None:
    hub.mangle = mangle
    assert await look(hub, role, group) == set(catalogue_ids.split())


async def test_a_party_that_is_listed_twice(hub: LittleHub) -> None:
    hub.clients *= 2
    assert "HCI-018" in await look(hub, "EMSP", "hubclientinfo")


async def test_a_hub_that_asks_without_routing_headers(hub: LittleHub, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = Registration._look_up

    async def asks(self: Any, versions_url: str, token: str) -> Any:
        found = await look_up(self, versions_url, token)
        await self.call("GET", found["tokens", "SENDER"], token)
        return found

    monkeypatch.setattr(Registration, "_look_up", asks)
    assert "TF-075" in await look(hub, "EMSP", "its requests")
