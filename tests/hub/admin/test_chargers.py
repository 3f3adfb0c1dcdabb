from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from sqlmodel import col, select, update

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store import stations
from hub.store.chargers import Charging, Station, StationConnector

ORDER = {"station_id": "CS-1", "party": "NL*LOC", "location_id": "SQUARE"}


@pytest.fixture(autouse=True)
async def square(api: httpx.AsyncClient, host: str) -> None:
    """A Location of two EVSEs."""
    assert (await api.put("/locations", content=json.dumps(samples.location(host, "SQUARE")))).status_code == 201


async def charge(
    hub: Hub, station_id: str, state: str = "open", session_id: str = "session-1", due_at: datetime | None = None
) -> None:
    """A transaction on the charger's first connector."""
    async with hub.db.session() as session:
        session.add(
            Charging(
                session_id=session_id, natural_key=session_id, due_at=due_at, owner="NL*LOC",
                station_id=station_id, location_id="SQUARE",
                ocpp_connector_id=1, id_tag="A", id_tag_status="Accepted", started_at=datetime.now(UTC),
                updated_at=datetime.now(UTC), meter_start=Decimal(1000), register_wh=Decimal(3500), state=state,
            )
        )  # fmt: skip


async def test_a_charger_gets_a_password_and_every_free_evse(api: httpx.AsyncClient, hub: Hub) -> None:
    answer = await api.post("/chargers", json=ORDER)
    assert answer.status_code == 201
    given = answer.json()
    assert list(given) == ["station_id", "password", "url"]
    assert given["url"] == "wss://bridge.example/ocpp/CS-1"
    async with hub.db.session() as session:
        station = (await session.exec(select(Station))).one()
        plugs = [
            (p.ocpp_connector_id, p.evse_uid, p.connector_id) for p in await session.exec(select(StationConnector))
        ]
    assert stations.password_fits(station.password_hash, given["password"].encode())
    assert given["password"].encode() not in station.password_hash
    assert plugs == [(1, "EVSE1", "1"), (2, "EVSE2", "1")]


async def test_the_second_charger_gets_what_is_left(api: httpx.AsyncClient) -> None:
    first = await api.post("/chargers", json=ORDER | {"evse_uids": ["evse2"]})
    second = await api.post("/chargers", json=ORDER | {"station_id": "CS-2"})
    assert (first.status_code, second.status_code) == (201, 201)
    found = (await api.get("/chargers")).json()
    assert [[c["evse_uid"] for c in charger["connectors"]] for charger in found] == [["EVSE2"], ["EVSE1"]]
    third = await api.post("/chargers", json=ORDER | {"station_id": "CS-3"})
    assert third.status_code == 409
    assert "CS-1, CS-2" in third.json()["error"]


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"party": "NL*CPA"}, 404, "NL*CPA is not a party hosted"),
        ({"location_id": "CIRCLE"}, 404, "location_id: "),
        ({"evse_uids": ["EVSE1", "EVSE9"]}, 404, "evse_uids[1]: "),
        ({"evse_uids": ["EVSE1", "evse1"]}, 409, "evse_uids: "),
        ({"station_id": "CS:1"}, 400, "station_id: "),
        ({"station_id": ""}, 400, "station_id: "),
        ({"evse_uids": []}, 400, "evse_uids: "),
    ],
)
async def test_what_cannot_be_installed(
    api: httpx.AsyncClient, change: dict[str, object], status: int, named: str
) -> None:
    answer = await api.post("/chargers", json=ORDER | change)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(named)


async def test_an_id_and_an_evse_are_given_once(api: httpx.AsyncClient) -> None:
    await api.post("/chargers", json=ORDER | {"evse_uids": ["EVSE1"]})
    again = await api.post("/chargers", json=ORDER | {"station_id": "cs-1"})
    assert again.status_code == 409
    assert again.json()["error"].startswith("station_id: ")
    taken = await api.post("/chargers", json=ORDER | {"station_id": "CS-2", "evse_uids": ["EVSE1"]})
    assert taken.status_code == 409
    assert taken.json()["error"].endswith("CS-1")


async def test_the_list_shows_what_runs(api: httpx.AsyncClient, hub: Hub) -> None:
    await api.post("/chargers", json=ORDER)
    await charge(hub, "CS-1")
    async with hub.db.session() as session:
        await session.exec(update(Station).values(connected=True, away=False, vendor="Acme"))
        first = col(StationConnector.ocpp_connector_id) == 1
        await session.exec(update(StationConnector).where(first).values(status="Charging"))
    charger = (await api.get("/chargers")).json()[0]
    assert (charger["online"], charger["vendor"], charger["party"]) == (True, "Acme", "NL*LOC")
    first_plug, second_plug = charger["connectors"]
    assert (first_plug["status"], first_plug["transaction"]["kwh"]) == ("Charging", Decimal("2.5"))
    assert second_plug["transaction"] is None


async def test_a_charger_without_a_past_is_forgotten(api: httpx.AsyncClient) -> None:
    await api.post("/chargers", json=ORDER)
    assert (await api.delete("/chargers/cs-1")).json() == {"station_id": "CS-1"}
    assert (await api.get("/chargers")).json() == []
    assert (await api.delete("/chargers/CS-1")).status_code == 404
    assert (await api.post("/chargers", json=ORDER)).status_code == 201


async def test_a_charger_with_a_past_keeps_it_and_loses_its_password(api: httpx.AsyncClient, hub: Hub) -> None:
    password = (await api.post("/chargers", json=ORDER)).json()["password"]
    await charge(hub, "CS-1", "closed")
    assert (await api.delete("/chargers/CS-1")).status_code == 200
    assert (await api.get("/chargers")).json() == []
    async with hub.db.session() as session:
        station = (await session.exec(select(Station))).one()
    assert not stations.password_fits(station.password_hash, password.encode())
    assert (station.epoch, station.connected) == (1, False)
    again = await api.post("/chargers", json=ORDER)  # it comes back under its id, with a new password
    assert again.status_code == 201
    assert again.json()["password"] != password


async def test_a_charger_that_charges_stays(api: httpx.AsyncClient, hub: Hub) -> None:
    await api.post("/chargers", json=ORDER)
    await charge(hub, "CS-1")
    answer = await api.delete("/chargers/CS-1")
    assert answer.status_code == 409
    assert "CS-1 has a transaction" in answer.json()["error"]


async def test_a_charger_whose_last_session_is_still_to_be_told_stays(api: httpx.AsyncClient, hub: Hub) -> None:
    await api.post("/chargers", json=ORDER)
    await charge(hub, "CS-1", "closed", "told")
    await charge(hub, "CS-1", "closed", "not-told", datetime.now(UTC))
    assert (await api.delete("/chargers/CS-1")).status_code == 409
