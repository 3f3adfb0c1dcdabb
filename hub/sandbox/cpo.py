"""A simulated CPO back end: it publishes locations and tariffs, holds tokens, takes commands, and lets cars charge.

`charge` is a driver at one of its EVSEs: the Session grows tick by tick until it is stopped or full, then its CDR is
posted. A START_SESSION from an eMSP leads to the same, a STOP_SESSION ends it.

Source: the Sender interfaces of mod_locations, mod_tariffs, mod_sessions and mod_cdrs, the Receiver interfaces of
mod_tokens and mod_commands.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar
from uuid import uuid4

from aiohttp import web

from hub.ocpi import errors, headers
from hub.ocpi.types import PartyId, same
from hub.sandbox import samples, wire
from hub.sandbox.charging import Charging
from hub.sandbox.platform import Party, Platform
from hub.sandbox.registration import BASE
from hub.sandbox.shelf import EVSES_AND_CONNECTORS, Shelf
from hub.sandbox.site import Route
from hub.sandbox.wire import Answer, Json
from modules.cdrs.schemas import CDR
from modules.commands.schemas import StartSession, StopSession
from modules.locations.schemas import EVSE, Connector, Location
from modules.sessions.schemas import Session
from modules.tariffs.schemas import Tariff
from modules.tokens.schemas import Token

COMMANDS = frozenset({"CANCEL_RESERVATION", "RESERVE_NOW", "START_SESSION", "STOP_SESSION", "UNLOCK_CONNECTOR"})
TIMEOUT = 30
"""Seconds within which it promises a command's result."""

_TOKEN = f"{BASE}/receiver/tokens/{{country_code}}/{{party_id}}/{{uid}}"


