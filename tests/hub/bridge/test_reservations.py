"""RESERVE_NOW at a charger of a hosted CPO: kept free, its Session, and how it ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from hub.ocpi.types import check, format_datetime
from hub.sandbox import samples
from hub.sandbox.emsp import Emsp
from hub.store.chargers import Grant, StationCommand, StationReservation
from modules.sessions.schemas import Session

Json = dict[str, Any]
CARD = samples.token("DE*MSA", "CARD1")


def until(minutes: float = 30) -> str:
    """An expiry_date."""
    return format_datetime(datetime.now(UTC) + timedelta(minutes=minutes))


async def reserve(
    stage: Any, charger: Any, *, evse_uid: str | None = "EVSE1", result: str = "ACCEPTED", **more: Any
) -> Json:
    """RESERVE_NOW of R1 for CARD1, to its result; what the charger was told."""
    await charger.heartbeat()  # from here on it counts as connected
    asked = {"token": CARD, "location_id": "SQUARE", "reservation_id": "R1", "expiry_date": until()} | more
    command = await stage.emsp.reserve_now(**asked, evse_uid=evse_uid, to="NL*LOC")
    assert command.accepted, command.answer.data
    told: Json = await charger.reserved()
    assert await stage.emsp.result(command) == result
    return told


async def rows(stage: Any) -> list[tuple[str, int]]:
    """State and number of each reservation, in their order."""
    async with stage.hub.db.session() as session:
        found = await session.exec(select(StationReservation).order_by("id"))
        return [(row.state, row.number) for row in found]


async def session_in(stage: Any, status: str) -> Json:
    """The Session, once it has this status."""
    (found,) = await stage.until(stage.sessions, lambda all_: [each["status"] for each in all_] == [status])
    return dict(found)


@pytest.mark.catalogue("SES-007", "SES-008")
async def test_a_reservation_makes_a_session(stage: Any) -> None:
    async with stage.charger() as charger:
        told = await reserve(stage, charger, authorization_reference="REF")
        assert (told["connector_id"], told["id_tag"]) == (1, "CARD1")
        session = await session_in(stage, "RESERVATION")
    assert check(Session, session) == []
    assert (session["kwh"], session["auth_method"], session["authorization_reference"]) == (0, "COMMAND", "REF")
    assert (session["location_id"], session["evse_uid"], session["currency"]) == ("SQUARE", "EVSE1", "EUR")
    assert session["cdr_token"] == samples.cdr_token(CARD)


@pytest.mark.catalogue("SES-009", "SES-033", "SES-035")
async def test_charging_takes_the_session_of_the_reservation_over(stage: Any) -> None:
    async with stage.charger(behind=timedelta(0), step=timedelta(0)) as charger:
        told = await reserve(stage, charger, authorization_reference="REF")
        before = await session_in(stage, "RESERVATION")
        began = charger.now
        begun = await charger.start(1, "CARD1", 0, reservation=told["reservation_id"])
        assert begun.id_tag_status == "Accepted"
        after = await session_in(stage, "ACTIVE")
        assert after["id"] == before["id"]
        assert after["authorization_reference"] == "REF"
        assert datetime.fromisoformat(after["start_date_time"]) >= began.replace(microsecond=0)
        await charger.stop(0)
        assert (await session_in(stage, "COMPLETED"))["id"] == before["id"]
    assert [state for state, _ in await rows(stage)] == ["used"]


async def test_the_connector_is_enough_to_know_the_reservation(stage: Any) -> None:
    """Some stations do not name it in StartTransaction."""
    async with stage.charger() as charger:
        await reserve(stage, charger)
        before = await session_in(stage, "RESERVATION")
        await charger.start(1, "CARD1", 0)
        assert (await session_in(stage, "ACTIVE"))["id"] == before["id"]


async def test_another_token_does_not_take_the_session_over(stage: Any) -> None:
    stage.emsp.tokens["RFID", "CARD2"] = samples.token("DE*MSA", "CARD2")
    async with stage.charger() as charger:
        told = await reserve(stage, charger)
        before = await session_in(stage, "RESERVATION")
        await charger.authorize("CARD2")
        await charger.start(1, "CARD2", 0, reservation=told["reservation_id"])
        found = await stage.until(stage.sessions, lambda all_: len(all_) == 2)
    assert [(each["status"], each["cdr_token"]["uid"]) for each in found] == [
        ("RESERVATION", "CARD1"),
        ("ACTIVE", "CARD2"),
    ]
    assert found[0]["id"] == before["id"]


@pytest.mark.catalogue("SES-010")
async def test_a_reservation_that_is_given_back(stage: Any) -> None:
    async with stage.charger() as charger:
        told = await reserve(stage, charger)
        before = await session_in(stage, "RESERVATION")
        command = await stage.emsp.cancel_reservation("r1", to=None)
        assert await charger.reservation_cancelled() == told["reservation_id"]
        assert await stage.emsp.result(command) == "ACCEPTED"
        after = await session_in(stage, "COMPLETED")
        again = await stage.emsp.cancel_reservation("R1", to="NL*LOC")
        await charger.authorize("CARD1")
    assert [each.path for each in stage.emsp.received if each.path.endswith("/authorize")], "its word is over, too"
    assert (after["id"], after["kwh"], "end_date_time" in after) == (before["id"], 0, True)
    assert again.answer.data["result"] == "REJECTED"
    assert await stage.cdrs() == []


@pytest.mark.catalogue("SES-010")
async def test_a_reservation_that_nobody_used(stage: Any) -> None:
    async with stage.charger() as charger:
        await reserve(stage, charger)
        await session_in(stage, "RESERVATION")
        async with stage.hub.db.session() as session:
            for row in await session.exec(select(StationReservation)):
                row.expires_at = datetime.now(UTC) - timedelta(seconds=1)
        assert (await session_in(stage, "COMPLETED"))["kwh"] == 0
    assert [state for state, _ in await rows(stage)] == ["expired"]


@pytest.mark.catalogue("CMD-029", "CMD-030")
async def test_the_same_reservation_again_replaces_the_first(stage: Any) -> None:
    async with stage.charger() as charger:
        first = await reserve(stage, charger, reservation_id="4711", evse_uid=None)
        second = await reserve(stage, charger, reservation_id="4711", evse_uid=None, expiry_date=until(60))
        assert first["reservation_id"] == second["reservation_id"] != 4711
        assert second["expiry_date"] > first["expiry_date"]
        number = second["reservation_id"]
        assert await rows(stage) == [("replaced", number), ("active", number)]
        await session_in(stage, "RESERVATION")


@pytest.mark.catalogue("CMD-029")
async def test_a_replacement_that_is_refused_leaves_the_first(stage: Any) -> None:
    async with stage.charger() as charger:
        first = await reserve(stage, charger)
        charger.accept_reserve = "Occupied"
        await reserve(stage, charger, expiry_date=until(60), result="EVSE_OCCUPIED")
    assert await rows(stage) == [("active", first["reservation_id"]), ("refused", first["reservation_id"])]
    assert (await session_in(stage, "RESERVATION"))["evse_uid"] == "EVSE1"


@pytest.mark.catalogue("CMD-031")
async def test_two_emsps_may_use_the_same_id(stage: Any, other_emsp: Emsp) -> None:
    async with stage.charger() as charger:
        mine = await reserve(stage, charger)
        theirs = await other_emsp.reserve_now(
            samples.token("FR*MSB", "CARD7"), "SQUARE", "R1", until(), "EVSE2", to="NL*LOC"
        )
        other = await charger.reserved()
        assert await other_emsp.result(theirs) == "ACCEPTED"
        assert mine["reservation_id"] != other["reservation_id"]
        cancel = await other_emsp.cancel_reservation("R1", to="NL*LOC")
        assert await charger.reservation_cancelled() == other["reservation_id"]
        assert await other_emsp.result(cancel) == "ACCEPTED"
    assert [state for state, _ in await rows(stage)] == ["active", "cancelled"]


@pytest.mark.catalogue("CMD-053", "CMD-054")
async def test_without_an_evse_a_free_one_is_kept(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await charger.status(2, "Available")
        told = await reserve(stage, charger, evse_uid=None)
        assert told["connector_id"] == 2
        assert (await session_in(stage, "RESERVATION"))["evse_uid"] == "EVSE2"


async def test_what_is_reserved_is_not_reserved_twice(stage: Any) -> None:
    async with stage.charger() as charger:
        first = await reserve(stage, charger, evse_uid=None)
        second = await reserve(stage, charger, evse_uid=None, reservation_id="R2")
        assert {first["connector_id"], second["connector_id"]} == {1, 2}


@pytest.mark.catalogue("CMD-033", "CMD-052")
@pytest.mark.parametrize("fields", [{"uid": "NEVERSEEN1"}, {"valid": False}])
async def test_the_token_is_not_judged(stage: Any, fields: Json) -> None:
    async with stage.charger() as charger:
        told = await reserve(stage, charger, token=CARD | fields)
        assert told["id_tag"] == fields.get("uid", "CARD1")
    assert not [each for each in stage.emsp.received if each.path.endswith("/authorize")]


@pytest.mark.catalogue("CMD-034")
@pytest.mark.parametrize(("kind", "minutes"), [("RFID", 15), ("APP_USER", 120), ("AD_HOC_USER", 120)])
async def test_how_long_nobody_is_asked(stage: Any, kind: str, minutes: int) -> None:
    """An RFID card for 15 minutes, the others as long as the reservation stands."""
    async with stage.charger() as charger:
        told = await reserve(stage, charger, token=CARD | {"type": kind}, expiry_date=until(120))
        assert await charger.authorize(told["id_tag"]) == "Accepted"
    assert not [each for each in stage.emsp.received if each.path.endswith("/authorize")]
    async with stage.hub.db.session() as session:
        (grant,) = await session.exec(select(Grant))
    left = grant.until - datetime.now(UTC)
    assert timedelta(minutes=minutes - 2) < left <= timedelta(minutes=minutes)


@pytest.mark.catalogue("CMD-032")
@pytest.mark.parametrize("name", ["RESERVE_NOW", "START_SESSION"])
async def test_nobody_reserves_or_starts_with_the_token_of_another(stage: Any, name: str) -> None:
    body = {"token": samples.token("FR*MSB"), "location_id": "SQUARE", "reservation_id": "R1", "expiry_date": until()}
    async with stage.charger() as charger:
        await charger.heartbeat()
        answer = (await stage.emsp.command(name, body, "NL*LOC", "DE*MSA")).answer
    assert (answer.status_code, "token" in answer.message) == (2001, True)
    assert await rows(stage) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expiry_date": until(-1)}, "over"),
        ({"location_id": "OTHER"}, "another location"),
    ],
)
async def test_what_is_not_reserved(stage: Any, changes: Json, why: str) -> None:
    async with stage.charger() as charger:
        await reserve(stage, charger)
        async with stage.hub.db.session() as session:
            for row in await session.exec(select(StationReservation)):
                row.location_id = "ELSEWHERE" if "location_id" in changes else row.location_id
        asked = {"token": CARD, "location_id": "SQUARE", "reservation_id": "R1", "expiry_date": until()}
        asked |= {name: value for name, value in changes.items() if name != "location_id"}
        command = await stage.emsp.reserve_now(**asked, to="NL*LOC")
    assert command.answer.data["result"] == "REJECTED"
    assert why in command.answer.data["message"][0]["text"]


async def test_a_station_that_answers_too_late_is_told_to_let_go(stage: Any) -> None:
    raw = await stage.raw()
    await raw.ask("Heartbeat", {})
    command = await stage.emsp.reserve_now(CARD, "SQUARE", "R1", until(), to="NL*LOC")
    _, frame, action, payload = await raw.hear()
    assert action == "ReserveNow"
    async with stage.hub.db.session() as session:
        for row in await session.exec(select(StationCommand)):
            row.deadline = datetime.now(UTC) - timedelta(seconds=3)
    assert await stage.emsp.result(command) == "TIMEOUT"
    await raw.send([3, frame, {"status": "Accepted"}])
    _, _, action, told = await raw.hear()
    assert (action, told["reservationId"]) == ("CancelReservation", payload["reservationId"])
    assert [state for state, _ in await rows(stage)] == ["refused"]


async def test_two_at_once_do_not_get_the_same_connector(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.heartbeat()
        asked = [stage.emsp.reserve_now(CARD, "SQUARE", f"R{number}", until(), to="NL*LOC") for number in (1, 2)]
        commands = await asyncio.gather(*asked)
        assert all(command.accepted for command in commands)
        assert {(await charger.reserved())["connector_id"] for _ in commands} == {1, 2}
