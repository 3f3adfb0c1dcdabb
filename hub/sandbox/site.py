"""HTTP under a simulated platform, in and out: it records, speaks in OCPI's envelope, and can misbehave.

Every request that comes in goes through one door: written down, admitted, handled, and answered with its message ids
repeated and its routing headers swapped (TF-084, TF-130, TF-131).
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from aiohttp import web

from hub.ocpi import envelope, errors, headers, json
from hub.sandbox import wire
from hub.sandbox.recorder import Received, Recorder
from hub.sandbox.wire import Answer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]


@dataclass
class Knobs:
    """How to misbehave, with those requests that `applies` picks.

    `delay`: seconds between doing the work and answering. `http_status`, `status_code`: refuse with these, the work
    not done. `hang_up`: do the work, then cut the connection without an answer.
    """

    delay: float = 0.0
    http_status: int | None = None
    status_code: int | None = None
    hang_up: bool = False
    applies: Callable[[Received], bool] = lambda received: True

    @property
    def refuse(self) -> bool:
        """Whether to turn requests down."""
        return self.http_status is not None or self.status_code is not None


class Site(Recorder):
    """A server on a port of its own. Subclasses give `routes` and decide in `admit` who may come in."""

    def __init__(self, name: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(name)
        self.knobs = Knobs()
        self.faults: list[str] = []
        self._socket = _bound(host, port)
        self._address: tuple[str, int] = self._socket.getsockname()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def origin(self) -> str:
        """Where it listens, like http://127.0.0.1:8123."""
        return "http://{}:{}".format(*self._address)

    def routes(self) -> Iterable[Route]:
        """Method, path and handler of all that is served here."""
        raise NotImplementedError

    def admit(self, seen: Received) -> None:
        """Raise Unauthorized for a request that may not come in."""
        raise NotImplementedError

    async def start(self) -> None:
        """Listen, and be able to send."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        await self.come_back()

    async def stop(self) -> None:
        """Stop listening and sending, for good."""
        await self._hang_up()
        self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def go_away(self) -> None:
        """Cut all connections and refuse new ones; the port stays ours."""
        await self._hang_up()
        self._socket = _bound(*self._address)

    async def come_back(self) -> None:
        """Listen again, on the same port."""
        app = web.Application(middlewares=[self._door])
        for method, path, handler in self.routes():
            app.router.add_route(method, path, handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def _hang_up(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: Any = None,
        extra: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> Answer:
        """One HTTP request with OCPI's headers, to any URL. `body` is a value, or bytes to send as they are."""
        if self._http is None:
            raise RuntimeError(f"{self.name} is not started")
        ids = {headers.REQUEST_ID: headers.new_id(), headers.CORRELATION_ID: correlation_id or headers.new_id()}
        kind = {"Content-Type": "application/json"} if body is not None else {}
        sent = {"Authorization": wire.authorization(token), **kind, **ids, **(extra or {})}
        data = body if isinstance(body, bytes | None) else json.dumps(body)
        began = time.perf_counter()
        async with self._http.request(method, url, data=data, headers=sent, params=query or None) as response:
            content = await response.read()
        ms = (time.perf_counter() - began) * 1000
        for name, value in ids.items():
            if response.headers.get(name) != value:
                self.faults.append(f"the answer to {method} {url} does not repeat {name}")
        return Answer(response.status, response.headers, content, ms, ids[headers.CORRELATION_ID])

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        seen = await _received(request)
        self.note(seen)
        misbehave = self.knobs.applies(seen)
        response: web.StreamResponse
        try:
            self.admit(seen)
            if misbehave and self.knobs.refuse:
                response = self._refusal()
            else:
                response = await handler(request)
        except errors.OcpiError as error:
            response = wire.reply(envelope.refusal(error), error.http_status)
        except web.HTTPException as error:
            response = _without_route(error)
        seen.http_status, seen.ms = response.status, (time.perf_counter() - began) * 1000
        self.changed()
        if misbehave:
            await asyncio.sleep(self.knobs.delay)
            if self.knobs.hang_up and request.transport is not None:
                request.transport.close()
        response.headers.update(_echo(seen))
        return response

    def _refusal(self) -> web.Response:
        body = envelope.envelope(status_code=self.knobs.status_code or 3000, status_message="Refused on purpose.")
        return wire.reply(body, self.knobs.http_status or 200)


async def _received(request: web.Request) -> Received:
    raw = await request.read() if request.can_read_body else b""
    try:
        body = json.loads(raw) if raw else None
    except errors.InvalidJson:
        body = None
    return Received(request.method, request.path, request.headers, body, request.query, raw=raw)


def _echo(seen: Received) -> dict[str, str]:
    """The headers of an answer: the same ids, from and to swapped unless they make no sense."""
    ids = {n: seen.headers[n] for n in (headers.REQUEST_ID, headers.CORRELATION_ID) if n in seen.headers}
    try:
        return ids | headers.routing(to=seen.sender, sender=seen.to)
    except errors.InvalidParameters:
        return ids


def _without_route(error: web.HTTPException) -> web.Response:
    """OCPI's words for a path or a method that is not served here (TF-071, TF-181)."""
    refusal = errors.MethodNotAllowed() if error.status == 405 else errors.NotFound()
    return wire.reply(envelope.refusal(refusal), refusal.http_status)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that holds its port and does not listen yet: callers are refused."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
