"""Backpressure: how many requests are worked on at once, and who is told to come again before everybody has to wait.

A request holds a place while the hub works on it. While it waits for a partner's answer it stands aside: that costs
memory and no time, so a slow partner takes no places from others; how many may stand aside is bounded as well. Lists
fill half of the places, pushes three quarters, and what somebody waits for at a charger (authorise, commands and
their results) may have all: under load it is lists that are refused first, then pushes. When the places for a kind are
taken, a platform that holds its share of them or more is told so (HTTP 429); for one that holds less there is some
room left, then the hub is full (503). Either names the seconds after which to come again.

The number of places follows the time that requests take (`adapted`), so the same code suits a small machine, a large
one and one that is busy with something else. Pure ASGI, between the gate (which knows the platform by then, and has
read the body) and the routes; it costs some six microseconds a request.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from starlette.types import ASGIApp, Receive, Scope, Send

from hub import metrics
from hub.ocpi.errors import Busy, OverShare

LEAST, FIRST, MOST = 16.0, 128.0, 512.0
"""Places of a process: never fewer, at first, never more."""

WAITING = 1024
"""Requests that may wait for partners' answers at once."""

TARGET = 0.25
"""Seconds of work that a request may take on average before places are taken away."""

SHED_LATELY = 15.0
"""Seconds for which a refusal counts as recent."""

INTERACTIVE_MODULES = frozenset({"commands", "chargingprofiles", "credentials", "CB", "PROFILE", "versions", ""})
AWAITED = ("/authorize", "/charging_preferences")


class Kind(Enum):
    """What a request is to its sender; the value is the part of the places that its kind may fill."""

    LIST = 0.5
    PUSH = 0.75
    INTERACTIVE = 1.0


class Verdict(Enum):
    """What becomes of a request at the door."""

    ENTER = 200
    OVER_SHARE = 429
    FULL = 503


def kind(method: str, path: str) -> Kind:
    """The kind of an OCPI request, by its method and its path below /ocpi."""
    interface, _, tail = path.partition("/2.2.1/")[2].partition("/")
    module, _, below = tail.partition("/")
    if interface not in ("sender", "receiver"):  # the handshake, and URLs that the hub gave out
        module = interface
    if awaited(module, below):
        return Kind.INTERACTIVE
    return Kind.LIST if method == "GET" else Kind.PUSH


def awaited(module: str, below: str) -> bool:
    """Whether somebody at a charger waits for a call of `module` with this path `below` it, or a handshake does."""
    return module in INTERACTIVE_MODULES or below.endswith(AWAITED)


def decide(places: float, taken: int, mine: int, platforms: int) -> Verdict:
    """Whether a request may enter where `taken` of the `places` for its kind are taken, `mine` of them by its own
    platform, one of `platforms` that have some. Who has less than its share gets in until a quarter more are taken."""
    if taken < places:
        return Verdict.ENTER
    if mine * platforms >= places:
        return Verdict.OVER_SHARE
    return Verdict.ENTER if taken < places * 1.25 else Verdict.FULL


def adapted(places: float, taken: int, worked: float) -> float:
    """How many places there should be, after requests took `worked` seconds on average while `taken` were taken. What
    nobody presses against stays as it is."""
    if taken * 2 < places:
        return places
    return max(LEAST, places * 0.9) if worked > TARGET else min(MOST, places + 4)


class Count:
    """Requests in progress, in all and by platform."""

    __slots__ = ("by_platform", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_platform: dict[int, int] = {}

    def verdict(self, places: float, platform: int) -> Verdict:
        """Whether one more of `platform` may enter."""
        if self.total < places:
            return Verdict.ENTER
        mine = self.by_platform.get(platform, 0)
        return decide(places, self.total, mine, len(self.by_platform) + (mine == 0))

    def add(self, platform: int) -> None:
        """One more."""
        self.total += 1
        self.by_platform[platform] = self.by_platform.get(platform, 0) + 1

    def remove(self, platform: int) -> None:
        """One less; only platforms that have some are kept."""
        self.total -= 1
        left = self.by_platform[platform] - 1
        if left:
            self.by_platform[platform] = left
        else:
            del self.by_platform[platform]


class Desk:
    """Hands out the places of a process."""

    def __init__(self) -> None:
        self.places = FIRST
        self.working, self.waiting = Count(), Count()
        self._worked = 0.0
        self._adapt_at = 0.0
        self._shed_at = -SHED_LATELY
        metrics.PLACES.set_function(lambda: self.places)
        metrics.IN_PROGRESS.labels("working").set_function(lambda: self.working.total)
        metrics.IN_PROGRESS.labels("waiting").set_function(lambda: self.waiting.total)

    def enter(self, kind: Kind, platform: int) -> "Place":
        """A place. Raises OverShare (429) or Busy (503)."""
        verdict = self.working.verdict(self.places * kind.value, platform)
        if verdict is Verdict.ENTER:
            verdict = self.waiting.verdict(WAITING * kind.value, platform)
        if verdict is Verdict.ENTER:
            self.working.add(platform)
            return Place(self, platform)
        metrics.shed(kind.name.lower(), verdict.value).inc()
        self._shed_at = time.monotonic()
        raise OverShare if verdict is Verdict.OVER_SHARE else Busy

    def figures(self) -> dict[str, bool]:
        """For the heartbeat: whether requests were refused lately."""
        return {"shedding": time.monotonic() - self._shed_at < SHED_LATELY}

    def done(self, worked: float) -> None:
        """A request took `worked` seconds, without what it waited for partners."""
        self._worked += 0.1 * (worked - self._worked)
        now = time.monotonic()
        if now >= self._adapt_at:
            self._adapt_at = now + TARGET
            self.places = adapted(self.places, self.working.total + 1, self._worked)


class Place:
    """The place of one request."""

    __slots__ = ("_aside", "_desk", "_platform", "_since", "_worked")

    def __init__(self, desk: Desk, platform: int) -> None:
        self._desk, self._platform = desk, platform
        self._aside = 0  # several partners may be asked at once
        self._worked = 0.0
        self._since = time.monotonic()

    def stand_aside(self) -> None:
        """It waits for a partner."""
        self._aside += 1
        if self._aside == 1:
            self._worked += time.monotonic() - self._since
            self._desk.working.remove(self._platform)
            self._desk.waiting.add(self._platform)

    def come_back(self) -> None:
        """The answer came, or will not come."""
        self._aside -= 1
        if self._aside == 0:
            self._since = time.monotonic()
            self._desk.waiting.remove(self._platform)
            self._desk.working.add(self._platform)

    def leave(self) -> None:
        """The request is answered."""
        self._desk.working.remove(self._platform)
        self._desk.done(self._worked + time.monotonic() - self._since)


_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def aside() -> Iterator[None]:
    """Within this block the request at hand waits for a partner and holds no place."""
    place = _place.get()
    if place is None:
        yield
        return
    place.stand_aside()
    try:
        yield
    finally:
        place.come_back()


class Pressure:
    """ASGI middleware behind the gate, which has put `access` into the request's state."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        place = self._desk.enter(kind(scope["method"], path), scope["state"]["access"].platform.id)
        token = _place.set(place)
        try:
            await self._app(scope, receive, send)
        finally:
            _place.reset(token)
            place.leave()
