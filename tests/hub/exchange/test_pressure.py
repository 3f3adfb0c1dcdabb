"""Backpressure: who may enter, who has to come again, and how many places there are."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from aiohttp import web
from starlette.types import Receive, Scope, Send

from hub import metrics
from hub.exchange import pressure
from hub.exchange.pressure import FIRST, LEAST, MOST, TARGET, Desk, Kind, Pressure, Verdict
from hub.ocpi import envelope
from hub.ocpi.errors import Busy, OverShare
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import BASE
from hub.sandbox.site import Route

Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/ocpi/2.2.1/sender/tokens/012345/authorize", Kind.INTERACTIVE),
        ("POST", "/ocpi/2.2.1/receiver/commands/START_SESSION", Kind.INTERACTIVE),
        ("PUT", "/ocpi/2.2.1/receiver/chargingprofiles/S1", Kind.INTERACTIVE),
        ("PUT", "/ocpi/2.2.1/sender/sessions/S1/charging_preferences", Kind.INTERACTIVE),
        ("POST", "/ocpi/2.2.1/CB/abc", Kind.INTERACTIVE),
        ("POST", "/ocpi/2.2.1/credentials", Kind.INTERACTIVE),
        ("GET", "/ocpi/versions", Kind.INTERACTIVE),
        ("GET", "/ocpi/2.2.1", Kind.INTERACTIVE),
        ("GET", "/ocpi/2.2.1/sender/locations", Kind.LIST),
        ("GET", "/ocpi/2.2.1/PAGE/abc", Kind.LIST),
        ("PUT", "/ocpi/2.2.1/receiver/tokens/DE/MSA/012345", Kind.PUSH),
        ("PATCH", "/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1/EVSE1", Kind.PUSH),
        ("POST", "/ocpi/2.2.1/receiver/cdrs", Kind.PUSH),
    ],
)
def test_what_somebody_waits_for_is_told_from_pushes_and_lists(method: str, path: str, expected: Kind) -> None:
    assert pressure.kind(method, path) is expected


@pytest.mark.parametrize(
    ("taken", "mine", "platforms", "expected"),
    [
        (99, 99, 1, Verdict.ENTER),  # while there is room, nobody counts
        (100, 100, 1, Verdict.OVER_SHARE),
        (100, 50, 2, Verdict.OVER_SHARE),
        (100, 49, 2, Verdict.ENTER),  # others hold more than their share: there is room left for this one
        (124, 0, 5, Verdict.ENTER),
        (125, 0, 5, Verdict.FULL),
        (125, 90, 5, Verdict.OVER_SHARE),
    ],
)
def test_when_the_places_are_taken_the_share_decides(taken: int, mine: int, platforms: int, expected: Verdict) -> None:
    assert pressure.decide(100.0, taken, mine, platforms) is expected


def test_places_follow_the_time_that_requests_take() -> None:
    assert pressure.adapted(100, 10, 9.0) == 100  # slow, but nobody waits for a place
    assert pressure.adapted(100, 60, TARGET * 1.1) == 90
    assert pressure.adapted(100, 60, TARGET / 2) == 104
    assert pressure.adapted(LEAST, 16, 9.0) == LEAST
    assert pressure.adapted(MOST, 500, 0.01) == MOST


def test_lists_are_refused_first_and_then_pushes_while_commands_go_through() -> None:
    desk = Desk()
    before = metrics.shed("push", 429)._value.get()
    platform = itertools.cycle(range(1, 5))
    for kind in (Kind.LIST, Kind.PUSH):
        while desk.working.total < FIRST * kind.value:
            desk.enter(kind, next(platform))
        with pytest.raises(OverShare):
            desk.enter(kind, 1)
    assert metrics.shed("push", 429)._value.get() == before + 1
    assert desk.figures() == {"shedding": True}
    with pytest.raises(OverShare):
        desk.enter(Kind.LIST, 1)
    desk.enter(Kind.INTERACTIVE, 1).leave()
    while True:  # newcomers, each with less than a share
        try:
            desk.enter(Kind.PUSH, 1_000 + desk.working.total)
        except Busy:
            break
    assert desk.working.total < FIRST
    desk.enter(Kind.INTERACTIVE, 1)


def test_who_waits_for_a_partner_takes_no_place_from_others() -> None:
    desk = Desk()
    places = [desk.enter(Kind.PUSH, 1) for _ in range(90)]
    for place in places:
        place.stand_aside()
        place.stand_aside()  # two partners are asked at once
    assert (desk.working.total, desk.waiting.total, desk.waiting.by_platform) == (0, 90, {1: 90})
    for place in places:
        place.come_back()
        assert desk.working.total == 0
        place.come_back()
        place.leave()
    assert (desk.working.total, desk.waiting.total, desk.working.by_platform) == (0, 0, {})


def test_how_many_may_wait_is_bounded_too() -> None:
    desk = Desk()
    while desk.waiting.total < pressure.WAITING * Kind.PUSH.value:
        desk.enter(Kind.PUSH, 1).stand_aside()
    with pytest.raises(OverShare):
        desk.enter(Kind.PUSH, 1)
    desk.enter(Kind.INTERACTIVE, 1)


def test_time_spent_waiting_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    desk = Desk()
    worked: list[float] = []
    monkeypatch.setattr(desk, "done", worked.append)
    place = desk.enter(Kind.PUSH, 1)
    now += 1
    place.stand_aside()
    now += 10
    place.come_back()
    now += 2
    place.leave()
    assert worked == [pytest.approx(3.0)]


async def test_it_costs_next_to_nothing() -> None:
    """Processor time of 20,000 requests through it: far more than it takes on any machine, and still nothing."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    class Access:
        class platform:  # noqa: N801 - stands for an attribute
            id = 1

    async def nothing(*_: Any) -> Any: ...

    middle, scope = Pressure(app, Desk()), {"type": "http", "method": "PUT", "state": {"access": Access}}
    scope["path"] = "/ocpi/2.2.1/receiver/locations/NL/CPA/LOC1"
    begun = time.process_time()
    for _ in range(20_000):
        await middle(scope, nothing, nothing)
    assert (time.process_time() - begun) / 20_000 < 100e-6


