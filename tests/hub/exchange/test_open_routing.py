"""Calls without OCPI-to headers: the one party that is meant is found, from what the caller may see, or it is 4001."""

from typing import Any

import pytest

from hub.exchange import open_routing
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, UnknownReceiver
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import messages, parties
from hub.store.directory import AgreementView, Directory, PartyView, PlatformView
from hub.store.parties import Agreement
from modules.catalog import CATALOG

CPA, CPB, MSA, MSB = (PartyId.parse(code) for code in ("NL*CPA", "NL*CPB", "DE*MSA", "FR*MSB"))
ROLES = {CPA: "CPO", CPB: "CPO", MSA: "EMSP", MSB: "EMSP"}
IN_AN_HOUR = "2099-01-01T00:00:00Z"


def directory(open_policy: bool = True, **more: Any) -> Directory:
    platform = PlatformView(1, "p", False, "CONNECTED", None, "t", "base64", "push", False, {})
    by_code = {code: PartyView(1, code, frozenset({role}), platform, str(code)) for code, role in ROLES.items()}
    return Directory(1, open_policy, {1: platform}, by_code, **more)


async def agree(running: Any, a: str, b: str, modules: list[str] | None = None) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a=a, b=b, modules=modules))
        await session.flush()
        await parties.touch(session)
    await running.hub.directory.refresh()


def chosen(answer: Any) -> str:
    return f"{answer.headers[headers.FROM_COUNTRY]}*{answer.headers[headers.FROM_PARTY]}"


# The decisions by themselves


@pytest.mark.catalogue("TF-118")
def test_one_party_or_none_at_all() -> None:
    assert open_routing.only([CPA, CPA]) == CPA
    for found in ([], [CPA, CPB]):
        with pytest.raises(UnknownReceiver):
            open_routing.only(found)


def test_only_what_the_caller_may_see_counts() -> None:
    locations, sessions = CATALOG["locations"], CATALOG["sessions"]
    assert open_routing.may_see(directory(), locations, MSA, CPA, "*")
    assert open_routing.may_see(directory(), sessions, MSA, CPA, "DE*MSA")
    assert not open_routing.may_see(directory(), sessions, MSA, CPA, "FR*MSB"), "what another party was sent"
    assert not open_routing.may_see(directory(), locations, CPB, CPA, "*"), "CPO data is not for CPOs"
    assert not open_routing.may_see(directory(open_policy=False), locations, MSA, CPA, "*")
    one_way = {frozenset({CPA, MSA}): AgreementView(MSA, "a_to_b", None)}
    assert not open_routing.may_see(directory(agreements=one_way), locations, MSA, CPA, "*")
    assert not open_routing.may_see(directory(), locations, MSA, PartyId.parse("XX*XXX"), "*"), "a party that left"


@pytest.mark.catalogue("CDR-055")
@pytest.mark.parametrize("module", ["sessions", "cdrs"])
def test_the_owner_of_the_token_is_the_receiver(module: str) -> None:
    row = CATALOG[module]
    assert open_routing.token_owner({"cdr_token": {"country_code": "de", "party_id": "msa"}}, row) == MSA
    assert open_routing.token_owner({}, row) is None
    assert open_routing.token_owner({"cdr_token": {}}, CATALOG["tariffs"]) is None
    with pytest.raises(InvalidParameters, match="cdr_token"):
        open_routing.token_owner({"cdr_token": {"country_code": "DE"}}, row)


def test_of_several_that_have_a_session_it_is_for_the_owner_of_its_token() -> None:
    scsp = PartyId.parse("DE*SCS")
    assert open_routing.holder([(MSA, MSA), (scsp, MSA)]) == {MSA}
    assert open_routing.holder([(scsp, MSA)]) == {scsp}
    assert open_routing.holder([]) == set()


# Sessions and CDRs


