"""What this process counts and times, for Prometheus. Defined here, used where it happens, shown at `/metrics`.

Only what one process knows of itself is kept here; what the database knows (lanes, debts, the change log) is read when
somebody looks, and what workers and bridges know travels in their heartbeats.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

REGISTRY = CollectorRegistry()
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

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
FORWARDS = Histogram(
    "knutpunkt_forward_seconds",
    "Calls passed on to a partner, until its answer.",
    ("module",),
    buckets=BUCKETS,
    registry=REGISTRY,
)
FORWARD_FAILURES = Counter(
    "knutpunkt_forward_failures",
    "Calls passed on to a partner that brought no usable answer.",
    ("receiver", "reason"),
    registry=REGISTRY,
)
