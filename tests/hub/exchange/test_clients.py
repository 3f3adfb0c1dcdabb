"""hub.exchange.clients: the list of ClientInfo objects as partners read it, over HTTP, with no worker running."""

from typing import Any

import pytest
from sqlmodel import col, delete

from hub.exchange import handshake, membership
from hub.ocpi import headers
from hub.ocpi.types import PartyId, parse_datetime
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.sandbox.wire import Answer
from hub.store import parties
from hub.store.parties import Agreement, Party

CPA, MSA, MSB = (PartyId.parse(code) for code in ("NL*CPA", "DE*MSA", "FR*MSB"))


async def get(platform: Platform, **query: str) -> Answer:
    """A GET of the list as the spec wants it: no routing headers."""
    peer = platform.registered
    return await platform.call("GET", peer.endpoint("hubclientinfo", "SENDER"), peer.token_out, None, {}, query)


async def statuses(platform: Platform) -> dict[str, str]:
    """What a platform sees: "NL*CPA CPO" -> status."""
    found = (await get(platform)).data
    return {f"{info['country_code']}*{info['party_id']} {info['role']}": info["status"] for info in found}


async def agree(running: Any, a: PartyId, b: PartyId, modules: list[str] | None) -> None:
    async with running.hub.db.session() as session:
        await parties.touch(session)
        session.add(Agreement(a=str(a), b=str(b), modules=modules))
    await running.hub.directory.refresh()


async def end_agreements(running: Any, a: PartyId) -> None:
    async with running.hub.db.session() as session:
        await parties.touch(session)
        await session.exec(delete(Agreement).where(col(Agreement.a) == str(a)))
    await running.hub.directory.refresh()


def platform_of(running: Any, code: PartyId) -> int:
    return int(running.hub.directory.now.by_code[code].platform.id)


