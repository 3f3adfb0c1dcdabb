"""The story the demo tells: one roaming session from plug to bill, on real sockets, then verified.

A CPO back end (NL*CPA) and two eMSPs (DE*MSA, FR*MSB) connect to a hub; the hub hosts a CPO without a back end of its
own (NL*LOC), whose charger speaks OCPP. A driver of DE*MSA charges there, and then at NL*CPA. FR*MSB must see the
state of the EVSEs, and nothing of the sessions.

The hub has to be running; the story only knows its addresses and the operator's token.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from hub.sandbox import samples
from hub.sandbox.backoffice import Operator
from hub.sandbox.charger import Charger
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.narrator import Narrator, Unexpected
from hub.sandbox.platform import Platform
from hub.sandbox.recorder import Received
from hub.sandbox.wire import Json

HOSTED, STATION = "NL*LOC", "DEMO-1"
SQUARE_TARIFF = samples.tariff(HOSTED, "SQUARE-TARIFF")
SQUARE = samples.location(HOSTED, "SQUARE", "SQUARE-TARIFF")
CARD = samples.token("DE*MSA", "04A1B2C3D4E580")
METER = range(120_000, 128_000, 1_000)
"""What the charger's meter shows during the session, in Wh."""


@dataclass(frozen=True)
class Story:
    """The cast, and the steps in their order."""

    narrator: Narrator
    operator: Operator
    cpo: CpoBackend
    emsp: Emsp
    other: Emsp
    connected: AsyncExitStack
    """What stays connected until the end."""

    bills: dict[str, Json] = field(default_factory=dict)
    """The CDRs that arrived, by the CPO they came from."""

    async def tell(self) -> None:
        """The whole story; StepFailed where it does not go as it should."""
        await self.register()
        await self.publish()
        charger = await self.boot()
        await self.authorise(charger)
        await self.stop(charger, await self.charge(charger))
        await self.bill(HOSTED)
        await self.charge_at_the_back_end()
        await self.bill("NL*CPA")
        await self.look_back()
        self.verify()
        self.narrator.verdict()

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """All who connect by OCPI."""
        return self.cpo, self.emsp, self.other

    async def register(self) -> None:
        """Invitations and handshakes."""
        async with self.narrator.step("A CPO and two eMSPs are invited, and register"):
            for platform in self.platforms:
                code = str(platform.parties[0])
                invitation = {"name": platform.name, "parties": [{"code": code, "role": platform.role}]}
                given = await self.operator.ask("POST", "/invitations", invitation, f"invite {code} as {platform.role}")
                await platform.register(given["versions_url"], given["token_a"])
                if platform.handshake is not None:
                    self.narrator.asked(code, "hub", "POST credentials: B for C", platform.handshake)
                for seen in platform.received:
                    self.narrator.received("hub", code, f"meanwhile, with B: {seen.method} {seen.path}", seen)

    async def publish(self) -> None:
        """Locations and tariffs to everybody, tokens to the CPO."""
        everybody = self.cpo.hub
        async with self.narrator.step("The hub takes in a CPO without a back end"):
            hosted = {"code": HOSTED, "role": "CPO", "name": "Station Square Parking"}
            await self.operator.ask("POST", "/parties", hosted, f"host {HOSTED}")
            await self.operator.ask("PUT", "/tariffs", SQUARE_TARIFF, f"tariff {SQUARE_TARIFF['id']}")
            await self.operator.ask("PUT", "/locations", SQUARE, f"location {SQUARE['id']}, 2 EVSEs")
        async with self.narrator.step("The CPO back end publishes once, and both eMSPs have it"):
            answer = await self.cpo.put_tariff(samples.tariff("NL*CPA"), to=everybody)
            self.narrator.asked("NL*CPA", everybody, "PUT tariff TARIFF1", answer)
            answer = await self.cpo.put_location(samples.location("NL*CPA"), to=everybody)
            self.narrator.asked("NL*CPA", everybody, "PUT location LOC1", answer)
            for what in ("tariffs/NL/LOC/SQUARE-TARIFF", "locations/NL/LOC/SQUARE"):
                await self._reach_both(f"PUT {what}", partial(_is_put, what))
            for what in ("tariffs/NL/CPA/TARIFF1", "locations/NL/CPA/LOC1"):
                await self._reach_both(f"PUT {what}", partial(_is_put, what))
        async with self.narrator.step("An eMSP makes a token known, and the CPO has it"):
            answer = await self.emsp.put_token(CARD, to=everybody)
            self.narrator.asked("DE*MSA", everybody, f"PUT token {CARD['uid']}", answer)
            seen = await self.cpo.wait_for(lambda r: "/tokens/DE/MSA/" in r.path)
            self.narrator.received("hub", "NL*CPA", f"PUT token {CARD['uid']}", seen)

    async def boot(self) -> Charger:
        """A charger for the hosted party."""
        async with self.narrator.step(f"{HOSTED} gets a charger, which boots over OCPP"):
            wanted = {"station_id": STATION, "party": HOSTED, "location_id": SQUARE["id"]}
            given = await self.operator.ask("POST", "/chargers", wanted, f"charger {STATION} at SQUARE")
            charger = await self.connected.enter_async_context(Charger(given["url"], STATION, given["password"]))
            status = await charger.boot()
            await charger.status(1, "Available")
            await charger.status(2, "Available")
            self.narrator.line(STATION, "hub", "BootNotification, StatusNotification", status)
            _must(status == "Accepted", f"the boot of {STATION} was answered {status}")
            return charger

    async def authorise(self, charger: Charger) -> None:
        """A foreign card at the hosted charger."""
        async with self.narrator.step("A driver of DE*MSA holds a card to it: asked live"):
            status = await charger.authorize(CARD["uid"])
            seen = await self.emsp.wait_for(_authorise_of(HOSTED))
            self.narrator.received(HOSTED, "DE*MSA", "POST tokens authorize", seen)
            self.narrator.line("hub", STATION, "Authorize", status)
            _must(status == "Accepted", f"the card was answered {status}")

    async def charge(self, charger: Charger) -> str:
        """The session grows; its id."""
        async with self.narrator.step("The car charges: both eMSPs see the EVSE, one sees the session", timeout=60):
            await charger.start(1, CARD["uid"], METER[0])
            await charger.status(1, "Charging")
            await self._reach_both("NL*LOC's EVSE1 is CHARGING", partial(_says_charging, "NL/LOC/SQUARE", "EVSE1"))
            await self._grow(HOSTED, Decimal(0))
            for register in METER[1:4]:
                await charger.meter(register)
            await self._grow(HOSTED, Decimal(3))
            for register in METER[4:-1]:
                await charger.meter(register)
            return await self._grow(HOSTED, Decimal(6))

    async def stop(self, charger: Charger, session_id: str) -> None:
        """By the eMSP's app."""
        async with self.narrator.step("The driver stops with the eMSP's app"):
            command = await self.emsp.stop_session(session_id, to=HOSTED)
            self.narrator.asked("DE*MSA", HOSTED, "POST commands STOP_SESSION", command.answer)
            await charger.stopped_remotely()
            self.narrator.line("hub", STATION, "RemoteStopTransaction", "Accepted")
            await charger.stop(METER[-1], "Remote")
            await charger.status(1, "Available")
            await self._result(command.id, HOSTED)

    async def bill(self, owner: str) -> None:
        """The CDR of the one session at `owner`."""
        async with self.narrator.step(f"The CDR of {owner} is in the hands of DE*MSA"):
            cdr = await self.emsp.until(lambda: _cdr(self.emsp, owner), what=f"the CDR of {owner}")
            await self.emsp.until(lambda: _session_of(self.emsp, cdr).get("status") == "COMPLETED", what="its session")
            self.bills[owner] = cdr
            seen = await self.emsp.wait_for(lambda r: r.path.endswith("/cdrs") and r.body == cdr)
            what = f"POST cdr, {cdr['total_energy']} kWh, {cdr['total_cost']['incl_vat']} {cdr['currency']}"
            self.narrator.received(owner, "DE*MSA", what, seen)

    async def charge_at_the_back_end(self) -> None:
        """The same at a CPO with a back end of its own."""
        async with self.narrator.step("The driver charges at NL*CPA, whose own back end speaks OCPI"):
            place = {"location_id": "LOC1", "evse_uids": ["EVSE2"]}
            answer = await self.cpo.authorise(CARD["uid"], place, to="DE*MSA")
            self.narrator.asked("NL*CPA", "DE*MSA", "POST tokens authorize", answer)
            _must(answer.data["allowed"] == "ALLOWED", "the eMSP did not allow the card")
            reference = answer.data["authorization_reference"]
            charging = await self.cpo.charge(
                CARD, evse_uid="EVSE2", authorization_reference=reference, full=Decimal(1000)
            )
            for kwh in ("0", "0.25", "0.5"):
                await self._grow("NL*CPA", Decimal(kwh))
            await self._reach_both("NL*CPA's EVSE2 is CHARGING", partial(_says_charging, "NL/CPA/LOC1", "EVSE2"))
            command = await self.emsp.stop_session(charging.session["id"], to="NL*CPA")
            self.narrator.asked("DE*MSA", "NL*CPA", "POST commands STOP_SESSION", command.answer)
            await self._result(command.id, "NL*CPA")

    async def look_back(self) -> None:
        """Everything is free again, and the hub remembers."""
        async with self.narrator.step("All EVSEs are free again, as both eMSPs can see"):
            for emsp in (self.emsp, self.other):
                await emsp.until(partial(_all_free, emsp), what="AVAILABLE")
        seen = next(filter(_authorise_of(HOSTED), self.emsp.received))
        async with self.narrator.step("The hub can tell the way of each message: the live authorise"):
            trace = await self.operator.ask("GET", f"/trace/{seen.correlation_id}", what="trace")
            for hop in trace["hops"]:
                status = f"{hop['http_status']}/{hop['status_code']}"
                what = f"{hop['method']} {hop['what']}"
                self.narrator.line(hop["sender"], hop["receiver"], what, status, hop["ms"], hop["correlation_id"])

    def verify(self) -> None:
        """What the story claims, checked on what the parties hold."""
        check, home, other = self.narrator.check, self.emsp, self.other
        hosted, back_end = self.bills[HOSTED], self.bills["NL*CPA"]
        energy = Decimal(METER[-1] - METER[0]) / 1000
        check(f"the charger's CDR says {energy} kWh, as its meter does", hosted["total_energy"] == energy)
        check("its price is that of the tariff", hosted["total_cost"] == samples.price(SQUARE_TARIFF, energy))
        check("NL*CPA's CDR arrived as it was sent", back_end == self.cpo.cdrs.get("NL", "CPA", back_end["id"]))
        for cdr in (hosted, back_end):
            session = _session_of(home, cdr)
            what = f"{cdr['country_code']}*{cdr['party_id']}'s session is COMPLETED, with the kWh of its CDR"
            check(what, (session.get("status"), session.get("kwh")) == ("COMPLETED", cdr["total_energy"]))
        check("DE*MSA has two sessions and two CDRs, no more", len(home.sessions) == len(home.cdrs) == 2)
        for place, evse in (("NL/LOC/SQUARE", "EVSE1"), ("NL/CPA/LOC1", "EVSE2")):
            saw = [any(_says_charging(place, evse, r) for r in emsp.received) for emsp in (home, other)]
            check(f"both eMSPs saw {place}/{evse} CHARGING", all(saw))
        for owner in (HOSTED, "NL*CPA"):
            grown = [r.body["kwh"] for r in _pushes_of_session(home, owner)]
            check(f"the session at {owner} grew step by step", len(set(grown)) >= 3 and grown == sorted(grown))
        check("FR*MSB got no session, no CDR and no question", not any(map(_private, other.received)))
        check("STOP_SESSION was accepted twice", [r["result"] for r in home.results.values()] == ["ACCEPTED"] * 2)
        check("both eMSPs hold the same locations and tariffs", _held(home) == _held(other))
        check("nothing ever went backwards", home.backwards == other.backwards == self.cpo.tokens.backwards == [])
        faults = [fault for platform in self.platforms for fault in platform.faults]
        check("the hub kept to OCPI with all three" + "".join(f"; {fault}" for fault in faults), not faults)

    async def _reach_both(self, what: str, is_it: Callable[[Received], bool]) -> None:
        """A push arrives at both eMSPs."""
        for emsp in (self.emsp, self.other):
            self.narrator.received("hub", str(emsp.parties[0]), what, await emsp.wait_for(is_it))

    async def _grow(self, owner: str, kwh: Decimal) -> str:
        """The session of `owner` has reached `kwh` at the driver's eMSP; its id."""
        found = partial(_push_of_session, self.emsp, owner, kwh)
        seen = await self.emsp.until(found, what=f"a session of {kwh} kWh")
        self.narrator.received(owner, "DE*MSA", f"PUT session, {seen.body['kwh']} kWh", seen)
        return str(seen.body["id"])

    async def _result(self, command_id: str, owner: str) -> None:
        await self.emsp.until(lambda: command_id in self.emsp.results, what="the CommandResult")
        seen = await self.emsp.wait_for(lambda r: r.path.endswith(command_id))
        self.narrator.received(owner, "DE*MSA", f"CommandResult {seen.body['result']}", seen)


