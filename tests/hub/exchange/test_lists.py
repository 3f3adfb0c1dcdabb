"""GET ALL as a crawl: all that was there at its start is on its pages, in one order, whatever changes meanwhile."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer, Json

MANY = 120
AT = "2026-01-01T00:00:00Z"


async def publish(cpo: CpoBackend, count: int) -> list[str]:
    """That many Locations at the hub; their ids in the order in which it got them."""
    names = [f"LOC{(number * 37) % count:03}" for number in range(count)]
    for name in names:
        assert (await cpo.put_location(samples.location(id=name, at=AT), to=cpo.hub)).ok
    return names


async def first_page(emsp: Emsp, **query: str) -> Answer:
    return await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub, query=query)


async def next_page(emsp: Emsp, page: Answer) -> Answer:
    assert page.next_url is not None
    routing = headers.routing(emsp.hub, emsp.party())
    return await emsp.call("GET", page.next_url, emsp.registered.token_out, None, routing)


async def change(cpo: CpoBackend, step: int, names: list[str]) -> None:
    """A change somewhere: a new state of a whole Location, of one EVSE, or a Location that was not there before."""
    at = f"2026-02-01T00:{step // 60:02}:{step % 60:02}Z"
    name = names[(step * 53) % len(names)]
    if step % 3 == 0:
        assert (await cpo.put_location(samples.location(id=name, at=at), to=cpo.hub)).ok
    elif step % 3 == 1:
        changed = {"status": "CHARGING", "last_updated": at}
        assert (await cpo.patch_evse(name, "EVSE1", changed, to=cpo.hub)).ok
    else:
        assert (await cpo.put_location(samples.location(id=f"NEW{step}", at=at), to=cpo.hub)).ok


@pytest.mark.catalogue("TF-122", "TF-037")
async def test_a_crawl_during_changes_misses_nothing_and_keeps_the_order(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, MANY)
    page, seen, offset = await first_page(emsp, limit="11"), list[str](), 0
    for step in range(1_000):
        seen += [location["id"] for location in page.data]
        if page.next_url is None:
            break
        query = dict(parse_qsl(urlsplit(page.next_url).query))
        assert int(query["offset"]) == offset + len(page.data)
        offset = int(query["offset"])
        await change(cpo, step, names)
        page = await next_page(emsp, page)
    assert seen[:MANY] == names, "each of them once, where it was first stored"
    assert set(seen[MANY:]) <= {name for name in seen if name.startswith("NEW")}
    assert int(page.headers[headers.TOTAL_COUNT]) == len(seen)


async def test_a_window_that_fills_while_it_is_crawled_is_crawled_to_its_end(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 12)
    since = {"date_from": "2026-02-01T00:00:00Z"}
    for name in names[1::4]:
        assert (await cpo.put_location(samples.location(id=name, at="2026-02-01T00:00:00Z"), to=cpo.hub)).ok
    page = await first_page(emsp, limit="1", **since)
    assert page.headers[headers.TOTAL_COUNT] == "3"
    for name in names[2:4]:  # both come before the second of the three
        assert (await cpo.put_location(samples.location(id=name, at="2026-02-02T00:00:00Z"), to=cpo.hub)).ok
    found: list[Json] = [*page.data]
    while page.next_url is not None:
        page = await next_page(emsp, page)
        found += page.data
    assert [location["id"] for location in found] == [names[n] for n in (1, 2, 3, 5, 9)]


@pytest.mark.catalogue("TF-032", "TF-034")
async def test_a_list_that_shrinks_ends_without_a_link_to_nothing(cpo: CpoBackend, emsp: Emsp) -> None:
    for number in range(4):
        assert (await cpo.put_tariff(samples.tariff(id=f"T{number}"), to=cpo.hub)).ok
    first = await emsp.send("GET", "tariffs", interface="SENDER", to=emsp.hub, query={"limit": "2"})
    assert (first.headers[headers.TOTAL_COUNT], len(first.data)) == ("4", 2)
    assert (await cpo.delete_tariff("T3", to=cpo.hub)).ok
    second = await next_page(emsp, first)
    assert [tariff["id"] for tariff in second.data] == ["T2"]
    assert second.next_url is None
    again = await emsp.send("GET", "tariffs", interface="SENDER", to=emsp.hub, query={})
    assert again.headers[headers.TOTAL_COUNT] == "3"


@pytest.mark.catalogue("TF-034")
async def test_the_total_counts_what_this_reader_sees(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await publish(cpo, 3)
    assert (await cpo.put_location(samples.location(id="ONLY"), to="DE*MSA")).ok
    assert (await cpo.put_location(samples.location(id="LOC001"), to="DE*MSA")).ok  # kept twice, one object
    totals = [(await first_page(reader)).headers[headers.TOTAL_COUNT] for reader in (emsp, other_emsp)]
    assert totals == ["4", "3"]


@pytest.mark.catalogue("TF-115")
async def test_a_further_page_of_the_hub_needs_no_receiver(cpo: CpoBackend, emsp: Emsp) -> None:
    names = await publish(cpo, 5)
    page = await first_page(emsp, limit="2")
    seen = [location["id"] for location in page.data]
    while page.next_url is not None:
        page = await emsp.call(
            "GET", page.next_url, emsp.registered.token_out, None, headers.routing(None, emsp.party())
        )
        assert headers.party(page.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == emsp.hub
        seen += [location["id"] for location in page.data]
    assert seen == names
    assert (await emsp.send("GET", "locations", interface="SENDER", to=None)).status_code == 2001
