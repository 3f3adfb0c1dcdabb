"""What of a Location may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
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


@pytest.mark.catalogue("LOC-075", "LOC-076")
def test_small_classes() -> None:
    monday = {"weekday": 10, "period_begin": "06:00", "period_end": "06:00:00"}
    assert types.check(Hours, {"twentyfourseven": False, "regular_hours": [monday]}) == [
        Finding("regular_hours[0].weekday", "must be at most 9"),
        Finding("regular_hours[0].period_end", "longer than 5 characters"),
    ]
    image = {"url": "u2.png", "category": "LOCATION", "type": "image/png", "width": 123_456}
    assert [finding.path for finding in types.check(Image, image)] == ["url", "type", "width"]
