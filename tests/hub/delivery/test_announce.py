"""hub.delivery.announce: who is connected is told by PUT, once for each status that lasts, whatever crashes."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from hub.delivery import policy
from hub.delivery.announce import Announcer
from hub.delivery.clientinfo import Pace
from hub.exchange import handshake, membership
from hub.ocpi import headers
from hub.ocpi.types import PartyId, parse_datetime
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.informed import InformedCpo, InformedEmsp
from hub.store import health, parties
from hub.store.parties import Agreement, Party

CPA, MSA = PartyId.parse("NL*CPA"), PartyId.parse("DE*MSA")
AT_ONCE = Pace(steady=0, splay=0, pause=0)


@pytest.fixture
async def cpo(running: Any) -> AsyncIterator[CpoBackend]:
    """NL*CPA, connected."""
    async with CpoBackend("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.fixture
async def emsp(running: Any) -> AsyncIterator[Emsp]:
    """DE*MSA, connected."""
    async with Emsp("DE*MSA") as platform:
        await running.join(platform, "EMSP")
        yield platform


def announcer(running: Any, pace: Pace = AT_ONCE, planned: bool = False) -> Announcer:
    """A worker's announcer; each is as new as one after a crash."""
    hub = running.hub
    return Announcer(hub.db, hub.directory, hub.outbound, hub.code, hub.journal.note, planned, pace)


async def run(running: Any, statement: str, **names: Any) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return list(await session.execute(text(statement), names))


def platform_of(running: Any, code: str) -> int:
    return int(running.hub.directory.now.by_code[PartyId.parse(code)].platform.id)


async def set_status(running: Any, code: str, status: str) -> None:
    async with running.hub.db.unit_of_work() as session:
        assert await health.set_status(session, platform_of(running, code), status)
    await running.hub.directory.refresh()


def told(platform: Any) -> list[tuple[str, str]]:
    """The ClientInfo PUTs that a platform got: path below the endpoint, status."""
    puts = [r for r in platform.received if "hubclientinfo" in r.path]
    assert all(r.method == "PUT" for r in puts)
    return [(r.path.partition("hubclientinfo")[2], r.body["status"]) for r in puts]


