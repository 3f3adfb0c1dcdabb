"""Reading lists page by page, from a simulated partner with every defect that pages can have."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from hub.exchange import crawl
from hub.exchange.crawl import Failed, List, Page, Place
from hub.ocpi import envelope
from hub.ocpi.client import Answer, NoAnswer, Unreachable
from hub.ocpi.quirks import Quirks

ENDPOINT = "https://cpa.example/ocpi/2.2.1/locations"


@dataclass
class Partner:
    """A list of `ids` behind one URL. Each field after `most` is a defect, or something that happens on the way."""

    ids: list[int]
    most: int = 10
    links: str = "right"  # right, missing, relative, http, elsewhere, loop
    total: int | None = 0  # told beside the truth; None: no header at all
    tells_limit: bool = True
    heeds_offset: bool = True
    bears: int = 1000  # larger pages are too much
    on_request: Callable[[int], None] = lambda number: None
    asked: list[URL] = field(default_factory=list)

    async def answer(self, url: str) -> Answer:
        """The page at a URL."""
        self.asked.append(URL(url))
        assert len(self.asked) < 500, "it does not end"
        self.on_request(len(self.asked))
        query = URL(url).query
        limit = min(int(query.get("limit", "100000")), self.most)
        if min(int(query.get("limit", self.most)), self.most) > self.bears:
            return Answer(413, {}, b"")
        offset = int(query.get("offset", "0")) if self.heeds_offset else 0
        shown = self.ids[offset : offset + limit]
        told: dict[str, str] = {}
        if self.total is not None:
            told["x-total-count"] = str(len(self.ids) + self.total)
        if self.tells_limit:
            told["X-LIMIT"] = str(self.most)
        following = offset + len(shown)
        if following < len(self.ids) and self.links != "missing":
            told["Link"] = f'<{self._link(URL(url), following, limit)}>; rel="next"'
        return Answer(200, _Headers(told), envelope.envelope([{"id": number} for number in shown]))

    def _link(self, url: URL, offset: int, limit: int) -> str:
        following = url.update_query(offset=offset, limit=limit)
        if self.links == "relative":
            return following.raw_path_qs
        if self.links == "http":
            return str(following.with_scheme("http"))
        if self.links == "elsewhere":
            return str(following.with_host("evil.example"))
        return str(url.update_query(offset=0)) if self.links == "loop" else str(following)


class _Headers(dict[str, str]):
    """Header names compare without regard to case, as those of a real answer."""

    def get(self, name: str, default: Any = None) -> Any:
        return next((value for key, value in self.items() if key.lower() == name.lower()), default)


def _crawl(partner: Partner, quirks: Quirks | None = None, place: Place | None = None, **filters: str) -> list[Page]:
    """The pages of a partner's list."""

    async def read() -> list[Page]:
        return [page async for page in crawl.pages(partner.answer, List(ENDPOINT, quirks or Quirks(), filters), place)]

    try:
        read().send(None)  # nothing in it waits for anything
    except StopIteration as ended:
        found: list[Page] = ended.value
        return found
    raise AssertionError("it waits")


def _ids(pages: list[Page]) -> list[int]:
    return [entry["id"] for page in pages for entry in page.objects]


def test_a_partner_by_the_letter_is_read_by_its_links_to_the_end() -> None:
    partner = Partner(list(range(25)))
    pages = _crawl(partner, date_from="2026-01-01T00:00:00Z")
    assert _ids(pages) == list(range(25))
    assert [page.whole for page in pages] == [False, False, True]
    assert [url.query["offset"] for url in partner.asked] == ["0", "10", "20"]
    assert {url.query["date_from"] for url in partner.asked} == {"2026-01-01T00:00:00Z"}
    assert partner.asked[0].query["limit"] == "100"


def test_an_empty_list_is_whole() -> None:
    assert [(page.objects, page.whole) for page in _crawl(Partner([]))] == [([], True)]


