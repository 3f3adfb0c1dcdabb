"""Receiver interfaces that break one rule: the kit pushes to them, and names it."""

from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from hub.kit.receiving import same
from hub.ocpi import json
from hub.sandbox import wire
from hub.sandbox.shelf import Shelf

Response = web.Response


def answers(method: str, status: int, when: int = 0, code: int | None = None) -> Any:
    """A mangle: answers to a method, of one HTTP status if `when` says so, get another status."""

    def mangle(request: web.Request, response: Response) -> None:
        if "/receiver/" in request.path and request.method == method and when in (0, response.status):
            response.set_status(status)
            if code is not None:
                response.body = json.dumps({**json.loads(response.body), "status_code": code})  # type: ignore[arg-type]

    return mangle


def changes(name: str, value: Any) -> Any:
    """A mangle: GET shows another value in a field."""

    def mangle(request: web.Request, response: Response) -> None:
        if "/receiver/" in request.path and request.method == "GET" and response.status == 200:
            envelope = json.loads(response.body)  # type: ignore[arg-type]
            response.body = json.dumps({**envelope, "data": {**envelope["data"], name: value}})

    return mangle


def takes(path_or_body: str) -> Any:
    """A mangle: what was refused with 2001 is accepted."""

    def mangle(request: web.Request, response: Response) -> Response | None:
        refused = json.loads(response.body).get("status_code") == 2001  # type: ignore[arg-type]
        return (
            wire.ok()
            if refused and response.status == 200 and request.method == path_or_body and "/receiver/" in request.path
            else None
        )

    return mangle


DEFECTS = [
    (answers("PUT", 200, when=201), {"TF-148"}),
    (answers("PUT", 201, when=200), {"TF-147"}),
    (answers("PUT", 200, when=400), {"TF-144"}),
    (answers("PUT", 500, when=201), {"TOK-010", "TF-148"}),
    (answers("GET", 200, when=404), {"TF-146", "TOK-012"}),
    (changes("issuer", "somebody"), {"TF-050", "TF-051"}),
    (takes("PATCH"), {"TOK-016"}),
    (takes("PUT"), {"TF-048", "TF-063"}),
    (answers("POST", 200), {"TF-181"}),
    (answers("PATCH", 200, when=404, code=1000), {"TF-054"}),
]


@pytest.mark.parametrize(("mangle", "catalogue_ids"), DEFECTS)
async def test_the_broken_rule_is_named(
    cpo: Any, examine: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    cpo.mangle = mangle
    assert found(await examine(cpo, "tokens", writes=True), "tokens") == catalogue_ids


@pytest.mark.parametrize("group", ["locations", "tariffs", "sessions", "cdrs"])
async def test_an_emsp_as_it_should_be(emsp: Any, examine: Any, found: Any, group: str) -> None:
    run = await examine(emsp, group, writes=True)
    assert found(run, group) == set()
    assert run.count("passed", must=True) > 4
    assert {r.why for r in run.results if r.outcome == "skipped"} == set()


async def test_without_leave_nothing_is_written(cpo: Any, emsp: Any, examine: Any) -> None:
    """Only GET, and PATCH of nothing at places that have no PATCH."""
    for platform in (cpo, emsp):
        await examine(platform)
        assert {seen.method for seen in platform.received} <= {"GET", "PATCH"}
        assert {seen.raw for seen in platform.received if seen.method == "PATCH"} == {b"{}"}
        assert all("/receiver/" not in seen.path for seen in platform.received if seen.method == "PATCH")


async def test_a_receiver_that_goes_backwards(
    emsp: Any, examine: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "_is_news", lambda self, key, sent: True)
    assert found(await examine(emsp, "locations", writes=True), "locations") == {"LOC-033"}


async def test_a_receiver_that_replaces_charging_periods(
    emsp: Any, examine: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf, "_appended", lambda self, held, sent: {})
    assert found(await examine(emsp, "sessions", writes=True), "sessions") == {"SES-027"}


async def test_a_tariff_that_cannot_be_deleted(emsp: Any, examine: Any, found: Any) -> None:
    emsp.mangle = lambda request, response: wire.ok() if request.method == "DELETE" else None
    assert found(await examine(emsp, "tariffs", writes=True), "tariffs") == {"TAR-009"}


async def test_a_tariff_that_takes_patch(emsp: Any, examine: Any, found: Any) -> None:
    def mangle(request: web.Request, response: Response) -> Response | None:
        return wire.ok() if request.method == "PATCH" and "/receiver/tariffs" in request.path else None

    emsp.mangle = mangle
    assert found(await examine(emsp, "tariffs", writes=True), "tariffs") == {"TAR-006"}


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        (Decimal("1.50"), Decimal("1.5"), True),
        (1, Decimal("1.0"), True),
        (1, True, False),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", False),
        ("a", "A", False),
        ({"a": 1}, {"a": 1, "more": 2}, True),
        ({"a": 1}, None, False),
        ([], None, True),
        ([1], [1, 2], False),
        (None, None, True),
    ],
)
def test_what_means_the_same(ours: Any, theirs: Any, equal: bool) -> None:
    assert same(ours, theirs) is equal
