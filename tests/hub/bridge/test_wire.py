"""A hosted CPO as its partners see it: the requests that a charger's day leads to, on real sockets."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import select

from hub.admin import cdrs, chargers, objects
from hub.admin.chargers import ChargerOrder
from hub.exchange import cdr_findings
from hub.ocpi import json
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.types import check
from hub.sandbox import samples
from hub.sandbox.charger import Charger
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.store.objects import KeptObject
from modules.catalog import LOCATIONS, TARIFFS
from modules.cdrs.schemas import CDR
from modules.locations.schemas import EVSE
from modules.sessions.schemas import Session

Json = dict[str, Any]
TARIFF = samples.tariff("NL*LOC")

pytestmark = pytest.mark.usefixtures("lanes")


def seen(emsp: Emsp, module: str) -> list[Received]:
    """The requests for a module, in their order."""
    return [each for each in emsp.received if f"/receiver/{module}" in each.path]


async def charge(stage: Any, *, connector: int = 1, card: str = "CARD1", **values: Any) -> Json:
    """A whole session, from card to bill; the CDR as the eMSP holds it."""
    async with stage.charger(**values) as charger:
        assert await charger.authorize(card) == "Accepted"
        await charger.start(connector, card, 1000)
        await charger.status(connector, "Charging")
        await charger.meter(4000)
        await charger.status(connector, "SuspendedEV")
        await charger.meter(4000)
        await charger.stop(4000)
        await charger.status(connector, "Available")
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    return dict(cdr)


@pytest.mark.catalogue("SES-001", "SES-024")
async def test_a_new_session_is_put_at_the_emsp_of_the_token(stage: Any, other_emsp: Emsp) -> None:
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 0)
        await stage.emsp.until(stage.emsp.sessions.all, 20, "the Session")
    first = seen(stage.emsp, "sessions")[0]
    codes = [first.body[name] for name in ("country_code", "party_id", "id")]
    assert (first.method, first.path.split("/")[-3:]) == ("PUT", codes)
    assert (codes[:2], str(first.sender), str(first.to)) == (["NL", "LOC"], "NL*LOC", "DE*MSA")
    assert check(Session, first.body) == []
    assert seen(other_emsp, "sessions") == []


@pytest.mark.catalogue("SES-002", "SES-003", "CDR-012")
async def test_a_session_grows_and_ends_and_is_never_deleted(stage: Any, other_emsp: Emsp) -> None:
    cdr = await charge(stage)
    (session,) = stage.emsp.sessions.all()
    assert (session["status"], session["kwh"], session["id"]) == ("COMPLETED", Decimal("3.000"), cdr["session_id"])
    pushes = seen(stage.emsp, "sessions")
    assert {push.method for push in pushes} == {"PUT"}
    assert [push.body["status"] for push in pushes][-1] == "COMPLETED"
    assert [push.body["kwh"] for push in pushes] == sorted(push.body["kwh"] for push in pushes)
    assert not stage.emsp.backwards
    assert seen(other_emsp, "sessions") == seen(other_emsp, "cdrs") == []


@pytest.mark.catalogue("CDR-011", "CDR-003", "CDR-021")
async def test_the_cdr_is_posted_right_after_the_session(stage: Any) -> None:
    cdr = await charge(stage)
    (post,) = seen(stage.emsp, "cdrs")
    assert (post.method, post.path) == ("POST", urlsplit(stage.emsp.url("cdrs", "RECEIVER")).path)
    assert check(CDR, cdr) == []
    assert cdr_findings.of(cdr) == []


@pytest.mark.catalogue("CDR-029", "CDR-030", "SES-035")
async def test_the_last_word_of_the_emsp_counts(stage: Any) -> None:
    """The card is accepted live, then the driver starts by app: the command is the last method and reference."""
    token = samples.token("DE*MSA", "CARD1")
    place = {"token": token, "location_id": "SQUARE", "evse_uid": "EVSE1", "authorization_reference": "BY-APP"}
    async with stage.charger() as charger:
        await charger.status(1, "Preparing")
        await charger.authorize("CARD1")
        command = await stage.emsp.command("START_SESSION", place, "NL*LOC")
        assert command.accepted
        await charger.started_remotely()
        await charger.start(1, "CARD1", 0)
        await charger.meter(3000)
        await charger.stop(4000)
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    (session,) = stage.emsp.sessions.all()
    assert stage.emsp.references["CARD1"] != "BY-APP"
    for each in (session, cdr):
        assert (each["auth_method"], each["authorization_reference"]) == ("COMMAND", "BY-APP")


@pytest.mark.catalogue("TOK-030", "SES-035", "CDR-030")
async def test_the_reference_of_a_live_answer_is_repeated(stage: Any) -> None:
    cdr = await charge(stage)
    (session,) = stage.emsp.sessions.all()
    reference = stage.emsp.references["CARD1"]
    assert session["authorization_reference"] == cdr["authorization_reference"] == reference
    assert session["auth_method"] == cdr["auth_method"] == "AUTH_REQUEST"


@pytest.mark.catalogue("CMD-041")
async def test_the_token_of_a_command_goes_into_session_and_cdr_and_nowhere_else(stage: Any) -> None:
    token = samples.token("DE*MSA", "f3a1c9d2-1111-2222-3333-444455556666", type="AD_HOC_USER", whitelist="NEVER")
    async with stage.charger() as charger:
        await charger.status(1, "Preparing")
        assert (await stage.emsp.start_session(token, "SQUARE", "EVSE1", to="NL*LOC")).accepted
        id_tag, _ = await charger.started_remotely()
        await charger.start(1, id_tag, 0)
        await charger.meter(3000)
        await charger.stop(4000)
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    (session,) = stage.emsp.sessions.all()
    assert session["cdr_token"] == cdr["cdr_token"] == samples.cdr_token(token)
    async with stage.hub.db.session() as session_:
        kept = await session_.exec(select(KeptObject.key).where(KeptObject.module == "tokens"))
    assert list(kept) == ["RFID:CARD1"]


@pytest.mark.catalogue("CDR-027")
async def test_the_cdr_says_how_things_were_at_the_start(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 1000)
        await stage.emsp.until(stage.emsp.sessions.all, 20, "the Session")
        later = samples.now()
        dearer = [{"price_components": [{"type": "ENERGY", "price": Decimal(9), "step_size": 1}]}]
        await objects.put(stage.hub, TARIFFS, json.dumps({**TARIFF, "elements": dearer, "last_updated": later}))
        moved = samples.location("NL*LOC", "SQUARE") | {"address": "Elsewhere 1", "city": "Gouda"}
        moved["evses"][0] |= {"evse_id": "NL*LOC*E999"}
        await objects.put(stage.hub, LOCATIONS, json.dumps(moved))
        await stage.emsp.patch_token("CARD1", {"contract_id": "ANOTHER"}, to=stage.emsp.hub)
        await charger.meter(3000)
        await charger.stop(4000)
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    before = samples.location("NL*LOC", "SQUARE")
    assert (cdr["cdr_location"]["address"], cdr["cdr_location"]["city"]) == (before["address"], before["city"])
    assert cdr["cdr_location"]["evse_id"] == before["evses"][0]["evse_id"]
    assert cdr["tariffs"][0]["elements"] == TARIFF["elements"]
    assert cdr["total_cost"] == samples.price(TARIFF, Decimal(3))
    assert cdr["cdr_token"]["contract_id"] == samples.token("DE*MSA", "CARD1")["contract_id"]


@pytest.mark.catalogue("CDR-001", "SES-045")
async def test_what_is_over_stays_as_it_is(stage: Any) -> None:
    """The stop again, and a late reading: neither the Session nor the CDR changes."""
    raw = await stage.raw()
    at = (datetime.fromisoformat(samples.now()) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (await raw.ask("Authorize", {"idTag": "CARD1"}))["idTagInfo"]["status"] == "Accepted"
    begin = {"connectorId": 1, "idTag": "CARD1", "meterStart": 0, "timestamp": at}
    number = (await raw.ask("StartTransaction", begin))["transactionId"]
    stop = {"transactionId": number, "meterStop": 5000, "timestamp": samples.now()}
    await raw.ask("StopTransaction", stop)
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    (session,) = stage.emsp.sessions.all()
    late = [{"timestamp": samples.now(), "sampledValue": [{"value": "9000"}]}]
    await raw.ask("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": late})
    await raw.ask("StopTransaction", {**stop, "meterStop": 9000, "timestamp": samples.now()})
    begin |= {"connectorId": 2, "timestamp": samples.now()}
    await raw.ask("Authorize", {"idTag": "CARD1"})
    await raw.ask("StartTransaction", begin)
    await stage.emsp.until(lambda: len(stage.emsp.sessions) == 2, 20, "the next Session")
    assert stage.emsp.sessions.all()[0] == session
    assert list(stage.emsp.cdrs.values()) == [cdr]
    assert len(seen(stage.emsp, "cdrs")) == 1


@pytest.mark.catalogue("SES-046")
async def test_an_invalid_session_is_not_billed(stage: Any) -> None:
    """The card may charge at EVSE2 only."""

    def only_the_second(token: object, place: Any) -> str:
        place["evse_uids"] = ["EVSE2"]
        return "ALLOWED"

    stage.emsp.decide = only_the_second
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        assert (await charger.start(1, "CARD1", 0)).id_tag_status == "Invalid"
        await charger.meter(3000)
        await charger.stop(5000)
    await stage.emsp.until(lambda: [s for s in stage.emsp.sessions.all() if s["status"] == "INVALID"], 20, "INVALID")
    cdr = await charge(stage, connector=2)
    assert cdr["cdr_location"]["evse_uid"] == "EVSE2"


@pytest.mark.catalogue("SES-040", "SES-033")
async def test_a_session_names_what_its_cpo_has_published(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        began = charger.now
        await charger.start(2, "card1", 0)
        (session,) = await stage.emsp.until(stage.emsp.sessions.all, 20, "the Session")
    (location,) = await stage.stored("locations")
    assert (session["country_code"], session["party_id"]) == (location["country_code"], location["party_id"])
    assert session["location_id"] == location["id"]
    evse = next(each for each in location["evses"] if each["uid"] == session["evse_uid"])
    assert session["connector_id"] in [each["id"] for each in evse["connectors"]]
    assert abs(datetime.fromisoformat(session["start_date_time"]) - began) < timedelta(seconds=5)


@pytest.mark.catalogue("SES-048", "CDR-031", "SES-029")
async def test_a_period_begins_where_another_price_applies(stage: Any) -> None:
    """From charging to parking: in the Session, sent whole, and in the CDR."""
    cdr = await charge(stage)
    (session,) = stage.emsp.sessions.all()
    kinds = [[each["type"] for each in period["dimensions"]] for period in cdr["charging_periods"]]
    assert kinds == [["ENERGY", "TIME"], ["ENERGY", "PARKING_TIME"]]
    assert session["charging_periods"] == cdr["charging_periods"]
    assert {push.method for push in seen(stage.emsp, "sessions")} == {"PUT"}


@pytest.mark.catalogue("CDR-013", "CDR-037", "CDR-028")
async def test_the_receiver_can_check_the_bill(stage: Any) -> None:
    cdr = await charge(stage)
    (session,) = stage.emsp.sessions.all()
    (tariff,) = cdr["tariffs"]
    energy = sum(
        each["volume"] for p in cdr["charging_periods"] for each in p["dimensions"] if each["type"] == "ENERGY"
    )
    assert {period["tariff_id"] for period in cdr["charging_periods"]} == {tariff["id"]}
    assert cdr["total_cost"] == samples.price(tariff, energy)
    assert cdr["session_id"] == session["id"]


@pytest.mark.catalogue("CDR-037")
async def test_a_free_session_lists_its_free_tariff(stage: Any) -> None:
    free = [{"price_components": [{"type": "FLAT", "price": Decimal("0.00"), "step_size": 1}]}]
    await objects.put(stage.hub, TARIFFS, json.dumps({**TARIFF, "elements": free, "last_updated": samples.now()}))
    cdr = await charge(stage)
    assert (cdr["tariffs"][0]["elements"], cdr["total_cost"]["excl_vat"]) == (free, 0)


@pytest.mark.catalogue("CDR-038")
async def test_a_clock_that_says_1970_is_not_believed(stage: Any) -> None:
    raw = await stage.raw()
    await raw.ask("Authorize", {"idTag": "CARD1"})
    begin = {"connectorId": 1, "idTag": "CARD1", "meterStart": 0, "timestamp": "1970-01-01T00:00:00Z"}
    number = (await raw.ask("StartTransaction", begin))["transactionId"]
    await raw.ask("StopTransaction", {"transactionId": number, "meterStop": 500, "timestamp": "1970-01-01T00:10:00Z"})
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    assert not [cdr[name] for name in ("start_date_time", "end_date_time") if cdr[name].startswith("1970")]


@pytest.mark.catalogue("CDR-005", "CDR-006", "CDR-010")
async def test_the_operator_takes_a_bill_back(stage: Any) -> None:
    cdr = await charge(stage)
    bearer = {"Authorization": "Bearer operator-token-for-tests"}
    async with httpx.AsyncClient(base_url=stage.hub.settings.public_url, headers=bearer, trust_env=False) as operator:
        answer = await operator.post(f"/api/v1/cdrs/NL*LOC/{cdr['id']}/credit")
    assert answer.status_code == 201
    made = answer.json()
    await stage.emsp.until(lambda: len(stage.emsp.cdrs) == 2, 20, "the Credit CDR")
    credit = list(stage.emsp.cdrs.values())[1]
    assert (credit["credit"], credit["credit_reference_id"]) == (True, cdr["id"])
    assert credit["id"] == made["id"] != cdr["id"]
    assert [credit["total_cost"][part] + cdr["total_cost"][part] for part in cdr["total_cost"]] == [0, 0]
    assert next(iter(stage.emsp.cdrs.values())) == cdr
    for again in (cdr["id"], made["id"]):
        with pytest.raises(Conflict, match="credited already"):
            await cdrs.credit(stage.hub, "NL*LOC", again)
    with pytest.raises(NotFound):
        await cdrs.credit(stage.hub, "NL*LOC", "NO-SUCH-CDR")
    rows = await cdrs.newest(stage.hub, cdrs.Filter(None, None, None), 10)
    assert [(row.credit_reference_id, row.findings) for row in rows] == [(cdr["id"], []), (None, [])]


# Locations


@pytest.mark.catalogue("LOC-001", "TF-015")
async def test_a_new_location_is_put_at_every_partner(stage: Any, other_emsp: Emsp) -> None:
    await objects.put(stage.hub, LOCATIONS, json.dumps(samples.location("NL*LOC", "NEW")))
    for emsp in (stage.emsp, other_emsp):
        push = await emsp.wait_for(lambda each: each.path.endswith("/NEW"), 20)
        assert (push.method, push.path) == ("PUT", f"{urlsplit(emsp.url('locations', 'RECEIVER')).path}/NL/LOC/NEW")


async def private_site(stage: Any) -> Charger:
    """A charger at home, at a Location that is nobody's business."""
    home = samples.location("NL*LOC", "HOME")
    await objects.put(stage.hub, LOCATIONS, json.dumps(home), private=True)
    order = {"station_id": "Cp-2", "party": "NL*LOC", "location_id": "HOME"}
    installed = await chargers.add(stage.hub, ChargerOrder.model_validate(order))
    return Charger(stage.url.replace("Cp-1", "Cp-2"), "Cp-2", installed.password)