@pytest.mark.catalogue("HCI-012", "CRED-046", "HCI-023")
async def test_a_client_reads_who_is_connected(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    assert await statuses(emsp) == {"NL*CPA CPO": "CONNECTED", "FR*MSB EMSP": "CONNECTED"}


@pytest.mark.catalogue("HCI-022")
async def test_each_object_is_complete(cpo: CpoBackend, emsp: Emsp) -> None:
    [info] = (await get(emsp)).data
    assert info.pop("last_updated").endswith("Z")
    assert info == {"country_code": "NL", "party_id": "CPA", "role": "CPO", "status": "CONNECTED"}


@pytest.mark.catalogue("HCI-009")
async def test_nobody_is_told_of_itself(running: Any) -> None:
    async with Emsp("DE*MSA", "DE*MSX") as twins, Emsp("FR*MSB") as other:
        for platform in (twins, other):
            await running.join(platform, "EMSP")
        assert set(await statuses(twins)) == {"FR*MSB EMSP"}
        assert set(await statuses(other)) == {"DE*MSA EMSP", "DE*MSX EMSP"}


@pytest.mark.catalogue("TF-076", "TF-080")
async def test_routing_headers_are_neither_needed_nor_given_nor_followed(running: Any, cpo: CpoBackend) -> None:
    async with Emsp("DE*MSA", "DE*MSX") as emsp:  # of two parties, so that elsewhere it would have to say who it is
        await running.join(emsp, "EMSP")
        answer = await get(emsp)
        assert answer.ok
        assert not [name for name in answer.headers if name.lower().startswith("ocpi-")]
        before = len(cpo.received)
        peer = emsp.registered
        url = peer.endpoint("hubclientinfo", "SENDER")
        routed = await emsp.call("GET", url, peer.token_out, None, headers.routing(CPA, MSA))
        assert [info["party_id"] for info in routed.data] == ["CPA"]
        assert not [name for name in routed.headers if name.lower().startswith("ocpi-")]
        assert len(cpo.received) == before


@pytest.mark.catalogue("HCI-020")
async def test_the_list_is_read_in_pages_and_by_time(running: Any, emsp: Emsp) -> None:
    async with CpoBackend("NL*CA0", "NL*CA1", "NL*CA2") as cpos:
        await running.join(cpos, "CPO")
        first = await get(emsp, limit="2")
        assert (len(first.data), first.headers[headers.TOTAL_COUNT]) == (2, "3")
        assert first.next_url is not None
        second = await emsp.call("GET", first.next_url, emsp.registered.token_out)
        assert (len(second.data), second.next_url) == (1, None)
        assert [info["party_id"] for info in (await get(emsp, offset="2")).data] == [second.data[0]["party_id"]]
        moment = first.data[0]["last_updated"]
        await membership.suspend(running.hub, platform_of(running, PartyId.parse("NL*CA0")))
        await get(emsp)  # it is looked at: the time of the change is now
        assert parse_datetime((await get(emsp)).data[0]["last_updated"]) > parse_datetime(moment)
        assert len((await get(emsp, date_to=moment)).data) == 0
        assert len((await get(emsp, date_from=moment)).data) == 3


@pytest.mark.catalogue("HCI-024")
async def test_a_change_of_status_moves_last_updated_and_nothing_else_does(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    before = {info["party_id"]: info["last_updated"] for info in (await get(emsp)).data}
    await membership.suspend(running.hub, platform_of(running, CPA))
    after = {info["party_id"]: info["last_updated"] for info in (await get(emsp)).data}
    assert after["CPA"] > before["CPA"]
    assert after["MSB"] == before["MSB"]
    news = (await get(emsp, date_from=after["CPA"])).data
    assert [(info["party_id"], info["status"]) for info in news] == [("CPA", "SUSPENDED")]


@pytest.mark.catalogue("HCI-008")
async def test_who_is_taken_out_stays_in_the_list_as_suspended(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    assert await statuses(emsp) == {"NL*CPA CPO": "CONNECTED"}
    await membership.remove(running.hub, platform_of(running, CPA))
    assert await statuses(emsp) == {"NL*CPA CPO": "SUSPENDED"}


@pytest.mark.catalogue("CRED-035")
async def test_who_unregisters_is_suspended_for_the_others(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await get(emsp)
    await cpo.leave()
    assert await statuses(emsp) == {"NL*CPA CPO": "SUSPENDED"}


async def test_who_is_invited_is_planned_until_it_registers(running: Any, cpo: CpoBackend) -> None:
    await handshake.invite(running.hub, "an eMSP", [(MSA, "EMSP")])
    assert await statuses(cpo) == {"DE*MSA EMSP": "PLANNED"}
    async with Emsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        assert await statuses(cpo) == {"DE*MSA EMSP": "CONNECTED"}


async def test_an_invitation_that_nobody_was_told_of_leaves_no_trace(running: Any, cpo: CpoBackend) -> None:
    await handshake.invite(running.hub, "a slip of the pen", [(MSA, "EMSP")])
    assert await statuses(cpo) == {"DE*MSA EMSP": "PLANNED"}
    platform_id = next(number for number, code, _ in running.hub.directory.now.planned if code == MSA)
    await membership.remove(running.hub, platform_id)
    assert await statuses(cpo) == {}


@pytest.mark.catalogue("HCI-030")
async def test_who_was_connected_is_not_planned_again(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await get(cpo)
    await membership.remove(running.hub, platform_of(running, MSA))
    await handshake.invite(running.hub, "the same eMSP", [(MSA, "EMSP")])
    assert await statuses(cpo) == {"DE*MSA EMSP": "SUSPENDED"}
    await running.join(emsp, "EMSP")
    assert await statuses(cpo) == {"DE*MSA EMSP": "CONNECTED"}


class TestWithoutAgreement:
    """HUB_DEFAULT_AGREEMENT=closed."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"default_agreement": "closed"})

    @pytest.mark.catalogue("HCI-028")
    async def test_only_those_one_may_communicate_with_are_shown(
        self, running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
    ) -> None:
        assert await statuses(cpo) == {}
        await agree(running, CPA, MSA, ["sessions"])
        await agree(running, CPA, MSB, [])
        assert await statuses(cpo) == {"DE*MSA EMSP": "CONNECTED"}
        assert await statuses(emsp) == {"NL*CPA CPO": "CONNECTED"}
        assert await statuses(other_emsp) == {}

    async def test_when_the_agreement_ends_the_other_is_suspended(
        self, running: Any, cpo: CpoBackend, emsp: Emsp
    ) -> None:
        await agree(running, CPA, MSA, None)
        await get(cpo)
        await end_agreements(running, CPA)
        assert await statuses(cpo) == {"DE*MSA EMSP": "SUSPENDED"}


class TestPlannedWithoutAgreement(TestWithoutAgreement):
    """The same, with HUB_WITHOUT_AGREEMENT=planned."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"default_agreement": "closed", "without_agreement": "planned"})

    @pytest.mark.catalogue("HCI-005", "HCI-028")
    async def test_only_those_one_may_communicate_with_are_shown(
        self, running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
    ) -> None:
        assert await statuses(cpo) == {"DE*MSA EMSP": "PLANNED", "FR*MSB EMSP": "PLANNED"}
        await agree(running, CPA, MSA, None)
        assert await statuses(cpo) == {"DE*MSA EMSP": "CONNECTED", "FR*MSB EMSP": "PLANNED"}


@pytest.mark.catalogue("CRED-047")
async def test_hosted_parties_are_shown_like_any_other(running: Any, emsp: Emsp) -> None:
    platform_id = next(p.id for p in running.hub.directory.now.platforms.values() if p.hosted)
    async with running.hub.db.session() as session:
        await parties.touch(session)
        session.add(Party(code="NL*LOC", platform_id=platform_id, roles=["CPO"]))
    await running.hub.directory.refresh()
    assert await statuses(emsp) == {"NL*LOC CPO": "CONNECTED"}


@pytest.mark.catalogue("VER-011", "VER-012")
async def test_the_version_details_name_both_sides(running: Any, emsp: Emsp) -> None:
    offered = emsp.registered.endpoints
    assert offered["hubclientinfo", "SENDER"] == f"{running.url}/ocpi/2.2.1/sender/hubclientinfo"
    assert offered["hubclientinfo", "RECEIVER"] == f"{running.url}/ocpi/2.2.1/receiver/hubclientinfo"


async def test_token_a_reads_no_list(running: Any, cpo: CpoBackend) -> None:
    token_a = await handshake.invite(running.hub, "an eMSP", [(MSA, "EMSP")])
    async with Emsp("DE*MSA") as emsp:
        answer = await emsp.call("GET", f"{running.url}/ocpi/2.2.1/sender/hubclientinfo", token_a)
    assert answer.http_status == 401
