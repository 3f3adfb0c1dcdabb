"""hub.exchange.peers: what another hub announces is taken, and counts as far as the operator has admitted it."""

from dataclasses import replace
from typing import Any, ClassVar

import pytest
from aiohttp import web
from sqlalchemy import text

from hub.delivery import audience, clientinfo
from hub.exchange import membership, peers
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.informed import CLIENTS, Informed
from hub.sandbox.registration import BASE
from hub.sandbox.wire import Answer, Json
from hub.store import peers as store
from hub.store.directory import AgreementView

HB2, CPA, MSA = (PartyId.parse(code) for code in ("DE*HB2", "NL*CPA", "DE*MSA"))


class PeerHub(Informed, Emsp):
    """Another hub, which stands for the parties behind it: `listed` is its list of ClientInfo."""

    role: ClassVar[str] = "HUB"
    modules: ClassVar[tuple[tuple[str, str], ...]] = (
        *Emsp.modules,
        ("locations", "SENDER"),
        (CLIENTS, "SENDER"),
        (CLIENTS, "RECEIVER"),
    )

    def __init__(self, *parties: str, **options: Any) -> None:
        super().__init__(*parties, **options)
        self.listed: list[Json] = []
        self.broken = False

    def routes(self) -> Any:
        """Beside those of an eMSP, its list."""
        yield from super().routes()
        yield "GET", f"{BASE}/sender/{CLIENTS}", self._list

    async def _list(self, request: web.Request) -> web.Response:
        if self.broken:
            raise web.HTTPInternalServerError
        return wire.page(request, self.listed, self.url(CLIENTS, "SENDER"))

    async def announce(self, info: Json, method: str = "PUT") -> Answer:
        """PUT of a ClientInfo at its codes."""
        peer = self.registered
        url = wire.join(peer.endpoint(CLIENTS, "RECEIVER"), info["country_code"], info["party_id"])
        return await self.call(method, url, peer.token_out, info if method in ("PUT", "POST", "PATCH") else None)

    def lists(self) -> int:
        """How often its list was asked for."""
        return len([r for r in self.received if (r.method, r.path) == ("GET", f"{BASE}/sender/{CLIENTS}")])


def info(code: PartyId = MSA, role: str = "EMSP", status: str = "CONNECTED", minute: int = 0) -> Json:
    """A ClientInfo of the given minute."""
    named = {"country_code": code.country_code, "party_id": code.party_id, "role": role}
    return {**named, "status": status, "last_updated": f"2026-01-01T00:{minute:02}:00Z"}


@pytest.fixture
async def peer(running: Any) -> Any:
    """DE*HB2, connected; nobody behind it is admitted yet."""
    async with PeerHub("DE*HB2") as platform:
        await running.join(platform, "HUB")
        yield platform


async def admit(running: Any, *admitted: tuple[PartyId, str]) -> None:
    """Admit these behind DE*HB2, or all."""
    platform_id = running.hub.directory.now.by_code[HB2].platform.id
    await peers.admit(running.hub, platform_id, list(admitted) or None)


async def bring(running: Any, peer: PeerHub, *infos: Json) -> None:
    """Announce parties and admit all that come."""
    for each in infos:
        assert (await peer.announce(each)).ok
    await admit(running)
    peer.parties = (HB2, *(PartyId.of(each["country_code"], each["party_id"]) for each in infos))


@pytest.mark.catalogue("HCI-016", "HCI-017")
async def test_it_is_put_replaced_and_read_back_and_nothing_else(peer: PeerHub) -> None:
    assert (await peer.announce(info(), "GET")).http_status == 404
    assert (await peer.announce(info())).http_status == 201
    assert (await peer.announce(info(status="OFFLINE", minute=1))).http_status == 200
    assert (await peer.announce(info(), "GET")).data == info(status="OFFLINE", minute=1)
    for method in ("POST", "PATCH", "DELETE"):
        assert (await peer.announce(info(), method)).http_status == 405


@pytest.mark.catalogue("HCI-018")
async def test_two_roles_of_one_party_are_kept_apart(running: Any, peer: PeerHub, cpo: CpoBackend) -> None:
    await bring(running, peer, info(role="EMSP"), info(role="NSP", status="OFFLINE"))
    party = running.hub.directory.now.party(MSA)
    assert (party.status_in("EMSP"), party.status_in("NSP")) == ("CONNECTED", "OFFLINE")