@pytest.mark.catalogue("LOC-006", "LOC-007")
async def test_a_private_location_is_published_to_nobody(stage: Any) -> None:
    async with await private_site(stage) as charger:
        await charger.status(1, "Charging")
        await stage.until(lambda: stage.stored("locations", "NL*LOC"), _is_charging)
    await objects.put(stage.hub, LOCATIONS, json.dumps(samples.location("NL*LOC", "LATER")))
    await stage.emsp.until(lambda: stage.emsp.locations.get("NL", "LOC", "LATER"), 20, "what was put later")
    assert stage.emsp.locations.get("NL", "LOC", "HOME") is None
    assert "HOME" not in [each["id"] for each in await stage.emsp.pull("locations", to=stage.emsp.hub)]
    single = await stage.emsp.send("GET", "locations", "HOME", interface="SENDER", to="NL*LOC")
    assert single.http_status == 404
    with pytest.raises(Conflict, match="partners have this object already"):
        await objects.put(stage.hub, LOCATIONS, json.dumps(samples.location("NL*LOC", "LATER")), private=True)


@pytest.mark.catalogue("LOC-047", "CDR-002")
async def test_a_driver_is_billed_for_charging_at_a_private_location(stage: Any) -> None:
    async with await private_site(stage) as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 1000)
        await charger.meter(2000)
        await charger.stop(3000)
    (cdr,) = await stage.emsp.until(lambda: list(stage.emsp.cdrs.values()), 20, "the CDR")
    assert (cdr["cdr_location"]["id"], cdr["total_energy"]) == ("HOME", Decimal(2))
    assert [each.body for each in seen(stage.emsp, "locations") if "HOME" in each.path] == []


