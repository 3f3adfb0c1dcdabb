"""CDR receivers that break one rule."""

from typing import Any

import pytest
from aiohttp import web

from hub.ocpi import json
from hub.sandbox import wire

Response = web.Response


def no_location(request: web.Request, response: Response) -> None:
    response.headers.pop("Location", None)


def not_created(request: web.Request, response: Response) -> None:
    if response.status == 201:
        response.set_status(200)


def another_location(request: web.Request, response: Response) -> None:
    if "Location" in response.headers:
        response.headers["Location"] += f"?{id(response)}"


def takes_all(request: web.Request, response: Response) -> Response | None:
    assert isinstance(response.body, bytes)
    if request.method == "POST" and json.loads(response.body)["status_code"] == 2001:
        return wire.ok(http_status=201)
    return None


def shows_another(request: web.Request, response: Response) -> Response | None:
    return wire.ok({"id": "X"}) if request.method == "GET" and "/receiver/cdrs" in request.path else None


def takes_put(request: web.Request, response: Response) -> Response | None:
    return wire.ok() if request.method == "PUT" else None


@pytest.mark.parametrize(
    ("mangle", "catalogue_ids"),
    [
        (no_location, {"CDR-019"}),
        (not_created, {"CDR-020"}),
        (another_location, {"CDR-023"}),
        (takes_all, {"CDR-024", "TF-048"}),
        (shows_another, {"CDR-018"}),
        (takes_put, {"CDR-017"}),
    ],
)
async def test_the_broken_rule_is_named(
    emsp: Any, examine: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    emsp.mangle = mangle
    assert found(await examine(emsp, "cdrs", writes=True), "cdrs") == catalogue_ids


async def test_a_location_elsewhere_is_not_followed(emsp: Any, examine: Any) -> None:
    def elsewhere(request: web.Request, response: Response) -> None:
        if "Location" in response.headers:
            response.headers["Location"] = "http://127.0.0.1:9/cdr"

    emsp.mangle = elsewhere
    run = await examine(emsp, "cdrs", writes=True)
    [result] = [r for r in run.results if r.check.ids[0] == "CDR-018"]
    assert (result.outcome, result.why) == (
        "skipped",
        "the Location leads to another host, and such links are not followed",
    )
