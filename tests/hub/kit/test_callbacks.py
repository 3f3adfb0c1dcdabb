"""Peers whose own requests to the kit break one rule."""

import base64
from typing import Any

import pytest

ANY: dict[str, str] = {}


def as_it_is(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def lower_case(token: str) -> dict[str, str]:
    return {"Authorization": f"token {base64.b64encode(token.encode()).decode()}"}


def line_feed(token: str) -> dict[str, str]:
    shown = base64.b64encode(token.encode() + b"\n").decode()
    return {"Authorization": f"Token {shown}"}


def sends(headers: dict[str, str]) -> Any:
    return lambda token: headers


@pytest.mark.parametrize(
    ("headers", "catalogue_ids"),
    [
        (as_it_is, {"TF-005"}),
        (line_feed, {"TF-005"}),
        (lower_case, {"TF-004"}),
        (sends({"Authorization": ""}), {"TF-004"}),
        (sends({"X-Request-ID": ""}), {"TF-130"}),
        (sends({"X-Correlation-ID": "17"}), {"TF-132"}),
        (sends({"Content-Type": "text/plain"}), {"TF-017"}),
        (sends({"OCPI-to-party-id": "KIT"}), {"TF-076"}),
    ],
)
async def test_the_broken_rule_is_named(
    cpo: Any, registering: Any, found: Any, headers: Any, catalogue_ids: set[str]
) -> None:
    called = cpo.call

    async def call(method: str, url: str, token: str, *rest: Any, **named: Any) -> Any:
        return await called(method, url, token, rest[0] if rest else named.get("body"), headers(token))

    cpo.call = call
    run = await registering(cpo, "commands", "its requests", charge_at=("LOC1", "EVSE1", "1"))
    assert found(run, "its requests") == catalogue_ids


async def test_the_other_form_of_a_token_may_be_tried_after_the_right_one(
    cpo: Any, registering: Any, found: Any
) -> None:
    called = cpo.call

    async def call(method: str, url: str, token: str, *rest: Any, **named: Any) -> Any:
        answer = await called(method, url, token, *rest, **named)
        if answer.http_status == 404:
            await called(method, url, token, None, as_it_is(token))
        return answer

    cpo.call = call
    run = await registering(cpo, "registration", "its requests")
    assert found(run, "its requests") == set()
