"""Versions and details that are not as they should be."""

from typing import Any

import pytest

from hub.kit.versions import GROUP

VERSIONS, DETAILS = "/ocpi/versions", "/ocpi/2.2.1"


def data(change: Any) -> Any:
    """An edit of the data in an envelope."""
    return lambda envelope: {**envelope, "data": change(envelope["data"])}


def endpoints(change: Any) -> Any:
    """An edit of the list of endpoints."""
    return data(lambda details: {**details, "endpoints": change(details["endpoints"])})


def without_role(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in entry.items() if name != "role"} for entry in entries]


DEFECTS = [
    (VERSIONS, lambda e: {**e, "status_code": 1001}, {"VER-002"}),
    (VERSIONS, data(lambda found: {"versions": found}), {"VER-002", "VER-005"}),
    (VERSIONS, data(lambda found: []), {"VER-001", "VER-005"}),
    (VERSIONS, data(lambda found: [{"version": "2.2.1"}]), {"VER-001", "VER-003"}),
    (VERSIONS, data(lambda found: [{**found[0], "url": "/ocpi/2.2.1"}]), {"VER-003"}),
    (VERSIONS, data(lambda found: [{**found[0], "version": "2.2"}]), {"VER-005"}),
    (DETAILS, data(lambda found: {**found, "version": "2.2"}), {"VER-007"}),
    (DETAILS, data(lambda found: {"endpoints": found["endpoints"]}), {"VER-007"}),
    (DETAILS, endpoints(lambda found: [*found, {"identifier": "cdrs", "role": "RECEIVER"}]), {"VER-007", "TF-139"}),
    (DETAILS, endpoints(without_role), {"VER-008", "VER-015", "TF-014"}),
    (DETAILS, endpoints(lambda found: [*found, found[-1]]), {"VER-009"}),
    (DETAILS, endpoints(lambda found: found[1:]), {"VER-019"}),
    (DETAILS, endpoints(lambda found: [{**found[0], "role": "RECEIVER"}, *found[1:]]), {"VER-015"}),
    (
        DETAILS,
        endpoints(lambda found: [*found, {"identifier": "parking", "role": "SENDER", "url": "https://x.example/2.2.1"}]),
        {"VER-023"},
    ),
    (
        DETAILS,
        endpoints(lambda found: [*found, {"identifier": "nltnm-x", "role": "SENDER", "url": "https://x.example/x"}]),
        {"TF-139"},
    ),
    (DETAILS, endpoints(lambda found: [e for e in found if e["identifier"] != "locations"]), {"TF-014"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "change", "catalogue_ids"), DEFECTS)
async def test_the_broken_rule_is_named(
    cpo: Any, examine: Any, found: Any, edit: Any, path: str, change: Any, catalogue_ids: set[str]
) -> None:
    def mangle(request: Any, response: Any) -> None:
        if request.path == path and response.status == 200:
            edit(change)(request, response)

    cpo.mangle = mangle
    assert found(await examine(cpo, "versions", kinds=frozenset({"cpo"})), "versions") == catalogue_ids


async def test_a_hub_has_to_offer_more(cpo: Any, examine: Any, found: Any) -> None:
    run = await examine(cpo, "versions", kinds=frozenset({"hub"}))
    assert found(run, "versions") == {"VER-010", "VER-011"}
    came = {r.check.ids[0]: r.came for r in run.results}
    assert came["VER-010"].startswith("without locations RECEIVER, tariffs RECEIVER")


def test_every_check_has_a_title_and_an_id() -> None:
    assert all(check.title and check.ids for check in GROUP.checks)
