"""All checks together: each names rows of the catalogue, in plain words, for peers that there are."""

import csv

from hub.kit.check import KINDS, Group, title
from hub.kit.runner import GROUPS, NAMES
from hub.settings import CHECKOUT

ALL = [check for group in GROUPS for check in group.checks]
with (CHECKOUT / "tests" / "spec" / "catalogue.csv").open(encoding="utf-8") as rows:
    CATALOGUE = {row["id"]: row for row in csv.DictReader(rows)}


def test_each_check_is_of_the_catalogue() -> None:
    """A MUST of the kit is one of the catalogue, so that nobody is failed for less; the place in the spec is right."""
    for check in ALL:
        row = CATALOGUE[check.ids[0]]
        derived = " (derived)" if row["requirement"].startswith("[derived]") else ""
        assert (check.strength, check.source) == (row["strength"], row["where"] + derived), check
        assert set(check.ids) <= set(CATALOGUE), check


def test_each_check_says_what_it_is_about() -> None:
    for check in ALL:
        assert 10 < len(check.title) < 120, check
        assert not check.title.endswith("."), check
        assert check.kinds, check
        assert check.kinds <= KINDS, check


def test_no_two_checks_of_a_group_have_the_same_title() -> None:
    shown = [(check.group, check.title, check.kinds) for check in ALL]
    assert len(set(shown)) == len(shown)


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(GROUPS)


def test_a_check_without_docstring_is_named_by_its_function() -> None:
    async def looks(peer: object) -> None:
        pass

    assert title(looks) == "looks"


def test_a_group_keeps_the_order() -> None:
    group = Group("x")

    @group.check("A", "B", should=True, kinds="cpo hub", writes=True)
    async def first(peer: object) -> None:
        """The first one."""

    [check] = group.checks
    assert (check.ids, check.title, check.strength) == (("A", "B"), "The first one", "SHOULD")
    assert check.kinds == {"cpo", "hub"}
