"""Faults inside objects: each is named with its field, wherever the kit meets it."""

from decimal import Decimal
from typing import Any

import pytest

from hub.kit import objects
from hub.sandbox import samples
from modules.tariffs.schemas import Tariff

LATER = "2030-01-01T00:00:00Z"
LOCATION = samples.location(at="2026-01-01T00:00:00Z")
EVSE = LOCATION["evses"][0]
TARIFF = samples.tariff()
ELEMENT = TARIFF["elements"][0]
CDR = samples.cdr({**samples.session(), "kwh": Decimal(1)}, LOCATION, TARIFF)
HOURS = {"weekday": 1, "period_begin": "08:00", "period_end": "18:00"}


def with_evse(**change: Any) -> dict[str, Any]:
    return {**LOCATION, "evses": [{**EVSE, **change}]}


def with_connector(**change: Any) -> dict[str, Any]:
    return with_evse(connectors=[{**EVSE["connectors"][0], **change}])


def opening(**hours: Any) -> dict[str, Any]:
    return {**LOCATION, "opening_times": hours}


def element(**restrictions: Any) -> dict[str, Any]:
    return {**TARIFF, "elements": [{**ELEMENT, "restrictions": restrictions}]}


LATITUDE = {"latitude": "52.1", "longitude": "5.110278"}

LOCATIONS = [
    ("LOC-013", objects.stale_parent, with_evse(last_updated=LATER), "evses[0].last_updated: later than"),
    ("LOC-013", objects.stale_parent, with_connector(last_updated=LATER), "evses[0].connectors[0].last_updated: later"),
    ("LOC-069", objects.bad_coordinates, {**LOCATION, "coordinates": LATITUDE}, "coordinates.latitude: not a number"),
    ("LOC-069", objects.bad_coordinates, with_evse(coordinates=LATITUDE), "evses[0].coordinates.latitude: not"),
    ("LOC-037", objects.bad_time_zone, {**LOCATION, "time_zone": "CET+1"}, "time_zone: not a name"),
    ("LOC-072", objects.bad_hours, opening(twentyfourseven=True, regular_hours=[HOURS]), "opening_times.regular_hours"),
    ("LOC-072", objects.bad_hours, opening(twentyfourseven=False), "opening_times.regular_hours: missing"),
    (
        "LOC-072",
        objects.bad_hours,
        opening(twentyfourseven=False, regular_hours=[{**HOURS, "period_end": "25:00"}]),
        "opening_times.regular_hours[0]: not two times",
    ),
    ("LOC-041", objects.needless_allowance, {**LOCATION, "publish_allowed_to": [{}]}, "publish_allowed_to: given"),
    ("LOC-034", lambda found: None, {**LOCATION, "address": None}, "address: must be a string"),
    ("LOC-039", lambda found: None, {**LOCATION, "city": "x" * 50}, "city: longer than 45"),
    ("LOC-039", lambda found: None, with_evse(status="BUSY"), "evses[0].status: unknown value"),
    ("TYP-006", objects.not_utc, {**LOCATION, "last_updated": "2026-01-01T00:00:00+00:00"}, "last_updated: has"),
]  # fmt: skip


@pytest.mark.parametrize(("catalogue_id", "rule", "location", "complaint"), LOCATIONS)
async def test_a_location_that_breaks_a_rule(
    cpo: Any, examine: Any, edit: Any, catalogue_id: str, rule: Any, location: Any, complaint: str
) -> None:
    assert rule(location) is None or rule(location).startswith(complaint)
    assert rule(LOCATION) is None
    cpo.mangle = edit(lambda e: {**e, "data": [location]} if e.get("data") else e, "/sender/locations")
    run = await examine(cpo, "locations")
    told = {r.check.ids[0]: r.came for r in run.results if r.outcome == "failed"}
    assert told[catalogue_id].startswith(f"NL CPA LOC1: {complaint}")


