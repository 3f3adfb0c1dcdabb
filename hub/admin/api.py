"""The operator API, /api/v1: everything the `knutpunkt` commands can do, for scripts and for the console.

The application includes `router` and renders every OcpiError with `refuse`.
"""

from fastapi import APIRouter

from hub.admin import agreements, cdrs, chargers, invitations, objects, parties, platforms, status, trace
from hub.admin.access import refuse

__all__ = ["refuse", "router"]

router = APIRouter(prefix="/api/v1")
for topic in (invitations, platforms, parties, agreements, objects, chargers, cdrs, trace, status):
    router.include_router(topic.router)
