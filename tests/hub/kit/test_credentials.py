"""Credentials that are not as they should be."""

from typing import Any

import pytest
from aiohttp import web

from hub.sandbox import wire

ROLE = {"role": "CPO", "country_code": "NL", "party_id": "CPA", "business_details": {"name": "x"}}

DEFECTS = [
    (lambda found: {**found, "token": "another"}, {"CRED-024"}),
    (lambda found: {**found, "url": "nowhere"}, {"CRED-037"}),
    (lambda found: {**found, "roles": []}, {"CRED-037"}),
    (lambda found: {**found, "roles": [{**ROLE, "business_details": {}}]}, {"CRED-051"}),
    (lambda found: {**found, "roles": [{**ROLE, "role": "MSP"}]}, {"CRED-051"}),
    (lambda found: {**found, "token": f"a b {found['token']}"}, {"CRED-024", "CRED-038"}),
    (lambda found: {**found, "roles": [ROLE, {**ROLE, "party_id": "cpa"}]}, {"CRED-039"}),
]


@pytest.mark.parametrize(("change", "catalogue_ids"), DEFECTS)
async def test_the_broken_rule_is_named(
    cpo: Any, examine: Any, found: Any, edit: Any, change: Any, catalogue_ids: set[str]
) -> None:
    def mangle(request: Any, response: Any) -> None:
        if request.method == "GET":
            edit(lambda e: {**e, "data": change(e["data"])}, "/credentials")(request, response)

    cpo.mangle = mangle
    assert found(await examine(cpo, "credentials", kinds=frozenset({"cpo"})), "credentials") == catalogue_ids


async def test_credentials_that_take_patch(cpo: Any, examine: Any, found: Any) -> None:
    cpo.mangle = lambda request, response: wire.ok() if request.method == "PATCH" else None
    assert found(await examine(cpo, "credentials"), "credentials") == {"CRED-023"}


async def test_a_hub_lists_itself_and_nobody_else(cpo: Any, examine: Any, found: Any, edit: Any) -> None:
    run = await examine(cpo, "credentials", kinds=frozenset({"hub"}))
    assert found(run, "credentials") == {"CRED-044"}
    assert next(r.came for r in run.results if r.outcome == "failed") == "roles: CPO"


async def test_credentials_that_cannot_be_read(cpo: Any, examine: Any, found: Any) -> None:
    def refuse(request: web.Request, response: web.Response) -> web.Response | None:
        return wire.ok(http_status=500) if request.path.endswith("/credentials") else None

    cpo.mangle = refuse
    assert found(await examine(cpo, "credentials"), "credentials") == {"CRED-024", "CRED-023"}
