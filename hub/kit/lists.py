"""The rules of every list on a Sender interface: paging, windows, parameters, and the objects in it.

Each rule is written once, about a Listing; `add` makes it a check of a module's group. What is read is bounded: a
handful of pages, whatever the size of the list.

Source: transport_and_format.asciidoc > Pagination, Response format.
"""

from datetime import timedelta

from hub.kit import objects, pages
from hub.kit.check import SENDERS, Broken, Group, Skipped, Work, narrowed, title
from hub.kit.listing import FUTURE, PAST, RULES, SAMPLE, Listing, Rule, listing, rule
from hub.kit.pages import Page
from hub.kit.peer import UNROUTED, Peer, data_of, expect, party_of
from hub.ocpi.module import Module
from hub.ocpi.types import format_datetime

SECOND = timedelta(seconds=1)


def add(group: Group, module: Module, required: str, form: tuple[str, ...]) -> None:
    """Make the rules checks of a module's group; `required` and `form` are the module's own rows about its objects."""

    def bind(work: Rule) -> Work:
        async def bound(peer: Peer) -> None:
            await work(listing(peer, module.name))

        bound.__doc__ = title(work)
        return bound

    kinds = SENDERS[module.owner]
    for entry in RULES:
        if entry.rule is owners_stay and module.name in UNROUTED:
            continue  # these objects are the hub's own
        group.check(*entry.ids, should=entry.should, kinds=narrowed(kinds, entry.kinds))(bind(entry.rule))

    @group.check(required, "TF-171", kinds=kinds)
    async def complete(peer: Peer) -> None:
        """Each object has all its required fields, of the right kind"""
        page = await listing(peer, module.name).sample()
        for found in page.objects:
            _judge(page, found, objects.unfit(module.model, found))

    @group.check(*form, kinds=kinds)
    async def well_formed(peer: Peer) -> None:
        """Each field has a value that OCPI knows, and no text is too long"""
        page = await listing(peer, module.name).sample()
        for found in page.objects:
            _judge(page, found, objects.odd(module.model, found))


@rule("TF-069", "TF-022")
async def is_a_list(of: Listing) -> None:
    """The list is answered with status 1000 and an array in data"""
    heard = await of.ask(limit=SAMPLE)
    expected = "HTTP 200, status_code 1000, data: an array of objects"
    data = data_of(heard, expected)
    came = f"data is {'missing' if data is None else type(data).__name__}"
    expect(heard, isinstance(data, list) and all(isinstance(found, dict) for found in data), expected, came)


@rule("TF-034")
async def total_count(of: Listing) -> None:
    """X-Total-Count is the number of all matching objects, whatever limit and offset are"""
    whole = await of.page(limit=SAMPLE)
    if whole.total is None:
        raise _wrong_header(whole, "X-Total-Count", "a whole number: how many objects match the filters")
    least = len(whole.objects)
    expect(whole.heard, whole.total >= least, f"X-Total-Count of at least {least}", f"X-Total-Count: {whole.total}")
    for part in (await of.page(limit=1), await of.page(limit=SAMPLE, offset=1)):
        if part.total == whole.total:
            continue
        again = await of.page(True, limit=SAMPLE)
        if again.total != whole.total:
            raise Skipped("the list changed while it was looked at")
        came = f"X-Total-Count: {part.heard.headers.get('X-Total-Count', 'missing')}"
        expect(part.heard, False, f"X-Total-Count: {whole.total}, as without limit and offset", came)


@rule("TF-035")
async def limit_header(of: Listing) -> None:
    """X-Limit is the largest number of objects that a page may hold"""
    page = await of.page(limit=SAMPLE)
    if not page.limit:
        raise _wrong_header(page, "X-Limit", "a whole number above 0: the most objects on a page")
    held = len(page.objects)
    expect(page.heard, page.limit >= held, f"X-Limit of at least {held}", f"X-Limit: {page.limit}, and {held} objects")


@rule("TF-023")
async def limit_is_kept(of: Listing) -> None:
    """With limit=1 at most one object comes"""
    await of.two()
    page = await of.page(limit=1)
    expect(page.heard, len(page.objects) <= 1, "at most one object", f"{len(page.objects)} objects")


@rule("TF-027")
async def offset_counts_objects(of: Listing) -> None:
    """offset counts objects, the first being number 0"""
    whole = await of.two()
    for offset in (0, 1):
        page = await of.page(limit=2, offset=offset)
        same = page.keys[:1] == whole.keys[offset : offset + 1]
        expect(page.heard, same, f"first on the page: {_name(whole, offset)}", f"first on the page: {_name(page, 0)}")


