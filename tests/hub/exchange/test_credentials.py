"""Credentials by the letter, with the hub as the Receiver of a handshake and as its Sender."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import text

from hub.exchange import discovery, handshake, renewal
from hub.ocpi import headers
from hub.ocpi.errors import NoMatchingEndpoints, UnableToUseClientApi
from hub.ocpi.types import PartyId, check
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE, Refused
from hub.sandbox.wire import Answer, Json
from modules.credentials.schemas import Credentials

pytestmark = pytest.mark.handshake

CPA, CPB, MSA = (PartyId.parse(code) for code in ("NL*CPA", "NL*CPB", "DE*MSA"))


def url(running: Any) -> str:
    return f"{running.url}/ocpi/2.2.1/credentials"


def platform(running: Any, code: PartyId = CPA) -> Any:
    return running.hub.directory.now.party(code).platform


async def admit(running: Any, *codes: PartyId, role: str = "CPO") -> str:
    return str(await handshake.invite(running.hub, "a partner", [(code, role) for code in codes]))


def shown(seen: Received) -> str:
    """The token of a request."""
    return headers.candidates(seen.headers["Authorization"])[0]


async def put(running: Any, cpo: CpoBackend, change: Callable[[Json], Json], method: str = "PUT") -> Answer:
    """Credentials of NL*CPA with a change, and a token that it takes."""
    cpo._guests.add("token-b2")
    return await cpo.call(method, url(running), cpo.registered.token_out, change(cpo.credentials("token-b2")))


class Versatile(CpoBackend):
    """A CPO that lists several versions, each with endpoints of its own."""

    asked: str = ""

    async def _get_versions(self, request: web.Request) -> web.Response:
        known = {"2.1.1": "/ocpi/2.1.1", "2.2.1": BASE, "2.10": "/ocpi/2.10", "3.0": "/ocpi/3.0"}
        return wire.ok([{"version": version, "url": self.origin + path} for version, path in known.items()])


# The hub as the Receiver


@pytest.mark.catalogue("CRED-002")
async def test_each_invitation_has_a_token_of_its_own_before_anything_starts(running: Any) -> None:
    first, second = await admit(running, CPA), await admit(running, CPB)
    assert first != second
    async with CpoBackend("NL*CPA") as cpo:
        assert (await cpo.call("GET", running.hub.versions_url, first)).ok
        assert (await cpo.call("GET", running.hub.versions_url, second)).ok
        assert not (await cpo.call("GET", running.hub.versions_url, "anything")).ok
        await admit(running, CPA)  # invited anew: the earlier token is void
        assert (await cpo.call("GET", running.hub.versions_url, first)).http_status == 401


@pytest.mark.catalogue("CRED-003")
async def test_a_token_a_is_handed_over_once_and_found_nowhere_afterwards(running: Any) -> None:
    token_a = await admit(running, CPA)
    asking = {"Authorization": f"Bearer {running.hub.settings.api_token}"}
    async with CpoBackend("NL*CPA") as cpo:
        assert cpo._http is not None
        told = []
        for path in ("invitations", "platforms", "platforms/2"):
            async with cpo._http.get(f"{running.url}/api/v1/{path}", headers=asking) as answer:
                assert answer.status == 200
                told.append(await answer.text())
    async with running.hub.db.unit_of_work() as session:
        kept = "SELECT row_to_json(t)::text FROM access_token t UNION ALL SELECT row_to_json(p)::text FROM platform p"
        told += (await session.execute(text(kept))).scalars()
    assert "a partner" in "".join(told)
    assert token_a not in "".join(told)
    assert token_a.encode().hex() not in "".join(told)


@pytest.mark.catalogue("CRED-006", "CRED-027")
async def test_the_callers_endpoints_are_read_with_its_token_before_the_answer(running: Any) -> None:
    token_a = await admit(running, CPA)
    async with CpoBackend("NL*CPA") as cpo:
        await cpo.register(running.hub.versions_url, token_a)
        asked = [(seen.method, seen.path, shown(seen)) for seen in cpo.received]  # nothing may come after the answer
        token_b = cpo.registered.token_in
        assert asked == [("GET", "/ocpi/versions", token_b), ("GET", BASE, token_b)]
        assert platform(running).endpoint("locations", "SENDER") == cpo.url("locations", "SENDER")


@pytest.mark.catalogue("CRED-007")
async def test_the_version_is_that_of_the_url_that_was_called(running: Any) -> None:
    token_a = await admit(running, CPA)
    async with Versatile("NL*CPA") as cpo:
        await cpo.register(running.hub.versions_url, token_a)
        assert [seen.path for seen in cpo.received] == ["/ocpi/versions", BASE]
        await cpo.renew()
        assert {seen.path for seen in cpo.received} == {"/ocpi/versions", BASE}


@pytest.mark.catalogue("CRED-008", "CRED-028")
async def test_the_answer_holds_a_new_token_and_who_the_hub_is(running: Any) -> None:
    token_a = await admit(running, CPA, CPB)
    async with CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await cpo.register(running.hub.versions_url, token_a)
        assert cpo.handshake is not None
        given = cpo.handshake.data
        assert given["token"] not in (token_a, cpo.registered.token_in)
        assert (await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub)).ok
        assert given["url"] == running.hub.versions_url
        assert [(r["role"], r["country_code"], r["party_id"]) for r in given["roles"]] == [("HUB", "NL", "HUB")]
        assert given["roles"][0]["business_details"] == {"name": running.hub.settings.name}


@pytest.mark.catalogue("CRED-037", "CRED-038", "CRED-052")
async def test_the_hubs_own_credentials_are_whole(running: Any, cpo: CpoBackend) -> None:
    given = (await cpo.call("GET", url(running), cpo.registered.token_out)).data
    assert check(Credentials, given) == []
    assert re.fullmatch(r"[!-~]{1,64}", given["token"])
    assert given["url"].startswith("http")
    assert all(role["business_details"]["name"] for role in given["roles"])


@pytest.mark.catalogue("CRED-014")
async def test_a_put_to_this_versions_endpoint_moves_the_connection_here(running: Any, cpo: CpoBackend) -> None:
    """The hub speaks one version, so a connection can only come from what another release of it spoke."""
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE platform SET version = '2.1.1' WHERE NOT hosted"))
        await session.execute(text("UPDATE endpoint SET url = 'http://127.0.0.1/2.1.1/' || module"))
    await cpo.renew()
    async with running.hub.db.unit_of_work() as session:
        versions = (await session.execute(text("SELECT version FROM platform WHERE NOT hosted"))).scalars()
        assert list(versions) == ["2.2.1"]
    assert set(platform(running).endpoints.values()) >= {cpo.url(*offered) for offered in cpo.modules}
    assert not [seen for seen in platform(running).endpoints.values() if "2.1.1" in seen]


@pytest.mark.catalogue("CRED-015", "CRED-030")
async def test_a_put_has_the_endpoints_read_again(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = len(cpo.received)
    kept = [offered for offered in CpoBackend.modules if offered[0] != "cdrs"]
    monkeypatch.setattr(cpo, "modules", (*kept, ("chargingprofiles", "RECEIVER")))
    await cpo.renew()
    assert [seen.path for seen in cpo.received[asked:]] == ["/ocpi/versions", BASE]
    assert platform(running).endpoint("cdrs", "SENDER") is None
    assert platform(running).endpoint("chargingprofiles", "RECEIVER") == cpo.url("chargingprofiles", "RECEIVER")


@pytest.mark.catalogue("CRED-016")
async def test_a_put_changes_token_url_and_roles(running: Any, cpo: CpoBackend) -> None:
    number = platform(running).id
    async with running.hub.db.unit_of_work() as session:
        insert = "INSERT INTO admission (platform_id, code, role) VALUES (:id, 'NL*CPB', 'CPO')"
        await session.execute(text(insert), {"id": number})
    async with CpoBackend("NL*CPA", "NL*CPB") as new:  # at another address
        new._guests.add("token-of-the-new-place")
        body = new.credentials("token-of-the-new-place")
        assert (await cpo.call("PUT", url(running), cpo.registered.token_out, body)).ok
        moved = platform(running)
        assert (moved.id, moved.token_out, moved.versions_url) == (number, "token-of-the-new-place", new.versions_url)
        assert (set(moved.parties), moved.endpoint("tokens", "RECEIVER")) == ({CPA, CPB}, new.url("tokens", "RECEIVER"))


@pytest.mark.catalogue("CRED-031", "CRED-019")
async def test_a_put_is_answered_with_a_new_token(running: Any, cpo: CpoBackend) -> None:
    before = cpo.registered.token_out
    after = (await cpo.renew()).token_out
    assert after != before
    for token in (before, after):  # the old one for requests under way
        assert (await cpo.call("GET", url(running), token)).ok


@pytest.mark.catalogue("CRED-023")
async def test_the_methods_of_credentials(running: Any, cpo: CpoBackend) -> None:
    answers = {
        method: (await put(running, cpo, lambda body: body, method)).http_status for method in ("PATCH", "POST", "PUT")
    }
    assert answers == {"PATCH": 405, "POST": 405, "PUT": 200}
    token = (await cpo.call("GET", url(running), cpo.registered.token_out)).data["token"]
    assert (await cpo.call("DELETE", url(running), token)).ok


@pytest.mark.catalogue("CRED-024", "CRED-025")
async def test_a_get_returns_the_token_of_that_very_request(running: Any, cpo: CpoBackend) -> None:
    before = cpo.registered.token_out
    after = (await cpo.renew()).token_out
    for token in (before, after):
        given = (await cpo.call("GET", url(running), token)).data
        assert (given["token"], given["url"]) == (token, running.hub.versions_url)
        assert [role["role"] for role in given["roles"]] == ["HUB"]
    async with running.hub.db.unit_of_work() as session:
        hashes = (await session.execute(text("SELECT hash FROM access_token"))).scalars().all()
    assert not {before.encode(), after.encode()} & set(hashes)


def broken(**change: Any) -> Callable[[Json], Json]:
    return lambda body: {name: value for name, value in {**body, **change}.items() if value is not None}


def role(**change: Any) -> Callable[[Json], Json]:
    return lambda body: {**body, "roles": [{k: v for k, v in {**body["roles"][0], **change}.items() if v is not None}]}


def doubled(body: Json) -> Json:
    return {**body, "roles": [body["roles"][0], {**body["roles"][0], "party_id": "cpa"}]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(broken(token=None), "token", marks=pytest.mark.catalogue("CRED-037")),
        pytest.param(broken(url=None), "url", marks=pytest.mark.catalogue("CRED-037")),
        pytest.param(broken(roles=[]), "roles", marks=pytest.mark.catalogue("CRED-037")),
        pytest.param(broken(token="two words"), "token", marks=pytest.mark.catalogue("CRED-038")),
        pytest.param(broken(token="snö"), "token", marks=pytest.mark.catalogue("CRED-038")),
        pytest.param(doubled, "roles", marks=pytest.mark.catalogue("CRED-039")),
        pytest.param(role(role=None), "role", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(role="MSP"), "role", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(party_id=None), "party_id", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(party_id="CPAX"), "party_id", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(country_code=None), "country_code", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(country_code="NLD"), "country_code", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(business_details=None), "business_details", marks=pytest.mark.catalogue("CRED-051")),
        pytest.param(role(business_details={}), "name", marks=pytest.mark.catalogue("CRED-052")),
    ],
)
async def test_credentials_that_are_not_whole_are_refused_and_change_nothing(
    running: Any, cpo: CpoBackend, change: Callable[[Json], Json], named: str
) -> None:
    before = platform(running)
    answer = await put(running, cpo, change)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert named in answer.message
    assert platform(running) == before


@pytest.mark.catalogue("CRED-040")
async def test_a_platform_brings_several_parties_in_one_role(running: Any, emsp: Emsp) -> None:
    token_a = await admit(running, CPA, CPB)
    async with CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await cpo.register(running.hub.versions_url, token_a)
        for code in (CPA, CPB):
            assert running.hub.directory.now.party(code).roles == {"CPO"}
            assert (await emsp.send("GET", "locations", interface="SENDER", to=code)).ok


@pytest.mark.catalogue("CRED-041")
async def test_the_codes_in_a_url_are_those_of_the_platform_that_pushes(running: Any, cpo: CpoBackend) -> None:
    foreign = samples.location("NL*CPB")
    refused = await cpo.send("PUT", "locations", "NL", "CPB", "LOC1", to=cpo.hub, body=foreign)
    assert refused.http_status == 404
    from_other = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "CPB"}
    address = wire.join(cpo.registered.endpoint("locations", "RECEIVER"), "NL", "CPB", "LOC1")
    spoofed = await cpo.call("PUT", address, cpo.registered.token_out, foreign, from_other)
    assert spoofed.status_code == 2001
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok


@pytest.mark.catalogue("CRED-042")
async def test_a_party_uses_its_home_country_for_places_elsewhere(running: Any, cpo: CpoBackend) -> None:
    assert (await cpo.put_location(samples.location() | {"country": "BEL"}, to=cpo.hub)).http_status == 201


@pytest.mark.catalogue("CRED-043")
async def test_evse_ids_and_contract_ids_may_carry_other_codes(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location()
    location["evses"][0]["evse_id"] = "BE*XYZ*E1*1"
    assert (await cpo.put_location(location, to=cpo.hub)).ok
    token = samples.token() | {"contract_id": "FR8XYZC12345678"}
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    assert (await cpo.pull("tokens", to=cpo.hub))[0]["contract_id"] == "FR8XYZC12345678"


class Both(CpoBackend):
    """A platform whose one party is a CPO and an eMSP."""

    modules = (*CpoBackend.modules, ("locations", "RECEIVER"), ("tokens", "SENDER"))

    def credentials(self, token: str) -> Json:
        body = super().credentials(token)
        return {**body, "roles": [*body["roles"], {**body["roles"][0], "role": "EMSP"}]}


@pytest.mark.catalogue("CRED-050")
async def test_a_party_of_two_roles_is_told_apart_by_module_and_interface(running: Any, emsp: Emsp) -> None:
    token_a = await handshake.invite(running.hub, "both", [(CPA, "CPO"), (CPA, "EMSP")])
    async with Both("NL*CPA") as both:
        await both.register(running.hub.versions_url, token_a)
        assert running.hub.directory.now.party(CPA).roles == {"CPO", "EMSP"}
        assert (await emsp.send("GET", "locations", interface="SENDER", to=CPA)).ok
        assert (await emsp.put_token(samples.token(), to=CPA)).ok
        assert (await both.put_location(samples.location(), to=both.hub)).ok
        own = samples.token("NL*CPA")
        assert (await both.send("PUT", "tokens", "NL", "CPA", own["uid"], to=both.hub, body=own)).ok
        paths = [seen.path for seen in both.received if BASE != seen.path != "/ocpi/versions"]
        assert paths == [f"{BASE}/sender/locations", f"{BASE}/receiver/tokens/DE/MSA/{samples.token()['uid']}"]


@pytest.mark.catalogue("CRED-053")
async def test_a_put_whose_call_back_fails_changes_nothing(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, token = platform(running), cpo.registered.token_out
    monkeypatch.setattr(cpo, "modules", (("locations", "SENDER"),))
    cpo.knobs.http_status = 500
    with pytest.raises(Refused) as refused:
        await cpo.renew()
    assert (refused.value.answer.http_status, refused.value.answer.status_code) == (200, 3001)
    assert platform(running) == before
    cpo.knobs.http_status = None
    assert (await cpo.call("GET", url(running), token)).data["token"] == token


@pytest.mark.catalogue("CRED-055")
async def test_a_party_that_is_not_listed_any_more_is_gone_at_once(running: Any, emsp: Emsp) -> None:
    token_a = await admit(running, CPA, CPB)
    async with CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await cpo.register(running.hub.versions_url, token_a)
        assert (await emsp.send("GET", "locations", interface="SENDER", to=CPB)).ok
        cpo.parties = (CPA,)
        await cpo.renew()
        assert (await emsp.send("GET", "locations", interface="SENDER", to=CPB)).status_code == 4001
        cpo.parties = (CPA, CPB)
        assert (await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub, sender=CPB)).status_code == 2001


# The hub as the Sender


@pytest.mark.catalogue("CRED-004", "CRED-005", "CRED-012")
async def test_the_hub_reads_posts_and_answers_while_its_post_is_open(running: Any) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, versions_url = emsp.invite()
        await handshake.start(running.hub, versions_url, token_a, "the eMSP", [(MSA, "EMSP")])
        steps = [(seen.method, seen.path) for seen in emsp.received]
        assert steps == [("GET", "/ocpi/versions"), ("GET", BASE), ("POST", f"{BASE}/credentials")]
        assert {shown(seen) for seen in emsp.received} == {token_a}
        posted = emsp.received[-1].body
        assert check(Credentials, posted) == []
        assert (posted["url"], posted["token"] == token_a) == (running.hub.versions_url, False)
        # It has read our versions and details with that token before it answered: it would have refused otherwise.
        assert emsp.registered.endpoint("locations", "SENDER") == f"{running.url}/ocpi/2.2.1/sender/locations"
        assert emsp.registered.token_out == posted["token"]
        assert not emsp.faults


@pytest.mark.catalogue("CRED-009")
async def test_the_hub_shows_token_c_from_then_on(running: Any, cpo: CpoBackend) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, versions_url = emsp.invite()
        await handshake.start(running.hub, versions_url, token_a, "the eMSP", [(MSA, "EMSP")])
        before = len(emsp.received)
        assert (await cpo.put_session(samples.session(of=samples.token()), to=MSA)).ok
        await renewal.rotate(running.hub, platform(running, MSA).id)
        used = [shown(seen) for seen in emsp.received[before:]]
        assert token_a not in used
        assert len(set(used)) == 2  # token C, and the one that took its place
        assert used[-1] == emsp.registered.token_in


class Incomplete(Emsp):
    """An eMSP without a credentials endpoint, or without any module."""

    offers: tuple[str, ...] = ()

    async def _get_details(self, request: web.Request) -> web.Response:
        found = [{"identifier": name, "role": "SENDER", "url": f"{self.origin}/{name}"} for name in self.offers]
        return wire.ok({"version": "2.2.1", "endpoints": found})


@pytest.mark.catalogue("CRED-021")
@pytest.mark.parametrize("offers", [("credentials",), ("tokens",), ()])
async def test_the_hub_does_not_post_where_endpoints_are_missing(
    running: Any, offers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    async with Incomplete("DE*MSA") as emsp:
        emsp.offers = offers
        token_a, versions_url = emsp.invite()
        with pytest.raises(NoMatchingEndpoints):
            await handshake.start(running.hub, versions_url, token_a)
        assert [seen.method for seen in emsp.received] == ["GET", "GET"]
    assert "not registered: the platform lacks what is needed" in capsys.readouterr().out


class Listing(Emsp):
    """An eMSP that lists its credentials endpoint in its own way."""

    roles: tuple[str | None, ...] = ("SENDER",)

    async def _get_details(self, request: web.Request) -> web.Response:
        own = [("credentials", role, f"{self.origin}{BASE}/credentials") for role in self.roles]
        found = own + [(module, role, self.url(module, role)) for module, role in self.modules]
        return wire.ok(
            {
                "version": "2.2.1",
                "endpoints": [
                    {"identifier": name, **({"role": role} if role else {}), "url": address}
                    for name, role, address in found
                ],
            }
        )


@pytest.mark.catalogue("VER-016", "VER-017")
@pytest.mark.parametrize("roles", [("RECEIVER",), ("SENDER",), ("SENDER", "RECEIVER"), (None,)])
async def test_the_role_of_a_credentials_endpoint_means_nothing(running: Any, roles: tuple[str | None, ...]) -> None:
    async with Listing("DE*MSA") as emsp:
        emsp.roles = roles
        token_a, versions_url = emsp.invite()
        number = await handshake.start(running.hub, versions_url, token_a, "the eMSP", [(MSA, "EMSP")])
        before = emsp.registered
        await renewal.rotate(running.hub, number)
        assert emsp.registered.token_out != before.token_out
        assert await handshake.take_leave(running.hub, number) is True


@pytest.mark.catalogue("VER-006")
@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        (["2.1.1", "2.2", "2.2.1"], ["2.2.1"], "2.2.1"),
        (["2.2", "2.10", "2.2.1"], ["2.2", "2.2.1", "2.10"], "2.10"),
        (["2.2.1", "2.2"], ["2.2", "2.2.1"], "2.2.1"),
        (["next", "2.2.1", "", "2.2.1-d2"], ["2.2.1", "2.2"], "2.2.1"),
    ],
)
def test_the_highest_version_of_both_is_chosen(offered: list[str], spoken: list[str], chosen: str) -> None:
    listed: list[Any] = [{"version": version, "url": f"https://x/{version}"} for version in offered]
    assert discovery.choose([*listed, {"version": 3}, "2.2.1", None], spoken) == f"https://x/{chosen}"


@pytest.mark.catalogue("VER-020")
async def test_the_hub_offers_what_its_modules_depend_on(running: Any, cpo: CpoBackend) -> None:
    """mod_locations, mod_commands and mod_charging_profiles, Module dependency: who has one of them has the others."""
    offered = set(cpo.registered.endpoints)
    for module, needed in {
        "locations": ["tariffs"], "commands": ["locations", "sessions"], "chargingprofiles": ["sessions"],
    }.items():  # fmt: skip
        for role in ("SENDER", "RECEIVER"):
            assert (module, role) in offered
            assert {(other, role) for other in needed} <= offered


@pytest.mark.catalogue("VER-023")
async def test_module_ids_are_the_specs_or_carry_their_makers_codes(running: Any, cpo: CpoBackend) -> None:
    standard = {"cdrs", "chargingprofiles", "commands", "credentials", "hubclientinfo", "locations", "sessions"}
    standard |= {"tariffs", "tokens"}
    own = {module for module, _ in cpo.registered.endpoints} - standard
    assert [module for module in own if not re.match(r"[a-z]{2}[a-z0-9]{3}-", module)] == []


async def test_a_handshake_that_the_partner_does_not_answer_is_told(running: Any) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, versions_url = emsp.invite()
        emsp.knobs.hang_up, emsp.knobs.applies = True, lambda seen: seen.method == "POST"
        with pytest.raises(UnableToUseClientApi, match="POST of the credentials endpoint"):
            await handshake.start(running.hub, versions_url, token_a)
