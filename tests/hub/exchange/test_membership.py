"""Suspending, resuming, changing and removing a platform, on real sockets."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from hub.delivery import owed
from hub.exchange import handshake, membership
from hub.exchange.context import Hub
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import Refused
from hub.settings import Settings
from hub.store.lanes import Backfill, Owed
from hub.store.parties import Agreement, Party, Platform
from modules.catalog import CATALOG

pytestmark = pytest.mark.handshake

CPA, MSA = PartyId.parse("NL*CPA"), PartyId.parse("DE*MSA")


def platform_of(hub: Hub, code: PartyId) -> int:
    party = hub.directory.now.party(code)
    assert party is not None
    return party.platform.id


async def scalars(hub: Hub, query: str) -> list[Any]:
    async with hub.db.unit_of_work() as session:
        return list((await session.execute(text(query))).scalars())


async def test_a_suspended_platform_is_shut_out_and_others_are_told(
    running: Any, cpo: CpoBackend, emsp: Emsp, settings: Settings
) -> None:
    async with Hub.open(settings, CATALOG) as elsewhere:  # another process of the hub
        await membership.suspend(elsewhere, platform_of(running.hub, CPA))
    while running.hub.directory.now.party(CPA).platform.status != "SUSPENDED":
        await running.hub.directory.refresh()
    refused = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (refused.http_status, refused.status_code) == (403, 2000)
    assert b"suspended" in refused.body
    with pytest.raises(Refused):
        await cpo.renew()
    asked = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert asked.status_code == 4003
    assert b"SUSPENDED" in asked.body


async def test_resuming_lets_it_in_with_its_old_token_and_delivers_everything(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    hub = running.hub
    await cpo.put_location(samples.location(), to=cpo.hub)
    await membership.suspend(hub, platform_of(hub, MSA))
    async with hub.db.unit_of_work() as session:
        await session.execute(text("DELETE FROM backfill"))
        await session.execute(text("UPDATE log_head SET position = 7"))
    correlation_id = await membership.resume(hub, platform_of(hub, MSA))
    assert (await emsp.pull("locations", to=emsp.hub))[0]["id"] == "LOC1"
    async with hub.db.session() as session:
        rows = list(await session.exec(select(Backfill)))
    assert {(row.receiver, row.owner, row.module) for row in rows} >= {("DE*MSA", "NL*CPA", "locations")}
    assert {(row.reason, row.correlation_id) for row in rows} == {("end of suspension", correlation_id)}
    assert await scalars(
        hub, "SELECT position FROM lane_cursor JOIN lane USING (party_id) WHERE receiver = 'DE*MSA'"
    ) == [7]


async def test_a_stop_because_of_a_refused_token_is_resumed_as_well(running: Any, emsp: Emsp) -> None:
    platform_id = platform_of(running.hub, MSA)
    with pytest.raises(Conflict, match="nothing keeps"):
        await membership.resume(running.hub, platform_id)
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE platform SET stopped_reason = 'PUT answered HTTP 401'"))
    await membership.resume(running.hub, platform_id)
    assert await scalars(running.hub, "SELECT id FROM platform WHERE stopped_reason IS NOT NULL AND NOT hosted") == []


async def test_what_cannot_be_suspended_or_resumed(running: Any, cpo: CpoBackend) -> None:
    hub = running.hub
    with pytest.raises(NotFound):
        await membership.suspend(hub, 4711)
    hosting = (await scalars(hub, "SELECT id FROM platform WHERE hosted"))[0]
    for order in (membership.suspend, membership.resume, membership.remove):
        with pytest.raises(Conflict, match="own platform"):
            await order(hub, hosting)
    async with hub.db.session() as session:
        session.add(Platform(name="invited"))
    invited = (await scalars(hub, "SELECT id FROM platform WHERE status = 'PLANNED'"))[0]
    with pytest.raises(Conflict, match="has not registered"):
        await membership.suspend(hub, invited)
    await cpo.leave()
    with pytest.raises(Conflict, match="unregistered"):
        await membership.resume(hub, platform_of(hub, CPA))
    with pytest.raises(Conflict, match="already"):
        await membership.suspend(hub, platform_of(hub, CPA))


async def test_pull_ends_pushing_and_push_delivers_everything_anew(running: Any, emsp: Emsp, cpo: CpoBackend) -> None:
    hub, platform_id = running.hub, platform_of(running.hub, MSA)
    assert await membership.change(hub, platform_id, "pull", None) is None
    assert hub.directory.now.party(MSA).platform.resync == "pull"
    correlation_id = await membership.change(hub, platform_id, "push", None)
    found = await scalars(
        hub, "SELECT DISTINCT correlation_id FROM backfill WHERE receiver = 'DE*MSA' AND reason = 'resync'"
    )
    assert found == [correlation_id]
    assert await membership.change(hub, platform_id, "push", True) is None
    assert hub.directory.now.party(MSA).platform.strict


async def test_a_strict_platform_is_held_to_the_letter(running: Any, cpo: CpoBackend) -> None:
    odd = samples.location() | {"parking_type": "ON_THE_MOON"}
    assert (await cpo.put_location(odd, to=cpo.hub)).ok
    await membership.change(running.hub, platform_of(running.hub, CPA), None, True)
    refused = await cpo.put_location(odd, to=cpo.hub)
    assert refused.status_code == 2001
    assert b"parking_type" in refused.body
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok


async def test_removal_takes_all_that_is_the_platforms_and_leaves_money(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    hub = running.hub
    await cpo.put_location(samples.location(), to=cpo.hub)
    async with hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="DE*MSA"))
        for module in ("locations", "cdrs"):
            await owed.add(session, receiver="DE*MSA", owner="NL*CPA", module=module, key="X", correlation_id="c")
    old = emsp.registered.token_out
    assert await membership.remove(hub, platform_of(hub, MSA)) is True
    assert emsp.peer is None
    assert (await emsp.call("GET", hub.versions_url, old)).http_status == 401
    assert (await cpo.send("GET", "tokens", interface="SENDER", to="DE*MSA")).status_code == 4001
    async with hub.db.session() as session:
        assert [party.code for party in await session.exec(select(Party))] == ["NL*CPA"]
        assert [row.module for row in await session.exec(select(Owed).where(Owed.receiver == "DE*MSA"))] == ["cdrs"]
        assert list(await session.exec(select(Agreement))) == []
    assert await scalars(hub, "SELECT receiver FROM lane") == ["NL*CPA"]
    assert await scalars(hub, "SELECT receiver FROM backfill WHERE receiver = 'DE*MSA'") == []
    assert await scalars(hub, "SELECT owner FROM object WHERE module = 'locations'") == ["NL*CPA"]
    await running.join(emsp, "EMSP")  # and it may come back
    assert len(await emsp.pull("locations", to=emsp.hub)) == 1


async def test_an_invitation_is_withdrawn(running: Any) -> None:
    hub = running.hub
    async with CpoBackend("NL*CPA") as cpo:
        token_a = await handshake.invite(hub, "a partner", [(CPA, "CPO")])
        await membership.remove(hub, (await scalars(hub, "SELECT id FROM platform WHERE NOT hosted"))[0])
        with pytest.raises(Refused) as refused:
            await cpo.register(hub.versions_url, token_a)
    assert refused.value.answer.http_status == 401


async def test_what_is_not_admitted_any_more_is_out_at_once(running: Any, emsp: Emsp) -> None:
    hub, cpb = running.hub, PartyId.parse("NL*CPB")
    token_a = await handshake.invite(hub, "two", [(CPA, "CPO"), (cpb, "CPO")])
    async with CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await cpo.register(hub.versions_url, token_a)
        number = platform_of(hub, CPA)
        async with hub.db.session() as session:
            for module in ("tokens", "cdrs"):
                await owed.add(session, receiver="NL*CPB", owner="DE*MSA", module=module, key="X", correlation_id="c")
        await membership.admit(hub, number, [(CPA, "CPO"), (CPA, "EMSP")])
        assert (await emsp.send("GET", "locations", interface="SENDER", to="NL*CPB")).status_code == 4001
        assert (await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")).ok
        assert await scalars(hub, "SELECT module FROM owed WHERE receiver = 'NL*CPB'") == ["cdrs"]
        assert await scalars(hub, "SELECT receiver FROM lane ORDER BY 1") == ["DE*MSA", "NL*CPA"]
        with pytest.raises(Refused):
            await cpo.renew()
        with pytest.raises(Conflict, match="no party"):
            await membership.admit(hub, number, [(cpb, "CPO")])
        await membership.admit(hub, number, [(CPA, "CPO"), (cpb, "CPO")])
        await cpo.renew()
        assert (await emsp.send("GET", "locations", interface="SENDER", to="NL*CPB")).ok


async def test_an_invitation_to_come_back_is_withdrawn_and_the_platform_stays(running: Any, cpo: CpoBackend) -> None:
    hub = running.hub
    number = platform_of(hub, CPA)
    await cpo.leave()
    token_a = await handshake.invite(hub, "again", [(CPA, "CPO")])
    await handshake.withdraw(hub, number)
    assert (await cpo.call("GET", hub.versions_url, token_a)).http_status == 401
    assert platform_of(hub, CPA) == number


async def test_a_renewal_gives_no_partner_everything_anew(
    running: Any, cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = running.hub
    await scalars(hub, "DELETE FROM backfill")
    await emsp.renew()
    assert await scalars(hub, "SELECT module FROM backfill") == []
    monkeypatch.setattr(emsp, "modules", tuple(offered for offered in Emsp.modules if offered[0] != "tariffs"))
    await emsp.renew()
    monkeypatch.setattr(emsp, "modules", Emsp.modules)
    await emsp.renew()
    assert await scalars(hub, "SELECT receiver || ' ' || module FROM backfill") == ["DE*MSA tariffs"]
