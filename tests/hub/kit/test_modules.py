"""Rules of single modules that a peer breaks: objects by themselves, authorisation, sessions."""

from typing import Any

import pytest
from aiohttp import web

from hub.ocpi import json
from hub.sandbox import samples, wire

Response = web.Response


def another_connector(request: web.Request, response: Response) -> Response | None:
    return wire.ok({"id": "9"}) if request.path.endswith("/LOC0/EVSE1/1") else None


def any_location(request: web.Request, response: Response) -> Response | None:
    return wire.ok({"id": "LOC0"}) if response.status == 404 else None


def any_preference(request: web.Request, response: Response) -> Response | None:
    return wire.ok("ACCEPTED") if request.path.endswith("/charging_preferences") else None


def commands_by_get(request: web.Request, response: Response) -> Response | None:
    return wire.ok() if request.method == "GET" and "/commands" in request.path else None


@pytest.mark.parametrize(
    ("group", "mangle", "catalogue_ids"),
    [
        ("locations", another_connector, {"LOC-016"}),
        ("locations", any_location, {"TF-146"}),
        ("sessions", any_preference, {"SES-013", "SES-020"}),
        ("commands", commands_by_get, {"CMD-007"}),
    ],
)
async def test_a_cpo(cpo: Any, examine: Any, found: Any, group: str, mangle: Any, catalogue_ids: set[str]) -> None:
    """The sandbox lists sessions without date_from, too (SES-013)."""
    cpo.mangle = mangle
    assert found(await examine(cpo, group, writes=True), group) == catalogue_ids


def authorising(change: Any, status: int | None = None) -> Any:
    """A mangle: other answers to the question whether a token may charge."""

    def mangle(request: web.Request, response: Response) -> None:
        if request.path.endswith("/authorize"):
            response.body = json.dumps(change(json.loads(response.body)))  # type: ignore[arg-type]
            response.set_status(status or response.status)

    return mangle


def without_token(envelope: Any) -> Any:
    return {**envelope, "data": {"allowed": "ALLOWED"}} if "data" in envelope else envelope


@pytest.mark.parametrize(
    ("mangle", "catalogue_ids"),
    [
        (authorising(lambda e: e, 200), {"TOK-022"}),
        (authorising(lambda e: {**e, "status_code": 2000} if "data" not in e else e), {"TOK-022"}),
        (authorising(without_token), {"TOK-024"}),
        (authorising(lambda e: {**e, "status_code": 2002}), {"TOK-022"}),
    ],
)
async def test_an_emsp_that_is_asked(emsp: Any, examine: Any, found: Any, mangle: Any, catalogue_ids: set[str]) -> None:
    """An eMSP may want to know the Location first (2002), but not for a token that it does not have."""
    emsp.mangle = mangle
    assert found(await examine(emsp, "tokens", writes=True), "tokens") == catalogue_ids


async def test_a_token_that_is_there_twice(emsp: Any, examine: Any, found: Any) -> None:
    emsp.tokens["RFID", "again"] = samples.token(uid="04A1")
    assert "TOK-032" in found(await examine(emsp, "tokens"), "tokens")


async def test_a_platform_of_both_kinds_is_tested_as_both(cpo: Any, examine: Any, edit: Any) -> None:
    offered = {"identifier": "tokens", "role": "SENDER", "url": f"{cpo.origin}/ocpi/2.2.1/sender/tokens"}

    def more(envelope: Any) -> Any:
        if "endpoints" not in (envelope.get("data") or {}):
            return envelope
        return {**envelope, "data": {**envelope["data"], "endpoints": [*envelope["data"]["endpoints"], offered]}}

    cpo.mangle = edit(more, "/2.2.1")
    run = await examine(cpo, "tokens", kinds=frozenset({"cpo", "emsp"}))
    assert [r.check.ids[0] for r in run.results if r.outcome == "failed"][:1] == ["TF-069"]
