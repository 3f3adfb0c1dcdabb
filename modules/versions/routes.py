"""Versions and version details: where everything is. Readable with token A as well as C (VER-014).

Source: version_information_endpoint.asciidoc.
"""

from fastapi import APIRouter, Response

from hub.ocpi import envelope
from modules.calls import VERSION_PATH, CurrentHub
from modules.catalog import FUNCTIONAL, HUBCLIENTINFO

VERSION = "2.2.1"
router = APIRouter(tags=["versions"])


@router.get("/versions")
async def get_versions(hub: CurrentHub) -> Response:
    """The OCPI versions this hub speaks."""
    return _json([{"version": VERSION, "url": hub.base_url}])


@router.get(VERSION_PATH)
async def get_version_details(hub: CurrentHub) -> Response:
    """The endpoints of version 2.2.1: both interfaces of every routed module (VER-010), and of hubclientinfo, since the
    hub may be the client of another one (VER-011, VER-012)."""
    endpoints = [{"identifier": "credentials", "role": "SENDER", "url": f"{hub.base_url}/credentials"}]
    endpoints += [
        {"identifier": module.name, "role": role, "url": f"{hub.base_url}/{role.lower()}/{module.name}"}
        for module in (*FUNCTIONAL, HUBCLIENTINFO)
        for role in ("SENDER", "RECEIVER")
    ]
    return _json({"version": VERSION, "endpoints": endpoints})


def _json(data: object) -> Response:
    return Response(envelope.envelope(data), media_type="application/json")