@rule("TF-031")
async def next_link(of: Listing) -> None:
    """Each page but the last has a Link with rel="next" to the page after it"""
    whole = await of.two()
    page = await of.page(limit=1)
    if len(page.objects) != 1:
        raise Skipped("limit=1 did not give one object: see TF-023")
    url = pages.link(page)
    expect(page.heard, url is not None, 'a Link with rel="next", as there are more objects', "no such Link header")
    if url is None or pages.foreign_link(page):
        raise Skipped("the Link does not lead to the host of the list, and is not followed")
    heard = await of.peer.ask("GET", url, module=of.module)
    data_of(heard, "HTTP 200 and the next object")
    following = pages.read(heard)
    kept = following.keys[:1] == whole.keys[1:2]
    expect(heard, kept, f"the object after the first: {_name(whole, 1)}", _name(following, 0))


@rule("TF-042")
async def link_is_absolute(of: Listing) -> None:
    """The URL in Link is absolute and stands between < and >, followed by rel="next" """
    page = await _with_link(of)
    wrong = pages.malformed_link(page)
    expect(page.heard, wrong is None, 'Link: <https://…>; rel="next"', wrong or "")


@rule("TF-043", kinds="hub")
async def link_is_of_the_hub(of: Listing) -> None:
    """Link leads to the hub itself"""
    page = await _with_link(of)
    wrong = pages.foreign_link(page)
    expect(page.heard, wrong is None, "a URL of the same host as the list", f"Link to {wrong}")


@rule("TF-032", should=True)
async def no_link_at_the_end(of: Listing) -> None:
    """The last page has no Link"""
    page = await of.sample()
    if page.total is None:
        raise Skipped("without X-Total-Count the last page is not known")
    if page.total > len(page.objects):
        page = await of.page(limit=1, offset=page.total - 1)
    expect(page.heard, pages.link(page) is None, "no Link on the last page", f"Link to {pages.link(page)}")


@rule("TF-033", should=True)
async def link_keeps_filters(of: Listing) -> None:
    """Link repeats the filters of the request"""
    await of.two()
    page = await of.page(limit=1, date_from=PAST, date_to=FUTURE)
    if pages.link(page) is None:
        raise Skipped("there is no Link to look at")
    lost = pages.lost_filters(page, ("date_from", "date_to"))
    expect(page.heard, not lost, "date_from and date_to in the next link", f"without {' and '.join(lost)}")


@rule("TF-036")
async def repeatable(of: Listing) -> None:
    """The same URL gives the same objects in the same order"""
    first = await of.two()
    again = await of.page(True, limit=SAMPLE)
    if first.total != again.total or sorted(first.keys) != sorted(again.keys):
        again = await of.page(True, limit=SAMPLE)
    expect(again.heard, again.keys == first.keys, "the objects of a moment ago, in that order", "another order")


@rule("TF-041", should=True)
async def own_maximum(of: Listing) -> None:
    """A limit above the maximum is answered with at most the maximum"""
    first = await of.sample()
    if first.limit is None or first.limit > 1000:
        raise Skipped("there is no X-Limit up to 1000 to go by")
    heard = await of.ask(limit=first.limit + 1)
    expected = f"HTTP 200 and at most {first.limit} objects, as X-Limit says"
    data = data_of(heard, expected)
    expect(heard, not isinstance(data, list) or len(data) <= first.limit, expected, "more objects")


@rule("TF-024", "TF-026")
async def date_from(of: Listing) -> None:
    """date_from keeps objects updated then or later"""
    found, text = await _dated(of)
    at = pages.moment(found)
    assert at is not None
    page = await of.page(limit=SAMPLE, date_from=text, date_to=format_datetime(at + SECOND + SECOND))
    older = pages.outside(page, at, None)
    expected = f"no object with last_updated before {text}"
    expect(page.heard, older is None, expected, f"last_updated: {(older or {}).get('last_updated')}")
    whole = page.total is None or page.total <= len(page.objects)
    expected = f"the object updated at {text} among them"
    expect(page.heard, not whole or pages.key(found) in page.keys, expected, "it is not there")


