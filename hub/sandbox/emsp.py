"""A simulated eMSP: it holds other parties' data as it is pushed, owns tokens, answers for them, and sends commands.

What it holds is on its shelves (`locations`, `tariffs`, `sessions`) and in `cdrs`; `backwards` lists every push that
was older than what was already there, which a good hub never sends.

Source: the Receiver interfaces of mod_locations, mod_tariffs, mod_sessions and mod_cdrs, the Sender interfaces of
mod_tokens and mod_commands.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar
from uuid import uuid4

from aiohttp import web

from hub.ocpi import errors
from hub.ocpi.types import PartyId, fold
from hub.sandbox import samples, wire
from hub.sandbox.platform import Party, Platform
from hub.sandbox.registration import BASE
from hub.sandbox.shelf import EVSES_AND_CONNECTORS, Shelf
from hub.sandbox.site import Route
from hub.sandbox.wire import Answer, Json
from modules.cdrs.schemas import CDR
from modules.commands.schemas import CommandResult
from modules.locations.schemas import EVSE, Connector, Location
from modules.sessions.schemas import Session
from modules.tariffs.schemas import Tariff

CDRS = f"{BASE}/receiver/cdrs"
RESULTS = f"{BASE}/sender/commands"
_OBJECT = "/{country_code}/{party_id}/{id}"


@dataclass(frozen=True)
class Command:
    """A command that was sent: what the CPO said at once, and the key under which the result will arrive."""

    id: str
    answer: Answer

    @property
    def accepted(self) -> bool:
        """Whether the CPO took it on, so that a result will come (CMD-002)."""
        return self.answer.ok and self.answer.data["result"] == "ACCEPTED"


class Emsp(Platform):
    """An eMSP platform. Override `decide` to change who may charge."""

    role: ClassVar[str] = "EMSP"
    modules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("locations", "RECEIVER"),
        ("tariffs", "RECEIVER"),
        ("sessions", "RECEIVER"),
        ("cdrs", "RECEIVER"),
        ("tokens", "SENDER"),
        ("commands", "SENDER"),
    )

    def __init__(self, *parties: str, name: str = "", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(*parties, name=name, host=host, port=port)
        self.locations = Shelf("locations", Location, EVSE, Connector, levels=EVSES_AND_CONNECTORS)
        self.tariffs = Shelf("tariffs", Tariff)
        self.sessions = Shelf("sessions", Session, append=frozenset({"charging_periods"}))
        self.cdrs: dict[tuple[str, ...], Json] = {}
        self.tokens: dict[tuple[str, str], Json] = {}
        self.references: dict[str, str] = {}
        """The authorization_reference last given out, by token uid."""
        self.results: dict[str, Json] = {}
        """CommandResults by the id of their Command."""

    @property
    def backwards(self) -> list[str]:
        """Pushes that were older than what was held."""
        return [*self.locations.backwards, *self.tariffs.backwards, *self.sessions.backwards]

    # What it serves

    def routes(self) -> Iterable[Route]:
        """Its modules, method by method."""
        yield from super().routes()
        for module, shelf in (("locations", self.locations), ("sessions", self.sessions), ("tariffs", self.tariffs)):
            yield from self._shelf_routes(module, shelf)
        yield "POST", CDRS, self._post_cdr
        yield "GET", CDRS + _OBJECT, self._get_cdr
        yield "GET", f"{BASE}/sender/tokens", self._list_tokens
        yield "POST", f"{BASE}/sender/tokens/{{uid}}/authorize", self._authorize
        yield "POST", RESULTS + "/{name}/{id}", self._take_result

    def _shelf_routes(self, module: str, shelf: Shelf) -> Iterable[Route]:
        async def get(request: web.Request) -> web.Response:
            held = shelf.get(*_ref(request))
            if held is None:
                raise errors.NotFound
            return wire.ok(held)

        async def put(request: web.Request) -> web.Response:
            new = shelf.put(_ref(request), await wire.body_of(request))
            return wire.ok(http_status=201 if new else 200)

        async def patch(request: web.Request) -> web.Response:
            shelf.patch(_ref(request), await wire.body_of(request))
            return wire.ok()

        async def delete(request: web.Request) -> web.Response:
            shelf.delete(_ref(request))
            return wire.ok()

        below = ("", "/{evse_uid}", "/{evse_uid}/{connector_id}") if module == "locations" else ("",)
        for path in (f"{BASE}/receiver/{module}{_OBJECT}{level}" for level in below):
            yield "GET", path, get
            yield "PUT", path, put
            # Tariffs are the one object with DELETE and without PATCH (TAR-005).
            yield ("DELETE", path, delete) if module == "tariffs" else ("PATCH", path, patch)

    async def _post_cdr(self, request: web.Request) -> web.Response:
        """Keep a CDR once; the same again is answered as before, other content is refused (CDR-023, CDR-024)."""
        body = await wire.body_of(request, CDR)
        ref = tuple(str(body[name]) for name in ("country_code", "party_id", "id"))
        held = self.cdrs.setdefault(tuple(map(fold, ref)), body)
        if held != body:
            raise errors.InvalidParameters("A CDR with this id and other content is held already.")
        return wire.ok(http_status=201, extra={"Location": wire.join(self.url("cdrs", "RECEIVER"), *ref)})

    async def _get_cdr(self, request: web.Request) -> web.Response:
        held = self.cdrs.get(tuple(map(fold, _ref(request))))
        if held is None:
            raise errors.NotFound
        return wire.ok(held)

    async def _list_tokens(self, request: web.Request) -> web.Response:
        return wire.page(request, self.owned(request, self.tokens.values()), self.url("tokens", "SENDER"))

    async def _authorize(self, request: web.Request) -> web.Response:
        """May this token charge, here and now? (mod_tokens.asciidoc > Real-time authorization)"""
        kind = request.query.get("type", "RFID")
        token = self.tokens.get((kind, fold(request.match_info["uid"])))
        if token is None:
            raise errors.UnknownToken
        place = await wire.body_of(request) if await request.read() else None
        info: Json = {"allowed": self.decide(token, place), "token": token}
        if place is not None:
            info["location"] = place
        if info["allowed"] == "ALLOWED":
            info["authorization_reference"] = self.references[token["uid"]] = uuid4().hex
        return wire.ok(info)

    def decide(self, token: Json, place: Json | None) -> str:
        """The AllowedType for a known token; `place` is the LocationReferences that came with the question."""
        return "ALLOWED" if token["valid"] else "BLOCKED"

    async def _take_result(self, request: web.Request) -> web.Response:
        self.results[request.match_info["id"]] = await wire.body_of(request, CommandResult)
        return wire.ok()

    # What it sends

    async def put_token(self, token: Json, to: Party | None) -> Answer:
        """Own this token, and push it."""
        self.tokens[token["type"], fold(token["uid"])] = token
        owner = PartyId.of(token["country_code"], token["party_id"])
        query = {} if token["type"] == "RFID" else {"type": token["type"]}
        return await self.send("PUT", "tokens", *owner, token["uid"], to=to, sender=owner, body=token, query=query)

    async def patch_token(self, uid: str, changes: Json, to: Party | None, kind: str = "RFID") -> Answer:
        """Change a token of ours, and push the change; last_updated is now, unless given."""
        changes = {"last_updated": samples.now(), **changes}
        token = self.tokens[kind, fold(uid)] = {**self.tokens[kind, fold(uid)], **changes}
        owner = PartyId.of(token["country_code"], token["party_id"])
        query = {} if kind == "RFID" else {"type": kind}
        return await self.send("PATCH", "tokens", *owner, uid, to=to, sender=owner, body=changes, query=query)

    async def start_session(
        self,
        token: Json,
        location_id: str,
        evse_uid: str | None = None,
        connector_id: str | None = None,
        *,
        to: Party | None,
    ) -> Command:
        """Ask a CPO to let this token charge."""
        place = {"location_id": location_id, "evse_uid": evse_uid, "connector_id": connector_id}
        asked = {"token": token, **{name: value for name, value in place.items() if value}}
        return await self.command("START_SESSION", asked, to, PartyId.of(token["country_code"], token["party_id"]))

    async def stop_session(self, session_id: str, *, to: Party | None, sender: Party | None = None) -> Command:
        """Ask a CPO to end a session."""
        return await self.command("STOP_SESSION", {"session_id": session_id}, to, sender)

    async def reserve_now(
        self,
        token: Json,
        location_id: str,
        reservation_id: str,
        expiry_date: str,
        evse_uid: str | None = None,
        *,
        to: Party | None,
        **more: str,
    ) -> Command:
        """Ask a CPO to keep an EVSE free for this token."""
        asked = {"token": token, "location_id": location_id, "reservation_id": reservation_id, **more}
        asked |= {"expiry_date": expiry_date, **({"evse_uid": evse_uid} if evse_uid else {})}
        return await self.command("RESERVE_NOW", asked, to, PartyId.of(token["country_code"], token["party_id"]))

    async def cancel_reservation(
        self, reservation_id: str, *, to: Party | None, sender: Party | None = None
    ) -> Command:
        """Give a reservation back."""
        return await self.command("CANCEL_RESERVATION", {"reservation_id": reservation_id}, to, sender)

    async def command(self, name: str, body: Json, to: Party | None, sender: Party | None = None) -> Command:
        """Send a command with a response_url of its own (CMD-005)."""
        command_id = uuid4().hex
        response_url = wire.join(self.origin + RESULTS, name, command_id)
        answer = await self.send(
            "POST", "commands", name, to=to, sender=sender, body={**body, "response_url": response_url}
        )
        return Command(command_id, answer)

    async def result(self, command: Command, timeout: float = 15.0) -> str:
        """The charger's result of a command, as soon as it is there."""
        found = await self.until(lambda: self.results.get(command.id), timeout, "the CommandResult")
        return str(found["result"])


def _ref(request: web.Request) -> tuple[str, ...]:
    """The segments of a client owned URL, outermost first."""
    return tuple(request.match_info.values())