@pytest.mark.catalogue("HCI-006", "HCI-019", "HCI-032")
async def test_a_new_party_is_put_at_its_codes_below_the_published_endpoint(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        await announcer(running).turn()
        [put] = [r for r in emsp.received if "hubclientinfo" in r.path]
        assert (put.method, put.path) == ("PUT", "/ocpi/2.2.1/receiver/hubclientinfo/NL/CPA")
        when = put.body.pop("last_updated")
        assert put.body == {"country_code": "NL", "party_id": "CPA", "role": "CPO", "status": "CONNECTED"}
        assert parse_datetime(when).tzinfo is not None
        assert not emsp.faults


@pytest.mark.catalogue("HCI-026")
async def test_a_put_has_no_routing_headers(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        await announcer(running).turn()
        [put] = [r for r in emsp.received if "hubclientinfo" in r.path]
        assert not [name for name in put.headers if name.lower().startswith("ocpi-")]
        assert put.headers[headers.REQUEST_ID]
        assert put.headers[headers.CORRELATION_ID]


@pytest.mark.catalogue("HCI-007")
async def test_each_change_is_told_and_nothing_twice(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        worker = announcer(running)
        for status in ("OFFLINE", "CONNECTED"):
            await worker.turn()
            await set_status(running, "NL*CPA", status)
        await worker.turn()
        await announcer(running).turn()  # another worker, or the same after a crash
        assert told(emsp) == [("/NL/CPA", "CONNECTED"), ("/NL/CPA", "OFFLINE"), ("/NL/CPA", "CONNECTED")]


@pytest.mark.catalogue("HCI-008", "CRED-035")
async def test_who_leaves_and_who_is_removed_is_told_as_suspended(running: Any) -> None:
    async with InformedEmsp("DE*MSA") as emsp, CpoBackend("NL*CPA") as cpo, CpoBackend("NL*CPB") as other:
        await running.join(emsp, "EMSP")
        await running.join(cpo, "CPO")
        await running.join(other, "CPO")
        worker = announcer(running)
        await worker.turn()
        await cpo.leave()
        await worker.turn()
        assert told(emsp)[2:] == [("/NL/CPA", "SUSPENDED")]
        await membership.remove(running.hub, platform_of(running, "NL*CPB"))
        await worker.turn()
        assert told(emsp)[3:] == [("/NL/CPB", "SUSPENDED")]


@pytest.mark.catalogue("HCI-010")
async def test_only_platforms_with_a_receiver_are_told(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async with InformedEmsp("FR*MSB") as informed:
        await running.join(informed, "EMSP")
        await announcer(running).turn()
        assert sorted(told(informed)) == [("/DE/MSA", "CONNECTED"), ("/NL/CPA", "CONNECTED")]
        assert told(emsp) == told(cpo) == []


@pytest.mark.catalogue("HCI-009")
async def test_nobody_is_told_of_itself(running: Any) -> None:
    async with InformedEmsp("DE*MSA", "DE*MSX") as twins, InformedEmsp("FR*MSB") as other:
        for platform in (twins, other):
            await running.join(platform, "EMSP")
        await announcer(running).turn()
        assert told(twins) == [("/FR/MSB", "CONNECTED")]
        assert sorted(told(other)) == [("/DE/MSA", "CONNECTED"), ("/DE/MSX", "CONNECTED")]


@pytest.mark.catalogue("CRED-046")
async def test_a_party_of_two_roles_is_told_role_by_role(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        await run(running, "UPDATE party SET roles = '{CPO,NAP}' WHERE code = 'NL*CPA'")
        async with running.hub.db.unit_of_work() as session:
            await parties.touch(session)
        await running.hub.directory.refresh()
        await announcer(running).turn()
        assert told(emsp) == [("/NL/CPA", "CONNECTED")] * 2
        assert (emsp.status("NL*CPA", "CPO"), emsp.status("NL*CPA", "NAP")) == ("CONNECTED", "CONNECTED")


@pytest.mark.catalogue("CRED-032")
async def test_a_role_that_is_given_up_is_suspended_and_a_new_one_told(running: Any) -> None:
    async with InformedEmsp("DE*MSA") as emsp, CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await running.join(emsp, "EMSP")
        await running.join(cpo, "CPO")
        worker = announcer(running)
        await worker.turn()
        cpo.parties = (CPA,)
        await cpo.renew()
        assert running.hub.directory.now.party(PartyId.parse("NL*CPB")) is None
        await worker.turn()
        assert (emsp.status("NL*CPA"), emsp.status("NL*CPB")) == ("CONNECTED", "SUSPENDED")
        cpo.parties = (CPA, PartyId.parse("NL*CPB"))
        await cpo.renew()
        await worker.turn()
        assert emsp.status("NL*CPB") == "CONNECTED"


@pytest.mark.catalogue("CRED-047")
async def test_hosted_parties_are_told_like_any_other(running: Any) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        hosted = next(p.id for p in running.hub.directory.now.platforms.values() if p.hosted)
        async with running.hub.db.session() as session:
            await parties.touch(session)
            session.add(Party(code="NL*LOC", platform_id=hosted, roles=["CPO"]))
        await running.hub.directory.refresh()
        await announcer(running).turn()
        assert told(emsp) == [("/NL/LOC", "CONNECTED")]


class TestWithAgreements:
    """HUB_DEFAULT_AGREEMENT=closed."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"default_agreement": "closed"})

    @pytest.mark.catalogue("HCI-028")
    async def test_a_party_is_told_once_there_is_an_agreement(self, running: Any, cpo: CpoBackend) -> None:
        async with InformedEmsp("DE*MSA") as emsp:
            await running.join(emsp, "EMSP")
            worker = announcer(running)
            await worker.turn()
            assert told(emsp) == []
            async with running.hub.db.session() as session:
                await parties.touch(session)
                session.add(Agreement(a="NL*CPA", b="DE*MSA"))
            await running.hub.directory.refresh()
            await worker.turn()
            assert told(emsp) == [("/NL/CPA", "CONNECTED")]

    @pytest.mark.catalogue("HCI-005", "HCI-028")
    async def test_by_setting_it_is_told_as_planned_before(self, running: Any, cpo: CpoBackend) -> None:
        async with InformedEmsp("DE*MSA") as emsp:
            await running.join(emsp, "EMSP")
            await announcer(running, planned=True).turn()
            assert told(emsp) == [("/NL/CPA", "PLANNED")]


async def test_who_is_invited_is_told_as_planned_and_never_again_once_connected(running: Any) -> None:
    async with InformedCpo("NL*CPA") as cpo, Emsp("DE*MSA") as emsp:
        await running.join(cpo, "CPO")
        worker = announcer(running)
        await handshake.invite(running.hub, "an eMSP", [(MSA, "EMSP")])
        await worker.turn()
        await running.join(emsp, "EMSP")
        await worker.turn()
        await membership.remove(running.hub, platform_of(running, "DE*MSA"))
        await worker.turn()
        await handshake.invite(running.hub, "the same eMSP", [(MSA, "EMSP")])
        await worker.turn()
        assert told(cpo) == [("/DE/MSA", "PLANNED"), ("/DE/MSA", "CONNECTED"), ("/DE/MSA", "SUSPENDED")]


@pytest.mark.catalogue("HCI-011")
async def test_a_status_that_does_not_last_is_not_told(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        await announcer(running).turn()
        worker = announcer(running, Pace(steady=3600, splay=0, pause=0))
        await set_status(running, "NL*CPA", "OFFLINE")
        await worker.turn()
        await set_status(running, "NL*CPA", "CONNECTED")
        await worker.turn()
        await run(running, "UPDATE client_info SET next_at = now() - interval '1 second'")
        await worker.turn()
        assert told(emsp) == [("/NL/CPA", "CONNECTED")]


async def test_a_party_is_told_at_most_once_in_a_while_and_then_as_it_is(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        worker = announcer(running, Pace(steady=0, splay=0, pause=3600))
        await worker.turn()
        await set_status(running, "NL*CPA", "OFFLINE")
        await worker.turn()
        assert told(emsp) == [("/NL/CPA", "CONNECTED")]
        await run(running, "UPDATE client_info SET next_at = now()")
        await worker.turn()
        assert told(emsp)[1:] == [("/NL/CPA", "OFFLINE")]


def test_receivers_are_told_one_after_the_other() -> None:
    pace = Pace(steady=5, splay=10)
    waits = sorted(pace.steady_for(number) for number in range(1, 101))
    assert 5 <= waits[0] < waits[-1] < 15
    assert max(after - before for before, after in itertools.pairwise(waits)) < 0.5


async def test_what_is_not_taken_is_told_later(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        emsp.knobs.status_code = 2000
        query = "SELECT tries, reason FROM client_info WHERE code = 'NL*CPA' AND platform_id = :id"
        worker = announcer(running)
        for tries in range(policy.TRIES_BEFORE_PARKING + 2):
            await worker.turn()
            [[counted, reason]] = await run(running, query, id=platform_of(running, "DE*MSA"))
            assert (counted, "2000" in reason) == (min(tries + 1, policy.TRIES_BEFORE_PARKING), True)
            await run(running, "UPDATE client_info SET next_at = now()")
        assert len(told(emsp)) == policy.TRIES_BEFORE_PARKING
        emsp.knobs.status_code = None
        await set_status(running, "NL*CPA", "OFFLINE")
        await worker.turn()
        assert emsp.status("NL*CPA") == "OFFLINE"


async def test_one_that_is_away_is_told_when_it_is_back(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        await emsp.go_away()
        worker = announcer(running)
        await worker.turn()
        await set_status(running, "DE*MSA", "OFFLINE")
        await run(running, "UPDATE client_info SET next_at = now()")
        await worker.turn()
        [[reason]] = await run(running, "SELECT reason FROM client_info WHERE code = 'NL*CPA'")
        assert reason
        await emsp.come_back()
        await set_status(running, "DE*MSA", "CONNECTED")
        await run(running, "UPDATE client_info SET next_at = now()")
        await worker.turn()
        assert told(emsp) == [("/NL/CPA", "CONNECTED")]


async def test_one_that_refuses_the_token_is_stopped(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        emsp.peer = None  # it has forgotten the hub
        await run(running, "UPDATE access_token SET made_at = now() - interval '1 minute'")
        await announcer(running).turn()
        query = "SELECT stopped_reason FROM platform WHERE id = :id"
        [[reason]] = await run(running, query, id=platform_of(running, "DE*MSA"))
        assert "401" in reason


async def test_who_comes_back_is_told_everything_anew(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        worker = announcer(running)
        await worker.turn()
        await emsp.leave()
        await worker.turn()
        await running.join(emsp, "EMSP")
        await worker.turn()
        assert told(emsp) == [("/NL/CPA", "CONNECTED")] * 2


async def test_two_workers_tell_it_once(running: Any) -> None:
    async with InformedEmsp("DE*MSA") as emsp, CpoBackend(*(f"NL*C{n:02}" for n in range(40))) as cpos:
        await running.join(emsp, "EMSP")
        await running.join(cpos, "CPO")
        await asyncio.gather(announcer(running).turn(), announcer(running).turn())
        assert sorted(told(emsp)) == [(f"/NL/C{n:02}", "CONNECTED") for n in range(40)]


async def test_it_runs_in_the_background(running: Any, cpo: CpoBackend) -> None:
    async with InformedEmsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        async with announcer(running).running():
            await emsp.until(lambda: emsp.status("NL*CPA") == "CONNECTED", 20, "the ClientInfo")
