"""An eMSP that a story can steer: it holds requests back until it is told, and answers as it is told."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from aiohttp import web

from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.site import Handler, Route

Picks = Callable[[web.Request], bool]


def to(method: str, *parts: str) -> Picks:
    """Requests with this method whose path holds all of these parts."""
    return lambda request: request.method == method and all(part in request.path for part in parts)


class Hold:
    """Requests that were sent and are not taken yet; `once`: only the first of them is held."""

    def __init__(self, picks: Picks, once: bool) -> None:
        self.picks, self._once = picks, once
        self.now = self.most = self.count = 0
        self._let_go = asyncio.Event()

    def release(self) -> None:
        """They are taken, in the order in which they came, and no further one is held."""
        self._let_go.set()

    async def wait(self) -> None:
        """Wait with a request."""
        if self._let_go.is_set() or (self._once and self.count):
            return
        self.count += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await self._let_go.wait()
        self.now -= 1


class Partner(Emsp):
    """The eMSP. `hold` keeps requests from being taken; `answers` gives, for requests that were taken, the HTTP status
    to answer in the place of its own."""

    def __init__(self, party: str) -> None:
        super().__init__(party)
        self._holds: list[Hold] = []
        self.answers: dict[Picks, int] = {}

    @contextmanager
    def holding(self, picks: Picks, *, once: bool = False) -> Iterator[Hold]:
        """Hold requests back until they are released, at the latest at the end of the block."""
        hold = Hold(picks, once)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            hold.release()
            self._holds.remove(hold)

    def routes(self) -> Iterable[Route]:
        """Those of an eMSP, each behind the holds."""
        for method, path, handler in super().routes():
            yield method, path, partial(self._steered, handler)

    async def _steered(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        for hold in list(self._holds):
            if hold.picks(request):
                await hold.wait()
        answer = await handler(request)
        status = next((status for picks, status in self.answers.items() if picks(request)), None)
        return answer if status is None else web.Response(status=status, text="something went wrong here")

    def name_of(self, location_id: str) -> str | None:
        """The name of a Location as it stands here, None if it is not held."""
        held = self.locations.get("NL", "CPA", location_id)
        return None if held is None else str(held["name"])

    def sent(self, method: str, part: str) -> list[Received]:
        """The requests that came in, refused ones too."""
        return [seen for seen in self.received if seen.method == method and part in seen.path]

    def cdr_bodies(self) -> set[bytes]:
        """The CDRs that were sent here, byte for byte."""
        return {seen.raw for seen in self.sent("POST", "cdrs")}

    def holds(self, *location_ids: str) -> bool:
        """Whether all of these Locations are here."""
        return all(self.name_of(location_id) is not None for location_id in location_ids)


def named(location: dict[str, Any], name: str) -> dict[str, Any]:
    """A Location under this name."""
    return {**location, "name": name}
