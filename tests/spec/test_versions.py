"""Versions and version details, from outside (version_information_endpoint, terminology)."""

import re
from typing import Any

import pytest
from aiohttp import web
from fastapi.routing import APIRoute

from hub.app import OCPI_ROUTERS
from hub.ocpi.types import Schema, check
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import VERSION, Refused
from modules.versions.schemas import VersionDetails

pytestmark = pytest.mark.handshake

ROUTED = ("locations", "sessions", "cdrs", "tariffs", "tokens", "chargingprofiles", "commands")


async def details(running: Any, cpo: CpoBackend) -> list[dict[str, Any]]:
    """The endpoints that the hub publishes."""
    found = await cpo.call("GET", f"{running.url}/ocpi/2.2.1", cpo.registered.token_out)
    endpoints: list[dict[str, Any]] = found.data["endpoints"]
    return endpoints


@pytest.mark.catalogue("VER-001", "VER-002", "VER-005")
async def test_the_list_names_the_version_and_where_it_is(running: Any, cpo: CpoBackend) -> None:
    answer = await cpo.call("GET", running.hub.versions_url, cpo.registered.token_out)
    assert (answer.http_status, answer.status_code) == (200, 1000)
    assert {"version": "2.2.1", "url": f"{running.url}/ocpi/2.2.1"} in answer.data
    versions = [entry["version"] for entry in answer.data]
    assert len(set(versions)) == len(versions) == len({entry["url"] for entry in answer.data})


@pytest.mark.catalogue("VER-003", "VER-007", "VER-026")
async def test_the_url_of_a_version_leads_to_its_details(running: Any, cpo: CpoBackend) -> None:
    listed = await cpo.call("GET", running.hub.versions_url, cpo.registered.token_out)
    for entry in listed.data:
        assert re.fullmatch(r"https?://[^/]+/.+", entry["url"])
        found = await cpo.call("GET", entry["url"], cpo.registered.token_out)
        assert found.data["version"] == entry["version"]
        assert check(VersionDetails, found.data) == []
    assert "2.2.1-d2" not in [entry["version"] for entry in listed.data]


@pytest.mark.catalogue("VER-004")
async def test_an_invitation_is_a_token_and_the_versions_url(running: Any) -> None:
    shown = {"Authorization": f"Bearer {running.hub.settings.api_token}"}
    async with CpoBackend("NL*NEW") as cpo:
        assert cpo._http is not None
        asked = {"name": "a partner", "parties": [{"code": "NL*NEW", "role": "CPO"}]}
        async with cpo._http.post(f"{running.url}/api/v1/invitations", json=asked, headers=shown) as answer:
            told = await answer.json()
        assert told["versions_url"] == running.hub.versions_url
        assert (await cpo.register(told["versions_url"], told["token_a"])).token_out


@pytest.mark.catalogue("VER-008", "VER-009", "VER-010")
async def test_both_sides_of_every_routed_module_are_entries_of_their_own(running: Any, cpo: CpoBackend) -> None:
    found = await details(running, cpo)
    assert {entry["role"] for entry in found} == {"SENDER", "RECEIVER"}
    for module in ROUTED:
        urls = {entry["role"]: entry["url"] for entry in found if entry["identifier"] == module}
        assert len(urls) == len(set(urls.values())) == 2, module


@pytest.mark.catalogue("VER-015", "VER-019", "TF-139")
async def test_the_urls_carry_the_version_and_credentials_is_a_sender(running: Any, cpo: CpoBackend) -> None:
    found = await details(running, cpo)
    assert [entry["role"] for entry in found if entry["identifier"] == "credentials"] == ["SENDER"]
    assert all("/2.2.1/" in entry["url"] for entry in found)


