"""The operator API, /api/v1: everything the `knutpunkt` commands can do, for scripts and for the console.

The application includes `router` and renders every OcpiError with `refuse`, and what
has no route with `refuse_http`.
"""

from fastapi import APIRouter

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
    platforms,
    status,
    trace,
)
from hub.admin.access import refuse, refuse_http

__all__ = ["refuse", "refuse_http", "router"]

router = APIRouter(prefix="/api/v1")
for topic in (
    invitations,
    platforms,
    connections,
    parties,
    agreements,
    objects,
    chargers,
    cdrs,
    deliveries,
    trace,
    status,
    alerts,
    config,
    doctor,
):
    router.include_router(topic.router)