@asynccontextmanager
async def stage(url: str, api_token: str, narrator: Narrator) -> AsyncIterator[Story]:
    """The cast, listening, for the hub at `url`."""
    async with (
        Operator(url, api_token, narrator) as operator,
        CpoBackend("NL*CPA", name="Canal Charging") as cpo,
        Emsp("DE*MSA", name="Autobahn Mobility") as emsp,
        Emsp("FR*MSB", name="Boulevard Mobilité") as other,
        AsyncExitStack() as connected,
    ):
        yield Story(narrator, operator, cpo, emsp, other, connected)


def _must(holds: bool, why: str) -> None:
    if not holds:
        raise Unexpected(why)


def _is_put(what: str, received: Received) -> bool:
    return received.method == "PUT" and received.path.endswith(f"/{what}")


def _says_charging(place: str, evse_uid: str, received: Received) -> bool:
    """Whether a push says so, be it of the EVSE or of its whole Location: the hub sends what it takes."""
    body = received.body or {}
    if received.path.endswith(f"/{place}"):
        body = next((evse for evse in body.get("evses") or () if evse["uid"] == evse_uid), {})
    elif not received.path.endswith(f"/{place}/{evse_uid}"):
        return False
    return bool(body.get("status") == "CHARGING")


def _authorise_of(cpo: str) -> Callable[[Received], bool]:
    return lambda r: r.path.endswith("/authorize") and str(r.sender) == cpo