@pytest.mark.catalogue("SES-004", "TF-116", "TF-117")
async def test_a_session_goes_to_the_owner_of_its_token(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    session = samples.session(of=samples.token())
    answer = await cpo.put_session(session, to=None)
    assert (answer.http_status, chosen(answer)) == (201, "DE*MSA")
    [seen] = [r for r in emsp.received if "sessions" in r.path]
    assert (str(seen.to), str(seen.sender), seen.body) == ("DE*MSA", "NL*CPA", session)
    assert not [r for r in other_emsp.received if "sessions" in r.path]
    assert not cpo.faults


@pytest.mark.catalogue("TF-119", "CDR-055")
async def test_a_patch_without_token_follows_the_stored_session(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    session = samples.session(of=samples.token())
    unknown = await cpo.send("PATCH", "sessions", "NL", "CPA", "NONE", to=None, body={"last_updated": samples.now()})
    assert unknown.status_code == 4001
    await cpo.put_session(session, to=None)
    change = {"kwh": 3, "last_updated": samples.now()}
    patched = await cpo.send("PATCH", "sessions", "NL", "CPA", session["id"], to=None, body=change)
    assert (patched.status_code, chosen(patched)) == (1000, "DE*MSA")
    assert emsp.sessions.get("NL", "CPA", session["id"])["kwh"] == 3  # type: ignore[index]


@pytest.mark.catalogue("SES-004")
async def test_a_session_for_another_than_its_driver_needs_an_agreement(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    session = samples.session(of=samples.token())
    assert (await cpo.put_session(session, to="FR*MSB")).status_code == 4001
    assert not other_emsp.sessions.all()
    await agree(running, "NL*CPA", "FR*MSB")
    assert (await cpo.put_session(session, to="FR*MSB")).ok


@pytest.mark.catalogue("TF-114")
async def test_without_a_known_owner_a_session_or_cdr_goes_nowhere(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    foreign = samples.token("SE*NON")
    session = samples.session(of=foreign)
    assert (await cpo.put_session(session, to=None)).status_code == 4001
    cdr = samples.cdr(session, samples.location(), samples.tariff())
    assert (await cpo.post_cdr(cdr, to=None)).status_code == 4001
    assert not [r for p in (emsp, other_emsp) for r in p.received if "sessions" in r.path or "cdrs" in r.path]


@pytest.mark.catalogue("CDR-004", "CDR-055")
async def test_a_cdr_goes_to_the_owner_of_its_token(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    cdr = samples.cdr(samples.session(of=samples.token()), samples.location(), samples.tariff())
    answer = await cpo.post_cdr(cdr, to=None)
    assert (answer.ok, chosen(answer)) == (True, "DE*MSA")
    assert list(emsp.cdrs.values()) == [cdr]
    assert not other_emsp.cdrs


# Pushes of data for all


@pytest.mark.catalogue("TF-174", "TF-114")
@pytest.mark.parametrize("module", ["locations", "tariffs"])
async def test_an_open_push_of_data_for_all_is_a_broadcast(
    running: Any, cpo: CpoBackend, emsp: Emsp, module: str
) -> None:
    made = samples.location() if module == "locations" else samples.tariff()
    answer = await cpo.send("PUT", module, "NL", "CPA", made["id"], to=None, body=made)
    assert (answer.http_status, answer.status_code, chosen(answer)) == (201, 1000, "NL*HUB")
    assert [o["id"] for o in await emsp.pull(module, to=emsp.hub)] == [made["id"]]


@pytest.mark.catalogue("TF-114")
async def test_an_open_token_push_is_a_broadcast(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    answer = await emsp.put_token(samples.token(), to=None)
    assert (answer.ok, chosen(answer)) == (True, "NL*HUB")
    assert len(await cpo.pull("tokens", to=cpo.hub)) == 1


# Reads


@pytest.mark.catalogue("LOC-018", "TF-115", "TF-117")
@pytest.mark.parametrize("path", [("LOC1",), ("loc1", "EVSE1"), ("LOC1", "EVSE1", "1")], ids=len)
async def test_one_object_comes_from_the_only_owner_of_its_id(
    running: Any, cpo: CpoBackend, emsp: Emsp, path: tuple[str, ...]
) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    answer = await emsp.send("GET", "locations", *path, interface="SENDER", to=None)
    assert (answer.ok, chosen(answer)) == (True, "NL*CPA")
    assert cpo.received[-1].path.lower().endswith("/".join(path).lower())


@pytest.mark.catalogue("LOC-018", "TF-118")
async def test_an_id_of_two_owners_or_of_none_is_no_address(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_station: Any
) -> None:
    assert (await emsp.send("GET", "locations", "LOC1", interface="SENDER", to=None)).status_code == 4001
    await cpo.put_location(samples.location(), to=cpo.hub)
    await other_station.put_location(samples.location("NL*CPB"), to=other_station.hub)
    answer = await emsp.send("GET", "locations", "LOC1", interface="SENDER", to=None)
    assert (answer.http_status, answer.status_code, answer.data) == (200, 4001, None)
    await agree(running, "NL*CPB", "DE*MSA", ["tokens"])  # what an agreement hides does not count
    assert chosen(await emsp.send("GET", "locations", "LOC1", interface="SENDER", to=None)) == "NL*CPA"


@pytest.mark.catalogue("TF-115", "TF-172")
async def test_a_list_names_its_owner_or_the_hub(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    for module in ("locations", "tariffs", "cdrs", "sessions"):
        query = {"date_from": "2026-01-01T00:00:00Z"}
        answer = await emsp.send("GET", module, interface="SENDER", to=None, query=query)
        assert (answer.http_status, answer.status_code) == (200, 2001)
    single = await emsp.send("GET", "locations", "LOC1", interface="SENDER", to=emsp.hub)
    assert single.status_code == 2001
    assert not [r for r in cpo.received if r.method == "GET" and "/sender/" in r.path]


@pytest.mark.catalogue("TF-175", "TF-119")
@pytest.mark.parametrize(("module", "object_id"), [("locations", "LOC1"), ("sessions", "SESSION1")])
async def test_a_look_at_a_receivers_copy_names_the_receiver(
    running: Any, cpo: CpoBackend, emsp: Emsp, module: str, object_id: str
) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    answer = await cpo.send("GET", module, "NL", "CPA", object_id, to=None)
    assert (answer.http_status, answer.status_code) == (200, 4001)
    assert not [r for r in emsp.received if r.method == "GET" and "/receiver/" in r.path]


# Commands


@pytest.mark.catalogue("TF-119", "TF-116")
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("START_SESSION", {"token": samples.token()}),
        ("RESERVE_NOW", {"token": samples.token(), "expiry_date": IN_AN_HOUR, "reservation_id": "R1"}),
        ("UNLOCK_CONNECTOR", {"evse_uid": "EVSE1", "connector_id": "1"}),
    ],
)
async def test_a_command_for_a_place_goes_to_its_cpo(
    running: Any, station: Any, other_station: Any, emsp: Emsp, name: str, more: dict[str, Any]
) -> None:
    await station.put_location(samples.location(), to=station.hub)
    await other_station.put_location(samples.location("NL*CPB", "LOC2"), to=other_station.hub)
    command = await emsp.command(name, {"location_id": "loc2", **more}, to=None)
    assert (command.accepted, chosen(command.answer)) == (True, "NL*CPB")
    [seen] = other_station.asked(name)
    assert (str(seen.to), str(seen.sender)) == ("NL*CPB", "DE*MSA")
    assert not station.asked(name)
    assert not other_station.faults


@pytest.mark.catalogue("TF-118")
async def test_a_command_for_a_place_of_two_cpos_goes_nowhere(
    running: Any, station: Any, other_station: Any, emsp: Emsp
) -> None:
    for owner in (station, other_station):
        await owner.put_location(samples.location(str(owner.parties[0])), to=owner.hub)
    assert (await emsp.start_session(samples.token(), "LOC1", to=None)).answer.status_code == 4001
    assert (await emsp.start_session(samples.token(), "NONE", to=None)).answer.status_code == 4001
    assert not station.asked("commands")
    assert not other_station.asked("commands")


@pytest.mark.catalogue("CMD-047")
async def test_a_session_is_stopped_where_it_is(
    running: Any, station: Any, other_station: Any, emsp: Emsp, other_emsp: Emsp
) -> None:
    await other_station.put_session(samples.session("NL*CPB", of=samples.token()), to="DE*MSA")
    stop = await emsp.stop_session("session1", to=None)
    assert (stop.accepted, chosen(stop.answer)) == (True, "NL*CPB")
    assert (await emsp.stop_session("NONE", to=None)).answer.status_code == 4001
    foreign = await other_emsp.stop_session("SESSION1", to=None)
    assert foreign.answer.status_code == 4001, "another eMSP's Session"
    await station.put_session(samples.session(of=samples.token()), to="DE*MSA")
    assert (await emsp.stop_session("SESSION1", to=None)).answer.status_code == 4001, "two CPOs have one"
    assert not station.asked("commands")


@pytest.mark.catalogue("CMD-055", "CMD-047")
async def test_a_reservation_is_cancelled_where_it_was_made(
    running: Any, station: Any, other_station: Any, emsp: Emsp, other_emsp: Emsp
) -> None:
    async def reserve(emsp: Emsp, to: str) -> bool:
        token = samples.token(str(emsp.parties[0]))
        wish = {"token": token, "expiry_date": IN_AN_HOUR, "reservation_id": "R1", "location_id": "LOC1"}
        return (await emsp.command("RESERVE_NOW", wish, to)).accepted

    async def cancel(emsp: Emsp) -> Any:
        return (await emsp.command("CANCEL_RESERVATION", {"reservation_id": "r1"}, to=None)).answer

    assert (await cancel(emsp)).status_code == 4001
    station.said = {"result": "REJECTED", "timeout": 0}
    assert not await reserve(emsp, "NL*CPA")
    assert await reserve(other_emsp, "NL*CPB")
    assert (await cancel(emsp)).status_code == 4001, "another eMSP's reservation, and one that was not taken"
    station.said = {"result": "ACCEPTED", "timeout": 30}
    assert await reserve(emsp, "NL*CPA")
    assert chosen(await cancel(emsp)) == "NL*CPA"
    assert chosen(await cancel(other_emsp)) == "NL*CPB"


async def test_a_reservation_that_may_have_been_taken_can_be_cancelled(
    running: Any, station: Any, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.exchange.callbacks.COMMAND_TIMEOUT", 0.3)
    station.knobs.delay = 1.0
    wish = {"token": samples.token(), "expiry_date": IN_AN_HOUR, "reservation_id": "R1", "location_id": "LOC1"}
    assert (await emsp.command("RESERVE_NOW", wish, "NL*CPA")).answer.status_code == 4002
    station.knobs.delay = 0.0
    monkeypatch.undo()
    assert chosen((await emsp.command("CANCEL_RESERVATION", {"reservation_id": "R1"}, to=None)).answer) == "NL*CPA"


# Preferences


@pytest.mark.catalogue("SES-019", "TF-119")
@pytest.mark.parametrize("to", ["NL*CPA", None])
async def test_preferences_go_to_the_cpo_of_the_session(running: Any, station: Any, emsp: Emsp, to: str | None) -> None:
    await station.put_session(samples.session(of=samples.token()), to="DE*MSA")
    station.said = "DEPARTURE_REQUIRED"
    wish = {"profile_type": "CHEAP"}
    path = ("SESSION1", "charging_preferences")
    answer = await emsp.send("PUT", "sessions", *path, interface="SENDER", to=to, body=wish)
    assert (answer.status_code, answer.data, chosen(answer)) == (1000, "DEPARTURE_REQUIRED", "NL*CPA")
    [seen] = station.asked("/sender/sessions/SESSION1/charging_preferences")
    assert (seen.method, seen.body) == ("PUT", wish)


@pytest.mark.catalogue("TF-118")
async def test_preferences_for_an_unknown_session_go_nowhere(running: Any, station: Any, emsp: Emsp) -> None:
    path = ("NONE", "charging_preferences")
    answer = await emsp.send("PUT", "sessions", *path, interface="SENDER", to=None, body={"profile_type": "FAST"})
    assert answer.status_code == 4001
    assert not station.asked("charging_preferences")


async def test_the_message_log_says_whom_the_hub_found(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    answer = await cpo.put_session(samples.session(of=samples.token()), to=None)
    await running.hub.journal.flush()
    async with running.hub.db.unit_of_work() as session:
        hops = await messages.trace(session, answer.correlation_id)
    assert "OCPI-to: DE*MSA, found by the hub" in hops[0]["changed"]
