"""Quirks: what is kept of them, what an order may say, and the words for what it may not."""

import pytest

from hub.ocpi import quirks
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.quirks import BY_THE_LETTER, Quirks


def test_only_departures_are_kept_and_back_at_the_letter_they_are_gone() -> None:
    kept = quirks.changed({}, {"links": "query", "paging": "no", "limit": "25", "slash": True, "total": "yes"})
    assert kept == {"links": "query", "paging": False, "limit": 25, "slash": True}
    assert quirks.read(kept) == Quirks(links="query", paging=False, limit=25, slash=True)
    back = quirks.changed(kept, {"links": "follow", "paging": "yes", "limit": 100, "slash": "no"})
    assert back == {}
    assert quirks.read(back) == BY_THE_LETTER


def test_what_another_release_kept_is_left_out() -> None:
    assert quirks.read({"links": "sideways", "colour": "red", "limit": 0, "patch": "no"}) == Quirks(patch="no")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"colour": "red"}, "there is none of this name; there are links, paging"),
        ({"links": "up"}, "links is one of follow, query, none"),
        ({"limit": "0"}, "limit is a number from 1 to 1000"),
        ({"limit": "many"}, "limit is a number from 1 to 1000"),
        ({"timeout": 61}, "timeout is a number from 1 to 60"),
        ({"total": "perhaps"}, "total is yes or no"),
        ({"total": 1}, "total is yes or no"),
    ],
)
def test_an_order_that_cannot_be(order: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidParameters, match=f"quirks: {said}"):
        quirks.changed({}, order)


def test_every_quirk_says_what_it_means() -> None:
    assert set(quirks.explained()) == set(Quirks.__dataclass_fields__)
    assert all(quirks.explained().values())
