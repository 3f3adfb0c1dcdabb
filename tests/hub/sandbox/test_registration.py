"""The handshake between two sandbox platforms, without a hub between them."""

from collections.abc import AsyncIterator

import pytest

from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import Refused


@pytest.fixture
async def cpo() -> AsyncIterator[CpoBackend]:
    async with CpoBackend("NL*CPA", "BE*CPB") as platform:
        yield platform
        assert platform.faults == []


@pytest.fixture
async def emsp() -> AsyncIterator[Emsp]:
    async with Emsp("DE*MSA") as platform:
        yield platform
        assert platform.faults == []


async def test_both_sides_know_each_other_after_the_handshake(cpo: CpoBackend, emsp: Emsp) -> None:
    versions_url, token_a = cpo.versions_url, cpo.invite()[0]
    peer = await emsp.register(versions_url, token_a)
    assert [str(r) for r in cpo.received] == [
        "GET /ocpi/versions",
        "GET /ocpi/2.2.1",
        "POST /ocpi/2.2.1/credentials",
    ]
    assert [str(r) for r in emsp.received] == ["GET /ocpi/versions", "GET /ocpi/2.2.1"]
    assert cpo.peer is not None
    assert (peer.token_in, peer.token_out) == (cpo.peer.token_out, cpo.peer.token_in)
    assert len({token_a, peer.token_in, peer.token_out}) == 3
    assert [role["party_id"] for role in peer.roles] == ["CPA", "CPB"]
    assert str(emsp.hub) == "NL*CPA"
    assert peer.endpoint("tokens", "RECEIVER") == cpo.url("tokens", "RECEIVER")


async def test_token_a_opens_the_handshake_only_and_once(cpo: CpoBackend, emsp: Emsp) -> None:
    token_a, versions_url = cpo.invite()
    locations = cpo.url("locations", "SENDER")
    assert (await emsp.call("GET", versions_url, token_a)).ok
    assert (await emsp.call("GET", locations, token_a)).http_status == 401
    await emsp.register(versions_url, token_a)
    answer = await emsp.call("GET", versions_url, token_a)
    assert (answer.http_status, answer.status_code) == (401, 2000)


async def test_a_call_back_that_fails_leaves_token_a_good(cpo: CpoBackend, emsp: Emsp) -> None:
    token_a, versions_url = cpo.invite()
    await emsp.go_away()
    with pytest.raises(Refused, match="POST credentials: HTTP 200, OCPI 3001") as refused:
        await emsp.register(versions_url, token_a)
    assert refused.value.answer.status_code == 3001
    assert cpo.peer is None
    await emsp.come_back()
    await emsp.register(versions_url, token_a)


async def test_a_renewal_changes_both_tokens(cpo: CpoBackend, emsp: Emsp) -> None:
    token_a, versions_url = cpo.invite()
    before = await emsp.register(versions_url, token_a)
    after = await emsp.renew()
    assert {before.token_in, before.token_out}.isdisjoint({after.token_in, after.token_out})
    assert (await emsp.pull("locations", to="NL*CPA")) == []
    assert (await emsp.call("GET", versions_url, before.token_out)).ok


async def test_the_methods_refuse_who_is_in_the_wrong_state(cpo: CpoBackend, emsp: Emsp) -> None:
    token_a, versions_url = cpo.invite()
    credentials = wire.join(cpo.origin, "ocpi", "2.2.1", "credentials")
    body = emsp.credentials("unused")
    assert (await emsp.call("PUT", credentials, token_a, body)).http_status == 405
    assert (await emsp.call("DELETE", credentials, token_a)).http_status == 405
    peer = await emsp.register(versions_url, token_a)
    assert (await emsp.call("POST", credentials, peer.token_out, body)).http_status == 405
    assert (await emsp.call("PATCH", credentials, peer.token_out, body)).http_status == 405
    assert (await emsp.call("GET", credentials, peer.token_out)).data == cpo.credentials(peer.token_out)
    await emsp.leave()
    assert emsp.peer is None
    assert cpo.peer is None
    assert (await emsp.call("GET", credentials, peer.token_out)).http_status == 401


async def test_bad_credentials_are_refused_by_name(cpo: CpoBackend, emsp: Emsp) -> None:
    token_a, _ = cpo.invite()
    credentials = wire.join(cpo.origin, "ocpi", "2.2.1", "credentials")
    answer = await emsp.call("POST", credentials, token_a, {"token": "x", "url": emsp.versions_url})
    assert answer.status_code == 2001
    assert "roles" in answer.message
    assert (await emsp.call("POST", credentials, token_a, b"{")).http_status == 400


async def test_sending_needs_a_registration(emsp: Emsp) -> None:
    with pytest.raises(RuntimeError, match="not registered"):
        await emsp.stop_session("S1", to=None)