PURE = [
    (objects.bad_reservation_price, element(reservation="RESERVATION"), "elements[0]: has reservation"),
    (objects.bad_restriction_times, element(start_time="8:00"), "elements[0].restrictions.start_time: not"),
    (objects.bad_restriction_times, element(start_date="1 May"), "elements[0].restrictions.start_date: not"),
    (objects.bad_credit, {**CDR, "credit": True}, "credit, credit_reference_id: one is given"),
    (objects.bad_credit, {**CDR, "credit_reference_id": "C1"}, "credit, credit_reference_id: one is given"),
    (objects.bad_parking, {**CDR, "total_parking_time": Decimal(99)}, "total_parking_time: more than"),
    (
        objects.session_dimensions,
        {**CDR, "charging_periods": [{"dimensions": [{"type": "POWER"}]}]},
        "charging_periods[0].dimensions: a type",
    ),
]


@pytest.mark.parametrize(("rule", "bad", "complaint"), PURE)
def test_a_tariff_or_a_cdr_that_breaks_a_rule(rule: Any, bad: Any, complaint: str) -> None:
    assert rule(bad).startswith(complaint)
    assert rule(CDR if bad.get("cdr_token") else TARIFF) is None


LISTED = [
    ("tariffs", element(reservation="RESERVATION"), "TAR-035"),
    ("tariffs", element(start_time="8:00"), "TAR-042"),
    ("tariffs", {**TARIFF, "elements": []}, "TAR-011"),
    ("tariffs", {**TARIFF, "type": "CHEAP"}, "TAR-027"),
    ("sessions", {**samples.session(), "kwh": "1"}, "SES-032"),
    ("sessions", {**samples.session(), "status": "RESERVED"}, "SES-044"),
    ("cdrs", {**CDR, "total_cost": None}, "CDR-025"),
    ("cdrs", {**CDR, "auth_method": "OTHER"}, "CDR-026"),
    ("cdrs", {**CDR, "credit": True}, "CDR-039"),
    ("cdrs", {**CDR, "total_parking_time": Decimal(99)}, "CDR-033"),
]


@pytest.mark.parametrize(("module", "bad", "catalogue_id"), LISTED)
async def test_an_object_of_a_list_that_breaks_a_rule(
    cpo: Any, examine: Any, found: Any, edit: Any, module: str, bad: Any, catalogue_id: str
) -> None:
    below = f"/sender/{module}"
    cpo.mangle = edit(lambda e: {**e, "data": [bad]} if isinstance(e.get("data"), list) else e, below)
    assert catalogue_id in found(await examine(cpo, module), module)


async def test_a_token_that_breaks_a_rule(emsp: Any, examine: Any, found: Any) -> None:
    emsp.tokens["RFID", "04A1"] = samples.token(uid="04A1", language="deutsch")
    assert found(await examine(emsp, "tokens"), "tokens") == {"TOK-033"}


SHAPES: list[Any] = [{}, {"evses": 1}, {"evses": [1]}, {"evses": [{"connectors": [None]}]}, {"coordinates": 5}]
SHAPES += [{"opening_times": {"twentyfourseven": False, "regular_hours": [{}]}}, {"elements": [{"restrictions": 1}]}]
SHAPES += [{"total_time": "1", "total_parking_time": None}, {"last_updated": 5, "evses": [{"last_updated": []}]}]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_is_too_odd(shape: Any) -> None:
    rules: list[Any] = [objects.stale_parent, objects.bad_coordinates, objects.bad_hours, objects.needless_allowance]
    rules += [objects.bad_reservation_price, objects.bad_restriction_times, objects.bad_credit, objects.bad_parking]
    for rule in (*rules, objects.session_dimensions, objects.not_utc):
        assert rule(shape) is None or isinstance(rule(shape), str)


def test_an_unfit_object_is_not_odd_as_well() -> None:
    assert objects.unfit(Tariff, {}) is not None
    assert objects.odd(Tariff, {}) is None


def test_what_is_there_twice() -> None:
    assert objects.repeated([{"uid": "a"}, {"uid": "A"}], ("uid",)) == "uid: the same as in another one"
    assert objects.repeated([{"uid": "a", "type": "RFID"}, {"uid": "a", "type": "OTHER"}], ("uid", "type")) is None