def _is_charging(found: list[Json]) -> bool:
    return [each["evses"][0]["status"] for each in found] == ["CHARGING"]


@pytest.mark.catalogue("LOC-005", "LOC-080")
async def test_a_patch_holds_what_changed_and_nothing_else(stage: Any) -> None:
    await stage.emsp.until(lambda: stage.emsp.locations.get("NL", "LOC", "SQUARE"), 20, "the Location")
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
        patch = await stage.emsp.wait_for(lambda each: each.method == "PATCH")
        assert patch.body.keys() == {"status", "last_updated"}
        assert (patch.path.rpartition("/")[2], patch.body["status"]) == ("EVSE1", "CHARGING")
    await stage.emsp.wait_for(lambda each: each.method == "PATCH" and each.body["status"] == "UNKNOWN")


@pytest.mark.catalogue("LOC-002")
async def test_a_removed_evse_says_so_and_stays_removed(stage: Any) -> None:
    location = samples.location("NL*LOC", "SQUARE")
    location["evses"][0]["status"] = "REMOVED"
    await objects.put(stage.hub, LOCATIONS, json.dumps(location))

    def status() -> str | None:
        evse = stage.emsp.locations.get("NL", "LOC", "SQUARE", "EVSE1")
        return evse["status"] if evse else None

    await stage.emsp.until(lambda: status() == "REMOVED", 20, "REMOVED")
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await charger.status(2, "Charging")
        await stage.until(lambda: stage.evse_status(2), lambda found: found == "CHARGING")
    assert status() == "REMOVED"
    assert "DELETE" not in {each.method for each in stage.emsp.received}


@pytest.mark.catalogue("LOC-082")
async def test_a_scheduled_status_is_only_said(stage: Any) -> None:
    """Its time has come long ago; what the charger says is what is told."""
    location = samples.location("NL*LOC", "SQUARE")
    location["evses"][0]["status_schedule"] = [{"period_begin": "2026-01-01T00:00:00Z", "status": "OUTOFORDER"}]
    await objects.put(stage.hub, LOCATIONS, json.dumps(location))
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
        await charger.status(1, "Available")
        await stage.until(stage.evse_status, lambda status: status == "AVAILABLE")
        (stored,) = await stage.stored("locations")
    assert check(EVSE, stored["evses"][0]) == []
    assert "OUTOFORDER" not in {each.body.get("status") for each in seen(stage.emsp, "locations")}
    assert stored["evses"][0]["status_schedule"] == location["evses"][0]["status_schedule"]