class CpoBackend(Platform):
    """A CPO platform."""

    role: ClassVar[str] = "CPO"
    modules: ClassVar[tuple[tuple[str, str], ...]] = (
        ("locations", "SENDER"),
        ("tariffs", "SENDER"),
        ("sessions", "SENDER"),
        ("cdrs", "SENDER"),
        ("tokens", "RECEIVER"),
        ("commands", "RECEIVER"),
    )

    def __init__(self, *parties: str, name: str = "", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(*parties, name=name, host=host, port=port)
        self.tokens = Shelf("tokens", Token, id_field="uid")
        self.locations = Shelf("locations", Location, EVSE, Connector, levels=EVSES_AND_CONNECTORS)
        self.tariffs = Shelf("tariffs", Tariff)
        self.sessions = Shelf("sessions", Session)
        self.cdrs = Shelf("cdrs", CDR)
        self.charging: dict[str, Charging] = {}
        """Cars that are or were charging, by session id."""

    # What it serves

    def routes(self) -> Iterable[Route]:
        """Its modules, method by method."""
        yield from super().routes()
        for module, shelf in self._own.items():
            yield "GET", f"{BASE}/sender/{module}", self._lister(module, shelf)
        for levels in ("/{id}", "/{id}/{evse_uid}", "/{id}/{evse_uid}/{connector_id}"):
            yield "GET", f"{BASE}/sender/locations{levels}", self._get_location
        yield "GET", _TOKEN, self._get_token
        yield "PUT", _TOKEN, self._put_token
        yield "PATCH", _TOKEN, self._patch_token
        yield "POST", f"{BASE}/receiver/commands/{{name}}", self._take_command

    @property
    def _own(self) -> dict[str, Shelf]:
        return {"locations": self.locations, "tariffs": self.tariffs, "sessions": self.sessions, "cdrs": self.cdrs}

    def _lister(self, module: str, shelf: Shelf) -> Any:
        async def get(request: web.Request) -> web.Response:
            return wire.page(request, self.owned(request, shelf.all()), self.url(module, "SENDER"))

        return get

    async def _get_location(self, request: web.Request) -> web.Response:
        to = headers.party(request.headers, headers.TO_COUNTRY, headers.TO_PARTY) or self.parties[0]
        held = self.locations.get(*to, *request.match_info.values())
        if held is None:
            raise errors.NotFound
        return wire.ok(held)

    async def _get_token(self, request: web.Request) -> web.Response:
        held = self.tokens.get(*request.match_info.values(), kind=_kind(request))
        if held is None:
            raise errors.NotFound
        return wire.ok(held)

    async def _put_token(self, request: web.Request) -> web.Response:
        ref = tuple(request.match_info.values())
        new = self.tokens.put(ref, await wire.body_of(request), kind=_kind(request))
        return wire.ok(http_status=201 if new else 200)

    async def _patch_token(self, request: web.Request) -> web.Response:
        self.tokens.patch(tuple(request.match_info.values()), await wire.body_of(request), kind=_kind(request))
        return wire.ok()

    # Commands

    async def _take_command(self, request: web.Request) -> web.Response:
        """Answer at once; what the charger says follows by POST to the response_url."""
        name = request.match_info["name"]
        sender = headers.party(request.headers, headers.FROM_COUNTRY, headers.FROM_PARTY)
        ours = headers.party(request.headers, headers.TO_COUNTRY, headers.TO_PARTY) or self.parties[0]
        if name not in COMMANDS:
            raise errors.NotFound("There is no such command.")
        if name == "START_SESSION":
            result = self._begin(await wire.body_of(request, StartSession), ours, sender)
        elif name == "STOP_SESSION":
            result = self._end(await wire.body_of(request, StopSession), ours, sender)
        else:
            result = "NOT_SUPPORTED"
        return wire.ok({"result": result, "timeout": TIMEOUT if result == "ACCEPTED" else 0})

    def _begin(self, body: Json, ours: PartyId, sender: PartyId | None) -> str:
        place = self.locations.get(*ours, body["location_id"])
        if place is None:
            raise errors.UnknownLocation
        wanted = body.get("evse_uid")
        fits = (e for e in place["evses"] if same(e["uid"], wanted) or (wanted is None and e["status"] == "AVAILABLE"))
        evse = next(fits, None)
        if evse is None:
            return "REJECTED"

        async def work() -> None:
            await self.post_result(body["response_url"], "ACCEPTED", to=sender, sender=ours)
            await self.charge(
                body["token"],
                ours,
                place["id"],
                evse["uid"],
                body.get("connector_id") or evse["connectors"][0]["id"],
                auth_method="COMMAND",
                authorization_reference=body.get("authorization_reference"),
            )

        self.spawn(work())
        return "ACCEPTED"

    def _end(self, body: Json, ours: PartyId, sender: PartyId | None) -> str:
        charging = self.charging.get(body["session_id"])
        if charging is None:
            return "UNKNOWN_SESSION"
        if charging.driver != sender:
            return "REJECTED"  # CMD-046

        async def work() -> None:
            await self.post_result(body["response_url"], "ACCEPTED", to=sender, sender=ours)
            charging.stop()

        self.spawn(work())
        return "ACCEPTED"

    async def post_result(self, url: str, result: str, to: Party | None, sender: Party | None = None) -> Answer:
        """What the charger said to a command (CMD-014: the bare object)."""
        return await self.call_back(url, {"result": result}, to, sender)

    # What it sends

    async def put_location(self, location: Json, to: Party | None) -> Answer:
        """Own this Location, and push it."""
        return await self._put("locations", location, to)

    async def patch_evse(
        self, location_id: str, evse_uid: str, changes: Json, to: Party | None, sender: Party | None = None
    ) -> Answer:
        """Change an EVSE, such as its status, and push the change; last_updated is now, unless given."""
        changes = {"last_updated": samples.now(), **changes}
        ours = self.party(sender)
        self.locations.patch((*ours, location_id, evse_uid), changes)
        return await self.send("PATCH", "locations", *ours, location_id, evse_uid, to=to, sender=ours, body=changes)

    async def put_tariff(self, tariff: Json, to: Party | None) -> Answer:
        """Own this Tariff, and push it."""
        return await self._put("tariffs", tariff, to)

    async def delete_tariff(self, tariff_id: str, to: Party | None, sender: Party | None = None) -> Answer:
        """Give up a Tariff, and say so."""
        ours = self.party(sender)
        self.tariffs.delete((*ours, tariff_id))
        return await self.send("DELETE", "tariffs", *ours, tariff_id, to=to, sender=ours)

    async def put_session(self, session: Json, to: Party | None) -> Answer:
        """Own this Session, and push it to the driver's eMSP."""
        return await self._put("sessions", session, to)

    async def post_cdr(self, cdr: Json, to: Party | None, correlation_id: str | None = None) -> Answer:
        """Own this CDR, and send it to the driver's eMSP."""
        owner = PartyId.of(cdr["country_code"], cdr["party_id"])
        self.cdrs.put((*owner, cdr["id"]), cdr)
        return await self.send("POST", "cdrs", to=to, sender=owner, body=cdr, correlation_id=correlation_id)

    async def authorise(
        self, uid: str, place: Json | None = None, *, to: Party | None, kind: str = "RFID", sender: Party | None = None
    ) -> Answer:
        """Ask live whether a token may charge; `place` is a LocationReferences."""
        return await self.send(
            "POST", "tokens", uid, "authorize",
            interface="SENDER", to=to, sender=sender, body=place, query={"type": kind},
        )  # fmt: skip

    async def charge(
        self,
        token: Json,
        sender: Party | None = None,
        location_id: str = "LOC1",
        evse_uid: str = "EVSE1",
        connector_id: str = "1",
        *,
        auth_method: str = "AUTH_REQUEST",
        authorization_reference: str | None = None,
        step: Decimal = Decimal("0.25"),
        full: Decimal = Decimal("5"),
        tick: float = 0.1,
    ) -> Charging:
        """Let a car charge: `step` kWh every `tick` seconds, until stopped or `full`. It goes on in the background."""
        reference = {"authorization_reference": authorization_reference} if authorization_reference else {}
        session = {
            **samples.session(str(self.party(sender)), uuid4().hex, token),
            "location_id": location_id,
            "evse_uid": evse_uid,
            "connector_id": connector_id,
            "auth_method": auth_method,
            **reference,
        }
        charging = Charging(self, session)
        self.charging[session["id"]] = charging
        await charging.begin()
        self.spawn(charging.run(step, full, tick))
        return charging

    async def _put(self, module: str, body: Json, to: Party | None) -> Answer:
        owner = PartyId.of(body["country_code"], body["party_id"])
        self._own[module].put((*owner, body["id"]), body)
        return await self.send("PUT", module, *owner, body["id"], to=to, sender=owner, body=body)


def _kind(request: web.Request) -> str:
    return request.query.get("type", "RFID")
