"""Endpoints that let in whom they should not, or turn away whom they should not."""

from typing import Any

import pytest
from aiohttp import web

from hub.kit import runner
from hub.kit.peer import Plan, Untestable
from hub.ocpi import headers
from hub.sandbox import wire
from hub.sandbox.registration import Registration

VERSIONS = [{"version": "2.2.1", "url": "http://127.0.0.1:9/2.2.1"}]


def lets_in_without_token(request: web.Request, response: web.Response) -> web.Response | None:
    return wire.ok(VERSIONS) if "Authorization" not in request.headers else None


def lets_in_with_any_token(request: web.Request, response: web.Response) -> web.Response | None:
    return wire.ok(VERSIONS) if response.status == 401 and "Authorization" in request.headers else None


def forgets_headers_in_lower_case(request: web.Request, response: web.Response) -> None:
    if "x-request-id" in [name.decode() for name, _ in request.raw_headers]:
        response.headers.pop("X-Request-ID", None)


def needs_ids(request: web.Request, response: web.Response) -> web.Response | None:
    return wire.ok(http_status=400) if headers.REQUEST_ID not in request.headers else None


@pytest.mark.parametrize(
    ("mangle", "catalogue_ids"),
    [
        (lets_in_without_token, {"TF-009"}),
        (lets_in_with_any_token, {"TF-010"}),
        (forgets_headers_in_lower_case, {"TF-079", "TF-013", "TF-182"}),
        (needs_ids, {"TF-136", "TF-013", "TF-182"}),
    ],
)
async def test_the_broken_rule_is_named(
    cpo: Any, examine: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    """The sandbox takes tokens in their canonical form only: TF-013 and TF-182, unless any token is taken."""
    cpo.mangle = mangle
    wrong = found(await examine(cpo, "access"), "access")
    assert wrong - {"TF-013", "TF-182"} == catalogue_ids - {"TF-013", "TF-182"}


async def test_a_peer_that_wants_the_token_as_it_is(
    cpo: Any, examine: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Registration, "_is_peer", lambda self, shown: shown.get("Authorization") == f"Token {self.peer.token_in}"
    )
    run = await examine(cpo, "access", "tariffs")
    assert "TF-005" in found(run, "access")
    assert found(run, "tariffs") == set()


async def test_a_token_a_shows_what_it_may(cpo: Any, found: Any) -> None:
    token_a, url = cpo.invite()
    run = await runner.examine(Plan(url, token_a, pause=0))
    outcome = {r.check.ids[0]: r.outcome for r in run.results if r.check.group == "access"}
    assert outcome["TF-012"] == "passed"
    assert {r.why for r in run.results if r.check.group == "tariffs" and not r.check.writes} == {
        "the token admits to the handshake only: use --register, or the token of a connection"
    }


async def test_a_token_a_that_opens_everything(cpo: Any, registering: Any, found: Any) -> None:
    def opens(request: web.Request, response: web.Response) -> web.Response | None:
        return wire.ok([]) if response.status == 401 and "/sender/" in request.path else None

    cpo.mangle = opens
    assert "TF-012" in found(await registering(cpo, "access"), "access")


async def test_plain_http_elsewhere_is_a_fault(
    cpo: Any, examine: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.kit.access._is_loopback", lambda host: False)
    assert "TF-001" in found(await examine(cpo, "access"), "access")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/ocpi/versions", "is not reachable"),
        ("http://no-such-host.invalid/versions", "the name of its host is not known"),
        ("http://[::1/versions", "cannot be tested"),
    ],
)
async def test_what_cannot_be_reached_is_not_tested(url: str, reason: str) -> None:
    with pytest.raises(Untestable, match=reason):
        await runner.examine(Plan(url, "token"))


async def test_a_token_that_is_not_taken_is_no_test(cpo: Any) -> None:
    with pytest.raises(Untestable, match="does not accept this token"):
        await runner.examine(Plan(cpo.versions_url, "wrong", pause=0))


async def test_what_is_no_versions_endpoint_is_not_tested(cpo: Any, examine: Any) -> None:
    cpo.mangle = lambda request, response: web.Response(status=502, text="<html>bad\x1b gateway")
    with pytest.raises(Untestable, match=r'answered HTTP 502, no OCPI envelope, text/plain.*"<html>bad\\x1b gateway"'):
        await examine(cpo)
