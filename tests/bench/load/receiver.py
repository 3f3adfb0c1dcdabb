"""The partner's side: a fast fake that answers whatever it is sent with one and the same envelope, and counts.

    python -m tests.bench.load.receiver PORT RECEIVERS

It is as many hosts as there are receivers (127.0.0.1, 127.0.0.2, ...), because real partners are, and a client's
limits go by host. `/_expect` begins to count the requests that hold the text in its body; `/_arrivals` tells them.
"""

import asyncio
import json
import sys
import time
from functools import partial
from typing import cast

import httptools
import uvloop

ENVELOPE = b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}'


def host(number: int) -> str:
    """The address of a receiver, counted from 0."""
    return f"127.0.0.{number + 1}"


class Arrivals:
    """What was expected and came: the moment (of the monotonic clock) by receiver and path. `twice` counts what came
    again."""

    def __init__(self) -> None:
        self.expect(b"")

    def expect(self, text: bytes) -> None:
        """Count from now on, requests with this text in their body."""
        self._text = text
        self._at: dict[tuple[int, str], float] = {}
        self._twice = 0

    def note(self, receiver: int, path: str, body: bytes) -> None:
        """A request came."""
        if self._text and self._text in body:
            self._twice += (receiver, path) in self._at
            self._at.setdefault((receiver, path), time.monotonic())

    def told(self, whole: bool) -> bytes:
        """As JSON: how many, the first and the last; each one only if asked for."""
        moments = list(self._at.values())
        facts: dict[str, object] = {"count": len(moments), "twice": self._twice}
        if moments:
            facts |= {"first": moments[0], "last": moments[-1]}
        if whole:
            facts["each"] = [[receiver, path, at] for (receiver, path), at in self._at.items()]
        return json.dumps(facts).encode()


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, arrivals: Arrivals, number: int) -> None:
        self._arrivals, self._number = arrivals, number
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._path = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body, path = b"".join(self._body), self._path
        self._body.clear()
        self._transport.write(_response(self._answer(path, body)))

    def _answer(self, path: str, body: bytes) -> bytes:
        if path == "/_expect":
            self._arrivals.expect(body)
        elif path.startswith("/_arrivals"):
            return self._arrivals.told(whole=path.endswith("?each"))
        else:
            self._arrivals.note(self._number, path, body)
        return ENVELOPE


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def serve(port: int, receivers: int) -> None:
    """Listen until the process is ended."""
    arrivals, loop = Arrivals(), asyncio.get_running_loop()
    for number in reversed(range(receivers)):  # the first comes last: once it listens, all do
        await loop.create_server(partial(Receiver, arrivals, number), host(number), port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
