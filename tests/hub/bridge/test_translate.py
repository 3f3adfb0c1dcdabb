"""OCPP state to OCPI objects."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bridge import translate
from hub.bridge.meter import Energy, Point
from hub.bridge.translate import CHARGING, PARKING, PAUSED, Mark, Plug
from hub.ocpi.types import PartyId, check
from modules.cdrs.schemas import ChargingPeriod
from modules.locations.schemas import EVSE
from modules.sessions.schemas import Session

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LIMIT = Decimal(22_000)


def plug(status: str | None, busy: bool = False, at: datetime = START) -> Plug:
    return Plug(status, at, busy)


def status(*plugs: Plug, away: bool = False, whole: str | None = None, now: datetime = START) -> str | None:
    return translate.evse_status(away, whole, plugs, now, QUARTER)[0]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Available", "AVAILABLE"),
        ("Preparing", "CHARGING"),
        ("Charging", "CHARGING"),
        ("SuspendedEV", "CHARGING"),
        ("SuspendedEVSE", "CHARGING"),
        ("Finishing", "CHARGING"),
        ("Reserved", "RESERVED"),
        ("Unavailable", "INOPERATIVE"),
        ("Faulted", "OUTOFORDER"),
        ("Occupied", None),
        (None, None),
    ],
)
def test_status_by_status(told: str | None, expected: str | None) -> None:
    assert status(plug(told)) == expected


def test_every_status_is_one_of_ocpi() -> None:
    for told in translate.STATUSES.values():
        assert check(EVSE, {"uid": "1", "status": told, "connectors": [CONNECTOR], "last_updated": STAMP}) == []


def test_what_lies_over_the_connector() -> None:
    assert status(plug("Charging"), away=True) == "UNKNOWN"
    assert status(plug("Charging"), whole="Faulted") == "OUTOFORDER"
    assert status(plug("Available"), whole="Unavailable") == "INOPERATIVE"
    assert status(plug("Available"), whole="Available") == "AVAILABLE"


def test_a_car_that_stays_blocks_the_evse_after_a_while() -> None:
    finishing = plug("Finishing")
    assert translate.evse_status(False, None, [finishing], START, QUARTER) == ("CHARGING", START + QUARTER)
    assert status(finishing, now=START + QUARTER) == "BLOCKED"
    assert status(finishing, now=START + 2 * QUARTER) == "BLOCKED"
    busy = plug("Finishing", busy=True)
    assert translate.evse_status(False, None, [busy], START + QUARTER, QUARTER) == ("CHARGING", START + 2 * QUARTER)


@pytest.mark.catalogue("LOC-010")
def test_two_plugs_of_one_evse() -> None:
    """A fault on one plug must not hide a usable one; a busy plug makes the EVSE busy."""
    assert status(plug("Faulted"), plug("Available")) == "AVAILABLE"
    assert status(plug("Available"), plug("Charging")) == "CHARGING"
    assert status(plug(None), plug("Unavailable")) == "INOPERATIVE"


@pytest.mark.catalogue("LOC-011")
@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        ("AVAILABLE", [plug("Charging")], "INOPERATIVE"),
        ("AVAILABLE", [plug("Available"), plug("Preparing")], "INOPERATIVE"),
        ("AVAILABLE", [plug("Available", busy=True)], "INOPERATIVE"),
        ("AVAILABLE", [plug("Available"), plug("Faulted")], "AVAILABLE"),
        ("CHARGING", [plug("Finishing")], "CHARGING"),
        (None, [plug("Charging")], None),
    ],
)
def test_evses_that_share_a_power_unit(own: str | None, others: list[Plug], expected: str | None) -> None:
    assert translate.beside(own, others) == expected


# Periods

STEPS = st.lists(st.integers(0, 3500), min_size=1, max_size=20)
STATUSES = st.sampled_from(["Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Preparing", "Available"])
MARKS = st.lists(st.tuples(st.integers(-3600, 20 * 3600), STATUSES), max_size=12)


def charged(steps: list[int]) -> tuple[datetime, Energy]:
    registers = [Point(START, Decimal(1000))]
    for number, step in enumerate(steps, 1):
        registers.append(Point(START + timedelta(minutes=10 * number, milliseconds=7), registers[-1].wh + step))
    ended = registers[-1].at
    return ended, translate.charged(registers[0], registers[1:-1], registers[-1], LIMIT, START, ended)


@given(STEPS, MARKS)
def test_periods_add_up_exactly_and_stand_in_order(steps: list[int], told: list[tuple[int, str]]) -> None:
    ended, amount = charged(steps)
    found = translate.periods(START, ended, amount, [Mark(START + timedelta(seconds=s), each) for s, each in told])
    assert sum(period.kwh for period in found) == translate.kwh(amount.total_wh) == Decimal(sum(steps)) / 1000
    assert sum(period.hours for period in found) == translate.hours(START, ended)
    assert all(period.kwh >= 0 and period.hours >= 0 for period in found)
    starts = [period.start for period in found]
    assert starts == sorted(set(starts))
    assert starts[0] == START
    assert starts[-1] < ended
    assert all(one.kind != other.kind for one, other in itertools.pairwise(found))


@pytest.mark.catalogue("CDR-049", "CDR-031", "CDR-032")
def test_a_car_that_pauses_parks_and_a_station_that_pauses_costs_no_time() -> None:
    ended, amount = charged([1000, 1000, 1000, 1000])
    marks = [
        Mark(START + timedelta(minutes=10), "SuspendedEV"),
        Mark(START + timedelta(minutes=20), "SuspendedEVSE"),
        Mark(START + timedelta(minutes=30), "Charging"),
    ]
    found = translate.periods(START, ended, amount, marks)
    assert [period.kind for period in found] == [CHARGING, PARKING, PAUSED, CHARGING]
    listed = translate.charging_periods(found, "T1")
    assert [[each["type"] for each in period["dimensions"]] for period in listed] == [
        ["ENERGY", "TIME"],
        ["ENERGY", "PARKING_TIME"],
        ["ENERGY"],
        ["ENERGY", "TIME"],
    ]
    for period in listed:
        assert check(ChargingPeriod, period) == []


def test_a_session_of_no_length_has_one_period() -> None:
    amount = translate.charged(Point(START, Decimal(5)), [], Point(START, Decimal(5)), LIMIT, START, START)
    assert [period.start for period in translate.periods(START, START, amount, [])] == [START]


def test_readings_from_outside_the_session_are_moved_to_its_borders() -> None:
    readings = [Point(START + timedelta(hours=n), Decimal(1000 + n)) for n in (-1, 5)]
    ended = START + timedelta(hours=1)
    amount = translate.charged(Point(START, Decimal(1000)), readings, Point(ended, Decimal(3000)), LIMIT, START, ended)
    assert amount.total_wh == 2000
    assert amount.points[-1].at == ended


def test_a_meter_that_said_nothing() -> None:
    assert translate.charged(None, [], None, LIMIT, START, START).doubt is not None


# Places and objects

STAMP = "2026-05-01T12:00:00Z"
CONNECTOR: dict[str, Any] = {
    "id": "1",
    "standard": "IEC_62196_T2",
    "format": "SOCKET",
    "power_type": "AC_3_PHASE",
    "max_voltage": 230,
    "max_amperage": 32,
    "last_updated": STAMP,
}
LOCATION: dict[str, Any] = {"id": "L1", "evses": [{"uid": "E1", "connectors": [CONNECTOR]}]}


def test_what_a_connector_can_deliver() -> None:
    assert translate.limit_w(CONNECTOR) == 22_080
    assert translate.limit_w(CONNECTOR | {"power_type": "DC"}) == 7_360
    assert translate.limit_w(CONNECTOR | {"max_electric_power": 11_000}) == 11_000
    assert translate.limit_w({}) == translate.LIMIT_UNKNOWN_W


def test_ids_are_found_in_any_case() -> None:
    assert translate.find_connector(LOCATION, "e1", "1") is not None
    assert translate.find_connector(LOCATION, "E1", "2") is None
    assert translate.find_connector(LOCATION, None, None) is None
    assert translate.find_connector(None, "E1", "1") is None


def test_a_session_fits_its_schema() -> None:
    ended, amount = charged([1000])
    token = {"country_code": "DE", "party_id": "MSA", "uid": "X", "type": "RFID", "contract_id": "C", "whitelist": "N"}
    sitting = translate.Sitting(PartyId.parse("NL*LOC"), "s1", token, "AUTH_REQUEST", "ref", START, ended, ended, "EUR")
    place = {"location_id": "L1", "evse_uid": "E1", "connector_id": "1"}
    listed = translate.charging_periods(translate.periods(START, ended, amount, []), None)
    session = translate.session(sitting, "COMPLETED", place, amount, listed)
    assert check(Session, session) == []
    assert session["kwh"] == Decimal("1.000")
    assert "whitelist" not in session["cdr_token"]
