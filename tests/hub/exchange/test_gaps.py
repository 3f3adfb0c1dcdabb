"""hub.exchange.gaps: what a partner's store says, held against what it was given."""

import copy
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.exchange import gaps
from hub.exchange.gaps import Kind, Meaning
from hub.ocpi import envelope
from hub.sandbox import samples
from hub.store.reconciliations import Standing
from modules.catalog import CDRS, LOCATIONS, SESSIONS, TARIFFS

AT = "2026-01-02T03:04:05.678Z"
PLACE = samples.location(at=AT)
DAY = datetime(2026, 1, 2, tzinfo=UTC)


def changed(body: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """A copy with one value replaced."""
    found = copy.deepcopy(body)
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return found


def test_what_was_given_is_what_it_should_be() -> None:
    for module, body in ((LOCATIONS, PLACE), (TARIFFS, samples.tariff(at=AT)), (SESSIONS, samples.session(at=AT))):
        assert gaps.compare(module, body, copy.deepcopy(body)) is None


def test_gone_deleted_and_still_there() -> None:
    missing = gaps.compare(LOCATIONS, PLACE, None)
    assert missing is not None
    assert missing.kind is Kind.MISSING
    assert gaps.compare(TARIFFS, None, None) is None
    still = gaps.compare(TARIFFS, None, samples.tariff())
    assert still is not None
    assert still.kind is Kind.OLDER


@pytest.mark.parametrize(
    "path", [("last_updated",), ("evses", 0, "last_updated"), ("evses", 1, "connectors", 0, "last_updated")]
)
def test_a_level_that_is_older_makes_an_older_object(path: tuple[str | int, ...]) -> None:
    newest = "2026-01-03T00:00:00Z"
    ours = changed(PLACE, *path, to=newest)
    found = gaps.compare(LOCATIONS, ours, PLACE)
    assert found is not None
    assert found.kind is Kind.OLDER
    assert gaps.compare(LOCATIONS, PLACE, ours) is None  # what is newer there came another way


def test_a_parent_that_did_not_take_over_its_childs_time_is_not_older() -> None:
    newer = "2026-01-03T00:00:00Z"
    theirs = changed(PLACE, "evses", 0, "last_updated", to=newer)
    ours = changed(theirs, "last_updated", to=newer)
    assert gaps.compare(LOCATIONS, ours, theirs) is None


def test_an_evse_that_is_gone_is_named() -> None:
    found = gaps.compare(LOCATIONS, PLACE, changed(PLACE, "evses", to=PLACE["evses"][:1]))
    assert found is not None
    assert (found.kind, found.detail) == (Kind.OLDER, "evses EVSE2: it was given and is not there")


def test_another_content_is_named_by_its_fields_at_its_level() -> None:
    found = gaps.compare(LOCATIONS, PLACE, changed(PLACE, "evses", 0, "status", to="REMOVED"))
    assert found is not None
    assert (found.kind, found.detail) == (Kind.DIFFERENT, "evses EVSE1: differs in status")
    bill = samples.cdr(samples.session(at=AT) | {"kwh": 7}, PLACE, samples.tariff(), at=AT)
    wrong = changed(bill, "total_cost", to={"excl_vat": Decimal("1.00")})
    found = gaps.compare(CDRS, bill, wrong)
    assert found is not None
    assert (found.kind, found.detail) == (Kind.DIFFERENT, "differs in total_cost")


def test_how_a_thing_is_written_and_what_is_left_out_do_not_matter() -> None:
    theirs = changed(PLACE, "last_updated", to="2026-01-02T03:04:05Z") | {"id": "loc1", "internal": 7}
    theirs = changed(theirs, "evses", 0, "connectors", 0, "max_voltage", to=Decimal("230.00"))
    del theirs["time_zone"]
    theirs = changed(theirs, "evses", to=theirs["evses"][::-1])
    assert gaps.compare(LOCATIONS, PLACE, theirs) is None
    session = samples.session(at=AT) | {"charging_periods": [{"start_date_time": AT}]}
    assert gaps.compare(SESSIONS, session, session | {"charging_periods": []}) is None  # they grow by PATCH


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("aZ1", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.sampled_from(["name", "city", "x"]), JSON).map(lambda b: b | {"last_updated": AT})


@given(BODIES, st.sets(st.sampled_from(["name", "city", "x"])))
def test_whatever_is_left_out_nothing_is_wrong(body: dict[str, Any], dropped: set[str]) -> None:
    assert gaps.compare(TARIFFS, body, {name: value for name, value in body.items() if name not in dropped}) is None


@given(BODIES, BODIES)
def test_two_of_one_time_differ_whichever_way_one_looks(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (gaps.compare(TARIFFS, one, other) is None) == (gaps.compare(TARIFFS, other, one) is None)


@given(BODIES, BODIES, st.integers(1, 10**6))
def test_of_two_times_just_the_older_is_wrong(one: dict[str, Any], other: dict[str, Any], later: int) -> None:
    newer = one | {"last_updated": (DAY + timedelta(days=1, seconds=later)).isoformat().replace("+00:00", "Z")}
    found = gaps.compare(TARIFFS, newer, other)
    assert found is not None
    assert found.kind is Kind.OLDER
    assert gaps.compare(TARIFFS, other, newer) is None


@given(st.sampled_from(["delivered", "owed", "waiting", "parked", "discarded"]), st.booleans())
def test_only_what_stood_still_and_was_delivered_is_a_gap(state: str, moved: bool) -> None:
    before = Standing("NL*CPA", "tariffs", "T1", DAY, "delivered")
    after = Standing("NL*CPA", "tariffs", "T1", DAY + timedelta(seconds=moved), state)
    assert gaps.is_gap(before, after) is (state == "delivered" and not moved)
    assert not gaps.is_gap(before, None)


@pytest.mark.parametrize(
    ("status", "content", "meaning"),
    [
        (200, envelope.envelope({"id": "T1"}), Meaning.THERE),
        (200, envelope.envelope(None), Meaning.NOT_THERE),
        (200, envelope.envelope([]), Meaning.NOT_THERE),
        (200, envelope.envelope(["T1"]), Meaning.UNCLEAR),
        (200, envelope.envelope(None, 2003), Meaning.NOT_THERE),
        (404, envelope.envelope(None, 2000), Meaning.NOT_THERE),
        (404, b"<html>", Meaning.NOT_OFFERED),
        (405, b"", Meaning.NOT_OFFERED),
        (501, b"", Meaning.NOT_OFFERED),
        *((status, b"", Meaning.AWAY) for status in (401, 408, 429, 500, 502, 503, 504)),
        (200, envelope.envelope(None, 3000), Meaning.UNCLEAR),
        (200, b"<html>", Meaning.UNCLEAR),
        (400, envelope.envelope(None, 2001), Meaning.UNCLEAR),
        (302, b"", Meaning.UNCLEAR),
    ],
    ids=lambda value: "answer" if isinstance(value, bytes) else None,  # it holds the time: workers must agree on names
)
def test_what_an_answer_means(status: int, content: bytes, meaning: Meaning) -> None:
    found = gaps.heard(status, content)
    assert found.meaning is meaning
    assert (found.body is not None) is (meaning is Meaning.THERE)
    assert bool(found.why) is (meaning not in (Meaning.THERE, Meaning.NOT_THERE))


@given(st.integers(100, 599), st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_answered_it_means_something(status: int, content: bytes) -> None:
    assert gaps.heard(status, content).meaning in Meaning
