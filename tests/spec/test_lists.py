"""Lists: pages, windows, order and the headers of a page, from outside (transport_and_format > Pagination)."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web
from sqlalchemy import text

from hub.ocpi import headers, paging
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer
from hub.store import parties

SINCE = "2020-01-01T00:00:00Z"


async def publish(cpo: CpoBackend, count: int) -> list[str]:
    """So many Locations, one an hour, the first of all at midnight; their ids."""
    names = [f"LOC{number}" for number in range(count)]
    for hour, name in enumerate(names):
        location = samples.location(id=name, at=f"2026-01-01T{hour:02}:00:00Z")
        assert (await cpo.put_location(location, to=cpo.hub)).ok
    return names


async def listed(emsp: Emsp, **query: str) -> Answer:
    """One page of everybody's Locations."""
    return await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub, query=query)


async def next_page(emsp: Emsp, page: Answer) -> Answer:
    """The page that a page of `listed` links to."""
    assert page.next_url is not None
    routed = headers.routing(emsp.hub, emsp.parties[0])
    return await emsp.call("GET", page.next_url, emsp.registered.token_out, None, routed)


def ids(answer: Answer) -> list[str]:
    """What is on it."""
    return [found["id"] for found in answer.data]


@pytest.mark.catalogue("TF-022", "TF-035")
@pytest.mark.parametrize("module", ["locations", "tariffs", "sessions", "cdrs"])
async def test_every_list_is_paginated(emsp: Emsp, module: str) -> None:
    query = {"date_from": SINCE, "limit": "5"}
    answer = await emsp.send("GET", module, interface="SENDER", to=emsp.hub, query=query)
    assert answer.ok
    assert answer.headers[headers.TOTAL_COUNT] == "0"
    assert int(answer.headers[headers.LIMIT]) >= 5


@pytest.mark.catalogue("TF-023")
async def test_all_four_parameters_work_alone_and_together(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 6)
    assert ids(await listed(emsp)) == names
    assert ids(await listed(emsp, date_from="2026-01-01T04:00:00Z")) == names[4:]
    assert ids(await listed(emsp, date_to="2026-01-01T02:00:00Z")) == names[:2]
    assert ids(await listed(emsp, offset="3")) == names[3:]
    assert ids(await listed(emsp, limit="2")) == names[:2]
    window = {"date_from": "2026-01-01T01:00:00Z", "date_to": "2026-01-01T05:00:00Z"}
    assert ids(await listed(emsp, **window, offset="1", limit="2")) == names[2:4]


@pytest.mark.catalogue("TF-024")
async def test_date_from_is_inclusive(cpo: CpoBackend, emsp: Emsp) -> None:
    await publish(cpo, 3)
    assert ids(await listed(emsp, date_from="2026-01-01T01:00:00Z")) == ["LOC1", "LOC2"]
    assert ids(await listed(emsp, date_from="2026-01-01T01:00:01Z")) == ["LOC2"]


@pytest.mark.catalogue("TF-025")
async def test_date_to_is_exclusive(cpo: CpoBackend, emsp: Emsp) -> None:
    await publish(cpo, 3)
    assert ids(await listed(emsp, date_to="2026-01-01T01:00:00Z")) == ["LOC0"]
    assert ids(await listed(emsp, date_to="2026-01-01T01:00:01Z")) == ["LOC0", "LOC1"]


@pytest.mark.catalogue("TF-027")
async def test_offset_counts_objects_from_zero_and_is_zero_by_default(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 4)
    assert ids(await listed(emsp)) == ids(await listed(emsp, offset="0")) == names
    assert ids(await listed(emsp, offset="1")) == names[1:]
    assert ids(await listed(emsp, offset="4")) == []


