"""The matrix of who may reach whom: agreement x direction x module x every path by which something of one party can
come to another. Each path says whether it let something through; the rule of agreements, written down here once more,
says whether it should have.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.admin import agreements, objects, parties
from hub.admin.agreements import AgreementOrder
from hub.admin.parties import PartyOrder
from hub.bridge import party
from hub.bridge.authorise import Authoriser
from hub.delivery.engine import Engine
from hub.exchange import ask, cdr, membership, push
from hub.exchange.call import Reply
from hub.ocpi import json
from hub.ocpi.errors import OcpiError
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId, format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import Refused
from hub.sandbox.wire import Answer, Json
from hub.settings import Settings
from modules.catalog import CATALOG, LOCATIONS, TARIFFS

CPA, LOC, MSA = (PartyId.parse(code) for code in ("NL*CPA", "NL*LOC", "DE*MSA"))
"""A CPO with a back end, one that is hosted, and the eMSP that both may or may not have an agreement with."""


HOSTED = {"code": str(LOC), "role": "CPO", "name": "Local"}


@dataclass(frozen=True)
class Terms:
    """An agreement of the eMSP with each CPO, who is party a; `modules` None is all."""

    modules: tuple[str, ...] | None = None
    direction: str = "both"
    asked: bool = True


NOTHING: Terms | None = None
VARIANTS: dict[str, Terms | None] = {
    "none": NOTHING,
    "all": Terms(),
    "from the CPO only": Terms(direction="a_to_b"),
    "from the eMSP only": Terms(direction="b_to_a"),
    "some modules": Terms(("locations", "sessions", "tokens", "chargingprofiles")),
    "other modules": Terms(("tariffs", "sessions", "commands", "chargingprofiles")),
    "yet others": Terms(("cdrs", "tokens", "commands", "chargingprofiles")),
    "not asked": Terms(asked=False),
}
"""Any two modules are told apart by one of these at least."""


def allowed(terms: Terms | None, module: str, from_cpo: bool, is_open: bool) -> bool:
    """The rule."""
    if terms is None:
        return is_open
    if terms.modules is not None and module not in terms.modules:
        return False
    return terms.direction == "both" or terms.direction == ("a_to_b" if from_cpo else "b_to_a")


@dataclass
class World:
    """The parties, and the names of what this round is about."""

    running: Any
    cpo: CpoBackend
    emsp: Emsp
    engine: Engine
    number: int = 0
    prepared: dict[str, Any] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """An id of this round."""
        return f"{kind}{self.number}"

    async def agree(self, terms: Terms | None) -> None:
        """These terms are in force, and all that follows from them has been delivered."""
        hub = self.running.hub
        for code in (CPA, LOC):
            if terms is None:
                for row in await self.rows("SELECT id FROM agreement WHERE a = :a", a=str(code)):
                    await agreements.end(hub, row)
            else:
                modules = list(terms.modules) if terms.modules else None
                order = AgreementOrder.model_validate(
                    {"a": str(code), "b": str(MSA), "modules": modules, "direction": terms.direction,
                     "options": {"authorise": terms.asked}}
                )  # fmt: skip
                await agreements.agree(hub, order)
        await self.quiet()

    async def quiet(self) -> None:
        """Nothing is on its way any more."""
        waits = (
            "SELECT (SELECT count(*) FROM backfill) + (SELECT count(*) FROM change_log WHERE position IS NULL)"
            " + (SELECT count(*) FROM owed) + (SELECT count(*) FROM lane_cursor c JOIN log_head h USING (shard)"
            " WHERE c.position < h.position)"
        )
        for _ in range(400):
            if await self.rows(waits) == [0]:
                return
            self.engine.wake()
            await asyncio.sleep(0.02)
        raise AssertionError("the lanes do not come to rest")

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """The first column of what a query gives."""
        async with self.running.hub.db.unit_of_work() as session:
            return list((await session.execute(text(query), values)).scalars())


class Patient(CpoBackend):
    """Takes a START_SESSION on, and waits for a driver who never comes."""

    def _begin(self, *_: Any) -> str:
        return "ACCEPTED"


def token(uid: str) -> Json:
    return samples.token(uid=uid) | {"whitelist": "ALWAYS", "valid": True}


def session(world: World, owner: PartyId, name: str) -> Json:
    return samples.session(str(owner), name, of=token(world.name("TOLD")))


def bill(world: World, owner: PartyId, name: str) -> Json:
    of = session(world, owner, world.name("SOLD")) | {"kwh": 1}
    return samples.cdr(of, samples.location(str(owner)), samples.tariff(str(owner)), name)


# What is done before the terms are in force


async def prepare(world: World) -> None:
    """While everything is allowed: tokens, sessions and a CDR go over, a command and a list are begun."""
    cpo, emsp = world.cpo, world.emsp
    known = token(world.name("TOLD"))
    assert (await emsp.put_token(known, to=emsp.hub)).ok
    assert (await cpo.put_location(samples.location(id=world.name("LOLD")), to=cpo.hub)).ok
    assert (await cpo.put_session(session(world, CPA, world.name("SOLD")), to=MSA)).ok
    assert (await cpo.post_cdr(bill(world, CPA, world.name("BOLD")), to=MSA)).ok
    first = await emsp.send("GET", "locations", interface="SENDER", to=CPA)
    assert first.next_url
    assert (await emsp.start_session(known, world.name("LOLD"), "EVSE1", to=CPA)).accepted
    asked = next(seen for seen in reversed(cpo.received) if "START_SESSION" in seen.path)
    posted = await cpo.post_cdr(bill(world, CPA, world.name("BGET")), to=MSA)
    world.prepared = {"page": first.next_url, "result": asked.body["response_url"], "cdr": posted.headers["Location"]}
    await world.quiet()


async def push_unheard(world: World) -> None:
    """What is broadcast while there is no agreement, and a new one delivers in full."""
    cpo, emsp, hub = world.cpo, world.emsp, world.running.hub
    assert (await cpo.put_location(samples.location(id=world.name("LNEW")), to=cpo.hub)).ok
    assert (await cpo.put_tariff(samples.tariff(id=world.name("RNEW")), to=cpo.hub)).ok
    assert (await emsp.put_token(token(world.name("TNEW")), to=emsp.hub)).ok
    await objects.put(hub, LOCATIONS, json.dumps(samples.location(str(LOC), world.name("LNEW"))))
    await objects.put(hub, TARIFFS, json.dumps(samples.tariff(str(LOC), world.name("RNEW"))))


async def push_live(world: World) -> None:
    """What is broadcast while the terms are in force."""
    cpo, emsp, hub = world.cpo, world.emsp, world.running.hub
    await cpo.put_location(samples.location(id=world.name("LLIVE")), to=cpo.hub)
    await cpo.put_tariff(samples.tariff(id=world.name("RLIVE")), to=cpo.hub)
    await emsp.put_token(token(world.name("TLIVE")), to=emsp.hub)
    await objects.put(hub, LOCATIONS, json.dumps(samples.location(str(LOC), world.name("LLIVE"))))
    await world.quiet()


# The paths: each says whether something came through

Path = Callable[[World], Awaitable[bool]]
PATHS: dict[str, tuple[Path, tuple[tuple[str, bool], ...]]] = {}
"""By name: the path, and what it needs, as pairs of a module and whether that flows from the CPO to the eMSP."""


def path(*needs: tuple[str, bool]) -> Callable[[Path], Path]:
    """Enter a path into the table."""

    def enter(function: Path) -> Path:
        PATHS[function.__name__] = (function, needs)
        return function

    return enter


FROM_CPO, FROM_EMSP = True, False


def through(answer: Answer) -> bool:
    """Whether a call was let through: the party looks unknown otherwise, and nothing comes back."""
    if answer.status_code == 4001:
        assert answer.data is None
        return False
    return True


async def by_hosted(work: Awaitable[Reply]) -> bool:
    """The same for a hosted party."""
    try:
        return (await work).status_code != 4001
    except OcpiError as error:
        return error.status_code != 4001


def shelf_path(module: str, party_id: str, name: str, held: Callable[[World], Any]) -> None:
    """Whether the other side holds what was broadcast: live, or by the full delivery of an agreement (NEW)."""

    async def holds(world: World) -> bool:
        kind = "RFID" if module == "tokens" else ""
        return held(world).get(*_ref(module, party_id, world.name(name)), kind=kind) is not None

    holds.__name__ = f"{module} {party_id} {name}"
    path((module, module != "tokens"))(holds)


def _ref(module: str, party_id: str, name: str) -> tuple[str, ...]:
    return ("DE", "MSA", name) if module == "tokens" else ("NL", party_id, name)


for _party in ("CPA", "LOC"):
    shelf_path("locations", _party, "LNEW", lambda world: world.emsp.locations)
    shelf_path("locations", _party, "LLIVE", lambda world: world.emsp.locations)
    shelf_path("tariffs", _party, "RNEW", lambda world: world.emsp.tariffs)
shelf_path("tariffs", "CPA", "RLIVE", lambda world: world.emsp.tariffs)
shelf_path("tokens", "MSA", "TNEW", lambda world: world.cpo.tokens)
shelf_path("tokens", "MSA", "TLIVE", lambda world: world.cpo.tokens)


@path(("locations", FROM_CPO))
async def put_location(world: World) -> bool:
    return through(await world.cpo.put_location(samples.location(id=world.name("LDIR")), to=MSA))


@path(("locations", FROM_CPO))
async def patch_evse(world: World) -> bool:
    later = {"status": "CHARGING", "last_updated": format_datetime(datetime.now(UTC) + timedelta(minutes=1))}
    return through(await world.cpo.patch_evse(world.name("LOLD"), "EVSE1", later, to=MSA))


@path(("tariffs", FROM_CPO))
async def put_and_delete_tariff(world: World) -> bool:
    put = through(await world.cpo.put_tariff(samples.tariff(id=world.name("RDIR")), to=MSA))
    assert through(await world.cpo.delete_tariff(world.name("RDIR"), to=MSA)) is put
    return put


@path(("sessions", FROM_CPO))
async def put_session(world: World) -> bool:
    return through(await world.cpo.put_session(session(world, CPA, world.name("SDIR")), to=MSA))


@path(("sessions", FROM_CPO))
async def put_session_unnamed(world: World) -> bool:
    return through(await world.cpo.put_session(session(world, CPA, world.name("SOPEN")), to=None))


@path(("sessions", FROM_CPO))
async def look_at_the_copy_of_a_session(world: World) -> bool:
    return through(await world.cpo.send("GET", "sessions", "NL", "CPA", world.name("SOLD"), to=MSA))


@path(("cdrs", FROM_CPO))
async def post_cdr(world: World) -> bool:
    return through(await world.cpo.post_cdr(bill(world, CPA, world.name("BDIR")), to=MSA))


@path(("cdrs", FROM_CPO))
async def post_cdr_unnamed(world: World) -> bool:
    return through(await world.cpo.post_cdr(bill(world, CPA, world.name("BOPEN")), to=None))


@path(("cdrs", FROM_CPO))
async def fetch_cdr_from_its_receiver(world: World) -> bool:
    """The owner gets its own CDR in any case; whether the receiver was asked for it is the question."""
    before = len(world.emsp.received)
    answer = await world.cpo.call("GET", world.prepared["cdr"], world.cpo.registered.token_out)
    assert answer.data["id"] == world.name("BGET")
    return any("/receiver/cdrs/" in seen.path and seen.method == "GET" for seen in world.emsp.received[before:])


@path(("tokens", FROM_EMSP))
async def put_token(world: World) -> bool:
    return through(await world.emsp.put_token(token(world.name("TDIR")), to=CPA))


@path(("tokens", FROM_EMSP))
async def patch_token(world: World) -> bool:
    later = {"valid": True, "last_updated": format_datetime(datetime.now(UTC) + timedelta(minutes=1))}
    return through(await world.emsp.patch_token(world.name("TOLD"), later, to=CPA))


@path(("tokens", FROM_EMSP))
async def put_token_to_hosted(world: World) -> bool:
    return through(await world.emsp.put_token(token(world.name("THOST")), to=LOC))


@path(("tokens", FROM_EMSP))
async def look_at_the_copy_of_a_token(world: World) -> bool:
    return through(await world.emsp.send("GET", "tokens", "DE", "MSA", world.name("TOLD"), to=LOC))


@path(("locations", FROM_CPO))
async def list_locations(world: World) -> bool:
    return through(await world.emsp.send("GET", "locations", interface="SENDER", to=CPA))


@path(("locations", FROM_CPO))
async def next_page_of_locations(world: World) -> bool:
    return through(await world.emsp.call("GET", world.prepared["page"], world.emsp.registered.token_out))


@path(("locations", FROM_CPO))
async def get_location(world: World) -> bool:
    return through(await world.emsp.send("GET", "locations", world.name("LOLD"), interface="SENDER", to=CPA))


@path(("locations", FROM_CPO))
async def get_location_unnamed(world: World) -> bool:
    return through(await world.emsp.send("GET", "locations", world.name("LOLD"), interface="SENDER", to=None))


@path(("locations", FROM_CPO))
async def list_locations_of_hosted(world: World) -> bool:
    return through(await world.emsp.send("GET", "locations", interface="SENDER", to=LOC))


@path(("locations", FROM_CPO))
async def get_location_of_hosted(world: World) -> bool:
    return through(await world.emsp.send("GET", "locations", world.name("LNEW"), interface="SENDER", to=LOC))


@path(("tariffs", FROM_CPO))
async def get_tariffs(world: World) -> bool:
    return through(await world.emsp.send("GET", "tariffs", interface="SENDER", to=CPA))


@path(("sessions", FROM_CPO))
async def get_sessions(world: World) -> bool:
    query = {"date_from": "2026-01-01T00:00:00Z"}
    return through(await world.emsp.send("GET", "sessions", interface="SENDER", to=CPA, query=query))


@path(("cdrs", FROM_CPO))
async def get_cdrs(world: World) -> bool:
    return through(await world.emsp.send("GET", "cdrs", interface="SENDER", to=CPA))


@path(("tokens", FROM_EMSP))
async def get_tokens(world: World) -> bool:
    return through(await world.cpo.send("GET", "tokens", interface="SENDER", to=MSA))


def get_all_path(module: str, owner: PartyId, kind: str) -> None:
    """Whether the list of all holds it."""

    async def lists(world: World) -> bool:
        reader = world.cpo if module == "tokens" else world.emsp
        query = {"date_from": "2026-01-01T00:00:00Z"} if module == "sessions" else {}
        found = await reader.pull(module, reader.hub, **query)
        return (owner.party_id, world.name(kind)) in {(o["party_id"], o.get("uid", o.get("id"))) for o in found}

    lists.__name__ = f"get all {module} {owner}"
    path((module, module != "tokens"))(lists)


get_all_path("locations", CPA, "LNEW")
get_all_path("locations", LOC, "LNEW")
get_all_path("tariffs", CPA, "RNEW")
get_all_path("sessions", CPA, "SOLD")
get_all_path("cdrs", CPA, "BOLD")
get_all_path("tokens", MSA, "TNEW")


@path(("tokens", FROM_EMSP))
async def authorise(world: World) -> bool:
    return through(await world.cpo.authorise(world.name("TOLD"), to=MSA))


@path(("tokens", FROM_EMSP))
async def authorise_unnamed(world: World) -> bool:
    return bool((await world.cpo.authorise(world.name("TOLD"), to=None)).data)


@path(("tokens", FROM_EMSP), ("authorise", FROM_EMSP))
async def authorise_what_nobody_pushed(world: World) -> bool:
    """Everybody agreed is asked at once."""
    uid = world.name("TSECRET")
    world.emsp.tokens["RFID", uid] = token(uid)
    return bool((await world.cpo.authorise(uid, to=None)).data)


@path(("commands", FROM_EMSP))
async def start_session(world: World) -> bool:
    return through((await world.emsp.start_session(token(world.name("TOLD")), "NONE", to=CPA)).answer)


@path(("commands", FROM_EMSP), ("locations", FROM_CPO))
async def start_session_unnamed(world: World) -> bool:
    command = await world.emsp.start_session(token(world.name("TOLD")), world.name("LOLD"), "EVSE1", to=None)
    return through(command.answer)


@path(("commands", FROM_EMSP))
async def result_of_a_command(world: World) -> bool:
    answer = await world.cpo.call(
        "POST", world.prepared["result"], world.cpo.registered.token_out, {"result": "FAILED"}
    )
    return through(answer)


@path(("commands", FROM_EMSP))
async def start_session_at_hosted(world: World) -> bool:
    body = {"token": token(world.name("TOLD")), "location_id": world.name("LNEW")}
    return through((await world.emsp.command("START_SESSION", body, LOC)).answer)


@path(("sessions", FROM_CPO))
async def charging_preferences(world: World) -> bool:
    body, name = {"profile_type": "FAST"}, world.name("SOLD")
    return through(
        await world.emsp.send("PUT", "sessions", name, "charging_preferences", interface="SENDER", to=CPA, body=body)
    )


@path(("chargingprofiles", FROM_EMSP))
async def clear_charging_profile(world: World) -> bool:
    query = {"response_url": f"{world.emsp.origin}/result"}
    return through(await world.emsp.send("DELETE", "chargingprofiles", world.name("SOLD"), to=CPA, query=query))


@path(("chargingprofiles", FROM_EMSP))
async def clear_charging_profile_at_hosted(world: World) -> bool:
    query = {"response_url": f"{world.emsp.origin}/result"}
    return through(await world.emsp.send("DELETE", "chargingprofiles", world.name("SOLD"), to=LOC, query=query))


@path(("sessions", FROM_CPO))
async def hosted_session(world: World) -> bool:
    body, hub = session(world, LOC, world.name("SHOST")), world.running.hub
    tail = f"/NL/LOC/{body['id']}"
    call = await party.call(hub, LOC, "PUT", "sessions", "RECEIVER", to=MSA, tail=tail, body=json.dumps(body))
    sent = await by_hosted(push.put(hub, call, hub.catalog["sessions"], Ref(LOC, body["id"])))
    await world.quiet()
    assert (world.emsp.sessions.get("NL", "LOC", body["id"]) is not None) is sent
    return sent


@path(("cdrs", FROM_CPO))
async def hosted_cdr(world: World) -> bool:
    body, hub = bill(world, LOC, world.name("BHOST")), world.running.hub
    call = await party.call(hub, LOC, "POST", "cdrs", "RECEIVER", to=MSA, body=json.dumps(body))
    sent = await by_hosted(cdr.post(hub, call))
    await world.quiet()
    assert (("NL", "LOC", body["id"]) in world.emsp.cdrs) is sent
    return sent


@path(("tokens", FROM_EMSP))
async def hosted_authorise(world: World) -> bool:
    hub, uid = world.running.hub, world.name("TOLD")
    tail = f"/{uid}/authorize"
    call = await party.call(hub, LOC, "POST", "tokens", "SENDER", to=MSA, tail=tail, query="type=RFID")
    return await by_hosted(ask.authorise(hub, call, uid, "RFID"))


@path(("tokens", FROM_EMSP))
async def hosted_card(world: World) -> bool:
    """A card whose token is on the whitelist."""
    verdict = await Authoriser(world.running.hub).decide(LOC, world.name("TOLD"), world.name("LNEW"), ["EVSE1"])
    return verdict.accepted


# The test


@pytest.fixture(params=["closed", "open"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """A hub that is closed, or open, to pairs without an agreement."""
    return settings.model_copy(update={"default_agreement": request.param})


@pytest.fixture
async def cpo(running: Any) -> AsyncIterator[Patient]:
    """NL*CPA, connected."""
    async with Patient("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@contextlib.asynccontextmanager
async def delivering(running: Any) -> AsyncIterator[Engine]:
    hub = running.hub
    engine = Engine(
        db=hub.db, outbound=hub.outbound, directory=hub.directory, catalog=CATALOG, code=hub.code, note=hub.journal.note
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.drain(limit=2)


async def test_an_agreement_is_in_force_on_every_path(running: Any, cpo: Patient, emsp: Emsp) -> None:
    is_open = running.hub.settings.default_agreement == "open"
    await parties.add(running.hub, PartyOrder.model_validate(HOSTED))
    for number in range(60):  # more than a page
        cpo.locations.put(("NL", "CPA", f"P{number}"), samples.location(id=f"P{number}"))
    wrong: list[str] = []
    async with delivering(running) as engine:
        world = World(running, cpo, emsp, engine)
        for number, (variant, terms) in enumerate(VARIANTS.items()):
            if is_open and terms is not None and number % 3:
                continue  # agreements mean the same on an open hub: a few of them show it
            world.number = number
            await world.agree(Terms())
            await prepare(world)
            await world.agree(Terms(modules=("chargingprofiles",), direction="a_to_b"))  # as good as none
            await push_unheard(world)
            await world.agree(terms)
            await push_live(world)
            wrong += [f"{variant}: {fault}" for fault in await counts(world, terms)]
            wrong += [f"{variant}: {fault}" for fault in await look(world, terms, is_open)]
    assert not wrong, "\n".join(wrong)


async def test_the_cards_of_an_emsp_that_takes_no_part_open_no_charger(running: Any, emsp: Emsp) -> None:
    hub = running.hub
    await parties.add(hub, PartyOrder.model_validate(HOSTED))
    await agreements.agree(hub, AgreementOrder.model_validate({"a": str(LOC), "b": str(MSA)}))
    assert (await emsp.put_token(token("CAFE"), to=emsp.hub)).ok
    number = hub.directory.now.party(MSA).platform.id
    for change, opens in ((None, True), (membership.suspend, False), (membership.resume, True)):
        if change is not None:
            await change(hub, number)
        assert (await Authoriser(hub).decide(LOC, "CAFE", "LOC1", ["EVSE1"])).accepted is opens
    await emsp.leave()
    assert not (await Authoriser(hub).decide(LOC, "CAFE", "LOC1", ["EVSE1"])).accepted


async def counts(world: World, terms: Terms | None) -> list[str]:
    """What the operator is told of an agreement, once nothing is on its way: all that may flow is acknowledged."""
    found = []
    for number in await world.rows("SELECT id FROM agreement") if terms is not None else ():
        for row in (await agreements.one(world.running.hub, number)).completeness:
            if not allowed(terms, row.module, row.module != "tokens", False):
                found.append(f"{row.module} of {row.owner} are counted")
            if row.delivered != row.are or row.are == 0 or row.waiting:
                found.append(f"not complete: {row}")
    return found


async def look(world: World, terms: Terms | None, is_open: bool) -> list[str]:
    """The paths that let something through, or kept it, against the rule."""
    found = []
    for name, (function, needs) in PATHS.items():
        expected = all(
            (terms is None or terms.asked) if module == "authorise" else
            allowed(terms, module, from_cpo, is_open)
            for module, from_cpo in needs
        )  # fmt: skip
        if is_open and terms is None and name.endswith("NEW"):
            continue  # the end of an agreement delivers nothing anew
        try:
            if await function(world) != expected:
                found.append(f"{name} {'is refused' if expected else 'gets through'}")
        except Refused as refused:
            found.append(f"{name}: {refused}")
    return found
