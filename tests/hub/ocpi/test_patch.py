"""The algebra of PUT and PATCH: newer wins at each level, nothing goes backwards, nothing is lost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import patch
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.patch import Outcome, State
from hub.ocpi.types import format_datetime, parse_datetime
from modules.catalog import LOCATIONS, SESSIONS, TARIFFS

START = datetime(2026, 1, 1, tzinfo=UTC)
Body = dict[str, Any]


def at(minute: int) -> str:
    return format_datetime(START + timedelta(minutes=minute))


def connector(connector_id: str, minute: int, **more: Any) -> Body:
    return {"id": connector_id, "last_updated": at(minute), **more}


def evse(uid: str, minute: int, *connectors: Body, **more: Any) -> Body:
    return {"uid": uid, "status": "AVAILABLE", "connectors": list(connectors), "last_updated": at(minute), **more}


def location(minute: int, *evses: Body, **more: Any) -> Body:
    return {"id": "LOC1", "evses": list(evses), "last_updated": at(minute), **more}


def stored(body: Body) -> State:
    outcome, state = patch.put(None, body, LOCATIONS)
    assert outcome is Outcome.CREATED
    assert state is not None
    return state


class TestPut:
    def test_first_put_creates_and_notes_each_levels_own_time(self) -> None:
        state = stored(location(5, evse("e1", 3, connector("1", 2))))
        assert state.times == {"": at(5), "E1": at(3), "E1/1": at(2)}

    def test_newer_replaces_and_optional_fields_do_not_survive(self) -> None:
        outcome, state = patch.put(stored(location(1, name="old")), location(2), LOCATIONS)
        assert (outcome, state and state.body) == (Outcome.APPLIED, location(2))

    def test_older_is_ignored(self) -> None:
        before = stored(location(5))
        assert patch.put(before, location(4, name="late"), LOCATIONS) == (Outcome.OLDER, before)

    def test_equal_and_same_is_a_no_op(self) -> None:
        before = stored(location(5))
        assert patch.put(before, location(5), LOCATIONS) == (Outcome.SAME, before)

    def test_equal_but_different_is_won_by_the_later_arrival(self) -> None:
        outcome, state = patch.put(stored(location(5)), location(5, name="other"), LOCATIONS)
        assert outcome is Outcome.CONFLICT
        assert state is not None
        assert state.body["name"] == "other"

    def test_an_evse_left_out_is_gone(self) -> None:
        _, state = patch.put(stored(location(1, evse("E1", 1))), location(2), LOCATIONS)
        assert state is not None
        assert state.body["evses"] == []
        assert set(state.times) == {""}

    @pytest.mark.catalogue("LOC-032")
    def test_a_stored_evse_that_is_newer_stays_and_lifts_the_parent(self) -> None:
        before = stored(location(1, evse("E1", 1)))
        _, charged = patch.patch(before, {"status": "CHARGING", "last_updated": at(9)}, LOCATIONS, ("E1",))
        outcome, state = patch.put(charged, location(5, evse("E1", 1), name="new"), LOCATIONS)
        assert outcome is Outcome.APPLIED
        assert state is not None
        assert state.body["evses"][0]["status"] == "CHARGING"
        assert state.body["name"] == "new"
        assert state.body["last_updated"] == at(9)
        assert state.times == {"": at(5), "E1": at(9)}

    def test_the_time_taken_over_from_a_child_does_not_make_the_parent_newer(self) -> None:
        _, charged = patch.patch(
            stored(location(1, evse("E1", 1))), {"status": "CHARGING", "last_updated": at(9)}, LOCATIONS, ("E1",)
        )
        outcome, _ = patch.put(charged, location(5, evse("E1", 9)), LOCATIONS)
        assert outcome is Outcome.APPLIED

    def test_the_same_put_again_after_a_childs_change_is_the_same(self) -> None:
        body = location(1, evse("E1", 1))
        _, charged = patch.patch(stored(body), {"status": "CHARGING", "last_updated": at(9)}, LOCATIONS, ("E1",))
        _, state = patch.put(charged, body, LOCATIONS)
        assert state is not None
        assert state.body["evses"][0]["status"] == "CHARGING"
        assert state.body["last_updated"] == at(9)


class TestParts:
    @pytest.mark.catalogue("LOC-021", "LOC-022", "LOC-032")
    def test_put_of_a_connector_lifts_evse_and_location_to_its_time(self) -> None:
        before = stored(location(1, evse("E1", 1, connector("1", 1))))
        _, state = patch.put(before, connector("1", 7, max_voltage=230), LOCATIONS, ("e1", "1"))
        assert state is not None
        assert state.body["last_updated"] == state.body["evses"][0]["last_updated"] == at(7)
        assert state.times == {"": at(1), "E1": at(1), "E1/1": at(7)}

    def test_put_of_a_new_evse_is_added(self) -> None:
        outcome, state = patch.put(stored(location(1, evse("E1", 1))), evse("E2", 2), LOCATIONS, ("E2",))
        assert outcome is Outcome.CREATED
        assert state is not None
        assert [e["uid"] for e in state.body["evses"]] == ["E1", "E2"]

    @pytest.mark.catalogue("LOC-025")
    def test_put_below_an_unknown_parent_is_refused(self) -> None:
        with pytest.raises(NotFound):
            patch.put(None, evse("E1", 1), LOCATIONS, ("E1",))
        with pytest.raises(NotFound):
            patch.put(stored(location(1)), connector("1", 2), LOCATIONS, ("E1", "1"))

    @pytest.mark.catalogue("LOC-028", "TF-054")
    def test_patch_needs_last_updated_and_something_to_patch(self) -> None:
        with pytest.raises(InvalidParameters, match="last_updated"):
            patch.patch(stored(location(1)), {"name": "x"}, LOCATIONS)
        with pytest.raises(NotFound):
            patch.patch(stored(location(1)), {"status": "CHARGING", "last_updated": at(2)}, LOCATIONS, ("E9",))

    @pytest.mark.catalogue("LOC-031")
    def test_patch_replaces_lists_as_a_whole_and_leaves_the_rest(self) -> None:
        before = stored(location(1, evse("E1", 1, capabilities=["RFID_READER"], floor_level="1")))
        _, state = patch.patch(before, {"capabilities": ["RESERVABLE"], "last_updated": at(2)}, LOCATIONS, ("E1",))
        found = patch.find_part(state.body, LOCATIONS, ("e1",))
        assert found is not None
        assert (found["capabilities"], found["floor_level"]) == (["RESERVABLE"], "1")

    @pytest.mark.catalogue("LOC-033")
    def test_an_older_patch_changes_nothing(self) -> None:
        before = stored(location(5, evse("E1", 5)))
        outcome, state = patch.patch(before, {"status": "CHARGING", "last_updated": at(4)}, LOCATIONS, ("E1",))
        assert (outcome, state) == (Outcome.OLDER, before)

    def test_a_patch_with_a_new_list_of_evses_takes_their_own_times(self) -> None:
        before = stored(location(1, evse("E1", 1), evse("E2", 1)))
        _, state = patch.patch(before, {"evses": [evse("E3", 2)], "last_updated": at(2)}, LOCATIONS)
        assert state.times == {"": at(2), "E3": at(2)}


SESSION: Body = {"id": "S1", "kwh": 1, "charging_periods": [{"start_date_time": at(0)}], "last_updated": at(0)}


class TestSessions:
    @pytest.mark.catalogue("SES-027", "SES-030", "SES-031")
    def test_patch_appends_periods_and_never_doubles_one(self) -> None:
        change = {"charging_periods": [{"start_date_time": at(5), "n": 1}], "last_updated": at(5)}
        _, first = patch.patch(State(SESSION, {"": at(0)}), change, SESSIONS)
        _, second = patch.patch(first, {**change, "last_updated": at(6)}, SESSIONS)
        assert [p["start_date_time"] for p in second.body["charging_periods"]] == [at(0), at(5)]

    @pytest.mark.catalogue("SES-028")
    def test_patch_without_periods_leaves_them(self) -> None:
        _, state = patch.patch(
            State(SESSION, {"": at(0)}), {"kwh": 2, "charging_periods": [], "last_updated": at(1)}, SESSIONS
        )
        assert state.body["charging_periods"] == SESSION["charging_periods"]

    @pytest.mark.catalogue("SES-022", "SES-023")
    def test_put_replaces_periods(self) -> None:
        _, state = patch.put(State(SESSION, {"": at(0)}), {"id": "S1", "kwh": 2, "last_updated": at(1)}, SESSIONS)
        assert state is not None
        assert "charging_periods" not in state.body


minutes = st.integers(0, 6)
connectors = st.lists(st.sampled_from("12"), unique=True, min_size=1).flatmap(
    lambda ids: st.tuples(*(st.builds(connector, st.just(i), minutes) for i in ids))
)
evses = st.lists(st.sampled_from("AB"), unique=True).flatmap(
    lambda uids: st.tuples(*(st.builds(lambda m, c, uid=uid: evse(uid, m, *c), minutes, connectors) for uid in uids))
)
locations = st.builds(lambda m, e, n: location(m, *e, name=n), minutes, evses, st.sampled_from(["x", "y"]))


def newest(body: Body) -> datetime:
    return parse_datetime(body["last_updated"])


@given(st.lists(locations, min_size=1, max_size=6))
def test_puts_never_take_a_location_back(bodies: list[Body]) -> None:
    state: State | None = None
    for body in bodies:
        before = state
        outcome, state = patch.put(before, body, LOCATIONS)
        assert state is not None
        assert set(state.times) >= {""}
        if before is not None:
            assert parse_datetime(state.times[""]) >= parse_datetime(before.times[""])
            for uid in ("A", "B"):
                old, new = before.times.get(uid), state.times.get(uid)
                # An EVSE may go back only by leaving, or by a newer Location that says an equal or newer EVSE.
                assert old is None or new is None or parse_datetime(new) >= parse_datetime(old)
        again, same = patch.put(state, body, LOCATIONS)
        assert again in (Outcome.SAME, Outcome.OLDER, Outcome.CONFLICT)
        assert same is not None
        assert outcome is not Outcome.CREATED or before is None


@given(locations, locations)
def test_what_a_put_leaves_is_explained_by_its_levels(first: Body, second: Body) -> None:
    state = patch.put(stored(first), second, LOCATIONS)[1]
    assert state is not None
    for child in state.body["evses"]:
        assert newest(state.body) >= newest(child) or state.body["last_updated"] == state.times[""]


def test_tariffs_have_no_parts() -> None:
    _, state = patch.put(None, {"id": "T", "last_updated": at(0)}, TARIFFS)
    assert state is not None
    assert state.times == {"": at(0)}
