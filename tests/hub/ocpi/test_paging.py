"""Paging: the query, the headers, and a crawl that visits everything once."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import headers, paging
from hub.ocpi.errors import InvalidParameters

URL = "https://hub.example/ocpi/2.2.1/sender/locations"


def page_of(ids: Sequence[int], query: dict[str, str]) -> tuple[list[int], dict[str, str]]:
    """A server over sorted ids, as pages.py does it."""
    asked = paging.parse(query)
    total = asked.total if asked.total is not None else len(ids)
    rest = [i for i in ids if i > asked.after] if asked.after is not None else ids[asked.offset :]
    rows = list(rest[: asked.limit])
    more = len(rest) > asked.limit
    return rows, paging.answer_headers(URL, query, asked, len(rows), total, rows[-1] if rows else None, more=more)


@pytest.mark.catalogue("TF-031", "TF-032", "TF-034")
@given(st.sets(st.integers(1, 10_000), max_size=300), st.integers(1, 120))
def test_a_crawl_sees_every_object_once_in_order(ids: set[int], limit: int) -> None:
    ordered, seen = sorted(ids), list[int]()
    query: dict[str, str] | None = {"limit": str(limit), "date_from": "2026-01-01T00:00:00Z"}
    while query is not None:
        rows, answer = page_of(ordered, query)
        assert answer[headers.TOTAL_COUNT] == str(len(ordered))
        assert answer[headers.LIMIT] == str(paging.MAX_LIMIT)
        seen += rows
        link = paging.next_link(answer.get("Link"))
        query = dict(parse_qsl(urlsplit(link).query)) if link else None
        if query is not None:
            assert query["offset"] == str(len(seen))
            assert query["date_from"] == "2026-01-01T00:00:00Z"
    assert seen == ordered


@pytest.mark.catalogue("TF-030")
@pytest.mark.parametrize(
    "query",
    [
        {"offset": "-1"},
        {"offset": "9" * 30},
        {"offset": "٣"},
        {"limit": "0"},
        {"limit": "1.5"},
        {"limit": "many"},
        {"date_from": "yesterday"},
        {"date_to": "1767225600"},
        {"cursor": "!!"},
        {"cursor": "YWJj"},
    ],
)
def test_what_is_malformed_is_named(query: dict[str, str]) -> None:
    with pytest.raises(InvalidParameters, match=next(iter(query))):
        paging.parse(query)


@pytest.mark.catalogue("TF-029", "TF-041")
def test_dates_without_z_and_limits_above_ours_are_taken() -> None:
    asked = paging.parse({"date_from": "2026-01-01T00:00:00.123", "limit": "100000"})
    assert asked.date_from is not None
    assert asked.date_from.microsecond == 123_000
    assert asked.limit == paging.MAX_LIMIT


@pytest.mark.parametrize(
    ("header", "url"),
    [
        (None, None),
        ('<https://a/?x=1>; rel="next"', "https://a/?x=1"),
        ("<https://a/>; rel=next", "https://a/"),
        ('<https://a/>; rel="prev", <https://b/>; rel="next"', "https://b/"),
        ('<https://a/>; rel="prev"', None),
        ("nonsense", None),
    ],
)
def test_next_link(header: str | None, url: str | None) -> None:
    assert paging.next_link(header) == url
