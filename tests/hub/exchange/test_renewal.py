"""Renewal of tokens that the hub begins: the partner switches, or does not, or nobody knows; nothing is ever lost."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import text

from hub.exchange import membership, renewal
from hub.exchange.discovery import Doubtful
from hub.exchange.renewal import PATIENCE, decide
from hub.ocpi.errors import Conflict, NotFound, UnableToUseClientApi
from hub.ocpi.types import PartyId
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.recorder import Received
from hub.sandbox.registration import Refused
from hub.sandbox.wire import Peer
from hub.store.rotations import Watched
from hub.store.seal import hash_token

pytestmark = pytest.mark.handshake

CPA = PartyId.parse("NL*CPA")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Shows = Callable[[str], Awaitable[int]]


def is_put(seen: Received) -> bool:
    return seen.method == "PUT" and seen.path.endswith("/credentials")


def number(running: Any) -> int:
    return int(running.hub.directory.now.party(CPA).platform.id)


def token_out(running: Any) -> str:
    return str(running.hub.directory.now.party(CPA).platform.token_out)


async def run(running: Any, statement: str, **values: Any) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return list((await session.execute(text(statement), values)).scalars())


async def over(running: Any) -> None:
    """The window of the open renewal ends now."""
    await run(running, "UPDATE rotation SET ends_at = now() - interval '1 ms'")


async def outcome(running: Any) -> str | None:
    await renewal.settle(running.hub)
    return str((await run(running, "SELECT coalesce(outcome, 'open') FROM rotation"))[0])


def shown_by(running: Any, partner: CpoBackend) -> Shows:
    """The partner calls with a token, and while a renewal is open this is written down; the HTTP status."""

    async def call(token: str) -> int:
        url = f"{running.url}/ocpi/2.2.1/sender/tokens?limit=1"
        before = (await run(running, "SELECT now()"))[0]
        answer = await partner.call("GET", url, token, extra={"OCPI-to-country-code": "NL", "OCPI-to-party-id": "HUB"})
        noted = "SELECT hash FROM access_token WHERE shown_at > :before"
        is_open = await run(running, "SELECT 1 FROM rotation WHERE outcome IS NULL")
        for _ in range(200 if is_open and answer.http_status == 200 else 0):
            if hash_token(token) in await run(running, noted, before=before):
                break
            await asyncio.sleep(0.05)
        return answer.http_status

    return call


@pytest.fixture
def shows(running: Any, cpo: CpoBackend) -> Shows:
    """NL*CPA calls."""
    return shown_by(running, cpo)


class Stubborn(CpoBackend):
    """Answers PUT credentials well, and goes on as before. `keeps_its_own`: what it handed out works nevertheless."""

    keeps_its_own = False

    async def _put_credentials(self, request: web.Request) -> web.Response:
        before = self.registered
        answer = await super()._put_credentials(request)
        self.taken = self.registered
        self.peer, self._former = before, None
        if self.keeps_its_own:
            self.peer = dataclasses.replace(before, token_in=self.taken.token_in)
        return answer

    taken: Peer


@pytest.fixture
async def stubborn(running: Any) -> AsyncIterator[Stubborn]:
    """NL*CPA, connected, which never switches."""
    async with Stubborn("NL*CPA") as platform:
        await running.join(platform, "CPO")
        yield platform


@pytest.mark.catalogue("CRED-016", "CRED-015", "CRED-019")
async def test_the_hub_renews_both_tokens_and_the_partner_reads_its_endpoints_anew(
    running: Any, cpo: CpoBackend, shows: Shows
) -> None:
    before = cpo.registered
    asked = len(cpo.received)
    await renewal.rotate(running.hub, number(running))
    after = cpo.registered
    assert {before.token_in, before.token_out}.isdisjoint({after.token_in, after.token_out})
    assert token_out(running) == after.token_in
    put = next(seen for seen in cpo.received[asked:] if is_put(seen))
    assert (put.body["token"], put.body["url"]) == (after.token_out, running.hub.versions_url)
    assert [role["role"] for role in put.body["roles"]] == ["HUB"]
    read = [seen.path for seen in cpo.received[asked:] if seen.method == "GET"]
    assert read == ["/ocpi/versions", "/ocpi/2.2.1"]
    assert await outcome(running) == "open"
    assert await shows(before.token_out) == 200
    assert await outcome(running) == "open"
    assert await shows(after.token_out) == 200
    assert await outcome(running) == "switched"
    assert await shows(before.token_out) == 200  # requests may be under way
    await run(running, "UPDATE access_token SET expires_at = now() WHERE expires_at IS NOT NULL")
    await run(running, "UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await running.hub.directory.refresh()
    assert await shows(before.token_out) == 401
    assert not cpo.faults


async def test_the_hub_reads_what_the_partner_offers_now(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpo, "modules", (*CpoBackend.modules, ("chargingprofiles", "RECEIVER")))
    await renewal.rotate(running.hub, number(running))
    platform = running.hub.directory.now.party(CPA).platform
    assert platform.endpoint("chargingprofiles", "RECEIVER") == cpo.url("chargingprofiles", "RECEIVER")


@pytest.mark.parametrize("keeps_its_own", [False, True])
async def test_a_partner_that_does_not_switch_is_rolled_back(
    running: Any, stubborn: Stubborn, still_shows: Shows, keeps_its_own: bool
) -> None:
    stubborn.keeps_its_own = keeps_its_own
    before = stubborn.registered
    await renewal.rotate(running.hub, number(running))
    assert await still_shows(before.token_out) == 200
    assert await outcome(running) == "open"
    await over(running)
    assert await outcome(running) == "open"  # it has not called since
    assert await still_shows(before.token_out) == 200
    assert await outcome(running) == "rolled back"
    assert await still_shows(before.token_out) == 200
    assert await still_shows(stubborn.taken.token_out) == 401
    assert token_out(running) == (stubborn.taken.token_in if keeps_its_own else before.token_in)
    assert await stubborn_answers(running, stubborn)
    with_alert = "SELECT count(*) FROM platform f JOIN rotation r ON r.platform_id = f.id WHERE outcome = 'rolled back'"
    assert await run(running, with_alert) == [1]
    await renewal.rotate(running.hub, number(running))  # and it may be tried again


@pytest.fixture
def still_shows(running: Any, stubborn: Stubborn) -> Shows:
    """The partner that does not switch calls."""
    return shown_by(running, stubborn)


async def stubborn_answers(running: Any, partner: CpoBackend) -> bool:
    """Whether the partner takes the token that the hub shows it."""
    return bool(
        (await partner.call("GET", f"{partner.origin}/ocpi/2.2.1/credentials", token_out(running))).http_status == 200
    )


async def test_a_partner_that_refuses_leaves_everything_as_it_was(running: Any, cpo: CpoBackend, shows: Shows) -> None:
    before, hub = cpo.registered, running.hub
    tokens = await run(running, "SELECT count(*) FROM access_token")
    cpo.knobs.status_code, cpo.knobs.applies = 3000, is_put
    with pytest.raises(UnableToUseClientApi, match="PUT of the credentials endpoint answered HTTP 200"):
        await renewal.rotate(hub, number(running))
    assert await outcome(running) == "refused"
    assert token_out(running) == before.token_in
    assert await run(running, "SELECT count(*) FROM access_token") == tokens
    assert await shows(before.token_out) == 200
    cpo.knobs.status_code = None
    await renewal.rotate(hub, number(running))


async def test_an_answer_that_is_lost_locks_nobody_out(running: Any, cpo: CpoBackend, shows: Shows) -> None:
    before = cpo.registered
    cpo.knobs.hang_up, cpo.knobs.applies = True, is_put
    with pytest.raises(Doubtful):
        await renewal.rotate(running.hub, number(running))
    cpo.knobs.hang_up = False
    assert token_out(running) == before.token_in
    assert await outcome(running) == "open"
    with pytest.raises(Conflict, match="is not over"):
        await renewal.rotate(running.hub, number(running))
    assert await shows(before.token_out) == 200
    assert await shows(cpo.registered.token_out) == 200  # it has taken them
    assert await outcome(running) == "switched"


async def test_a_crash_in_the_middle_leaves_both_tokens_good(
    running: Any, stubborn: Stubborn, still_shows: Shows, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stubborn.registered

    async def crash(*_: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(renewal, "_answered", crash)
    with pytest.raises(RuntimeError):
        await renewal.rotate(running.hub, number(running))
    assert token_out(running) == before.token_in
    for token in (before.token_out, stubborn.taken.token_out):
        assert (await stubborn.call("GET", running.hub.versions_url, token)).http_status == 200
    await over(running)
    assert await outcome(running) == "rolled back"  # it takes the old token, so it has not switched
    assert await still_shows(before.token_out) == 200
    assert await still_shows(stubborn.taken.token_out) == 401


@pytest.mark.catalogue("CRED-017")
async def test_a_leaked_token_is_void_as_soon_as_there_is_a_new_one(
    running: Any, cpo: CpoBackend, shows: Shows
) -> None:
    before = cpo.registered
    await renewal.rotate(running.hub, number(running), leaked=True)
    assert await shows(before.token_out) == 401
    assert await shows(cpo.registered.token_out) == 200
    assert await outcome(running) == "switched"


async def test_a_renewal_of_the_partner_takes_the_place_of_the_hubs(
    running: Any, cpo: CpoBackend, shows: Shows
) -> None:
    await renewal.rotate(running.hub, number(running))
    await cpo.renew()
    assert await outcome(running) == "replaced"
    assert token_out(running) == cpo.registered.token_in
    assert await shows(cpo.registered.token_out) == 200


async def test_parties_that_are_not_admitted_are_not_taken_over_from_an_answer(running: Any, cpo: CpoBackend) -> None:
    cpo.parties = (CPA, PartyId.parse("NL*CPB"))
    await renewal.rotate(running.hub, number(running))
    assert running.hub.directory.now.party(CPA).platform.parties == (CPA,)
    await membership.admit(running.hub, number(running), [(CPA, "CPO"), (cpo.parties[1], "CPO")])
    await cpo.renew()
    assert set(running.hub.directory.now.party(CPA).platform.parties) == set(cpo.parties)


async def test_what_cannot_be_renewed(running: Any, cpo: CpoBackend) -> None:
    hub = running.hub
    with pytest.raises(NotFound):
        await renewal.rotate(hub, 4711)
    with pytest.raises(Conflict, match="own platform"):
        await renewal.rotate(hub, (await run(running, "SELECT id FROM platform WHERE hosted"))[0])
    await membership.suspend(hub, number(running))
    with pytest.raises(Conflict, match="SUSPENDED"):
        await renewal.rotate(hub, number(running))
    await membership.resume(hub, number(running))
    await cpo.leave()
    with pytest.raises(Conflict, match="invite"):
        await renewal.rotate(hub, number(running))


@pytest.mark.parametrize(
    ("days", "change", "renewed"),
    [
        pytest.param(
            30,
            "UPDATE access_token SET made_at = now() - interval '31 days'",
            True,
            marks=pytest.mark.catalogue("CRED-018"),
        ),
        (30, "UPDATE access_token SET made_at = now() - interval '29 days'", False),
        (0, "UPDATE access_token SET made_at = now() - interval '99 days'", False),
        pytest.param(30, "UPDATE platform SET told = 'other endpoints'", True, marks=pytest.mark.catalogue("VER-013")),
    ],
)
async def test_the_hub_renews_by_itself_if_it_is_told_to(
    running: Any, cpo: CpoBackend, days: int, change: str, renewed: bool
) -> None:
    before = cpo.registered
    running.hub.settings = running.hub.settings.model_copy(update={"token_renewal": days})
    await run(running, change)
    for _ in range(2):
        await renewal.settle(running.hub)
    assert (cpo.registered != before) is renewed
    assert len([seen for seen in cpo.received if is_put(seen)]) == renewed


async def test_a_partner_that_refuses_is_asked_once_a_day(running: Any, cpo: CpoBackend) -> None:
    running.hub.settings = running.hub.settings.model_copy(update={"token_renewal": 1})
    await run(running, "UPDATE access_token SET made_at = now() - interval '2 days'")
    cpo.knobs.status_code, cpo.knobs.applies = 3000, is_put
    for _ in range(3):
        await renewal.settle(running.hub)
    assert len([seen for seen in cpo.received if is_put(seen)]) == 1
    await run(running, "UPDATE rotation SET begun_at = now() - interval '25 h'")
    await renewal.settle(running.hub)
    assert len([seen for seen in cpo.received if is_put(seen)]) == 2


LATER, END = NOW + timedelta(minutes=20), NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("answered", "new_shown", "old_shown", "now", "switched"),
    [
        (True, None, None, NOW, None),
        (True, NOW, None, NOW, True),
        (False, NOW, None, NOW, True),
        (True, None, NOW, NOW, None),
        (True, None, NOW, LATER, None),
        (True, None, LATER, LATER, False),
        (False, None, LATER, LATER, False),
        (True, LATER, LATER, LATER, True),
        (True, None, None, LATER, None),
        (True, None, None, END + PATIENCE, True),
        (False, None, None, END + PATIENCE, False),
    ],
)
def test_which_token_the_partner_uses(
    answered: bool, new_shown: datetime | None, old_shown: datetime | None, now: datetime, switched: bool | None
) -> None:
    seen = Watched(1, b"", b"", "base64", NOW if answered else None, END, new_shown, old_shown, now)
    assert decide(seen) is switched


async def test_a_worker_looks_after_renewals(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., Awaitable[None]]
) -> None:
    monkeypatch.setattr(renewal, "LOOK", 0.05)
    looks = []
    ordinary = renewal.settle

    async def settle(hub: Any) -> None:
        looks.append(hub)
        if len(looks) == 1:
            raise OSError("the database is away")
        if len(looks) == 2:
            raise ValueError("a fault of ours")
        await ordinary(hub)

    monkeypatch.setattr(renewal, "settle", settle)
    await renewal.rotate(running.hub, number(running))
    await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub)
    async with renewal.settling(running.hub):
        await eventually(lambda: not any(access.watched for access in running.hub.directory.now.access.values()))
    assert await run(running, "SELECT outcome FROM rotation") == ["switched"]


async def test_the_hub_ends_a_connection_and_says_so(running: Any, cpo: CpoBackend) -> None:
    hub, platform_id, old = running.hub, number(running), cpo.registered.token_out
    assert await membership.unregister(hub, platform_id) is True
    assert cpo.peer is None
    assert (await cpo.call("GET", hub.versions_url, old)).http_status == 401
    party = hub.directory.now.party(CPA)
    assert (party.platform.status, party.platform.token_out) == ("SUSPENDED", None)
    with pytest.raises(Conflict, match="no tokens"):
        await membership.unregister(hub, platform_id)
    await running.join(cpo, "CPO")
    assert number(running) == platform_id


async def test_a_connection_ends_though_the_partner_is_away(running: Any, cpo: CpoBackend) -> None:
    hub, platform_id = running.hub, number(running)
    await cpo.go_away()
    assert await membership.unregister(hub, platform_id) is False
    assert await membership.remove(hub, platform_id) is None
    await cpo.come_back()
    with pytest.raises(Refused):
        await cpo.renew()
