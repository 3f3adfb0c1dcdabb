"""Answers that lack what every answer has."""

from typing import Any

import pytest
from aiohttp import web

Response = web.Response


def drop(name: str) -> Any:
    """Answers without a header."""

    def mangle(request: web.Request, response: Response) -> None:
        response.headers.pop(name, None)

    return mangle


def other(name: str, value: str) -> Any:
    """Answers with another value in a header."""

    def mangle(request: web.Request, response: Response) -> None:
        response.headers[name] = value

    return mangle


def routed_everywhere(request: web.Request, response: Response) -> None:
    if "/credentials" in request.path:
        response.headers["OCPI-to-party-id"] = "KIT"


def bare_errors(request: web.Request, response: Response) -> None:
    if response.status >= 400:
        response.body = b'{"detail":"Not authenticated"}'


def to_somebody_else(request: web.Request, response: Response) -> None:
    if "/sender/" in request.path:
        response.headers["OCPI-to-party-id"] = "XXX"


DEFECTS = [
    (other("Content-Type", "text/plain"), {"TF-170"}),
    (drop("X-Request-ID"), {"TF-130"}),
    (other("X-Correlation-ID", "mine"), {"TF-131"}),
    (routed_everywhere, {"TF-076"}),
    (bare_errors, {"TF-071"}),
    (to_somebody_else, {"TF-084"}),
]
ENVELOPES = [
    (lambda e: {**e, "status_code": "1000"}, {"TF-068"}),
    (lambda e: {name: value for name, value in e.items() if name != "timestamp"}, {"TF-068"}),
    (lambda e: {**e, "timestamp": "now"}, {"TF-068"}),
    (lambda e: [e], {"TF-068"}),
    (lambda e: {**e, "timestamp": "2020-01-01T00:00:00Z"}, {"TF-070"}),
    (lambda e: {**e, "status_code": 5000}, {"TF-149"}),
    (lambda e: {**e, "status_code": 1900}, {"TF-150"}),
]


@pytest.mark.parametrize(("mangle", "catalogue_ids"), DEFECTS)
async def test_the_broken_rule_is_named(
    cpo: Any, examine: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    cpo.mangle = mangle
    assert (
        found(await examine(cpo, "access", "credentials", "tariffs", "every answer"), "every answer") == catalogue_ids
    )


@pytest.mark.parametrize(("change", "catalogue_ids"), ENVELOPES)
async def test_the_broken_envelope_is_named(
    cpo: Any, examine: Any, found: Any, edit: Any, change: Any, catalogue_ids: set[str]
) -> None:
    cpo.mangle = edit(change, "/sender/tariffs")
    run = await examine(cpo, "tariffs", "every answer")
    assert found(run, "every answer") - {"TF-071"} == catalogue_ids


async def test_how_many_answers_are_at_fault(cpo: Any, examine: Any) -> None:
    cpo.mangle = drop("X-Request-ID")
    run = await examine(cpo, "versions", "every answer")
    [result] = [r for r in run.results if r.outcome == "failed"]
    assert result.came == f"X-Request-ID: missing, in {run.requests} of {run.requests} answers"
