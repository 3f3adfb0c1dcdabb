"""Floors over HTTP: the least that could answer in the hub's place, under the very same uvicorn.

python -m tests.bench.floors.web NAME PORT [ARGUMENT]
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.types import Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Awaitable[None]]

ALLOWED = b'{"status_code":1000,"data":{"allowed":"ALLOWED"},"timestamp":"2026-01-01T00:00:00Z"}'

# Headers that go onward.
_PASSED_ON = (b"authorization", b"x-request-id", b"x-correlation-id", b"content-type")


def sink(_: str) -> App:
    """A FastAPI route that reads the body and does nothing."""
    app = FastAPI()

    @app.put("/{path:path}")
    async def put(request: Request) -> Response:
        await request.body()
        return Response(b"{}", media_type="application/json")

    return app


def page(file: str) -> App:
    """A FastAPI route that returns the bytes of a file from memory."""
    app, content = FastAPI(), Path(file).read_bytes()
    headers = {"X-Total-Count": "100", "X-Limit": "100"}

    @app.get("/{path:path}")
    async def get() -> Response:
        return Response(content, headers=headers, media_type="application/json")

    return app


def emsp(_: str) -> App:
    """An eMSP that allows every card, without a look at it."""
    app = FastAPI()

    @app.post("/{path:path}")
    async def post(request: Request) -> Response:
        await request.body()
        return Response(ALLOWED, media_type="application/json")

    return app


def forwarder(target: str) -> App:
    """A bare ASGI application that sends each request on to `target` with aiohttp and passes the answer back."""
    return Forwarder(target)


class Forwarder:
    """It reads the whole body, as the hub must."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with _open() as self._session:
                await _live(receive, send)
            return
        assert self._session is not None
        headers = [(k.decode(), v.decode("latin-1")) for k, v in scope["headers"] if k in _PASSED_ON]
        url, body = self._target + scope["path"], await _body(receive)
        async with self._session.request(scope["method"], url, headers=headers, data=body) as answer:
            content = await answer.read()
        kept = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def _open() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def serve(app: App, port: int) -> None:
    """As `knutpunkt api` serves the hub (hub/cli/processes.py)."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    make = {"sink": sink, "page": page, "emsp": emsp, "forwarder": forwarder}[sys.argv[1]]
    serve(make("".join(sys.argv[3:])), int(sys.argv[2]))
