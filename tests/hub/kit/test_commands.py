"""CPOs that answer commands, and send results, in a way of their own."""

from typing import Any

import pytest
from aiohttp import web

from hub.ocpi import json
from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend

Response = web.Response
PLACE = ("LOC1", "EVSE1", "1")


def answer(name: str, data: Any = None, status: int = 200) -> Any:
    """A mangle: this answer to a command."""

    def mangle(request: web.Request, response: Response) -> Response | None:
        return wire.ok(data, status) if request.path.endswith(f"/commands/{name}") else None

    return mangle


def takes_all(request: web.Request, response: Response) -> Response | None:
    assert isinstance(response.body, bytes)
    refused = "/commands/" in request.path and json.loads(response.body)["status_code"] == 2001
    return wire.ok({"result": "REJECTED", "timeout": 0}) if refused else None


@pytest.mark.parametrize(
    ("mangle", "catalogue_ids"),
    [
        (answer("START_SESSION", {"result": "REJECTED", "timeout": 0}), {"CMD-043"}),
        (answer("STOP_SESSION", {"result": "REJECTED", "timeout": 0}), {"CMD-045", "CMD-044", "CMD-007"}),
        (answer("STOP_SESSION", {"result": "UNKNOWN_SESSION"}), {"CMD-045", "CMD-044", "CMD-007"}),
        (answer("KIT_COMMAND"), {"CMD-009"}),
        (takes_all, {"CMD-044"}),
    ],
)
async def test_the_broken_rule_is_named(
    cpo: Any, registering: Any, found: Any, mangle: Any, catalogue_ids: set[str]
) -> None:
    cpo.mangle = mangle
    assert found(await registering(cpo, "commands"), "commands") == catalogue_ids


async def test_a_session_is_started_where_the_operator_says(cpo: Any, registering: Any) -> None:
    run = await registering(cpo, "commands", "its requests", charge_at=PLACE)
    outcome = {r.check.ids[0]: r.outcome for r in run.results}
    assert (outcome["CMD-002"], outcome["CMD-014"]) == ("passed", "passed")
    assert set(outcome.values()) == {"passed"}


async def test_without_a_place_nothing_is_started(cpo: Any, registering: Any) -> None:
    run = await registering(cpo, "commands")
    assert {r.check.ids[0]: r.outcome for r in run.results}["CMD-002"] == "skipped"
    assert cpo.charging == {}


async def test_a_result_in_an_envelope(cpo: Any, registering: Any, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrapped(self: Any, url: str, result: str, to: Any, sender: Any = None) -> Any:
        return await self.call_back(url, {"data": {"result": result}, "status_code": 1000}, to, sender)

    monkeypatch.setattr(CpoBackend, "post_result", wrapped)
    assert found(await registering(cpo, "commands", charge_at=PLACE), "commands") == {"CMD-002", "CMD-014"}


async def test_a_result_that_never_comes(
    cpo: Any, registering: Any, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.kit.commands.PATIENCE", 0.1)
    cpo.mangle = answer("START_SESSION", {"result": "ACCEPTED", "timeout": 30})
    assert "CMD-002" in found(await registering(cpo, "commands", charge_at=("LOC9",)), "commands")


@pytest.mark.parametrize(
    "data", [{"result": "ACCEPTED", "timeout": 5}, {"result": "LATER", "timeout": 5}, {"result": "REJECTED"}]
)
async def test_charging_profiles_of_no_session(cpo: Any, registering: Any, found: Any, data: Any) -> None:
    cpo.modules = (*cpo.modules, ("chargingprofiles", "RECEIVER"))
    cpo.mangle = lambda request, response: wire.ok(data) if "/chargingprofiles" in request.path else None
    assert found(await registering(cpo, "chargingprofiles"), "chargingprofiles") == {"CHP-005", "CHP-008"}


async def test_charging_profiles_as_they_should_be(cpo: Any, registering: Any, found: Any) -> None:
    def mangle(request: web.Request, response: Response) -> Response | None:
        if "/chargingprofiles" not in request.path:
            return None
        if request.method == "GET" and "response_url" not in request.query:
            return wire.reply(b'{"status_code":2001,"timestamp":"2026-01-01T00:00:00Z"}', 200)
        return wire.ok({"result": "UNKNOWN_SESSION", "timeout": 5})

    cpo.modules = (*cpo.modules, ("chargingprofiles", "RECEIVER"))
    cpo.mangle = mangle
    run = await registering(cpo, "chargingprofiles")
    assert {r.outcome for r in run.results} == {"passed"}
