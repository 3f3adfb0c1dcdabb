"""deliver: changes of Locations to 50 receivers by the lanes of one worker, against a bare loop over an aiohttp
session, and against one Celery task per delivery on such a session."""

import asyncio
import json
import time
from collections.abc import Sequence
from functools import partial

from celery import Celery

from hub.delivery.health import BUDGET
from hub.sandbox import samples
from tests.bench import calls, figures, partners, processes, stock
from tests.bench.changes import Changes
from tests.bench.figures import Line, Run
from tests.bench.load.receivers import Receivers
from tests.bench.rig import DELIVERING, Rig

RECEIVERS = 50
LOOP = "a bare aiohttp loop"
TASKS = "one Celery task per delivery on one aiohttp session"
QUEUE = "floor"


async def bench(rig: Rig) -> list[Line]:
    """A line for each of the two floors."""
    async with (
        rig.receivers(RECEIVERS) as receivers,
        rig.hub(*DELIVERING) as hub,
        Changes(hub.settings) as changes,
    ):
        await partners.connect(hub.settings, [calls.CPO, *(calls.emsp(receivers, n) for n in range(RECEIVERS))])
        numbers = range(rig.plan.changes)
        ours = partial(deliver, changes, receivers, numbers)
        await ours()
        loops, tasks, mine = await rig.interleaved(
            partial(bare_loop, rig, receivers, len(numbers)),
            partial(task_each, rig, hub.settings.broker, receivers),
            ours,
        )
        paced = await deliver_paced(rig, changes, receivers, numbers, mine)
        pid = hub.pids["worker"]
        return [
            rig.line("deliver", pid, LOOP, mine, loops, paced),
            rig.line("deliver-tasks", pid, TASKS, mine, tasks, paced),
        ]


async def deliver(changes: Changes, receivers: Receivers, numbers: Sequence[int]) -> Run:
    """One commit of so many changes, and how long until every receiver has all of them."""
    usage = await _expect(receivers, at := samples.now())
    committed = await changes.make(numbers, at)
    wanted = len(numbers) * receivers.count
    arrived = await receivers.until(wanted)
    return _run(arrived, wanted, arrived.get("last", committed) - committed, usage)


async def deliver_paced(
    rig: Rig, changes: Changes, receivers: Receivers, numbers: Sequence[int], fastest: list[Run]
) -> Run:
    """Changes one by one at half of the measured maximum: the delays from each commit to each receiver."""
    rate, _ = rig.pace(fastest)
    usage = await _expect(receivers, at := samples.now())
    pause, begun, committed = receivers.count / rate, time.monotonic(), {}
    for turn, number in enumerate(numbers):
        await asyncio.sleep(begun + turn * pause - time.monotonic())
        committed[stock.location_id(number)] = await changes.make([number], at)
    wanted = len(numbers) * receivers.count
    arrived = await receivers.until(wanted)
    run = _run(arrived, wanted, time.monotonic() - begun, usage)
    each = (await receivers.arrivals(each=True))["each"]
    delays = [(moment - committed[path.rpartition("/")[2]]) * 1000 for _, path, moment in each]
    return figures.timed(run, delays)


async def bare_loop(rig: Rig, receivers: Receivers, changes: int) -> Run:
    """The same requests, as many of them at once, from a process that does nothing else."""
    usage = await _expect(receivers, at := samples.now())
    command = processes.ours("floors.loop", receivers.port, receivers.count, changes, BUDGET, at)
    told = json.loads(await processes.output_of(command, rig.folder / "loop.log"))
    wanted = changes * receivers.count
    arrived = await receivers.until(wanted)
    return _run(arrived, wanted, arrived.get("last", 0.0) - told["begun"], usage)


async def task_each(rig: Rig, broker: str, receivers: Receivers) -> Run:
    """A worker with one process finds a queue of tasks and sends what each of them says."""
    at = samples.now()
    wanted = rig.plan.tasks
    await asyncio.to_thread(_enqueue, broker, receivers, wanted, at)
    usage = await _expect(receivers, at)
    command = ["-A", "tests.bench.floors.tasks", "worker", "-P", "prefork", "-c", "1", "-Q", QUEUE]
    quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    async with processes.running(
        [*processes.python("celery"), *command, *quiet], rig.folder / "tasks.log", BENCH_BROKER=broker
    ):
        arrived = await receivers.until(wanted)
    return _run(arrived, wanted, arrived.get("last", 0.0) - arrived.get("first", 0.0), usage)


def _enqueue(broker: str, receivers: Receivers, count: int, at: str) -> None:
    with Celery("floor", broker=broker, set_as_current=False) as celery, celery.producer_pool.acquire() as producer:
        for number in range(count):
            location, host = divmod(number, receivers.count)
            url = f"{receivers.url(host)}/ocpi/{calls.LOCATIONS}/{stock.location_id(location)}"
            task = ("floor.deliver", (url, stock.location(location, at).decode()))
            celery.send_task(*task, queue=QUEUE, ignore_result=True, producer=producer)


async def _expect(receivers: Receivers, at: str) -> processes.Usage:
    await receivers.expect(f'"last_updated":"{at}"')
    return receivers.usage()


def _run(arrived: dict[str, float], wanted: int, seconds: float, usage: processes.Usage) -> Run:
    count = int(arrived["count"])
    faults = () if count == wanted else (f"{count} of {wanted} deliveries arrived",)
    return Run(count / max(seconds, 0.001), count, busy=usage.share(seconds), faults=faults)
