"""`/metrics`, for Prometheus: what this process counts, and what one look at the database finds.

It shows partners and what is owed to them, so it needs an operator's token, as `authorization` of a Prometheus scrape
configuration sends it. Every API process answers for itself and tells the same of the database: take `max` over
instances of that, not `sum`.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator

import structlog
from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hub import metrics
from hub.admin import access
from hub.delivery import audience
from hub.exchange.context import Hub
from hub.store import vitals
from hub.store.db import FAULTS
from hub.store.heartbeats import SILENT
from hub.store.vitals import Vitals
from modules.calls import CurrentHub

router = access.router("metrics", prefix="")
log = structlog.get_logger(__name__)

PATIENCE = 5.0  # seconds

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values with the values of their labels."""


class Found(Collector):
    """What a look found, as metrics; without one only that the database is away. `served` are the receivers whose lanes
    count."""

    def __init__(self, look: Vitals | None, served: Collection[str]) -> None:
        self._look, self._served = look, served

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        yield _gauge("database_up", "Whether the database answers.", (), [((), float(self._look is not None))])
        if self._look is None:
            return
        for name, text, labels, samples in _GAUGES:
            yield _gauge(name, text, labels, samples(self._look))
        lanes = [lane for lane in self._look.lanes if lane.receiver in self._served]
        age, depth = (
            "Age of the oldest change that the receiver was not given.",
            "Changes that its lane has not passed.",
        )
        yield _gauge("lane_age_seconds", age, ("receiver",), [((lane.receiver,), lane.age) for lane in lanes])
        yield _gauge("lane_depth", depth, ("receiver",), [((lane.receiver,), lane.depth) for lane in lanes])
        yield from metrics.told({sign.process: sign.figures for sign in self._look.signs if sign.age <= SILENT})


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"knutpunkt_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _platforms(look: Vitals) -> Samples:
    statuses = [platform.status for platform in look.platforms]
    return [((status,), statuses.count(status)) for status in sorted(set(statuses))]


_GAUGES: tuple[tuple[str, str, tuple[str, ...], Callable[[Vitals], Samples]], ...] = (
    ("database_size_bytes", "Size of the database.", (), lambda look: [((), look.size)]),
    ("log_head", "Last position of the change log.", (), lambda look: [((), look.log.head)]),
    ("log_tail", "Position up to which the change log is pruned.", (), lambda look: [((), look.log.tail)]),
    ("log_unstamped", "Changes that have no position yet.", (), lambda look: [((), look.log.unstamped)]),
    ("log_unstamped_age_seconds", "Age of the oldest of them.", (), lambda look: [((), look.log.unstamped_age)]),
    ("owed_objects", "Objects that wait for another try.", ("receiver",),
     lambda look: [((row.receiver,), row.owed) for row in look.debts]),
    ("parked_objects", "Objects that the receiver refuses.", ("receiver",),
     lambda look: [((row.receiver,), row.parked) for row in look.debts]),
    ("backfills", "Full deliveries of an owner's module under way.", (), lambda look: [((), look.backfills)]),
    ("held_cdrs", "CDRs that wait for the operator.", ("owner",),
     lambda look: [((row.owner,), row.held) for row in look.held]),
    ("platforms", "Platforms of partners.", ("status",), _platforms),
    ("alerts", "Open alerts.", ("kind",), lambda look: [((kind,), number) for kind, number in look.alerts.items()]),
    ("heartbeat_age_seconds", "Time since a process showed its life.", ("process", "kind"),
     lambda look: [((sign.process, sign.kind), sign.age) for sign in look.signs]),
)  # fmt: skip


async def exposition(hub: Hub) -> bytes:
    """All metrics in Prometheus' text format."""
    look: Vitals | None = None
    try:
        async with asyncio.timeout(PATIENCE), hub.db.unit_of_work() as session:
            look = await vitals.look(session)
    except FAULTS as error:
        log.warning("metrics without the database", error=repr(error)[:300])
    registry = CollectorRegistry()
    registry.register(Found(look, audience.all_served(hub.directory.now)))
    return generate_latest(metrics.REGISTRY) + generate_latest(registry)


@router.get("/metrics", include_in_schema=False)
async def get(hub: CurrentHub) -> Response:
    """The metrics of this process and of the hub."""
    return Response(await exposition(hub), headers={"Content-Type": CONTENT_TYPE_LATEST})
