"""The operator API, /api/v1: everything the `knutpunkt` commands can do, for scripts and for the console.

The application takes `routes` and renders every OcpiError with `refuse`, and what
has no route with `refuse_http`.
"""

from starlette.routing import BaseRoute

from hub.admin import (
    agreements,
    alerts,
    cdrs,
    chargers,
    config,
    connections,
    deliveries,
    doctor,
    invitations,
    objects,
    parties,
    peers,
    platforms,
    probes,
    pulls,
    reconciliations,
    status,
    trace,
)
from hub.admin.access import refuse, refuse_http

__all__ = ["refuse", "refuse_http", "routes"]

_TOPICS = (
    invitations,
    platforms,
    connections,
    probes,
    parties,
    peers,
    agreements,
    objects,
    chargers,
    cdrs,
    deliveries,
    pulls,
    reconciliations,
    trace,
    status,
    alerts,
    config,
    doctor,
)
routes: list[BaseRoute] = [route for topic in _TOPICS for route in topic.router.routes]
