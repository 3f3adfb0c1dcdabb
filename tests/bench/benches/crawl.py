"""crawl: all of 100,000 locations by GET ALL, following Link, while 1,000 of them change; the last page beside the
first."""

import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx

from hub.ocpi import paging
from hub.services.supervisor import Stack
from tests.bench import calls, figures, partners, stock
from tests.bench.changes import Changes
from tests.bench.figures import Line, Run
from tests.bench.processes import Failed
from tests.bench.rig import Rig

CHANGES = 1_000
STRIDE = 7_919
"""A prime: the changed locations lie all over the list."""

PAIRS = 40
"""How often the first and the last page are asked for in turn in each round."""

FLOOR = "the first page of the same list; at least 0.5 is asked for"
_ID = re.compile(rb'"id":"LOC(\d{6})"')


@dataclass
class Crawl:
    """What a crawl has seen: the numbers of the locations in the order of the pages, the last page's URL."""

    seen: list[int] = field(default_factory=list)
    last: str = ""

    def faults(self, count: int) -> tuple[str, ...]:
        """What is wrong with it. The order is that of the numbers, in which they were loaded."""
        found = []
        missing = count - len(set(self.seen))
        if missing:
            found.append(f"{missing} locations are on no page")
        if self.seen != sorted(self.seen):
            found.append("the pages are not in the order in which the locations were stored")
        return tuple(found)


async def bench(rig: Rig) -> list[Line]:
    """One line: pages a second of one client, at the end of the list and at its beginning."""
    async with rig.receivers() as receivers, rig.hub("api") as hub:
        emsp = calls.emsp(receivers)
        _, token = await partners.connect(hub.settings, [calls.CPO, emsp])
        rig.say(f"  loading {rig.plan.held:,} locations")
        await stock.fill(hub.settings, rig.plan.held)
        first, headers, _ = calls.list_locations(hub, token, emsp).one(0, "")
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=30) as client:
            begun = time.monotonic()
            crawl = await _crawl(client, hub, first, rig.plan.held)
            took = time.monotonic() - begun
            rig.say(f"  crawled in {took:.0f} s while {CHANGES:,} changed")
            faults = crawl.faults(rig.plan.held)
            sides = [await _in_turn(client, first, crawl.last, faults) for _ in range(rig.plan.rounds)]
        floors, ours = ([side[n] for side in sides] for n in (0, 1))
        line = rig.line("crawl", hub.pids["api"], FLOOR, ours, floors)
    told = {"first_page_ms": _ms(floors), "last_page_ms": _ms(ours), "crawl_s": took}
    return [replace(line, more=told)]


async def _crawl(client: httpx.AsyncClient, hub: Stack, url: str, count: int) -> Crawl:
    """Follow the links to the end; after each page some of the locations change, a thousand in all."""
    crawl, at, made, pages = Crawl(), stock.later(), 0, -(-count // paging.MAX_LIMIT)
    async with Changes(hub.settings) as changes:
        following: str | None = url
        while following is not None:
            crawl.last = following
            answer = await client.get(following)
            answer.raise_for_status()
            crawl.seen += map(int, _ID.findall(answer.content))
            following = paging.next_link(answer.headers.get("Link"))
            due = min(CHANGES, CHANGES * len(crawl.seen) // (pages * paging.MAX_LIMIT) + 1) - made
            if due > 0:
                await changes.make([(made + n) * STRIDE % count for n in range(due)], at)
                made += due
    return crawl


def _ms(runs: list[Run]) -> float | None:
    rate = figures.middle(runs)
    return 1000 / rate if rate else None


async def _in_turn(client: httpx.AsyncClient, first: str, last: str, faults: tuple[str, ...]) -> tuple[Run, Run]:
    """The first page and the last, one after the other, many times."""
    took: Mapping[str, list[float]] = {first: [], last: []}
    for _ in range(PAIRS):
        for url, times in took.items():
            begun = time.perf_counter()
            (await client.get(url)).raise_for_status()
            times.append(time.perf_counter() - begun)
    if len(took) < 2:
        raise Failed("the list has one page only")
    of_first, of_last = (Run(1 / statistics.median(times), len(times), faults=faults) for times in took.values())
    return of_first, of_last