@rule("TF-025", "TF-026")
async def date_to(of: Listing) -> None:
    """date_to leaves out objects updated then or later"""
    found, text = await _dated(of)
    at = pages.moment(found)
    assert at is not None
    page = await of.page(limit=SAMPLE, date_from=format_datetime(at - SECOND), date_to=text)
    newer = pages.outside(page, None, at)
    expected = f"only objects with last_updated before {text}"
    expect(page.heard, newer is None, expected, f"last_updated: {(newer or {}).get('last_updated')}")


@rule("TF-029")
async def date_forms(of: Listing) -> None:
    """Dates are understood without Z, too, and with fractions of a second"""
    for text in ("2015-01-01T00:00:00", "2015-01-01T00:00:00.123Z", "2015-01-01T00:00:00.123"):
        heard = await of.ask(date_from=text, limit=1)
        data_of(heard, "HTTP 200, status_code 1000")


@rule("TF-074")
async def empty(of: Listing) -> None:
    """A list without a match is an empty array with status 1000"""
    expected = "HTTP 200, status_code 1000, data: []"
    nothing, beyond = await of.ask(date_from=FUTURE), await of.ask(date_from=PAST, offset=9_000_000, limit=1)
    for heard in (nothing, beyond):
        data_of(heard, expected)
        found = pages.read(heard).objects
        expect(heard, not found, expected, f"{len(found)} objects")
    total = nothing.headers.get("X-Total-Count", "0")  # a missing one is the business of TF-034
    expect(nothing, total == "0", "X-Total-Count: 0", f"X-Total-Count: {total}")


MALFORMED = ({"limit": "many"}, {"offset": "-1"}, {"date_from": "yesterday"}, {"date_to": "2026-13-45T00:00:00Z"})


@rule("TF-030", should=True)
async def malformed_is_said(of: Listing) -> None:
    """A malformed limit, offset or date is answered with status 2001"""
    for query in MALFORMED:
        heard = await of.ask(**query)
        if heard.http_status >= 500:
            raise Skipped("the server fails on it: see TF-145")
        expect(heard, heard.status_code == 2001, "status_code 2001")


@rule("TF-145")
async def malformed_is_survived(of: Listing) -> None:
    """A malformed parameter is no reason for an HTTP error"""
    for query in MALFORMED:
        heard = await of.ask(**query)
        expect(heard, heard.http_status < 500, "HTTP 200 and a status_code, never a server error")


@rule("TYP-006", "TYP-004")
async def utc(of: Listing) -> None:
    """Times are in UTC: with Z or with nothing at their end"""
    page = await of.sample()
    for found in page.objects:
        _judge(page, found, objects.not_utc(found))


@rule("TF-122", kinds="hub")
async def owners_stay(of: Listing) -> None:
    """Objects in the list of all keep the codes of their owners"""
    page = await of.sample()
    for found in page.objects:
        stolen = party_of(found) == of.peer.them
        _judge(page, found, "it names the hub as its owner" if stolen else None)


@rule("TF-181", should=True)
async def no_patch(of: Listing) -> None:
    """A method that the list does not have (here PATCH of nothing) is answered HTTP 405 with an envelope"""
    heard = await of.peer.call("PATCH", of.module, "SENDER", body={})
    expect(heard, heard.http_status == 405 and heard.status_code is not None, "HTTP 405 with an OCPI envelope")


async def _with_link(of: Listing) -> Page:
    await of.two()
    page = await of.page(limit=1)
    if "Link" not in page.heard.headers:
        raise Skipped("there is no Link to look at")
    return page


async def _dated(of: Listing) -> tuple[dict[str, object], str]:
    """The newest object of the sample, and its last_updated as it is written."""
    page = await of.sample()
    dated = [(at, found) for found in page.objects if (at := pages.moment(found))]
    if not dated:
        raise Skipped("no object has a last_updated that can be read")
    found = max(dated, key=lambda entry: entry[0])[1]
    return found, str(found["last_updated"])


def _judge(page: Page, found: dict[str, object], complaint: str | None) -> None:
    """Broken when there is something to complain about in an object."""
    if complaint is not None:
        raise Broken(
            page.heard.asked, f"{pages.name(found)}: {complaint}", "an object as its table in the specification has it"
        )


def _wrong_header(page: Page, name: str, wanted: str) -> Broken:
    return Broken(page.heard.asked, f"{name}: {page.heard.headers.get(name, 'missing')}", f"{name}: {wanted}")


def _name(page: Page, index: int) -> str:
    return pages.name(page.objects[index]) if index < len(page.objects) else "nothing"
