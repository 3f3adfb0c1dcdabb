"""Little servers that break one rule each, and the kit run against them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from hub.kit import runner
from hub.kit.peer import Plan
from hub.kit.runner import Run
from hub.ocpi import json
from hub.ocpi.types import PartyId
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform

TOKEN = "token-of-the-kit/with+odd=characters"

Mangle = Callable[[web.Request, web.Response], web.Response | None]


class Mangled(Platform):
    """A sandbox party whose every answer goes through `mangle` before it leaves."""

    mangle: Mangle = staticmethod(lambda request, response: None)

    @web.middleware
    async def _door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await super()._door(request, handler)
        assert isinstance(response, web.Response)
        return self.mangle(request, response) or response


class MangledCpo(Mangled, CpoBackend):
    """NL*CPA with three locations and tariffs, a session and a CDR."""

    def __init__(self, *parties: str, **rest: Any) -> None:
        super().__init__(*parties, **rest)
        for number in range(3):
            at = f"2026-01-01T00:0{number}:00Z"
            self.locations.put(("NL", "CPA", f"LOC{number}"), samples.location(id=f"LOC{number}", at=at))
            self.tariffs.put(("NL", "CPA", f"T{number}"), samples.tariff(id=f"T{number}", at=at))


class MangledEmsp(Mangled, Emsp):
    """DE*MSA with two tokens."""

    def __init__(self, *parties: str, **rest: Any) -> None:
        super().__init__(*parties, **rest)
        for uid in ("04A1", "04B2"):
            self.tokens["RFID", uid] = samples.token(uid=uid)


def connected(platform: Platform) -> str:
    """Make the kit a partner of the platform, as if after a handshake; its versions URL."""
    platform.peer = wire.Peer(TOKEN, "unused", "http://127.0.0.1:9/versions", ())
    return platform.versions_url


def failed(run: Run, group: str) -> set[str]:
    """The first ids of those checks of a group that failed."""
    return {r.check.ids[0] for r in run.results if r.outcome == "failed" and r.check.group == group}


@pytest.fixture
async def cpo() -> AsyncIterator[MangledCpo]:
    """A CPO that is as it should be, until `mangle` is set."""
    async with MangledCpo("NL*CPA") as platform:
        yield platform


@pytest.fixture
async def emsp() -> AsyncIterator[MangledEmsp]:
    """An eMSP that is as it should be, until `mangle` is set."""
    async with MangledEmsp("DE*MSA") as platform:
        yield platform


Examine = Callable[..., Awaitable[Run]]


@pytest.fixture
def examine() -> Examine:
    """Run groups of the kit against a platform, with the token of a connection: `await examine(cpo, "tariffs")`."""

    async def call(platform: Platform, *only: str, **options: Any) -> Run:
        us, role = ("DE*KIT", "EMSP") if isinstance(platform, CpoBackend) else ("NL*KIT", "CPO")
        plan = Plan(
            connected(platform), TOKEN, party=PartyId.parse(us), role=role, only=frozenset(only), pause=0, **options
        )
        return await runner.examine(plan)

    return call


@pytest.fixture
def registering() -> Examine:
    """Run groups of the kit against a platform, with a token A and a handshake of the kit's own."""

    async def call(platform: Platform, *only: str, **options: Any) -> Run:
        us, role = ("DE*KIT", "EMSP") if isinstance(platform, CpoBackend) else ("NL*KIT", "CPO")
        token_a, url = platform.invite()
        plan = Plan(
            url, token_a, party=PartyId.parse(us), role=role, only=frozenset(only), pause=0, writes=True, register=True,
            **options,
        )  # fmt: skip
        return await runner.examine(plan)

    return call


@pytest.fixture
def found() -> Callable[[Run, str], set[str]]:
    """The first ids of those checks of a group that failed: `found(run, "tariffs")`."""
    return failed


@pytest.fixture
def edit() -> Callable[[Callable[[Any], Any], str], Mangle]:
    """A mangle that changes the envelope of answers below a path: `edit(lambda envelope: ..., "/sender/tariffs")`."""

    def made(change: Callable[[Any], Any], below: str = "") -> Mangle:
        def mangle(request: web.Request, response: web.Response) -> None:
            if below in request.path:
                assert isinstance(response.body, bytes)
                response.body = json.dumps(change(json.loads(response.body)))

        return mangle

    return made
