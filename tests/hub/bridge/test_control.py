"""Commands: which connector, and what the station's answer means."""

from typing import Any

import pytest
from sqlmodel import select

from hub.bridge import control
from hub.sandbox import samples
from hub.store.chargers import Station, StationCommand, StationConnector

OCPI_RESULTS = {"ACCEPTED", "EVSE_INOPERATIVE", "EVSE_OCCUPIED", "FAILED", "NOT_SUPPORTED", "REJECTED", "TIMEOUT"}


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
