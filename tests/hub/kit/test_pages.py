"""Pages and their headers, as partners write them."""

from typing import Any

import pytest
from multidict import CIMultiDict

from hub.kit import pages
from hub.kit.ask import Heard
from hub.kit.check import Skipped
from hub.ocpi.envelope import envelope

URL = "https://x.example/tariffs"


def page(*found: Any, url: str = URL, **shown: str) -> pages.Page:
    headers = CIMultiDict({name.replace("_", "-"): value for name, value in shown.items()})
    return pages.read(Heard(200, headers, envelope(list(found)), 1.0, "", "GET", url))


@pytest.mark.parametrize(
    ("link", "right"),
    [
        ('<https://x.example/a?offset=1>; rel="next"', True),
        ("<https://x.example/a?offset=1>;rel=next", True),
        ('<https://x.example/first>; rel="first", <https://x.example/a?b=1,2>; rel="next"', True),
        ('https://x.example/a; rel="next"', False),
        ('</a?offset=1>; rel="next"', False),
        ('<https://x.example/a>; rel="prev"', False),
    ],
)
def test_links(link: str, right: bool) -> None:
    assert (pages.malformed_link(page(Link=link)) is None) is right
    assert pages.malformed_link(page()) is None


@pytest.mark.parametrize(
    ("link", "foreign"),
    [
        ("https://x.example:443/a", False),
        ("http://x.example/a", True),
        ("https://y.example/a", True),
        ("https://x.example.evil/a", True),
        ("https://x.example:99999999/a", True),
        ("/a", True),
    ],
)
def test_a_link_elsewhere_is_foreign(link: str, foreign: bool) -> None:
    assert (pages.foreign_link(page(Link=f'<{link}>; rel="next"')) is not None) is foreign


COUNTS = [("5", 5), (" 7 ", 7), ("-1", None), ("many", None), ("٣", None), ("9" * 20, None)]


@pytest.mark.parametrize(("text", "number"), COUNTS)
def test_counts(text: str, number: int | None) -> None:
    assert page(X_Total_Count=text).total == number
    assert page(X_Limit=text).limit == number


def test_filters_that_a_link_lost() -> None:
    asked = f"{URL}?date_from=2026-01-01T00%3A00%3A00Z&limit=1"
    link = "<https://x.example/tariffs?offset=1&limit=1>; rel=next"
    assert pages.lost_filters(page(url=asked, Link=link), ("date_from", "date_to")) == ["date_from"]


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ({"country_code": "NL", "party_id": "CPA", "id": "LOC1"}, "NL CPA LOC1"),
        ({"country_code": "DE", "party_id": "MSA", "uid": "04A1B2C3", "type": "RFID"}, "DE MSA …C3 RFID"),
        ({"country_code": "DE", "party_id": "MSA", "role": "EMSP"}, "DE MSA EMSP"),
        ({}, "an object without an id"),
    ],
)
def test_an_object_is_named_and_a_card_is_not(found: Any, name: str) -> None:
    assert pages.name(found) == name


def test_what_is_no_list_is_not_judged() -> None:
    for status, data in ((200, {}), (500, []), (200, None)):
        with pytest.raises(Skipped, match=r"the list could not be read: GET https://x\.example/tariffs was answered"):
            pages.read(Heard(status, {}, envelope(data), 1.0, "", "GET", URL))
