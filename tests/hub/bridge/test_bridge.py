"""A charger at the bridge, from boot to bill, with an independent OCPP client and the real exchange."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hub.admin import chargers, objects
from hub.admin.chargers import ChargerOrder
from hub.ocpi import json
from hub.ocpi.types import check
from hub.sandbox import samples
from hub.sandbox.charger import Charger
from modules.catalog import LOCATIONS, TARIFFS
from modules.cdrs.schemas import CDR
from modules.sessions.schemas import Session

if TYPE_CHECKING:
    from tests.hub.bridge.conftest import Stage

TARIFF = samples.tariff("NL*LOC")


async def test_from_boot_to_bill(stage: "Stage") -> None:
    async with stage.charger() as charger:
        assert await charger.boot() == "Accepted"
        assert (await charger.heartbeat()).endswith("Z")
        await charger.status(1, "Available")
        assert await charger.authorize("CARD1") == "Accepted"
        assert "CARD1" in stage.emsp.references
        begun = await charger.start(1, "card1", 10_000)
        assert begun.id_tag_status == "Accepted"
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
        (active,) = await stage.until(stage.sessions, lambda found: found)
        assert check(Session, active) == []
        assert (active["status"], active["auth_method"]) == ("ACTIVE", "AUTH_REQUEST")
        assert active["authorization_reference"] == stage.emsp.references["CARD1"]
        await charger.meter(12_500)
        await stage.until(stage.sessions, lambda found: found[0]["kwh"] == Decimal("2.500"))
        await charger.status(1, "SuspendedEV")
        await charger.meter(13_000)
        await charger.stop(13_250)
        await charger.status(1, "Available")
        await stage.until(stage.evse_status, lambda status: status == "AVAILABLE")
    (cdr,) = await stage.until(stage.cdrs, lambda found: found)
    assert check(CDR, cdr) == []
    (final,) = await stage.sessions()
    assert (final["status"], final["kwh"]) == ("COMPLETED", Decimal("3.250"))
    assert cdr["session_id"] == final["id"]
    assert cdr["total_energy"] == Decimal("3.250")
    assert cdr["total_cost"] == samples.price(TARIFF, Decimal("3.250"))
    assert cdr["cdr_token"]["contract_id"] == samples.token("DE*MSA", "CARD1")["contract_id"]
    assert cdr["cdr_location"]["evse_uid"] == "EVSE1"
    assert cdr["tariffs"][0]["id"] == TARIFF["id"]
    volumes = [each["volume"] for period in cdr["charging_periods"] for each in period["dimensions"]]
    assert sum(volumes[::2]) == cdr["total_energy"]
    assert sum(volumes[1::2]) == cdr["total_time"]
    assert cdr["total_parking_time"] > 0
    assert await stage.held() == []
    (row,) = await stage.until(stage.transactions, lambda rows: rows[0].due_at is None)
    assert (row.cdr_state, row.state) == ("sent", "closed")


async def test_a_card_its_emsp_refuses(stage: "Stage") -> None:
    await stage.emsp.patch_token("CARD1", {"valid": False}, to=stage.emsp.hub)
    async with stage.charger() as charger:
        assert await charger.authorize("CARD1") == "Blocked"
        assert await charger.authorize("NOBODY") == "Invalid"
        begun = await charger.start(1, "NOBODY", 0)
        assert begun.id_tag_status == "Invalid"
        assert begun.number > 0
        await charger.meter(100)
        await charger.stop(200)
    (row,) = await stage.transactions()
    assert (row.state, row.token, row.due_at) == ("closed", None, None)
    assert await stage.sessions() == []


async def test_started_and_stopped_by_the_app(stage: "Stage") -> None:
    """The token of the command is 36 characters long, so it travels under an alias."""
    token = samples.token("DE*MSA", "f3a1c9d2-1111-2222-3333-444455556666", type="APP_USER", whitelist="NEVER")
    async with stage.charger() as charger:
        await charger.status(2, "Preparing")
        command = await stage.emsp.start_session(token, "SQUARE", "EVSE2", to="NL*LOC")
        assert command.accepted
        id_tag, connector = await charger.started_remotely()
        assert (len(id_tag), connector) == (20, 2)
        assert await charger.authorize(id_tag) == "Accepted"
        assert await stage.emsp.result(command) == "ACCEPTED"
        begun = await charger.start(2, id_tag, 500)
        assert begun.id_tag_status == "Accepted"
        (active,) = await stage.until(stage.sessions, lambda found: found)
        assert active["cdr_token"]["uid"] == token["uid"]
        assert (active["auth_method"], active["evse_uid"]) == ("COMMAND", "EVSE2")
        command = await stage.emsp.stop_session(active["id"], to="NL*LOC")
        assert command.accepted
        assert await charger.stopped_remotely() == begun.number
        assert await stage.emsp.result(command) == "ACCEPTED"
        await charger.stop(2500, "Remote")
        await stage.until(stage.cdrs, lambda found: found)
        late = await stage.emsp.stop_session(active["id"], to="NL*LOC")
        assert late.answer.data["result"] == "REJECTED"


@pytest.mark.catalogue("TF-157")
async def test_commands_that_cannot_be_taken_on(stage: "Stage") -> None:
    card = samples.token("DE*MSA", "CARD1")
    away = await stage.emsp.start_session(card, "SQUARE", "EVSE1", to="NL*LOC")
    assert away.answer.data["result"] == "REJECTED"
    assert "not connected" in away.answer.data["message"][0]["text"]
    async with stage.charger(accept_remote="Rejected") as charger:
        nowhere = await stage.emsp.start_session(card, "ELSEWHERE", to="NL*LOC")
        assert nowhere.answer.status_code == 2003
        unknown = await stage.emsp.stop_session("no-such-session", to="NL*LOC")
        assert unknown.answer.data["result"] == "UNKNOWN_SESSION"
        await charger.status(1, "Faulted")
        rejected = await stage.emsp.start_session(card, "SQUARE", "EVSE1", to="NL*LOC")
        assert await stage.emsp.result(rejected) == "EVSE_INOPERATIVE"


async def test_a_charger_that_is_gone_and_comes_back(stage: "Stage") -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
    await stage.until(stage.evse_status, lambda status: status == "UNKNOWN")
    async with stage.charger():
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")


async def test_a_location_that_is_put_again_keeps_the_state_of_its_chargers(stage: "Stage") -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
        await objects.put(stage.hub, LOCATIONS, json.dumps(samples.location("NL*LOC", "SQUARE")))
        assert await stage.evse_status() == "AVAILABLE"
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")


async def test_a_tariff_the_hub_cannot_price_holds_the_cdr(stage: "Stage") -> None:
    element = {**TARIFF["elements"][0], "restrictions": {"start_time": "10:00"}}
    await objects.put(stage.hub, TARIFFS, json.dumps({**TARIFF, "elements": [element], "last_updated": samples.now()}))
    async with stage.charger() as charger:
        assert await charger.authorize("CARD1") == "Accepted"
        await charger.start(1, "CARD1", 0)
        await charger.meter(1000)
        await charger.stop(2000)
    (held,) = await stage.until(stage.held, lambda found: found)
    assert held.reason.startswith("unpriced")
    body = json.loads(held.body.encode())
    assert (body["total_energy"], "total_cost" in body) == (Decimal("2.000"), False)
    assert await stage.cdrs() == []
    (row,) = await stage.transactions()
    assert row.cdr_state == "held"


async def test_energy_nobody_could_deliver_is_not_billed(stage: "Stage") -> None:
    async with stage.charger(step=timedelta(seconds=1)) as charger:
        assert await charger.authorize("CARD1") == "Accepted"
        await charger.start(1, "CARD1", 1000)
        await charger.stop(911_000)
    (held,) = await stage.until(stage.held, lambda found: found)
    assert "more energy" in held.reason


@pytest.mark.catalogue("LOC-011")
async def test_each_connector_is_an_evse_and_only_one_works_where_they_share_their_power(stage: "Stage") -> None:
    place = samples.location("NL*LOC", "SHARED")
    await objects.put(stage.hub, LOCATIONS, json.dumps(place))
    order = {"station_id": "Cp-2", "party": "NL*LOC", "location_id": "SHARED", "shared": True}
    installed = await chargers.add(stage.hub, ChargerOrder.model_validate(order))

    async def statuses() -> list[str]:
        location = (await stage.stored("locations"))[1]
        return [evse["status"] for evse in location["evses"]]

    async with Charger(stage.url.replace("Cp-1", "Cp-2"), "Cp-2", installed.password) as charger:
        await charger.status(1, "Available")
        await charger.status(2, "Available")
        await charger.status(2, "Charging")
        await stage.until(statuses, lambda found: found == ["INOPERATIVE", "CHARGING"])
        await charger.status(2, "Available")
        await stage.until(statuses, lambda found: found == ["AVAILABLE", "AVAILABLE"])


@pytest.mark.catalogue("LOC-009", "LOC-051")
async def test_the_chargers_of_a_site_share_its_location_and_may_be_exchanged(stage: "Stage") -> None:
    """An EVSE keeps its uid whatever hardware stands there."""
    await objects.put(stage.hub, LOCATIONS, json.dumps(samples.location("NL*LOC", "SITE")))

    async def installed(station_id: str, evse_uid: str) -> Charger:
        order = {"station_id": station_id, "party": "NL*LOC", "location_id": "SITE", "evse_uids": [evse_uid]}
        made = await chargers.add(stage.hub, ChargerOrder.model_validate(order))
        return Charger(stage.url.replace("Cp-1", station_id), station_id, made.password)

    async def evses() -> list[tuple[str, str]]:
        _, site = await stage.stored("locations")
        return [(evse["uid"], evse["status"]) for evse in site["evses"]]

    async with await installed("SN-100", "EVSE1") as one, await installed("SN-200", "EVSE2") as other:
        await one.status(1, "Faulted")
        await other.status(1, "Charging")
        await stage.until(evses, lambda found: found == [("EVSE1", "OUTOFORDER"), ("EVSE2", "CHARGING")])
        await chargers.remove(stage.hub, "SN-100")
        async with await installed("SN-300", "EVSE1") as fresh:
            await fresh.status(1, "Available")
            await stage.until(evses, lambda found: found == [("EVSE1", "AVAILABLE"), ("EVSE2", "CHARGING")])
