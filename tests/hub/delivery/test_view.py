"""hub.delivery.view: what a receiver sees of two rows."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import view
from hub.store.objects import Kept
from modules.catalog import LOCATIONS, TARIFFS

Maker = Callable[..., Any]
minutes = st.integers(0, 30)
evses = st.dictionaries(st.sampled_from(["E1", "E2", "E3"]), st.tuples(minutes, st.sampled_from(["A", "B"])))


def _row(maker: Maker, location: Maker, audience: str, data: st.DataObject) -> Kept:
    minute, name = data.draw(minutes), data.draw(st.sampled_from(["x", "y"]))
    body = location(minute, name, **data.draw(evses))
    row: Kept = maker(body, audience, data.draw(minutes))
    row.times[""] = f"2026-01-01T00:{minute:02}:00Z"
    return row


def _evse(body: dict[str, Any], uid: str) -> dict[str, Any] | None:
    return next((evse for evse in body["evses"] if evse["uid"] == uid), None)


@given(st.data())
def test_one_row_is_seen_as_it_is(kept: Maker, location: Maker, data: st.DataObject) -> None:
    row = _row(kept, location, "DE*MSA", data)
    assert view.view(row, None, LOCATIONS) == view.view(None, row, LOCATIONS) == view.read(row)


@given(st.data())
def test_the_same_row_twice_is_the_same(kept: Maker, location: Maker, data: st.DataObject) -> None:
    row = _row(kept, location, "*", data)
    assert view.view(row, row, LOCATIONS) == view.read(row)


@given(st.data())
def test_each_level_is_the_newer_of_the_two(kept: Maker, location: Maker, data: st.DataObject) -> None:
    own, everybody = _row(kept, location, "DE*MSA", data), _row(kept, location, "*", data)
    seen = view.view(own, everybody, LOCATIONS)
    assert seen is not None
    assert seen["name"] == view.read(view.winner(own, everybody, ""))["name"]
    for uid in own.times.keys() & everybody.times.keys() & {"E1", "E2", "E3"}:
        newer = view.read(view.winner(own, everybody, uid))
        assert _evse(seen, uid) == _evse(newer, uid)
    stamps = [row.times[path] for row in (own, everybody) for path in row.times if path in ("", "E1")]
    assert seen["last_updated"] >= min(stamps)
    assert seen["last_updated"] == max([e["last_updated"] for e in seen["evses"]] + [seen["last_updated"]])


@given(st.data())
def test_seeing_is_idempotent(kept: Maker, location: Maker, data: st.DataObject) -> None:
    own, everybody = _row(kept, location, "DE*MSA", data), _row(kept, location, "*", data)
    seen = view.view(own, everybody, LOCATIONS)
    times = {path: max(row.times.get(path, "") for row in (own, everybody)) for path in {*own.times, *everybody.times}}
    again = kept(seen, "DE*MSA", 59, times=times)
    assert view.view(again, everybody, LOCATIONS) == seen


def test_a_newer_child_of_an_older_parent_is_seen_and_moves_its_time(kept: Maker, location: Maker) -> None:
    own = kept(location(10, "own", E1=(3, "AVAILABLE")), "DE*MSA")
    everybody = kept(location(5, "all", E1=(20, "CHARGING")), times={"": "2026-01-01T00:05:00Z", "E1": _minute(20)})
    seen = view.view(own, everybody, LOCATIONS)
    assert seen is not None
    assert (seen["name"], seen["evses"][0]["status"]) == ("own", "CHARGING")
    assert seen["last_updated"] == _minute(20)


def test_a_child_that_the_newer_parent_lacks_is_gone_unless_it_is_newer(kept: Maker, location: Maker) -> None:
    own = kept(location(10, "own", E1=(3, "A")), "DE*MSA")
    old = kept(location(5, "all", E2=(5, "A")))
    new = kept(location(5, "all", E2=(15, "A")), times={"": _minute(5), "E2": _minute(15), "E2/1": _minute(15)})
    assert [evse["uid"] for evse in (view.view(own, old, LOCATIONS) or {})["evses"]] == ["E1"]
    assert [evse["uid"] for evse in (view.view(own, new, LOCATIONS) or {})["evses"]] == ["E1", "E2"]


def test_equal_times_go_to_the_later_arrival(kept: Maker, location: Maker) -> None:
    own, everybody = kept(location(5, "own"), "DE*MSA", 1), kept(location(5, "all"), "*", 2)
    assert (view.view(own, everybody, LOCATIONS) or {})["name"] == "all"
    assert (view.view(kept(location(5, "own"), "DE*MSA", 3), everybody, LOCATIONS) or {})["name"] == "own"


def test_a_tombstone_hides_what_is_older_and_not_what_is_newer(kept: Maker, location: Maker) -> None:
    tombstone = kept(location(10), "DE*MSA", deleted=True)
    assert view.view(tombstone, None, TARIFFS) is None
    assert view.view(tombstone, kept(location(5)), TARIFFS) is None
    assert view.view(tombstone, kept(location(15, "new")), TARIFFS) == location(15, "new")
    assert view.view(None, None, TARIFFS) is None


def test_numbers_keep_their_form(kept: Maker, location: Maker) -> None:
    row = kept(location(5))
    text = row.body.replace('"name": "L"', '"name": "L", "price": 2.00')
    seen = view.view(
        None, Kept(*(1, "NL*CPA", "K", "*", text, row.times, row.last_updated, False, row.stored_at)), TARIFFS
    )
    assert str((seen or {})["price"]) == "2.00"


def _minute(minute: int) -> str:
    return f"2026-01-01T00:{minute:02}:00Z"
