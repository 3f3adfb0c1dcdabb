"""Reading a whole list from a partner, page by page. What is asked and what is made of the answers; no database.

The next page is where Link says (TF-031), as long as that is on the origin of the published endpoint. A total that
drops means that objects have moved towards the front: the page before is fetched again, its offset lowered (TF-038); a
total that grows means nothing (TF-039). Pages that are too much for the partner are asked for in smaller pieces. A
`Place` says where a crawl stands, so that another process can go on with it.

Source: transport_and_format.asciidoc > Pagination.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from yarl import URL

from hub.ocpi import envelope, headers, json, paging
from hub.ocpi.client import Answer, NetworkError, NoAnswer
from hub.ocpi.quirks import Quirks

PAGES_AT_MOST = 20_000
SHRINK = 4
"""A page that was too much is asked for again with the limit divided by this."""

TOO_MUCH = frozenset({408, 413, 500, 502, 503, 504})
LOST = frozenset({400, 404, 410, 414})
"""What a partner says to the URL of a page that it does not know any more."""

_CIRCLE = "its Links lead back to a page that was read already: try the quirk links=none"

Ask = Callable[[str], Awaitable[Answer]]
"""GET of a URL; raises NetworkError."""


class Failed(Exception):
    """A list could not be read to its end; the message says why, for the operator. `place` is where to go on (None:
    from the start), `asked` the seconds to wait that the partner asks for."""

    def __init__(self, reason: str, place: "Place | None" = None, asked: float | None = None) -> None:
        super().__init__(reason)
        self.place, self.asked = place, asked


@dataclass(frozen=True)
class Place:
    """Where a crawl stands: the next page, how many objects are before it, and of the page before that its offset,
    the total it told and a digest of what was on it."""

    url: str
    limit: int
    offset: int = 0
    before: int = 0
    total: int | None = None
    digest: str = ""
    pages: int = 0

    def to_json(self) -> dict[str, Any]:
        """The form in which it is kept."""
        return asdict(self)


@dataclass(frozen=True)
class Page:
    """What was on a page, and where the next one is. On the last page (`next` None) `whole` says whether the list was
    read to its end, as far as its total tells."""

    objects: list[Any]
    total: int | None
    next: Place | None
    whole: bool = False


@dataclass(frozen=True)
class List:
    """The list that is read: the published URL, how its partner is, and the filters of every page."""

    endpoint: str
    quirks: Quirks
    filters: Mapping[str, str]

    def start(self) -> Place:
        """Its first page."""
        return self.at(Place("", self.quirks.limit))

    def at(self, place: Place) -> Place:
        """A place with the URL that its offset and limit make."""
        window = {"offset": place.offset, "limit": place.limit} if self.quirks.paging else {}
        return replace(place, url=str(URL(self.url).update_query({**self.filters, **window})))

    @property
    def url(self) -> str:
        """The endpoint as the partner wants it."""
        return f"{self.endpoint.rstrip('/')}/" if self.quirks.slash else self.endpoint


async def pages(ask: Ask, wanted: List, place: Place | None = None) -> AsyncIterator[Page]:
    """The pages of a list, from the start or from `place`. Raises Failed."""
    place = place or wanted.start()
    visited: set[tuple[str, int | None]] = set()
    while True:
        if place.pages >= PAGES_AT_MOST:
            raise Failed(f"given up after {PAGES_AT_MOST} pages: does its list ever end?")
        if (place.url, place.total) in visited:
            raise Failed(_CIRCLE)
        visited.add((place.url, place.total))
        answer, place = await _fetch(ask, place)
        page = judge(answer, place, wanted)
        yield page
        if page.next is None:
            return
        place = page.next


def judge(answer: Answer, place: Place, wanted: List) -> Page:
    """What an answer to the page at `place` says: its objects and where the next page is. Raises Failed."""
    objects = _objects(answer, place)
    quirks = wanted.quirks
    total = _number(answer, headers.TOTAL_COUNT) if quirks.total else None
    digest = hashlib.sha256(json.dumps(objects)).hexdigest()[:16] if objects else ""
    if digest and digest == place.digest:
        raise Failed("it answers the same page whatever the offset: try the quirk paging=no")
    after = replace(place, digest=digest, total=total, pages=place.pages + 1)
    dropped = place.total - total if place.total is not None and total is not None else 0
    if dropped > 0:
        back = max(place.before - dropped, 0)
        return Page(objects, total, wanted.at(replace(after, offset=back, before=back, digest="")))
    following = _following(answer, replace(after, before=place.offset), len(objects), wanted)
    reached = place.offset + len(objects)
    return Page(objects, total, following, following is None and (total is None or reached >= total))


def _following(answer: Answer, place: Place, count: int, wanted: List) -> Place | None:
    """The page after the one at `place`, that had `count` objects; None when it was the last."""
    quirks, reached = wanted.quirks, place.offset + count
    if not quirks.paging:
        return None
    most = _number(answer, headers.LIMIT)
    asked = place.limit
    onward = replace(place, offset=reached, limit=min(asked, most) if most else asked)
    link = paging.next_link(answer.headers.get("Link")) if quirks.links != "none" else None
    if link is not None:
        return _linked(link, onward, wanted)
    if count == 0:
        return None
    if place.total is not None:  # the spec wants a Link there; without one the count says as much (TF-031)
        return wanted.at(onward) if reached < place.total else None
    return wanted.at(onward) if quirks.links == "none" and count >= onward.limit else None


def _linked(link: str, onward: Place, wanted: List) -> Place:
    """The place that a Link names."""
    try:
        url = URL(onward.url).join(URL(link))
        if wanted.quirks.links == "query":
            url = URL(wanted.url).with_query(urlsplit(link).query)
        same = url.origin() == URL(wanted.url).origin()
    except ValueError:
        raise Failed("its Link is not a URL: try the quirk links=none") from None
    if not same:
        raise Failed("its Link leads to another origin than its endpoint: not followed; try the quirk links=query")
    offset = url.query.get("offset", "")
    known = int(offset) if offset.isascii() and offset.isdigit() and len(offset) < 10 else onward.offset
    if known <= onward.before:
        raise Failed(_CIRCLE)
    # A Link is followed in its own spelling where it can be.
    kept = link if wanted.quirks.links == "follow" and urlsplit(link).scheme else str(url)
    return replace(onward, url=kept, offset=known)


async def _fetch(ask: Ask, place: Place) -> tuple[Answer, Place]:
    """The answer for a page, asked for in smaller pieces while it is too much."""
    while True:
        try:
            answer = await ask(place.url)
        except NoAnswer as error:
            trouble, asked = str(error), None
        except NetworkError as error:
            raise Failed(str(error), place) from None
        else:
            asked = headers.retry_after(answer.headers)
            if answer.status == 429 or (answer.status in TOO_MUCH and asked is not None):
                raise Failed(f"it asks to wait (HTTP {answer.status})", place, asked)
            if answer.status not in TOO_MUCH:
                return answer, place
            trouble = f"it answered HTTP {answer.status}"
        smaller = place.limit // SHRINK
        if smaller < 1 or "limit" not in URL(place.url).query:
            raise Failed(f"{trouble}, however small the page", place)
        place = replace(place, limit=smaller, url=str(URL(place.url).update_query(limit=smaller)))


def _objects(answer: Answer, place: Place) -> list[Any]:
    if answer.status == 401:
        raise Failed("it refuses the hub's token: renew the credentials with it", place)
    code, data = envelope.read(answer.body)
    if answer.status >= 400 or code is None or not 1000 <= code < 2000:
        lost = answer.status in LOST or (code is not None and 2000 <= code < 3000)
        said = "no OCPI envelope" if code is None else f"status_code {code}"
        raise Failed(f"its list answers HTTP {answer.status} with {said}", None if lost else place)
    if data is None:  # some leave it out of an empty list
        return []
    if not isinstance(data, list):
        raise Failed("the data of its list is no array", place)
    return data


def _number(answer: Answer, name: str) -> int | None:
    """A header that holds a number; None when it is missing or something else."""
    text = answer.headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