@pytest.mark.catalogue("HCI-022", "HCI-025")
@pytest.mark.parametrize("field", ["party_id", "country_code", "role", "status", "last_updated"])
async def test_what_is_not_complete_or_not_allowed_is_refused(peer: PeerHub, field: str) -> None:
    url = {"country_code": "DE", "party_id": "MSA"}
    for body in ({k: v for k, v in info().items() if k != field}, info() | {field: "NO SUCH THING"}):
        target = wire.join(peer.registered.endpoint(CLIENTS, "RECEIVER"), *url.values())
        answer = await peer.call("PUT", target, peer.registered.token_out, body)
        assert (answer.status_code, field in answer.message) == (2001, True)
    assert (await peer.announce(info(), "GET")).http_status == 404


async def test_the_url_and_the_body_are_about_one_party(peer: PeerHub) -> None:
    target = wire.join(peer.registered.endpoint(CLIENTS, "RECEIVER"), "DE", "MSX")
    assert (await peer.call("PUT", target, peer.registered.token_out, info())).status_code == 2001
    assert (await peer.call("PUT", target, peer.registered.token_out, [info()])).status_code == 2001


async def test_only_a_hub_announces(running: Any, cpo: CpoBackend) -> None:
    target = wire.join(cpo.registered.endpoint(CLIENTS, "RECEIVER"), "DE", "MSA")
    for method, body in (("PUT", info()), ("GET", None)):
        answer = await cpo.call(method, target, cpo.registered.token_out, body)
        assert (answer.status_code, answer.data) == (2000, None)
    await peers.admit(running.hub, running.hub.directory.now.by_code[CPA].platform.id, None)
    assert running.hub.directory.now.party(MSA) is None


async def test_nobody_announces_this_hub_or_a_third_one(running: Any, peer: PeerHub, emsp: Emsp) -> None:
    third = PartyId.parse("SE*HB3")
    assert (await peer.announce(info(running.hub.code))).status_code == 2001
    assert (await peer.announce(info(third, "HUB"))).ok
    await admit(running)
    assert not running.hub.directory.now.behind
    for code in (running.hub.code, third):
        peer.parties = (code,)
        answer = await peer.send("PUT", "sessions", *code, "S1", to="DE*MSA", body=samples.session(str(code)))
        assert answer.status_code == 2001