@pytest.mark.catalogue("TF-028", "TF-041")
async def test_a_page_is_never_longer_than_the_maximum(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_LIMIT", 2)
    names = await publish(cpo, 3)
    first = await listed(emsp, limit="1000")
    assert (ids(first), first.headers[headers.LIMIT]) == (names[:2], "2")
    assert dict(parse_qsl(urlsplit(first.next_url or "").query))["limit"] == "2"
    last = await next_page(emsp, first)
    assert (ids(last), last.headers[headers.LIMIT]) == (names[2:], "2")


@pytest.mark.catalogue("TF-029")
@pytest.mark.parametrize(
    "moment", ["2026-01-01T01:00:00Z", "2026-01-01T01:00:00", "2026-01-01T01:00:00.000Z", "2026-01-01T01:00:00.0"]
)
async def test_dates_are_taken_in_every_form(cpo: CpoBackend, emsp: Emsp, moment: str) -> None:
    await publish(cpo, 2)
    assert ids(await listed(emsp, date_from=moment)) == ["LOC1"]
    assert ids(await listed(emsp, date_to=moment)) == ["LOC0"]


@pytest.mark.catalogue("TF-030")
@pytest.mark.parametrize("query", [{"offset": "-1"}, {"limit": "many"}, {"limit": "0"}, {"date_from": "yesterday"}])
async def test_a_parameter_that_is_malformed_is_named(emsp: Emsp, query: dict[str, str]) -> None:
    answer = await listed(emsp, **query)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert next(iter(query)) in answer.message


@pytest.mark.catalogue("TF-031", "TF-032", "TF-042")
async def test_every_page_but_the_last_links_to_the_next(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 5)
    page, seen, pages = await listed(emsp, limit="2"), list[str](), 0
    while True:
        seen, pages = seen + ids(page), pages + 1
        link = page.headers.get("Link")
        if link is None:
            break
        assert link.startswith(f"<{running.url}/")
        assert link.endswith('>; rel="next"')
        page = await next_page(emsp, page)
    assert (seen, pages) == (names, 3)


@pytest.mark.catalogue("TF-033", "TF-034")
async def test_the_next_page_keeps_the_filter_and_counts_what_it_leaves(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 6)
    window = {"date_from": "2026-01-01T01:00:00Z", "date_to": "2026-01-01T05:00:00Z"}
    first = await listed(emsp, **window, limit="3")
    assert first.next_url is not None
    assert dict(parse_qsl(urlsplit(first.next_url).query)).items() >= window.items()
    second = await next_page(emsp, first)
    assert ids(first) + ids(second) == names[1:5]
    assert first.headers[headers.TOTAL_COUNT] == second.headers[headers.TOTAL_COUNT] == "4"


@pytest.mark.catalogue("TF-036", "TF-037")
async def test_the_order_is_that_of_creation_and_stays(cpo: CpoBackend, emsp: Emsp) -> None:
    names = ["ZZ", "MM", "AA"]  # neither the order of ids nor that of last_updated
    for hour, name in zip((3, 1, 2), names, strict=True):
        await cpo.put_location(samples.location(id=name, at=f"2026-01-01T0{hour}:00:00Z"), to=cpo.hub)
    first = [ids(await listed(emsp, limit="2")) for _ in range(2)]
    assert first == [names[:2]] * 2
    await cpo.put_location(samples.location(id="ZZ", at="2026-01-01T09:00:00Z"), to=cpo.hub)
    await cpo.put_location(samples.location(id="BB", at="2026-01-01T00:00:00Z"), to=cpo.hub)
    assert ids(await listed(emsp)) == [*names, "BB"]


@pytest.mark.catalogue("TF-046", "TF-122")
async def test_a_merged_list_counts_all_owners_and_keeps_them_apart(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async with CpoBackend("BE*CPB") as other:
        await running.join(other, "CPO")
        for owner in (cpo, other):
            for name in ("SAME", "LOC1"):
                await owner.put_location(samples.location(str(owner.parties[0]), id=name), to=owner.hub)
        first = await listed(emsp, limit="3")
        assert (len(first.data), first.headers[headers.TOTAL_COUNT]) == (3, "4")
        rest = await next_page(emsp, first)
    found = [(one["country_code"], one["party_id"], one["id"]) for one in first.data + rest.data]
    assert sorted(found) == [("BE", "CPB", "LOC1"), ("BE", "CPB", "SAME"), ("NL", "CPA", "LOC1"), ("NL", "CPA", "SAME")]


@pytest.mark.catalogue("TF-173", "TF-121")
async def test_a_list_of_all_is_asked_of_the_hub_on_a_sender_interface(cpo: CpoBackend, emsp: Emsp) -> None:
    await publish(cpo, 1)
    for to, expected in ((emsp.hub, 1000), (None, 2001)):
        answer = await emsp.send("GET", "locations", interface="SENDER", to=to)
        assert answer.status_code == expected
        assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == emsp.hub
        assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == emsp.parties[0]
    assert (await cpo.send("GET", "locations", "NL", "CPA", "LOC0", to=cpo.hub)).status_code == 2001


class Terse(CpoBackend):
    """A CPO whose list of Locations has two pages, and whose header names are in lower case."""

    def _lister(self, module: str, shelf: Any) -> Any:
        async def get(request: web.Request) -> web.Response:
            more = "offset" not in request.query
            link = {"link": f'<{self.url(module, "SENDER")}?offset=1>; rel="next"'} if more else {}
            body = {"status_code": 1000, "data": [], "timestamp": samples.now()}
            return web.json_response(body, headers={**link, "x-total-count": "17", "x-limit": "1"})

        return get


@pytest.fixture
async def terse(running: Any) -> Any:
    async with Terse("BE*TRS") as owner:
        await running.join(owner, "CPO")
        yield owner


@pytest.mark.catalogue("TF-040", "TF-045")
async def test_the_headers_of_an_owners_page_pass_in_whatever_case(running: Any, terse: Terse, emsp: Emsp) -> None:
    answer = await emsp.send("GET", "locations", interface="SENDER", to="BE*TRS")
    assert (answer.headers[headers.TOTAL_COUNT], answer.headers[headers.LIMIT]) == ("17", "1")
    assert answer.next_url is not None


@pytest.mark.catalogue("TF-043", "TF-044")
async def test_an_owners_link_leads_through_the_hub_to_that_owner(running: Any, terse: Terse, emsp: Emsp) -> None:
    first = await emsp.send("GET", "locations", interface="SENDER", to="BE*TRS")
    assert first.next_url is not None
    assert first.next_url.startswith(f"{running.url}/ocpi/")
    assert terse.origin not in first.next_url
    routed = headers.routing(terse.parties[0], emsp.parties[0])
    for shown in (routed, {}):
        last = await emsp.call("GET", first.next_url, emsp.registered.token_out, None, shown)
        assert (last.status_code, last.next_url) == (1000, None)
        assert headers.party(last.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == terse.parties[0]
    assert [seen.query.get("offset") for seen in terse.received if seen.path.endswith("/locations")] == [None, "1", "1"]


@pytest.mark.catalogue("TYP-020")
async def test_a_rewritten_link_is_short_and_tells_nothing_of_the_owner(running: Any, emsp: Emsp) -> None:
    class Wordy(CpoBackend):
        def _lister(self, module: str, shelf: Any) -> Any:
            async def get(request: web.Request) -> web.Response:
                link = {"Link": f'<{self.url(module, "SENDER")}?cursor={"x" * 1000}>; rel="next"'}
                body = {"status_code": 1000, "data": [], "timestamp": samples.now()}
                return web.json_response(body, headers=link)

            return get

    async with Wordy("BE*WRD") as owner:
        await running.join(owner, "CPO")
        answer = await emsp.send("GET", "locations", interface="SENDER", to="BE*WRD")
        assert answer.next_url is not None
        assert len(answer.next_url) <= 255
        assert "xxxx" not in answer.next_url


@pytest.mark.catalogue("TF-123")
async def test_a_list_holds_only_what_the_asker_may_see(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    await cpo.put_tariff(samples.tariff(), to="DE*MSA")
    since = {"date_from": SINCE}
    for module, own in (("sessions", ["SESSION1"]), ("tariffs", ["TARIFF1"])):
        for asker, expected in ((emsp, own), (other_emsp, [])):
            assert [found["id"] for found in await asker.pull(module, to=asker.hub, **since)] == expected
    await cpo.put_location(samples.location(), to=cpo.hub)
    async with CpoBackend("BE*CPB") as other:
        await running.join(other, "CPO")
        for module in ("tariffs", "locations"):
            assert await other.pull(module, to=other.hub) == []


@pytest.mark.catalogue("TF-125", "TF-126")
async def test_what_an_offline_party_owns_stays_as_it_was_last_known(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(at="2026-01-01T01:02:03.450Z")
    await cpo.put_location(location, to=cpo.hub)
    await cpo.go_away()
    async with running.hub.db.session() as session:
        await session.execute(text("UPDATE platform SET status = 'OFFLINE' WHERE name = 'NL*CPA'"))
        await parties.touch(session)
    await running.hub.directory.refresh()
    assert running.hub.directory.now.party(cpo.parties[0]).platform.status == "OFFLINE"
    assert await emsp.pull("locations", to=emsp.hub) == [location]
