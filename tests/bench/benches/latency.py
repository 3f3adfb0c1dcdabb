"""latency: from a change's commit to its arrival at the receiver, in a hub that has nothing else to do."""

import asyncio
import dataclasses
import random
import time

import aiohttp

from hub.sandbox import samples
from tests.bench import calls, figures, partners, processes, stock
from tests.bench.figures import Findings, Line, Run
from tests.bench.load.receivers import Receivers
from tests.bench.load.wrk import Shot
from tests.bench.rig import DELIVERING, Rig

PAUSE = (0.03, 0.09)
"""Seconds between two pushes, drawn anew each time so that they keep step with nothing."""


async def bench(rig: Rig) -> list[Line]:
    """One line, of single pushes through the API to one receiver. A commit is as early as its answer; the figures from
    when the push was sent, which are higher, stand beside it."""
    count = rig.plan.pushes
    async with rig.receivers() as receivers, rig.hub(*DELIVERING) as hub:
        token, _ = await partners.connect(hub.settings, [calls.CPO, calls.emsp(receivers)])
        await stock.fill(hub.settings, count)
        shot = calls.put_location(hub, token, calls.code(hub), objects=count)
        await _push(shot, receivers, 20)  # the lane has its connection
        from_answer, from_push = await _push(shot, receivers, count)
        found = Findings((), paced=from_answer, samples=count)
        rss_mb = processes.rss_mb(hub.pids["worker"])
    line = figures.line("latency", found, floor="none", rss_mb=rss_mb, commit=rig.commit)
    return [dataclasses.replace(line, more={"push_p50_ms": from_push.p50_ms, "push_p99_ms": from_push.p99_ms})]


async def _push(shot: Shot, receivers: Receivers, count: int) -> tuple[Run, Run]:
    """So many pushes with pauses: the delays since the answer and since the push."""
    at = samples.now()
    await receivers.expect(f'"last_updated":"{at}"')
    usage, begun = receivers.usage(), time.monotonic()
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}
    async with aiohttp.ClientSession() as session:
        for number in range(count):
            url, headers, body = shot.one(number, at)
            name = stock.location_id(number)
            sent[name] = time.monotonic()
            async with session.request(shot.method, url, headers=headers, data=body) as answer:
                assert (await answer.json())["status_code"] == 1000
            answered[name] = time.monotonic()
            await asyncio.sleep(random.uniform(*PAUSE))
    await receivers.until(count)
    each = {path.rpartition("/")[2]: moment for _, path, moment in (await receivers.arrivals(each=True))["each"]}
    faults = () if len(each) == count else (f"{len(each)} of {count} deliveries arrived",)
    run = Run(0.0, len(each), busy=usage.share(time.monotonic() - begun), faults=faults)
    since = [[(moment - begun[name]) * 1000 for name, moment in each.items()] for begun in (answered, sent)]
    return figures.timed(run, since[0]), figures.timed(run, since[1])