def test_data_may_be_missing_from_an_empty_list() -> None:
    page = crawl.judge(Answer(200, {}, envelope.envelope()), Place(ENDPOINT, 10), List(ENDPOINT, Quirks(), {}))
    assert (page.objects, page.next, page.whole) == ([], None, True)


@pytest.mark.catalogue("TF-038")
def test_a_falling_total_has_the_page_before_read_again_with_its_offset_lowered() -> None:
    partner = Partner(list(range(30)))
    partner.on_request = lambda number: partner.ids.remove(3) if number == 3 else None
    pages = _crawl(partner)
    assert set(_ids(pages)) == set(range(30))
    assert [url.query["offset"] for url in partner.asked] == ["0", "10", "20", "9", "19", "29"][: len(partner.asked)]
    assert pages[-1].whole


@pytest.mark.catalogue("TF-039")
def test_a_growing_total_restarts_nothing() -> None:
    partner = Partner(list(range(15)))
    partner.on_request = lambda number: partner.ids.append(99) if number == 2 else None
    assert _ids(_crawl(partner)) == [*range(15), 99]
    assert [url.query["offset"] for url in partner.asked] == ["0", "10"]


@given(
    size=st.integers(0, 60),
    most=st.integers(1, 12),
    gone=st.lists(st.tuples(st.integers(1, 12), st.integers(0, 59)), max_size=5),
    tells=st.booleans(),
)
def test_whatever_goes_away_meanwhile_nothing_that_stays_is_missed(
    size: int, most: int, gone: list[tuple[int, int]], tells: bool
) -> None:
    partner = Partner(list(range(size)), most, tells_limit=tells)

    def leave(number: int) -> None:
        for when, who in gone:
            if when == number and who in partner.ids:
                partner.ids.remove(who)

    partner.on_request = leave
    seen = set(_ids(_crawl(partner)))
    assert set(partner.ids) <= seen


DEFECTS: dict[str, tuple[dict[str, Any], Quirks]] = {
    "no Link": ({"links": "missing"}, Quirks()),
    "Link without a host": ({"links": "relative"}, Quirks()),
    "Link with http": ({"links": "http"}, Quirks(links="query")),
    "Link to another host": ({"links": "elsewhere"}, Quirks(links="query")),
    "Link in a circle": ({"links": "loop"}, Quirks(links="none")),
    "no X-Limit": ({"tells_limit": False}, Quirks()),
    "no X-Total-Count": ({"total": None}, Quirks()),
    "total too high": ({"total": 7}, Quirks(total=False)),
    "total too low": ({"total": -3}, Quirks(total=False)),
    "no headers at all": ({"links": "missing", "total": None, "tells_limit": False}, Quirks(links="none")),
    "offset ignored": ({"heeds_offset": False, "most": 1000}, Quirks(paging=False)),
}


@pytest.mark.parametrize("name", DEFECTS)
@given(size=st.integers(0, 45), most=st.integers(1, 20))
def test_with_the_right_quirk_every_partner_is_read_whole(name: str, size: int, most: int) -> None:
    defects, quirks = DEFECTS[name]
    partner = Partner(list(range(size)), **{"most": most, **defects})
    pages = _crawl(partner, replace(quirks, limit=most) if quirks.links == "none" else quirks)
    assert set(_ids(pages)) == set(range(size))
    assert pages[-1].whole


@given(
    size=st.integers(0, 45),
    most=st.integers(1, 20),
    links=st.sampled_from(["right", "missing", "relative", "http", "elsewhere", "loop"]),
    total=st.sampled_from([0, 5, -5, None]),
    tells=st.booleans(),
    heeds=st.booleans(),
)
def test_no_defect_makes_it_endless_or_a_part_of_the_list_the_whole(
    size: int, most: int, links: str, total: int | None, tells: bool, heeds: bool
) -> None:
    partner = Partner(list(range(size)), most, links, total, tells, heeds)
    try:
        pages = _crawl(partner)
    except Failed:
        return
    if pages[-1].whole and total == 0:
        assert set(_ids(pages)) == set(range(size))


