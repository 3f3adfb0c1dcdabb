"""PUT and PATCH as a receiver applies them, level by level."""

import pytest

from hub.ocpi.errors import InvalidParameters, NotFound
from hub.sandbox import samples
from hub.sandbox.shelf import EVSES_AND_CONNECTORS, Shelf
from modules.locations.schemas import EVSE, Connector, Location
from modules.sessions.schemas import Session

EARLY, NOON, LATE = (f"2026-01-01T{hour}:00:00Z" for hour in ("08", "12", "16"))
LOC = ("NL", "CPA", "LOC1")


@pytest.fixture
def locations() -> Shelf:
    shelf = Shelf("locations", Location, EVSE, Connector, levels=EVSES_AND_CONNECTORS)
    shelf.put(LOC, samples.location(at=NOON))
    return shelf


def held(shelf: Shelf, *ref: str) -> dict[str, object]:
    found = shelf.get(*ref)
    assert found is not None
    return found


def test_a_put_is_new_once_and_found_in_any_case(locations: Shelf) -> None:
    assert not locations.put(LOC, samples.location(at=NOON))
    assert held(locations, "nl", "cpa", "loc1", "evse2")["uid"] == "EVSE2"
    assert locations.get("NL", "CPA", "LOC1", "EVSE9") is None
    assert locations.get("NL", "CPA", "LOC2", "EVSE1", "1") is None


def test_a_change_below_moves_the_levels_above(locations: Shelf) -> None:
    locations.patch((*LOC, "EVSE1"), {"status": "CHARGING", "last_updated": LATE})
    assert held(locations, *LOC, "EVSE1")["status"] == "CHARGING"
    assert held(locations, *LOC)["last_updated"] == LATE
    assert held(locations, *LOC, "EVSE2")["last_updated"] == NOON
    assert held(locations, *LOC, "EVSE1", "1")["last_updated"] == NOON


def test_a_patch_replaces_a_list_as_a_whole(locations: Shelf) -> None:
    locations.patch((*LOC, "EVSE1", "1"), {"tariff_ids": ["OTHER"], "last_updated": LATE})
    assert held(locations, *LOC, "EVSE1", "1")["tariff_ids"] == ["OTHER"]
    assert held(locations, *LOC, "EVSE1")["last_updated"] == LATE


def test_a_put_replaces_the_whole_level(locations: Shelf) -> None:
    body = samples.location(at=LATE)
    del body["name"]
    body["evses"] = body["evses"][1:]
    locations.put(LOC, body)
    assert held(locations, *LOC) == body


def test_what_is_older_changes_nothing_and_is_noted(locations: Shelf) -> None:
    locations.patch((*LOC, "EVSE1"), {"status": "CHARGING", "last_updated": EARLY})
    locations.put((*LOC, "EVSE2"), {**samples.evse(number=2, at=EARLY), "status": "BLOCKED"})
    locations.put(LOC, {**samples.location(at=EARLY), "name": "Old"})
    assert held(locations, *LOC) == samples.location(at=NOON)
    assert len(locations.backwards) == 3


def test_a_newer_location_keeps_an_evse_that_is_newer_still(locations: Shelf) -> None:
    locations.patch((*LOC, "EVSE1"), {"status": "CHARGING", "last_updated": LATE})
    stale = samples.location(at="2026-01-01T14:00:00Z")
    stale["evses"][0]["last_updated"] = NOON
    locations.put(LOC, {**stale, "name": "New"})
    assert held(locations, *LOC)["name"] == "New"
    assert held(locations, *LOC, "EVSE1")["status"] == "CHARGING"
    assert held(locations, *LOC)["last_updated"] == LATE
    assert len(locations.backwards) == 1


def test_a_moment_taken_over_from_below_is_no_bar_for_the_level_itself(locations: Shelf) -> None:
    locations.patch((*LOC, "EVSE1"), {"status": "CHARGING", "last_updated": LATE})
    locations.patch(LOC, {"name": "New", "last_updated": "2026-01-01T14:00:00Z"})
    assert held(locations, *LOC)["name"] == "New"
    assert locations.backwards == []


def test_what_is_refused(locations: Shelf) -> None:
    with pytest.raises(NotFound):
        locations.patch((*LOC, "EVSE9"), {"status": "CHARGING", "last_updated": LATE})
    with pytest.raises(NotFound):
        locations.put(("NL", "CPA", "LOC2", "EVSE1"), samples.evse())
    with pytest.raises(InvalidParameters, match="last_updated"):
        locations.patch((*LOC, "EVSE1"), {"status": "CHARGING"})
    with pytest.raises(InvalidParameters, match="party_id"):
        locations.put(("NL", "CPX", "LOC1"), samples.location())
    with pytest.raises(InvalidParameters, match="uid"):
        locations.put((*LOC, "EVSE2"), samples.evse(number=1))
    with pytest.raises(InvalidParameters, match="address"):
        locations.put(LOC, {n: v for n, v in samples.location().items() if n != "address"})


def test_delete_and_back() -> None:
    shelf = Shelf("locations", Location)
    shelf.put(LOC, samples.location())
    shelf.delete(LOC)
    assert len(shelf) == 0
    with pytest.raises(NotFound):
        shelf.delete(LOC)
    assert shelf.put(LOC, samples.location())


def test_charging_periods_grow_by_patch_and_are_replaced_by_put() -> None:
    ref = ("NL", "CPA", "SESSION1")
    shelf = Shelf("sessions", Session, append=frozenset({"charging_periods"}))
    first, second = ({"start_date_time": at, "dimensions": [{"type": "ENERGY", "volume": 1}]} for at in (EARLY, NOON))
    shelf.put(ref, {**samples.session(at=EARLY), "charging_periods": [first]})
    shelf.patch(ref, {"charging_periods": [second], "last_updated": NOON})
    shelf.patch(ref, {"charging_periods": [second], "last_updated": NOON})
    shelf.patch(ref, {"kwh": 2, "last_updated": NOON})
    assert held(shelf, *ref)["charging_periods"] == [first, second]
    shelf.put(ref, samples.session(at=LATE))
    assert held(shelf, *ref)["charging_periods"] == []
