"""Registration in both directions, renewal, the 405 cases, and who may register what."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import handshake, membership
from hub.ocpi.errors import InvalidParameters, Suspended, UnableToUseClientApi, Unauthorized
from hub.ocpi.types import PartyId
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.sandbox.registration import Refused
from tests import joining

pytestmark = pytest.mark.handshake
CPA = PartyId.parse("NL*CPA")


class Bare(Platform):
    """A CPO without any module."""

    role = "CPO"
    modules = ()


async def invite(running: Any, code: PartyId = CPA, role: str = "CPO") -> str:
    token: str = await handshake.invite(running.hub, "a partner", [(code, role)])
    return token


@pytest.mark.catalogue("CRED-010", "CRED-044", "CRED-045")
async def test_a_platform_registers_and_token_a_is_void(running: Any) -> None:
    async with CpoBackend("NL*CPA") as cpo:
        token_a = await invite(running)
        peer = await cpo.register(running.hub.versions_url, token_a)
        assert [role["role"] for role in peer.roles] == ["HUB"]
        assert peer.token_out not in (token_a, peer.token_in)
        party = running.hub.directory.now.party(CPA)
        assert party.platform.status == "CONNECTED"
        assert party.platform.token_out == peer.token_in
        assert party.platform.endpoint("locations", "SENDER") == cpo.url("locations", "SENDER")
        assert (await cpo.call("GET", running.hub.versions_url, token_a)).http_status == 401
        credentials = await cpo.call("GET", peer.endpoints["credentials", "SENDER"], peer.token_out)
        assert credentials.data["token"] == peer.token_out
        assert not cpo.faults


@pytest.mark.catalogue("TF-009", "TF-010", "TF-071")
@pytest.mark.parametrize("path", ["versions", "2.2.1", "2.2.1/credentials", "2.2.1/sender/locations", "nothing/here"])
async def test_without_a_known_token_everything_is_401_with_an_envelope(running: Any, path: str) -> None:
    async with Platform("NL*CPA") as stranger:
        answer = await stranger.call("GET", f"{running.url}/ocpi/{path}", "no-such-token")
    assert (answer.http_status, answer.status_code) == (401, 2000)


@pytest.mark.catalogue("TF-011", "TF-012", "VER-014")
async def test_token_a_opens_versions_and_credentials_only(running: Any) -> None:
    token_a = await invite(running)
    async with Platform("NL*CPA") as cpo:
        for path, status in [
            ("versions", 200),
            ("2.2.1", 200),
            ("2.2.1/credentials", 200),
            ("2.2.1/sender/tokens", 401),
        ]:
            assert (await cpo.call("GET", f"{running.url}/ocpi/{path}", token_a)).http_status == status


@pytest.mark.catalogue("CRED-026", "CRED-029", "CRED-034")
async def test_the_405_cases(running: Any, cpo: CpoBackend) -> None:
    url, peer = f"{running.url}/ocpi/2.2.1/credentials", cpo.registered
    body = cpo.credentials("another-token")
    assert (await cpo.call("POST", url, peer.token_out, body)).http_status == 405
    assert (await cpo.call("PATCH", url, peer.token_out, body)).http_status == 405
    token_a = await invite(running, PartyId.parse("NL*NEW"))
    for method in ("PUT", "DELETE"):
        assert (await cpo.call(method, url, token_a, body)).http_status == 405


@pytest.mark.catalogue("CRED-030", "CRED-031", "CRED-019")
async def test_renewal_changes_both_tokens_and_the_old_one_overlaps(running: Any, cpo: CpoBackend) -> None:
    before = cpo.registered
    after = await cpo.renew()
    assert {before.token_in, before.token_out}.isdisjoint({after.token_in, after.token_out})
    assert running.hub.directory.now.party(CPA).platform.token_out == after.token_in
    assert (await cpo.call("GET", running.hub.versions_url, before.token_out)).http_status == 200


@pytest.mark.catalogue("CRED-033", "CRED-035", "CRED-036")
async def test_leaving_voids_the_token_and_suspends_the_party(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    old = cpo.registered.token_out
    await cpo.leave()
    assert (await cpo.call("GET", running.hub.versions_url, old)).http_status == 401
    asked = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert asked.status_code == 4003
    await cpo.register(running.hub.versions_url, await invite(running))
    assert (await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")).ok


@pytest.mark.catalogue("CRED-011", "CRED-020", "TF-160")
async def test_a_failed_callback_is_3001_and_token_a_stays_good(running: Any) -> None:
    token_a = await invite(running)
    async with CpoBackend("NL*CPA") as cpo:
        cpo.knobs.http_status = 500
        with pytest.raises(Refused) as refused:
            await cpo.register(running.hub.versions_url, token_a)
        assert refused.value.answer.status_code == 3001
        cpo.knobs.http_status = None
        await cpo.register(running.hub.versions_url, token_a)


@pytest.mark.catalogue("CRED-022", "TF-162")
async def test_a_platform_that_offers_nothing_is_3003(running: Any) -> None:
    token_a = await invite(running)
    async with Bare("NL*CPA") as bare:
        with pytest.raises(Refused) as refused:
            await bare.register(running.hub.versions_url, token_a)
    assert refused.value.answer.status_code == 3003


@pytest.mark.parametrize(
    ("code", "role", "asked"),
    [
        pytest.param("NL*AAA", "CPO", "NL*BBB", marks=pytest.mark.catalogue("CRED-049")),
        pytest.param("NL*AAA", "EMSP", "NL*AAA", marks=pytest.mark.catalogue("CRED-049")),
        pytest.param("NL*CPA", "CPO", "NL*CPA", marks=pytest.mark.catalogue("CRED-048", "CRED-054")),
    ],
)
async def test_only_invited_roles_that_nobody_else_holds_are_registered(
    running: Any, cpo: CpoBackend, code: str, role: str, asked: str
) -> None:
    holder = running.hub.directory.now.party(CPA).platform.id
    token_a = await invite(running, PartyId.parse(code), role)
    async with CpoBackend(asked) as other:
        with pytest.raises(Refused) as refused:
            await other.register(running.hub.versions_url, token_a)
    assert (refused.value.answer.http_status, refused.value.answer.status_code) == (200, 2001)
    assert running.hub.directory.now.party(CPA).platform.id == holder


@pytest.mark.catalogue("CRED-048")
async def test_the_same_codes_in_another_role_stay_where_they_are(running: Any, cpo: CpoBackend) -> None:
    token_a = await invite(running, CPA, "EMSP")
    async with Emsp("NL*CPA") as other:
        with pytest.raises(Refused) as refused:
            await other.register(running.hub.versions_url, token_a)
    assert refused.value.answer.status_code == 2001
    assert running.hub.directory.now.party(CPA).roles == {"CPO"}


async def test_a_party_that_left_may_come_back_on_another_platform(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.leave()
    await emsp.leave()
    roles = [(CPA, "CPO"), (PartyId.parse("DE*MSA"), "CPO")]  # of two platforms that have left: so it is a third
    token_a = await handshake.invite(running.hub, "their new back end", roles)
    async with CpoBackend("NL*CPA", "DE*MSA") as new:
        await new.register(running.hub.versions_url, token_a)
        platforms = {running.hub.directory.now.party(code).platform.id for code, _ in roles}
        assert len(platforms) == 1
        assert running.hub.directory.now.party(CPA).platform.token_out == new.registered.token_in


async def test_addresses_the_operator_did_not_allow_are_refused(running: Any, cpo: CpoBackend) -> None:
    token_a = await invite(running, PartyId.parse("NL*EVL"))
    body = cpo.credentials("another-token") | {"url": "http://169.254.169.254/versions"}
    body["roles"][0]["party_id"] = "EVL"
    answer = await cpo.call("POST", f"{running.url}/ocpi/2.2.1/credentials", token_a, body)
    assert (answer.http_status, answer.status_code) == (200, 3001)


@pytest.mark.catalogue("CRED-001", "CRED-013")
async def test_the_hub_starts_the_handshake(running: Any) -> None:
    async with Emsp("DE*MSA") as emsp:
        token_a, versions_url = emsp.invite()
        roles = [(PartyId.parse("DE*MSA"), "EMSP")]
        await handshake.start(running.hub, versions_url, token_a, "the eMSP", roles)
        assert running.hub.directory.now.party(PartyId.parse("DE*MSA")).platform.status == "CONNECTED"
        assert emsp.registered.is_hub
        assert (await emsp.pull("locations", to=emsp.hub)) == []
        with pytest.raises(UnableToUseClientApi):
            await handshake.start(running.hub, versions_url, "wrong-token", "again", roles)


async def test_without_roles_those_that_the_partner_brings_are_admitted(running: Any) -> None:
    async with Emsp("DE*MSA", "DE*MSX") as emsp:
        token_a, versions_url = emsp.invite()
        platform_id = await handshake.start(running.hub, versions_url, token_a)
        platform = running.hub.directory.now.platform(platform_id)
        assert (platform.name, set(map(str, platform.parties))) == (emsp.name, {"DE*MSA", "DE*MSX"})
        assert (await emsp.pull("locations", to=emsp.hub)) == []
        assert not emsp.faults


@pytest.mark.parametrize("asked", [(), (("DE*OTH", "EMSP"),)])
async def test_a_start_that_fails_leaves_nothing_on_either_side(
    running: Any, emsp: Emsp, asked: tuple[tuple[str, str], ...]
) -> None:
    before = running.hub.directory.now.platforms.keys()
    async with Emsp("DE*MSA") as double:  # the party is on another platform already, or not the one that was named
        token_a, versions_url = double.invite()
        roles = [(PartyId.parse(code), role) for code, role in asked]
        with pytest.raises(InvalidParameters):
            await handshake.start(running.hub, versions_url, token_a, "double", roles)
        assert double.peer is None
    assert running.hub.directory.now.platforms.keys() == before


async def test_a_party_that_left_is_started_with_on_the_platform_it_had(running: Any, emsp: Emsp) -> None:
    had = running.hub.directory.now.party(PartyId.parse("DE*MSA")).platform.id
    await emsp.leave()
    roles = [(PartyId.parse("DE*MSA"), "EMSP")]
    with pytest.raises(UnableToUseClientApi):
        await handshake.start(running.hub, emsp.versions_url, "wrong-token", "again", roles)
    token_a, versions_url = emsp.invite()
    assert await handshake.start(running.hub, versions_url, token_a, "again", roles) == had
    assert (await emsp.pull("locations", to=emsp.hub)) == []


async def test_a_renewal_does_not_end_a_suspension(running: Any, cpo: CpoBackend) -> None:
    hub = running.hub
    party = hub.directory.now.party(CPA)
    access = next(a for a in hub.directory.now.access.values() if a.platform.id == party.platform.id)
    await membership.suspend(hub, party.platform.id)
    cpo._guests.add("token-b")  # it came in a moment before: its renewal is under way
    with pytest.raises(Suspended):
        await handshake.update(hub, access, cpo.credentials("token-b"))
    await membership.remove(hub, party.platform.id)
    with pytest.raises((Unauthorized, InvalidParameters)):
        await handshake.update(hub, access, cpo.credentials("token-b"))


async def test_registration_opens_a_lane_and_a_backfill(running: Any, emsp: Emsp) -> None:
    async with running.hub.db.unit_of_work() as session:
        lanes = (await session.execute(text("SELECT receiver FROM lane"))).scalars().all()
    assert list(lanes) == ["DE*MSA"]
    assert not emsp.faults


ROWS = text(
    "SELECT 'platform', to_jsonb(f) - CAST('{id,name,versions_url,token_out,created_at,last_seen_at}' AS text[])"
    "  FROM platform f WHERE name = :code"
    " UNION ALL SELECT 'endpoint', to_jsonb(e) - CAST('{platform_id,url}' AS text[])"
    "  || jsonb_build_object('url', replace(url, :origin, '')) FROM endpoint e WHERE platform_id = :platform"
    " UNION ALL SELECT 'token', to_jsonb(t) - CAST('{platform_id,hash,made_at}' AS text[])"
    "  FROM access_token t WHERE platform_id = :platform"
    " UNION ALL SELECT 'admission', to_jsonb(a) - CAST('{platform_id,code}' AS text[])"
    "  FROM admission a WHERE platform_id = :platform"
    " UNION ALL SELECT 'party', to_jsonb(p) - CAST('{id,code,platform_id,business_details}' AS text[])"
    "  FROM party p WHERE platform_id = :platform"
    " UNION ALL SELECT 'named', to_jsonb(business_details ->> 'name' = :code) FROM party WHERE platform_id = :platform"
    " UNION ALL SELECT 'lane', to_jsonb(position) FROM lane JOIN lane_cursor USING (party_id) WHERE receiver = :code"
    " UNION ALL SELECT 'backfill', jsonb_build_array(owner, module, reason, last_id) FROM backfill"
    "  WHERE receiver = :code ORDER BY 1, 2"
)


async def left_by(running: Any, platform: Platform) -> list[tuple[str, Any]]:
    view = running.hub.directory.now.party(platform.parties[0]).platform
    values = {"code": platform.name, "origin": platform.origin, "platform": view.id}
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(ROWS, values)]


async def test_tests_that_join_have_what_a_handshake_leaves(running: Any, cpo: CpoBackend) -> None:
    async with Emsp("DE*MSA") as one, Emsp("FR*MSB") as other:
        await joining.shake_hands(running.hub, one)
        await joining.join(running.hub, other)
        rows = await left_by(running, one)
        assert {table for table, _ in rows} == {
            "platform", "endpoint", "token", "admission", "party", "named", "lane", "backfill",
        }  # fmt: skip
        assert rows == await left_by(running, other)
        theirs = one.registered.endpoints, one.registered.versions_url, one.registered.roles
        assert theirs == (other.registered.endpoints, other.registered.versions_url, other.registered.roles)
        for emsp in (one, other):
            assert (await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub)).ok
            assert emsp.faults == []