@pytest.mark.parametrize(
    ("defects", "said"),
    [
        ({"links": "elsewhere"}, "another origin than its endpoint"),
        ({"links": "http"}, "another origin than its endpoint"),
        ({"links": "loop"}, "lead back to a page"),
        ({"heeds_offset": False}, "the same page whatever the offset"),
    ],
)
def test_what_is_not_followed(defects: dict[str, Any], said: str) -> None:
    partner = Partner(list(range(25)), **defects)
    with pytest.raises(Failed, match=said) as raised:
        _crawl(partner)
    assert {url.host for url in partner.asked} == {"cpa.example"}
    assert raised.value.place is None


def test_a_link_to_another_path_of_the_same_origin_is_followed_as_it_is_spelled() -> None:
    answer = Answer(200, {"Link": '<https://cpa.example/next?c=a%2Fb>; rel="next"'}, envelope.envelope([{"id": 1}]))
    page = crawl.judge(answer, Place(ENDPOINT, 10), List(ENDPOINT, Quirks(), {}))
    assert page.next is not None
    assert page.next.url == "https://cpa.example/next?c=a%2Fb"


def test_x_limit_is_honoured_where_the_hub_counts_for_itself() -> None:
    partner = Partner(list(range(25)), 10, links="missing")
    _crawl(partner)
    assert [url.query["limit"] for url in partner.asked] == ["100", "10", "10"]


def test_pages_that_are_too_much_are_asked_for_in_smaller_pieces() -> None:
    partner = Partner(list(range(40)), 100, bears=10)
    pages = _crawl(partner)
    assert set(_ids(pages)) == set(range(40))
    assert [url.query["limit"] for url in partner.asked[:3]] == ["100", "25", "6"]


async def test_a_partner_that_answers_in_no_size_is_given_up_and_the_place_kept() -> None:
    async def silent(url: str) -> Answer:
        raise NoAnswer("cpa.example did not answer within 10 s")

    with pytest.raises(Failed, match="however small the page") as raised:
        async for _ in crawl.pages(silent, List(ENDPOINT, Quirks(), {})):
            pass
    assert raised.value.place is not None
    assert raised.value.place.limit == 1


async def _failing(answer: Answer | Exception) -> Failed:
    async def ask(url: str) -> Answer:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(Failed) as raised:
        async for _ in crawl.pages(ask, List(ENDPOINT, Quirks(), {}), Place(ENDPOINT + "?offset=20", 10, 20)):
            pass
    return raised.value


async def test_what_goes_on_from_where_it_stood_and_what_begins_anew() -> None:
    away = await _failing(Unreachable("cpa.example is not reachable"))
    assert away.place is not None
    assert away.place.offset == 20
    busy = await _failing(Answer(429, {"Retry-After": "120"}, b""))
    assert (busy.asked, busy.place is not None) == (120.0, True)
    assert (await _failing(Answer(503, {"Retry-After": "60"}, b""))).asked == 60.0
    assert (await _failing(Answer(404, {}, envelope.envelope(status_code=2003)))).place is None
    assert "token" in str(await _failing(Answer(401, {}, b"")))
    assert "no OCPI envelope" in str(await _failing(Answer(200, {}, b"<html>")))
    assert "no array" in str(await _failing(Answer(200, {}, envelope.envelope({"id": 1}))))


def test_a_crawl_goes_on_from_a_place_that_was_kept() -> None:
    partner = Partner(list(range(25)))
    first = _crawl(Partner(list(range(25))))[0]
    assert first.next is not None
    kept = Place(**first.next.to_json())
    pages = _crawl(partner, place=kept)
    assert _ids(pages) == list(range(10, 25))
    assert pages[-1].whole


def test_a_slash_at_the_end_if_the_partner_wants_it() -> None:
    assert URL(List(ENDPOINT, Quirks(slash=True), {}).start().url).path.endswith("/locations/")
    assert URL(List(ENDPOINT + "/", Quirks(), {}).start().url).path.endswith("/locations/")
    assert List(ENDPOINT + "?tenant=7", Quirks(), {}).start().url == ENDPOINT + "?tenant=7&offset=0&limit=100"
