"""Commands: which connector, and what the station's answer means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from hub.bridge import control
from hub.exchange import callbacks
from hub.ocpi.enums import CommandResultType
from hub.sandbox import samples
from hub.sandbox.emsp import Emsp
from hub.store.chargers import Grant, Station, StationCommand, StationConnector

OCPI_RESULTS = set(CommandResultType)
CARD = samples.token("DE*MSA", "CARD1")


def plug(number: int, status: str | None, connected: bool = True) -> tuple[Station, StationConnector]:
    station = Station(
        station_id=f"CP{number}",
        owner="NL*LOC",
        location_id="L",
        password_hash=b"",
        connected=connected,
        away=not connected,
    )
    connector = StationConnector(
        station_id=station.station_id, ocpp_connector_id=1, evse_uid=f"E{number}", connector_id="1", status=status
    )
    return station, connector


@pytest.mark.parametrize(
    ("states", "chosen"),
    [
        (["Available", "Preparing"], "CP1"),
        (["Charging", "Available"], "CP1"),
        (["Charging", "Faulted"], "CP0"),
        ([None, "Finishing"], "CP0"),
    ],
)
def test_the_connector_to_start_at(states: list[str | None], chosen: str) -> None:
    found = control.choose_plug([plug(number, state) for number, state in enumerate(states)])
    assert found is not None
    assert found[0].station_id == chosen


def test_only_a_connected_station_will_do() -> None:
    assert control.choose_plug([plug(1, "Available", connected=False)]) is None


@pytest.mark.parametrize(
    ("kind", "answer", "state", "result"),
    [
        ("START_SESSION", {"status": "Accepted"}, "Available", "ACCEPTED"),
        ("START_SESSION", {"status": "Rejected"}, "Available", "REJECTED"),
        ("START_SESSION", {"status": "Rejected"}, "Charging", "EVSE_OCCUPIED"),
        ("START_SESSION", {"status": "Rejected"}, "Faulted", "EVSE_INOPERATIVE"),
        ("STOP_SESSION", {"status": "Rejected"}, "Charging", "REJECTED"),
        ("STOP_SESSION", {}, None, "REJECTED"),
        ("START_SESSION", "NotImplemented", None, "NOT_SUPPORTED"),
        ("STOP_SESSION", "NotSupported", None, "NOT_SUPPORTED"),
        ("STOP_SESSION", "InternalError", None, "FAILED"),
        ("RESERVE_NOW", {"status": "Accepted"}, "Available", "ACCEPTED"),
        ("RESERVE_NOW", {"status": "Occupied"}, "Charging", "EVSE_OCCUPIED"),
        ("RESERVE_NOW", {"status": "Faulted"}, "Faulted", "EVSE_INOPERATIVE"),
        ("RESERVE_NOW", {"status": "Unavailable"}, "Unavailable", "EVSE_INOPERATIVE"),
        ("RESERVE_NOW", {"status": "Rejected"}, "Available", "REJECTED"),
        ("RESERVE_NOW", "NotImplemented", None, "NOT_SUPPORTED"),
        ("CANCEL_RESERVATION", {"status": "Accepted"}, None, "ACCEPTED"),
        ("CANCEL_RESERVATION", {"status": "Rejected"}, None, "UNKNOWN_RESERVATION"),
        ("UNLOCK_CONNECTOR", {"status": "Unlocked"}, None, "ACCEPTED"),
        ("UNLOCK_CONNECTOR", {"status": "UnlockFailed"}, None, "FAILED"),
        ("UNLOCK_CONNECTOR", {"status": "NotSupported"}, None, "NOT_SUPPORTED"),
    ],
)
def test_results(kind: str, answer: Any, state: str | None, result: str) -> None:
    assert control.result_of(kind, answer, state) == {"result": result}
    assert result in OCPI_RESULTS


async def test_a_station_that_does_not_answer(stage: Any) -> None:
    raw = await stage.raw()
    await raw.ask("Heartbeat", {})
    command = await stage.emsp.start_session(samples.token("DE*MSA", "CARD1"), "SQUARE", "EVSE1", to="NL*LOC")
    _, _, action, payload = await raw.hear()
    assert (action, payload) == ("RemoteStartTransaction", {"connectorId": 1, "idTag": "CARD1"})
    await raw.socket.close()
    assert await stage.emsp.result(command) == "TIMEOUT"

    async def states() -> list[str]:
        async with stage.hub.db.session() as session:
            return [row.state for row in await session.exec(select(StationCommand))]

    await stage.until(states, lambda found: found == ["posted"])
    assert len([r for r in stage.emsp.received if r.path.endswith(command.id)]) == 1


def asked_live(stage: Any) -> int:
    """How often the eMSP was asked about a token."""
    return len([each for each in stage.emsp.received if each.path.endswith("/authorize")])


@pytest.mark.catalogue("CMD-043")
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW", "UNLOCK_CONNECTOR"])
async def test_a_location_nobody_knows(stage: Any, name: str) -> None:
    body = {"token": CARD, "location_id": "NOWHERE", "evse_uid": "EVSE1", "connector_id": "1"}
    body |= {"reservation_id": "R1", "expiry_date": samples.now()}
    answer = (await stage.emsp.command(name, body, "NL*LOC")).answer
    assert (answer.http_status, answer.status_code) == (200, 2003)


@pytest.mark.catalogue("CMD-044")
@pytest.mark.parametrize("missing", ["session_id", "response_url"])
async def test_a_stop_says_what_and_where_to_answer(stage: Any, missing: str) -> None:
    body = {"session_id": "S1", "response_url": f"{stage.emsp.origin}/result"}
    del body[missing]
    answer = await stage.emsp.send("POST", "commands", "STOP_SESSION", to="NL*LOC", body=body)
    assert (answer.status_code, missing in answer.message) == (2001, True)


@pytest.mark.catalogue("CMD-045")
async def test_a_session_nobody_knows(stage: Any) -> None:
    answer = (await stage.emsp.stop_session("no-such-session", to="NL*LOC")).answer
    assert (answer.status_code, answer.data["result"]) == (1000, "UNKNOWN_SESSION")


@pytest.mark.catalogue("CMD-046")
async def test_a_session_of_another_emsp(stage: Any, other_emsp: Emsp) -> None:
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 0)
        (session,) = await stage.until(stage.sessions, lambda found: found)
        answer = (await other_emsp.stop_session(session["id"], to="NL*LOC")).answer
        assert answer.data["result"] == "REJECTED"
        mine = await stage.emsp.stop_session(session["id"], to="NL*LOC")
        assert mine.accepted
        await charger.stopped_remotely()


@pytest.mark.catalogue("CMD-035", "CMD-052")
@pytest.mark.parametrize("fields", [{"valid": False}, {"uid": "NEVERSEEN1"}, {"whitelist": "NEVER"}])
async def test_a_start_is_passed_on_without_judging_the_token(stage: Any, fields: dict[str, Any]) -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Preparing")
        command = await stage.emsp.start_session(CARD | fields, "SQUARE", "EVSE1", to="NL*LOC")
        assert command.accepted
        id_tag, _ = await charger.started_remotely()
        assert id_tag == fields.get("uid", "CARD1")
        assert await charger.authorize(id_tag) == "Accepted"
        assert (await charger.start(1, id_tag, 0)).id_tag_status == "Accepted"
    assert asked_live(stage) == 0


@pytest.mark.catalogue("CMD-035")
@pytest.mark.parametrize(("kind", "minutes"), [("RFID", 15), ("APP_USER", 24 * 60), ("AD_HOC_USER", 24 * 60)])
async def test_how_long_nobody_is_asked_after_a_start(stage: Any, kind: str, minutes: int) -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Preparing")
        await stage.emsp.start_session(CARD | {"type": kind}, "SQUARE", "EVSE1", to="NL*LOC")
        await charger.started_remotely()
        assert await charger.authorize("CARD1") == "Accepted"
    async with stage.hub.db.session() as session:
        (grant,) = await session.exec(select(Grant))
    left = grant.until - datetime.now(UTC)
    assert timedelta(minutes=minutes - 2) < left <= timedelta(minutes=minutes)
    assert asked_live(stage) == 0


@pytest.mark.catalogue("CMD-054")
async def test_an_evse_is_the_connector_of_the_station(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.status(2, "Preparing")
        await stage.emsp.start_session(CARD, "SQUARE", "evse2", to="NL*LOC")
        assert await charger.started_remotely() == ("CARD1", 2)


@pytest.mark.catalogue("CMD-056")
async def test_a_result_that_nobody_takes_is_not_sent_again(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.emsp.knobs.http_status = 500
    stage.emsp.knobs.applies = lambda seen: "/sender/commands" in seen.path
    tries = []
    real = callbacks.post_result

    async def counted(*args: Any) -> bool:
        taken = await real(*args)
        tries.append(taken)
        return taken

    monkeypatch.setattr(callbacks, "post_result", counted)
    async with stage.charger() as charger:
        await charger.status(1, "Preparing")
        await stage.emsp.start_session(CARD, "SQUARE", "EVSE1", to="NL*LOC")
        await charger.started_remotely()

        async def states() -> list[str]:
            async with stage.hub.db.session() as session:
                return [row.state for row in await session.exec(select(StationCommand))]

        await stage.until(states, lambda found: found == ["posted"])
        await stage.bridge.outbox.once()
    assert tries == [False]


async def test_unlocking(stage: Any, other_emsp: Emsp) -> None:
    """It ends what runs there, so it is for the party whose session that is."""
    place = {"location_id": "SQUARE", "evse_uid": "EVSE1", "connector_id": "1"}
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 0)
        refused = (await other_emsp.command("UNLOCK_CONNECTOR", place, "NL*LOC")).answer
        assert refused.data["result"] == "REJECTED"
        command = await stage.emsp.command("UNLOCK_CONNECTOR", place, "NL*LOC")
        assert await charger.unlocked() == 1
        assert await stage.emsp.result(command) == "ACCEPTED"
        charger.unlocks = "UnlockFailed"
        command = await stage.emsp.command("UNLOCK_CONNECTOR", place, "NL*LOC")
        assert await stage.emsp.result(command) == "FAILED"


@pytest.mark.catalogue("SES-020", "SES-006")
async def test_preferences_where_no_charger_takes_them(stage: Any) -> None:
    async with stage.charger() as charger:
        await charger.authorize("CARD1")
        await charger.start(1, "CARD1", 0)
        (session,) = await stage.until(stage.sessions, lambda found: found)
        path = (session["id"], "charging_preferences")
        wish = {"profile_type": "FAST"}
        answer = await stage.emsp.send("PUT", "sessions", *path, interface="SENDER", to="NL*LOC", body=wish)
    (location,) = await stage.stored("locations")
    assert "CHARGING_PREFERENCES_CAPABLE" not in [c for evse in location["evses"] for c in evse["capabilities"]]
    assert (answer.http_status, answer.status_code) == (404, 2001)