def _is_of(body: Json, owner: str) -> bool:
    return f"{body['country_code']}*{body['party_id']}" == owner


def _pushes_of_session(emsp: Emsp, owner: str) -> list[Received]:
    return [r for r in emsp.received if "/sessions/" in r.path and r.method == "PUT" and _is_of(r.body, owner)]


def _push_of_session(emsp: Emsp, owner: str, kwh: Decimal) -> Received | None:
    """The first push of a session of `owner` with so much energy."""
    return next((r for r in _pushes_of_session(emsp, owner) if r.body["kwh"] >= kwh), None)


def _cdr(emsp: Emsp, owner: str) -> Json | None:
    return next((cdr for cdr in emsp.cdrs.values() if _is_of(cdr, owner)), None)


def _session_of(emsp: Emsp, cdr: Json) -> Json:
    return emsp.sessions.get(cdr["country_code"], cdr["party_id"], cdr["session_id"]) or {}


def _all_free(emsp: Emsp) -> bool:
    return all(evse["status"] == "AVAILABLE" for place in emsp.locations.all() for evse in place["evses"])


def _private(received: Received) -> bool:
    """Whether it is about a driver."""
    return any(part in received.path for part in ("/sessions", "/cdrs", "/authorize"))


def _held(emsp: Emsp) -> list[list[Json]]:
    """Locations and tariffs, in an order that does not depend on who came first."""
    return [sorted(shelf.all(), key=lambda o: (o["party_id"], o["id"])) for shelf in (emsp.locations, emsp.tariffs)]
