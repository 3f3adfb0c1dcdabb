"""What of a Location may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.locations import schemas
from modules.locations.schemas import EVSE, Connector, Hours, Image, Location

TIME = "2026-03-14T08:30:00Z"


def connector(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "last_updated": TIME,
    } | changes


def evse(**changes: Any) -> dict[str, Any]:
    return {"uid": "701", "status": "AVAILABLE", "connectors": [connector()], "last_updated": TIME} | changes


def location(**changes: Any) -> dict[str, Any]:
    return {
        "country_code": "SE",
        "party_id": "VLT",
        "id": "U-1",
        "publish": True,
        "address": "Storgatan 12",
        "city": "Umeå",
        "country": "SWE",
        "coordinates": {"latitude": "63.825847", "longitude": "20.263035"},
        "time_zone": "Europe/Stockholm",
        "last_updated": TIME,
    } | changes


@pytest.mark.catalogue("LOC-066")
def test_one_unknown_plug_does_not_lose_the_location() -> None:
    odd = location(evses=[evse(), evse(connectors=[connector(), connector(standard="MCS")])])
    assert types.check(Location, odd) == [Finding("evses[1].connectors[1].standard", "unknown value")]


@pytest.mark.catalogue("LOC-049", "LOC-055", "VER-032")
@pytest.mark.parametrize(
    ("evses", "message"),
    [
        ([evse(connectors=[connector(), {"id": "2"}])], r"^evses\[0\]\.connectors\[1\]\.standard: field required"),
        ([evse(connectors=[])], r"^evses\[0\]\.connectors: must have at least one element$"),
        ([evse(), {}], r"^evses\[1\]\.uid: field required"),
        ([evse(uid="")], r"^evses\[0\]\.uid: must not be empty$"),
        ({"701": evse()}, "^evses: must be a list$"),
        (["701"], r"^evses\[0\]: must be an object$"),
    ],
)
def test_evses_and_connectors_must_be_whole(evses: object, message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        types.check(Location, location(evses=evses))


@pytest.mark.catalogue("VER-031", "LOC-034")
@pytest.mark.parametrize("evses", [None, []])
def test_a_location_may_be_without_evses(evses: object) -> None:
    assert types.check(Location, location(evses=evses, images=evses, facilities=evses)) == []


@pytest.mark.catalogue("LOC-039", "LOC-040")
@pytest.mark.parametrize(
    ("field", "length"), [("id", 36), ("name", 255), ("address", 255), ("city", 45), ("postal_code", 10), ("state", 45)]
)
def test_lengths_are_counted_in_characters_and_only_noted(field: str, length: int) -> None:
    letter = "x" if field == "id" else "å"
    assert types.check(Location, location(**{field: letter * length})) == []
    assert types.check(Location, location(**{field: letter * (length + 1)})) == [
        Finding(field, f"longer than {length} characters")
    ]


@pytest.mark.catalogue("LOC-054", "LOC-057")
def test_numbers_and_text_are_not_mixed_up() -> None:
    assert types.check(EVSE, evse(floor_level=1)) == [Finding("floor_level", "must be a string")]
    assert types.check(Connector, connector(max_voltage=Decimal("230.0"))) == []
    with pytest.raises(InvalidParameters, match=r"^max_voltage: must be a whole number$"):
        types.check(Connector, connector(max_voltage="230"))
    with pytest.raises(InvalidParameters, match=r"^coordinates\.latitude: must be a string$"):
        types.check(Location, location(coordinates={"latitude": Decimal("63.8"), "longitude": "20.2"}))


@pytest.mark.catalogue("LOC-067", "LOC-071", "LOC-076")
def test_optional_objects_must_be_whole_when_given() -> None:
    with pytest.raises(InvalidParameters, match=r"^opening_times\.twentyfourseven: field required$"):
        types.check(Location, location(opening_times={}))
    with pytest.raises(InvalidParameters, match=r"^energy_mix\.is_green_energy: field required$"):
        types.check(Location, location(energy_mix={}))
    assert types.check(Location, location(energy_mix="green")) == [Finding("energy_mix", "must be an object")]


@pytest.mark.catalogue("LOC-076")
def test_small_classes() -> None:
    monday = {"weekday": 10, "period_begin": "06:00", "period_end": "06:00:00"}
    assert types.check(Hours, {"twentyfourseven": False, "regular_hours": [monday]}) == [
        Finding("regular_hours[0].weekday", "must be at most 9"),
        Finding("regular_hours[0].period_end", "longer than 5 characters"),
    ]
    image = {"url": "u2.png", "category": "LOCATION", "type": "image/png", "width": 123_456}
    assert [finding.path for finding in types.check(Image, image)] == ["url", "type", "width"]


def findings(changes: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in types.check(Location, location(**changes))]


def opening(**hours: Any) -> dict[str, Any]:
    return {"opening_times": {"twentyfourseven": False, "regular_hours": [stretch()]} | hours}


def stretch(**changes: Any) -> dict[str, Any]:
    return {"weekday": 1, "period_begin": "08:00", "period_end": "20:00"} | changes


@pytest.mark.parametrize(
    ("country", "found"),
    [
        pytest.param("SWE", [], marks=pytest.mark.catalogue("LOC-036", "TYP-022")),
        pytest.param("SE", ["country"], marks=pytest.mark.catalogue("LOC-036", "TYP-022")),
        ("swe", ["country"]),
        ("SWEDEN", ["country"]),
    ],
)
def test_a_country_has_three_letters(country: str, found: list[str]) -> None:
    assert [text.partition(":")[0] for text in findings({"country": country})] == found


@pytest.mark.catalogue("LOC-037")
def test_a_time_zone_is_one_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone in ("Europe/Amsterdam", "UTC", "America/Argentina/Ushuaia"):
        assert findings({"time_zone": zone}) == []
    for zone in ("Amsterdam", "CEST", "+02:00", "Europe/Nowhere", ""):
        assert len(findings({"time_zone": zone})) == 1, zone
    monkeypatch.setattr(schemas, "_zones", frozenset)
    assert findings({"time_zone": "Europe/Nowhere"}) == [], "a machine without the database cannot tell"


@pytest.mark.catalogue("LOC-041")
def test_publish_allowed_to_is_for_what_is_not_published() -> None:
    drivers = [{"group_id": "FLEET"}]
    assert findings({"publish": False, "publish_allowed_to": drivers}) == []
    assert findings({"publish_allowed_to": []}) == []
    assert findings({"publish_allowed_to": drivers}) == [
        "body: publish_allowed_to is for Locations with publish false",
    ]


@pytest.mark.catalogue("LOC-069")
@pytest.mark.parametrize(
    ("latitude", "longitude", "odd"),
    [
        ("63.82584", "20.26303", []),
        ("-63.8258470", "-120.263035", ["coordinates.latitude"]),  # eleven characters
        ("63.825847", "-120.2630355", ["coordinates.longitude"]),  # twelve
        ("-3.8258470", "-120.263035", []),
        ("63.8", "20.263035", ["coordinates.latitude"]),
        ("63,825847", "20.26", ["coordinates.latitude", "coordinates.longitude"]),
        ("63.825847N", "20", ["coordinates.latitude", "coordinates.longitude"]),
    ],
)
def test_coordinates_have_five_to_seven_decimals(latitude: str, longitude: str, odd: list[str]) -> None:
    found = findings({"coordinates": {"latitude": latitude, "longitude": longitude}})
    assert sorted({text.partition(":")[0] for text in found}) == odd


@pytest.mark.catalogue("LOC-069")
def test_coordinates_are_text() -> None:
    with pytest.raises(InvalidParameters, match=r"coordinates\.latitude: must be a string"):
        findings({"coordinates": {"latitude": Decimal("63.825847"), "longitude": "20.263035"}})


@pytest.mark.catalogue("LOC-070")
def test_a_place_that_is_not_on_earth_is_noted() -> None:
    for latitude, longitude in (("120.26303", "63.82584"), ("20.26303", "181.82584")):
        place = {"latitude": latitude, "longitude": longitude}
        assert len(findings({"coordinates": place})) == 1
        assert len(findings({"related_locations": [place]})) == 1
    assert findings({"coordinates": {"latitude": "-90.00000", "longitude": "180.00000"}}) == []


@pytest.mark.catalogue("LOC-072")
@pytest.mark.parametrize(
    ("hours", "odd"),
    [
        ({"twentyfourseven": True, "regular_hours": None}, False),
        ({"twentyfourseven": True, "regular_hours": []}, False),
        ({"twentyfourseven": True}, True),
        ({}, False),
        ({"regular_hours": None}, True),
        ({"regular_hours": []}, True),
    ],
)
def test_regular_hours_are_for_what_is_not_always_open(hours: dict[str, Any], odd: bool) -> None:
    assert [text.partition(":")[0] for text in findings(opening(**hours))] == ["opening_times"] * odd


@pytest.mark.catalogue("LOC-075")
@pytest.mark.parametrize(
    ("change", "odd"),
    [
        ({}, False),
        ({"weekday": 7, "period_begin": "00:00", "period_end": "23:59"}, False),
        ({"weekday": 0}, True),
        ({"weekday": 8}, True),
        ({"period_begin": "8:00"}, True),
        ({"period_end": "24:00"}, True),
        ({"period_end": "19:60"}, True),
        ({"period_begin": "20:00", "period_end": "08:00"}, True),
        ({"period_end": "08:00"}, True),
    ],
)
def test_a_regular_stretch_lies_within_a_weekday(change: dict[str, Any], odd: bool) -> None:
    assert bool(findings(opening(regular_hours=[stretch(**change)]))) == odd


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        pytest.param({}, "at least one of", marks=pytest.mark.catalogue("LOC-077")),
        pytest.param({"issuer": "Elkort", "type": "RFID"}, "at least one of", marks=pytest.mark.catalogue("LOC-077")),
        pytest.param({"group_id": "G"}, "", marks=pytest.mark.catalogue("LOC-077")),
        pytest.param({"uid": "04A1"}, "uid needs a type", marks=pytest.mark.catalogue("LOC-078")),
        pytest.param({"uid": "04A1", "type": "RFID"}, "", marks=pytest.mark.catalogue("LOC-078")),
        pytest.param({"visual_number": "7"}, "visual_number needs", marks=pytest.mark.catalogue("LOC-078")),
        pytest.param({"visual_number": "7", "issuer": "Elkort"}, "", marks=pytest.mark.catalogue("LOC-078")),
    ],
)
def test_whom_a_location_may_be_shown_to_is_told_in_full(driver: dict[str, Any], said: str) -> None:
    found = findings({"publish": False, "publish_allowed_to": [driver]})
    assert len(found) == bool(said)
    assert all(f"publish_allowed_to[0]: {said}" in text for text in found)


@pytest.mark.catalogue("LOC-052", "LOC-081")
def test_a_removed_evse_needs_no_evse_id_and_a_schedule_no_end() -> None:
    ends = {"period_begin": TIME, "period_end": TIME, "status": "BLOCKED"}
    schedule = [{"period_begin": TIME, "status": "PLANNED"}, ends]
    assert findings({"evses": [evse(status="REMOVED"), evse(uid="702", status_schedule=schedule)]}) == []


@pytest.mark.catalogue("LOC-056")
def test_connectors_of_two_evses_may_have_one_id() -> None:
    assert findings({"evses": [evse(), evse(uid="702")]}) == []
