"""hub.delivery.need: the algebra of what is owed."""

from hypothesis import given
from hypothesis import strategies as st

from hub.delivery import need
from hub.delivery.need import WHOLE, Need

levels = st.sampled_from(["", "E1", "E2", "E1/1", "E1/2", "E2/1"])
fields = st.none() | st.frozensets(st.sampled_from(["status", "images", "last_updated"]))
parts = {"": [], "E1": ["e1"], "E2": ["E2"], "E1/1": ["E1", "1"], "E1/2": ["E1", "2"], "E2/1": ["E2", "1"]}
changes = st.builds(lambda level, names: need.of_change(parts[level], names), levels, fields)


@st.composite
def some_needs(draw: st.DrawFn) -> Need:
    folded = draw(changes)
    for other in draw(st.lists(changes, max_size=4)):
        folded = need.union(folded, other)
    return folded


needs = some_needs()


@given(needs, needs, needs)
def test_rows_may_be_folded_in_any_order(a: Need, b: Need, c: Need) -> None:
    assert need.union(a, b) == need.union(b, a)
    assert need.union(need.union(a, b), c) == need.union(a, need.union(b, c))


@given(needs)
def test_rows_may_be_folded_twice_and_a_whole_object_covers_all(a: Need) -> None:
    assert need.union(a, a) == a
    assert need.union(a, WHOLE) == need.union(WHOLE, a) == WHOLE


@given(needs)
def test_the_table_keeps_a_need_as_it_is(a: Need) -> None:
    assert need.from_json(need.to_json(a)) == a


def test_a_whole_evse_covers_its_connectors_and_its_fields_and_no_other_evse() -> None:
    fields_first = need.union({"E1": frozenset({"status"})}, {"E1/1": None})
    other = need.union(fields_first, {"E10": frozenset({"status"})})
    assert need.union(other, {"E1": None}) == {"E1": None, "E10": frozenset({"status"})}


def test_levels_are_named_without_regard_to_case() -> None:
    assert need.of_change(["evse-1", "a"], ["status"]) == {"EVSE-1/A": frozenset({"status"})}
    assert need.of_change([], None) == WHOLE