class Hanging(Emsp):
    """An eMSP that does not answer pushes of Locations until it is let."""

    def __init__(self, party: str) -> None:
        super().__init__(party)
        self.let, self.asked = asyncio.Event(), 0

    def routes(self) -> Iterable[Route]:
        yield "PUT", f"{BASE}/receiver/locations/{{country_code}}/{{party_id}}/{{id}}", self._hang
        yield from super().routes()

    async def _hang(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.let.wait()
        return wire.reply(envelope.envelope(), 200)


async def test_pushes_that_wait_for_a_slow_partner_take_no_places(
    running: Any, cpo: CpoBackend, eventually: Eventually
) -> None:
    desk = _desk(running.app)
    async with Hanging("BE*SLO") as slow:
        await running.join(slow, "EMSP")
        pushes = [
            asyncio.create_task(cpo.put_location(samples.location(id=f"LOC{n}"), to=slow.parties[0])) for n in range(20)
        ]
        await eventually(lambda: slow.asked == 20)
        assert (desk.working.total, desk.waiting.total) == (0, 20)
        slow.let.set()
        assert all(answer.ok for answer in await asyncio.gather(*pushes))
    assert (desk.working.total, desk.waiting.total) == (0, 0)


async def test_a_full_hub_sheds_pushes_with_retry_after_and_still_authorises(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    """The places are taken by pushes of one CPO: it is told so, while another platform and what is awaited pass."""
    desk: Desk = _desk(running.app)
    await emsp.put_token(samples.token(uid="012345"), to=emsp.hub)
    platform_id = next(p.id for p in running.hub.directory.now.platforms.values() if p.name == cpo.name)
    held = [desk.enter(Kind.PUSH, platform_id) for _ in range(int(FIRST * Kind.PUSH.value))]
    refused = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (refused.http_status, refused.status_code, refused.headers["Retry-After"]) == (429, 3000, "1")
    listed = await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub)
    assert listed.http_status == 429
    allowed = await cpo.authorise("012345", to=emsp.parties[0])
    assert allowed.ok, allowed.body
    other = await other_emsp.put_token(samples.token("FR*MSB"), to=other_emsp.hub)
    assert other.ok, other.body
    for place in held:
        place.leave()
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok
    assert desk.working.total == desk.waiting.total == 0


def _desk(app: Any) -> Desk:
    """The desk of a running API."""
    desk: Desk = app.desk
    return desk
