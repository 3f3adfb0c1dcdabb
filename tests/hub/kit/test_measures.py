"""What answers show of a partner: pure, without anybody to ask."""

from typing import Any

import pytest

from hub.kit import measures, profile
from hub.kit.heard import Heard, ListLook, Look
from hub.ocpi.quirks import Quirks

ENDPOINT = "https://cpa.example/locations"


def _page(*ids: int, total: int | None = 3, link: str | None = None, limit: int | None = 50, **more: Any) -> Heard:
    """A good page with these objects on it."""
    told = {"X-Total-Count": str(total)} if total is not None else {}
    told |= {"X-Limit": str(limit)} if limit is not None else {}
    told |= {"Link": f'<{link}>; rel="next"'} if link is not None else {}
    return Heard(ENDPOINT, 200, "", 1000, [{"id": number} for number in ids], True, told, **more)


def _list(**answers: Heard) -> ListLook:
    return ListLook("locations", ENDPOINT, answers)


def _look(*lists: ListLook) -> Look:
    good = Heard(ENDPOINT, 200, "", 1000, [])
    return Look({"base64": good, "raw": good}, good, "base64", lists)


def test_nothing_heard_measures_nothing() -> None:
    silent = Heard(ENDPOINT, trouble="cpa.example is not reachable")
    look = Look({"base64": silent, "raw": silent}, silent, "raw", (_list(one=silent),))
    found = profile.judge(look)
    assert (found.quirks, found.token_form) == ({}, "raw")
    assert profile.OK not in {row.verdict for row in found.findings}


@pytest.mark.parametrize(("seconds", "timeout"), [(0.2, 10), (4.9, 10), (6.0, 13), (29.0, 59), (40.0, 60)])
def test_who_answers_slowly_is_given_time(seconds: float, timeout: int) -> None:
    assert measures.measured(_look(_list(one=_page(1, seconds=seconds))))["timeout"] == timeout


def test_the_worst_list_decides() -> None:
    good = _list(one=_page(1, link=ENDPOINT + "?offset=1"), two=_page(2), next=_page(2))
    bad = _list(one=_page(1, link="https://elsewhere.example/x?offset=1"), two=_page(2), own=_page(2))
    assert measures.measured(_look(good))["links"] == "follow"
    assert measures.measured(_look(good, bad))["links"] == "query"


def test_links_of_a_list_with_one_object_cannot_be_told() -> None:
    assert measures.links_of(_list(one=_page(1), two=_page())) is None
    assert measures.pages_of(_list(one=_page(1), two=_page())) is None


def test_a_link_that_is_no_url_is_not_used() -> None:
    assert measures.links_of(_list(one=_page(1, link="http://[broken"), two=_page(2))) == "none"


@pytest.mark.parametrize(
    ("one", "huge", "expected"),
    [
        (_page(1), _page(1, 2, 3), True),
        (_page(1), _page(1, 2), False),  # fewer than it says, and no page follows
        (_page(1, total=1), _page(1, 2, 3, total=3), False),  # it counts what is on the page
        (_page(1), _page(1, 2, link=ENDPOINT + "?offset=2"), None),
        (_page(1, total=None), _page(1, 2, 3, total=None), None),
    ],
)
def test_totals(one: Heard, huge: Heard, expected: bool | None) -> None:
    assert measures.total_of(_list(one=one, huge=huge)) is expected


def test_slashes() -> None:
    missing = Heard(ENDPOINT, 404, "", None)
    assert measures.slash_of(_list(plain=_page(1), slashed=_page(1))) is False
    assert measures.slash_of(_list(plain=missing, slashed=_page(1))) is True
    below = {"below": missing, "below/": _page(1)}
    assert measures.slash_of(ListLook("locations", ENDPOINT, {"plain": _page(1), "slashed": _page(1), **below})) is True
    assert measures.slash_of(_list(plain=missing, slashed=missing)) is None


def test_every_measure_is_of_a_quirk() -> None:
    assert set(measures._MEASURES) | {"timeout"} <= set(Quirks.__dataclass_fields__)
