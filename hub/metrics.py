"""What this process counts and times, for Prometheus. Defined here, used where it happens, shown at `/metrics`.

`REGISTRY` is what the API process itself has to show. `WORKER` and `BRIDGE` are filled by processes that have no port
for a scraper: their heartbeats carry the figures to the database (`figures`), and any API process shows them with the
name of the process (`told`). What the database itself knows (lanes, debts, the change log) is read when
somebody looks.

The children of a metric are resolved once (`functools.cache`), so that counting costs a microsecond or two; every label
is one of a few known values, whatever a partner sends.
"""

import functools
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.metrics_core import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
WORKER, BRIDGE = CollectorRegistry(), CollectorRegistry()
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
INTERFACES = frozenset({"sender", "receiver"})
OTHER = "other"

Figures = dict[str, list[tuple[str, Mapping[str, str], float]]]
"""Samples (name, labels, value) by the family they belong to."""

ProcessCollector(namespace="knutpunkt", registry=REGISTRY)

# The API.

REQUESTS = Histogram(
    "knutpunkt_request_seconds",
    "OCPI requests served, from the first byte to the answer.",
    ("interface", "module", "method"),
    buckets=BUCKETS,
    registry=REGISTRY,
)
ACCEPTS = Histogram(
    "knutpunkt_accept_seconds",
    "Pushes made lasting: the transaction before the answer.",
    ("module",),
    buckets=BUCKETS,
    registry=REGISTRY,
)
OUTCOMES = Counter(
    "knutpunkt_kept",
    "Objects that arrived to be kept, by what became of them: what was older or the same changed nothing.",
    ("module", "outcome"),
    registry=REGISTRY,
)
ODDITIES = Counter(
    "knutpunkt_oddities",
    "Fields that do not follow the specification and were let through, by owner; a strict platform's are refused.",
    ("module", "owner"),
    registry=REGISTRY,
)
FORWARDS = Histogram(
    "knutpunkt_forward_seconds",
    "Calls passed on to a partner, until its answer.",
    ("module",),
    buckets=BUCKETS,
    registry=REGISTRY,
)
FORWARD_FAILURES = Counter(
    "knutpunkt_forward_failures",
    "Calls passed on to a partner that brought no answer.",
    ("receiver", "reason"),
    registry=REGISTRY,
)
SHED = Counter(
    "knutpunkt_requests_shed",
    "OCPI requests refused because the hub had its hands full, by kind and HTTP status: 429 is over its share.",
    ("kind", "status"),
    registry=REGISTRY,
)
PLACES = Gauge("knutpunkt_places", "OCPI requests that may be worked on at once, at present.", registry=REGISTRY)
IN_PROGRESS = Gauge(
    "knutpunkt_requests_in_progress",
    "OCPI requests that are worked on, and those that wait for a partner's answer.",
    ("state",),
    registry=REGISTRY,
)

# Workers.

DELIVERIES = Counter(
    "knutpunkt_deliveries",
    "Requests of the lanes, by what became of them.",
    ("verdict",),
    registry=WORKER,
)
DELIVERY_SECONDS = Histogram(
    "knutpunkt_delivery_seconds",
    "Requests of the lanes, until the answer.",
    buckets=BUCKETS,
    registry=WORKER,
)
LANES_HELD = Gauge("knutpunkt_lanes_held", "Lanes that the worker serves.", registry=WORKER)
UNDER_WAY = Gauge("knutpunkt_deliveries_under_way", "Objects that the worker is sending now.", registry=WORKER)

# Bridges.

OCPP_SOCKETS = Gauge("knutpunkt_ocpp_sockets", "Chargers connected to the bridge.", registry=BRIDGE)
OCPP_MESSAGES = Counter("knutpunkt_ocpp_messages", "Messages of chargers, by action.", ("action",), registry=BRIDGE)
OCPP_CALLS = Counter("knutpunkt_ocpp_calls", "Calls to chargers, by action.", ("action",), registry=BRIDGE)


def endpoint(path: str, method: str, modules: Container[str]) -> tuple[str, str, str]:
    """Interface, module and method of a request of the OCPI application; of modules only those in `modules`."""
    interface, _, tail = path.partition("/2.2.1/")[2].partition("/")
    module = tail.partition("/")[0]
    if interface not in INTERFACES:  # versions, credentials, pages of lists, callbacks
        interface, module = OTHER, interface
    return interface, module if module in modules else OTHER, method if method in METHODS else OTHER


@functools.cache
def requests(interface: str, module: str, method: str) -> Histogram:
    """Where requests of an endpoint are timed."""
    return REQUESTS.labels(interface, module, method)


@functools.cache
def accepts(module: str) -> Histogram:
    """Where a push of `module` is timed while it is made lasting."""
    return ACCEPTS.labels(module)


@functools.cache
def outcomes(module: str, outcome: str) -> Counter:
    """Where objects of `module` of which this became are counted."""
    return OUTCOMES.labels(module, outcome)


@functools.cache
def oddities(module: str, owner: str) -> Counter:
    """Where fields of an owner's objects that do not follow the specification are counted."""
    return ODDITIES.labels(module, owner)


@functools.cache
def forwards(module: str) -> Histogram:
    """Where a call of `module` is timed while a partner answers it."""
    return FORWARDS.labels(module)


@functools.cache
def shed(kind: str, status: int) -> Counter:
    """Where requests of a kind that were refused with this HTTP status are counted."""
    return SHED.labels(kind, str(status))


@functools.cache
def deliveries(verdict: str) -> Counter:
    """Where deliveries with this verdict are counted."""
    return DELIVERIES.labels(verdict)


@functools.cache
def ocpp_messages(action: str) -> Counter:
    """Where messages of a known action are counted."""
    return OCPP_MESSAGES.labels(action)


@functools.cache
def ocpp_calls(action: str) -> Counter:
    """Where calls of an action are counted."""
    return OCPP_CALLS.labels(action)


def figures(registry: CollectorRegistry) -> Figures:
    """What a registry holds at present, for a heartbeat."""
    return {
        family.name: [(sample.name, sample.labels, sample.value) for sample in family.samples]
        for family in registry.collect()
    }


def told(by_process: Mapping[str, Mapping[str, Sequence[Sequence[Any]]]]) -> Iterator[Metric]:
    """The figures that processes told, with a label `process`. What this release does not know is left out."""
    for known in (*WORKER.collect(), *BRIDGE.collect()):
        family = Metric(known.name, known.documentation, known.type)
        for process, families in by_process.items():
            for name, labels, value in families.get(known.name, ()):
                family.add_sample(name, {**labels, "process": process}, value)
        yield family
