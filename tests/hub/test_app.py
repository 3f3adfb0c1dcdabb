"""The API process: what it shows to whom."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from hub.app import OCPI_ROUTERS
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend

ONE_OF_EACH = {"country_code": "NL", "party_id": "CPA", "location_id": "LOC1", "evse_uid": "EVSE1", "connector_id": "1"}


def readable(app: FastAPI) -> Iterator[str]:
    """The path of every GET route, with the ids of the sample location in it."""
    own = [route.path for route in app.routes if isinstance(route, Route)]
    documented = [path for path, methods in app.openapi()["paths"].items() if "get" in methods]
    below = [route for router in OCPI_ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    ocpi = [f"/ocpi{route.path}" for route in below if "GET" in (route.methods or ())]
    for path in (*own, *documented, *ocpi):
        yield re.sub(r"\{(\w+)(:\w+)?\}", lambda found: ONE_OF_EACH.get(found[1], "LOC1"), path)


@pytest.mark.catalogue("LOC-083")
async def test_no_location_is_shown_to_somebody_without_a_token(running: Any) -> None:
    """There is no map and no open data here: neither a hidden Location nor any other is for just anybody."""
    async with CpoBackend("NL*CPA") as cpo:
        await running.join(cpo, "CPO")
        hidden = samples.location() | {"publish": False, "name": "Behind the house 7"}
        assert (await cpo.put_location(hidden, to=cpo.hub)).ok
    paths = list(readable(running.app))
    assert any(path.endswith("/sender/locations/LOC1") for path in paths)
    assert any(path.endswith("/api/v1/locations") for path in paths)
    async with httpx.AsyncClient(base_url=running.url, trust_env=False) as anybody:
        for path in paths:
            answer = await anybody.get(path)
            assert hidden["name"] not in answer.text, path
            assert answer.status_code in (401, 404) or "locations" not in path, path