@pytest.mark.catalogue("VER-018")
async def test_lists_are_pulled_at_the_sender_and_objects_pushed_to_the_receiver(cpo: CpoBackend, emsp: Emsp) -> None:
    peer = cpo.registered.endpoints
    token, location = cpo.registered.token_out, samples.location()
    for interface, pull, push in (("SENDER", 200, 405), ("RECEIVER", 404, 201)):
        url = peer["locations", interface]
        assert (await cpo.call("GET", url, token, None, _to(cpo))).http_status == pull
        pushed = await cpo.call("PUT", wire.join(url, "NL", "CPA", "LOC1"), token, location, _to(cpo))
        assert pushed.http_status == push


def _to(cpo: CpoBackend) -> dict[str, str]:
    return {"OCPI-to-country-code": cpo.hub.country_code, "OCPI-to-party-id": cpo.hub.party_id}


@pytest.mark.catalogue("VER-014")
async def test_versions_and_details_are_401_without_a_good_token(running: Any, cpo: CpoBackend) -> None:
    for path in ("versions", "2.2.1"):
        assert (await cpo.call("GET", f"{running.url}/ocpi/{path}", "no-such-token")).http_status == 401
        assert (await cpo.call("GET", f"{running.url}/ocpi/{path}", cpo.registered.token_out)).http_status == 200


class Many(CpoBackend):
    """A CPO that speaks several versions, some of which nobody knows."""

    listed: tuple[str, ...] = (VERSION,)

    async def _get_versions(self, request: web.Request) -> web.Response:
        def url(version: str) -> str:
            return f"{self.origin}/ocpi/2.2.1" if version == VERSION else f"{self.origin}/ocpi/other/{version}"

        return wire.ok([{"version": version, "url": url(version)} for version in self.listed])


@pytest.mark.catalogue("VER-006", "VER-021")
@pytest.mark.parametrize("listed", [("2.2", "2.2.1"), ("2.2.1", "2.2"), ("2.10-beta", "zwei", "2.0", "2.2.1", "2.2")])
async def test_the_best_common_version_is_chosen_among_whatever_is_listed(
    running: Any, listed: tuple[str, ...]
) -> None:
    async with Many("NL*MNY") as many:
        many.listed = listed
        await running.join(many, "CPO")
        assert running.hub.directory.now.party(many.parties[0]).platform.endpoint("locations", "SENDER")
        assert not [seen for seen in many.received if "other" in seen.path]


@pytest.mark.catalogue("TF-161")
async def test_without_a_common_version_it_is_3002(running: Any) -> None:
    async with Many("NL*MNY") as many:
        many.listed = ("2.0", "3.0")
        with pytest.raises(Refused) as refused:
            await running.join(many, "CPO")
    assert refused.value.answer.status_code == 3002


class Custom(Emsp):
    """An eMSP with a module of its own."""

    modules = (*Emsp.modules, ("nltnm-parking", "RECEIVER"))


@pytest.mark.catalogue("VER-022", "VER-024")
async def test_modules_of_a_partners_own_are_taken_and_shown_to_nobody(running: Any, cpo: CpoBackend) -> None:
    async with Custom("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        assert running.hub.directory.now.party(emsp.parties[0]).platform.status == "CONNECTED"
        shown = {entry["identifier"] for entry in await details(running, cpo)}
    assert "nltnm-parking" not in shown


def schemas(base: type[Schema] = Schema) -> list[type[Schema]]:
    """Every OCPI object of the product."""
    return [found for more in base.__subclasses__() for found in (more, *schemas(more))]


@pytest.mark.catalogue("VER-029")
def test_field_names_are_lower_case_with_underscores() -> None:
    names = {
        name
        for model in schemas()
        if model.__module__.startswith(("modules", "hub.ocpi"))
        for name in model.model_fields
    }
    assert len(names) > 150
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []


@pytest.mark.catalogue("VER-033")
def test_every_endpoint_that_is_published_has_routes_behind_it() -> None:
    paths = [route.path for router in OCPI_ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    for module in ROUTED:
        assert any(path.startswith(f"/2.2.1/receiver/{module}") for path in paths), module
    for module in ROUTED[:-1]:
        assert any(path.startswith(f"/2.2.1/sender/{module}") for path in paths), module