async def test_a_hub_cannot_fill_the_database(peer: PeerHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST", 1)
    assert (await peer.announce(info())).ok
    assert not (await peer.announce(info(PartyId.parse("DE*MSX")))).ok
    assert (await peer.announce(info(minute=1))).ok


async def test_what_is_older_changes_nothing(peer: PeerHub) -> None:
    await peer.announce(info(status="OFFLINE", minute=1))
    assert (await peer.announce(info(minute=0))).ok
    assert (await peer.announce(info(), "GET")).data["status"] == "OFFLINE"


@pytest.mark.catalogue("HCI-001", "CRED-055")
async def test_a_party_is_reached_once_it_is_announced_and_admitted(
    running: Any, peer: PeerHub, cpo: CpoBackend
) -> None:
    session = samples.session(of=samples.token())
    assert (await cpo.put_session(session, to="DE*MSA")).status_code == 4001  # neither
    await peer.announce(info())
    assert (await cpo.put_session(session, to="DE*MSA")).status_code == 4001  # not admitted
    await admit(running, (MSA, "CPO"))
    assert (await cpo.put_session(session, to="DE*MSA")).status_code == 4001  # in another role
    await admit(running, (MSA, "EMSP"))
    peer.parties = (HB2, MSA)
    answer = await cpo.put_session(session, to="DE*MSA")
    assert (answer.http_status, answer.headers[headers.FROM_PARTY]) == (201, "MSA")
    [put] = [r for r in peer.received if "/sessions/" in r.path]
    assert (put.sender, put.to) == (CPA, MSA)
    assert not peer.faults


@pytest.mark.parametrize(
    "status",
    [
        pytest.param("OFFLINE", marks=pytest.mark.catalogue("HCI-002")),
        pytest.param("PLANNED", marks=pytest.mark.catalogue("HCI-003")),
        pytest.param("SUSPENDED", marks=pytest.mark.catalogue("HCI-004")),
    ],
)
async def test_nothing_is_sent_to_a_party_that_is_announced_as_away(
    running: Any, peer: PeerHub, cpo: CpoBackend, status: str
) -> None:
    await bring(running, peer, info())
    await peer.announce(info(status=status, minute=1))
    token = samples.token()
    session = samples.session(of=token)
    cdr = samples.cdr(session, samples.location(), samples.tariff())
    seen = len(peer.received)
    for answer in (
        await cpo.put_session(session, to="DE*MSA"),
        await cpo.authorise(token["uid"], to="DE*MSA"),
        await cpo.post_cdr(cdr, to="DE*MSA"),
    ):
        assert (answer.http_status, answer.status_code) == (200, 4003)
    async with running.hub.db.unit_of_work() as unit:
        assert not list(await unit.execute(text("SELECT 1 FROM owed")))
    assert len(peer.received) == seen


@pytest.mark.catalogue("TF-062", "CRED-055")
async def test_who_is_behind_a_hub_acts_through_it_and_nobody_else_does(
    running: Any, peer: PeerHub, emsp: Emsp
) -> None:
    other = PartyId.parse("NL*CPB")
    session = samples.session("NL*CPB", of=samples.token())

    async def push() -> Answer:
        peer.parties = (other,)
        return await peer.send("PUT", "sessions", "NL", "CPB", session["id"], to="DE*MSA", body=session)

    assert (await push()).status_code == 2001
    await peer.announce(info(other, "CPO"))
    assert (await push()).status_code == 2001  # announced, not admitted
    await admit(running, (other, "EMSP"))
    assert (await push()).status_code == 2001  # in another role
    await admit(running, (other, "CPO"))
    assert (await push()).http_status == 201
    assert emsp.sessions.get("NL", "CPB", session["id"]) is not None
    await peer.announce(info(other, "CPO", "SUSPENDED", 1))
    assert (await push()).status_code == 2001


@pytest.mark.catalogue("TF-176")
async def test_what_comes_from_a_hub_goes_to_no_hub_and_to_no_crowd(running: Any, peer: PeerHub, emsp: Emsp) -> None:
    behind = PartyId.parse("NL*CPB")
    async with PeerHub("SE*HB3") as third:
        await running.join(third, "HUB")
        await third.announce(info(PartyId.parse("SE*MSC")))
        await peers.admit(running.hub, running.hub.directory.now.by_code[third.parties[0]].platform.id, None)
        await bring(running, peer, info(behind, "CPO"), info(PartyId.parse("FR*MSB")))
        peer.parties = (behind,)
        location = samples.location("NL*CPB")
        seen = len(peer.received), len(third.received)
        for to in ("FR*MSB", "SE*MSC", "DE*HB2", "SE*HB3"):  # back, on to another hub, and the hubs themselves
            session = samples.session("NL*CPB", of=samples.token(to))
            answer = await peer.send("PUT", "sessions", "NL", "CPB", session["id"], to=to, body=session)
            assert answer.status_code == 4001, to
        for nobody in (running.hub.code, None):
            answer = await peer.send("PUT", "locations", "NL", "CPB", location["id"], to=nobody, body=location)
            assert answer.status_code == 4001
        assert (await peer.send("GET", "locations", interface="SENDER", to=running.hub.code)).status_code == 4001
        assert (len(peer.received), len(third.received)) == seen


async def test_no_broadcast_is_relayed_to_a_hub(running: Any, peer: PeerHub, cpo: CpoBackend) -> None:
    await bring(running, peer, info())
    directory, catalog = running.hub.directory.now, running.hub.catalog
    for receiver in (MSA, HB2):
        assert not audience.wants(directory, catalog, CPA, "locations", receiver)
        assert not audience.takes(directory, CPA, "locations", receiver)
    assert "behind a peer hub" in str(audience.obstacle(directory, CPA, "locations", MSA))


async def test_who_registers_here_is_here(running: Any, peer: PeerHub, cpo: CpoBackend) -> None:
    await bring(running, peer, info())
    assert running.hub.directory.now.party(MSA).behind
    peer.parties = (HB2,)
    async with Emsp("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        assert not running.hub.directory.now.party(MSA).behind
        session = samples.session(of=samples.token())
        assert (await cpo.put_session(session, to="DE*MSA")).http_status == 201
        assert emsp.sessions.get("NL", "CPA", session["id"]) is not None
        foreign = await peer.send("PUT", "tokens", "DE", "MSA", "1", to="NL*CPA", sender=MSA, body=samples.token())
        assert foreign.status_code == 2001


async def test_the_party_is_away_with_its_hub(running: Any, peer: PeerHub, cpo: CpoBackend) -> None:
    await bring(running, peer, info())
    await membership.suspend(running.hub, running.hub.directory.now.by_code[HB2].platform.id)
    assert running.hub.directory.now.party(MSA).status == "SUSPENDED"
    answer = await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    assert answer.status_code == 4003


async def test_of_two_hubs_the_one_where_it_is_connected_is_taken(running: Any, peer: PeerHub) -> None:
    async with PeerHub("SE*HB3") as third:
        await running.join(third, "HUB")
        number = running.hub.directory.now.by_code[third.parties[0]].platform.id
        await peers.admit(running.hub, number, None)
        await third.announce(info())
        await bring(running, peer, info(status="OFFLINE"))
        assert running.hub.directory.now.party(MSA).platform.id == number
        await peer.announce(info(minute=1))
        await third.announce(info(status="SUSPENDED", minute=2))
        assert running.hub.directory.now.party(MSA).platform.id != number


async def test_who_is_behind_a_hub_is_shown_to_partners_but_not_to_hubs(
    running: Any, peer: PeerHub, cpo: CpoBackend
) -> None:
    async with PeerHub("SE*HB3") as third:
        await running.join(third, "HUB")
        await bring(running, peer, info(), info(PartyId.parse("FR*MSB"), status="PLANNED"))
        directory = running.hub.directory.now

        def seen(platform: Any) -> dict[Any, str]:
            return clientinfo.wanted(directory, directory.by_code[platform].platform, planned=False)

        assert seen(CPA) == {("DE*MSA", "EMSP"): "CONNECTED", ("FR*MSB", "EMSP"): "PLANNED"}
        assert seen(third.parties[0]) == seen(HB2) == {("NL*CPA", "CPO"): "CONNECTED"}


async def test_with_a_closed_policy_a_hub_sees_whom_its_parties_may_meet(running: Any, peer: PeerHub) -> None:
    async with CpoBackend("NL*CPA", "NL*CPB") as cpo:
        await running.join(cpo, "CPO")
        await admit(running, (MSA, "EMSP"))  # not announced yet
        pair = {frozenset((CPA, MSA)): AgreementView(CPA, "both", None)}
        directory = replace(running.hub.directory.now, open_policy=False, agreements=pair)
        viewer = directory.by_code[HB2].platform
        assert clientinfo.wanted(directory, viewer, planned=False) == {("NL*CPA", "CPO"): "CONNECTED"}


@pytest.mark.catalogue("HCI-021", "HCI-029")
async def test_the_whole_list_is_read_at_the_start_and_what_is_not_in_it_is_void(
    running: Any, peer: PeerHub, cpo: CpoBackend
) -> None:
    gone = PartyId.parse("FR*MSB")
    await bring(running, peer, info(), info(gone))
    peer.listed = [info(), {"party_id": "is no ClientInfo"}] + [
        info(PartyId.parse(f"DE*M{n:02}"), minute=1) for n in range(wire.PAGE)
    ]
    await peers.turn(running.hub)
    directory = running.hub.directory.now
    assert directory.party(MSA).status == "CONNECTED"
    assert directory.party(PartyId.parse("DE*M49")).status == "CONNECTED"
    assert directory.party(gone) is None
    assert (await cpo.put_session(samples.session(of=samples.token()), to=gone)).status_code == 4001
    read = peer.lists()
    await peer.announce(info(status="OFFLINE", minute=2))
    await peers.turn(running.hub)
    assert peer.lists() == read  # status comes by push
    assert running.hub.directory.now.party(MSA).status == "OFFLINE"
    assert not peer.faults


async def test_a_list_that_cannot_be_read_changes_nothing_and_is_read_later(running: Any, peer: PeerHub) -> None:
    await bring(running, peer, info())
    peer.broken = True
    await peers.turn(running.hub)
    assert running.hub.directory.now.party(MSA) is not None
    peer.broken = False
    await peers.turn(running.hub)  # too early
    async with running.hub.db.unit_of_work() as unit:
        await unit.execute(text("UPDATE peer_list SET next_at = now() - interval '1 second'"))
    await peers.turn(running.hub)
    assert running.hub.directory.now.party(MSA) is None


async def test_the_list_is_read_again_once_the_hub_is_back(running: Any, peer: PeerHub) -> None:
    await peers.turn(running.hub)
    read = peer.lists()
    number = running.hub.directory.now.by_code[HB2].platform.id
    await membership.suspend(running.hub, number)
    await peers.turn(running.hub)
    await membership.resume(running.hub, number)
    await peers.turn(running.hub)
    assert peer.lists() == 2 * read > 0


async def test_the_lists_are_read_in_the_background(running: Any, peer: PeerHub, eventually: Any) -> None:
    await admit(running)
    peer.listed = [info()]
    async with peers.reading_lists(running.hub):
        await eventually(lambda: running.hub.directory.now.party(MSA) is not None)
