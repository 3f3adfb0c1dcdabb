"""Fake eMSPs that write down what they are sent, on disk, before they answer.

    python -m tests.chaos.receiver PORT LEDGER

Each is a platform of its own on an address of its own, registered by the OCPI handshake. A PUT or PATCH is answered as
an eMSP would: a PATCH of what it never got with 404. Orders: `join` (code, number, versions_url, token_a), `away` and
`back` (code), `knobs` (code and the fields of hub.sandbox.site.Knobs).
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import orjson
from aiohttp import web

from hub.ocpi import errors, headers
from hub.sandbox import wire
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE, Registration
from hub.sandbox.site import Knobs, Route
from tests.chaos import control, marks
from tests.chaos.ledger import Ledger, Line

RECEIVER = f"{BASE}/receiver/"


class Receiver(Registration):
    """One eMSP. Override `answer` for one that behaves otherwise."""

    role: ClassVar[str] = "EMSP"
    modules: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (module, "RECEIVER") for module in ("locations", "tariffs", "sessions", "cdrs")
    )

    def __init__(self, code: str, number: int, ledger: Ledger) -> None:
        super().__init__(code, host=f"127.0.{1 + number // 250}.{1 + number % 250}")
        self.code = code
        self._ledger = ledger
        self._held: set[tuple[str, str]] = set()

    def routes(self) -> Iterable[Route]:
        """The handshake, and everything below the Receiver interfaces."""
        yield from super().routes()
        yield "*", f"{RECEIVER}{{rest:.*}}", self._take

    def note(self, received: Received) -> None:
        """The ledger is what is kept: memory would grow."""

    async def answer(self, status: int, extra: dict[str, str]) -> web.StreamResponse:
        """What is said once the line is on disk."""
        if status == 404:
            raise errors.NotFound
        return wire.ok(http_status=status, extra=extra)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        raw, path = await request.read(), request.path.removeprefix(RECEIVER)
        line: Line = {
            "receiver": self.code,
            "method": request.method,
            "path": path,
            "hash": hashlib.sha256(raw).hexdigest(),
            "correlation": request.headers.get(headers.CORRELATION_ID),
            "request": request.headers.get(headers.REQUEST_ID),
        }
        status, extra = 200, {}
        if path == "cdrs":
            line["cdr"] = cdr = str(orjson.loads(raw)["id"])
            status, extra = 201, {"Location": f"{self.url('cdrs', 'RECEIVER')}/{cdr}"}
        elif request.method in ("PUT", "PATCH"):
            module, _, _, *below = path.split("/")
            body = orjson.loads(raw)
            held = (module, below[0])
            if request.method == "PATCH" and held not in self._held:
                status = 404
            else:
                self._held.add(held)
            line |= {"parts": marks.parts(module, below, body), "last_updated": body.get("last_updated")}
        elif request.method == "GET":
            status = 404
        await self._ledger.write(line | {"status": status})
        return await self.answer(status, extra)


class Receivers:
    """The orders."""

    def __init__(self, ledger: Ledger, make: type[Receiver] = Receiver) -> None:
        self._ledger, self._make = ledger, make
        self._all: dict[str, Receiver] = {}

    async def join(self, code: str, number: int, versions_url: str, token_a: str) -> None:
        """Start a receiver and register it."""
        receiver = self._all[code] = self._make(code, number, self._ledger)
        await receiver.start()
        await receiver.register(versions_url, token_a)

    async def away(self, code: str) -> None:
        """Cut its connections and refuse new ones."""
        await self._all[code].go_away()

    async def back(self, code: str) -> None:
        """Listen again."""
        await self._all[code].come_back()

    async def knobs(self, code: str, **fields: Any) -> None:
        """Misbehave as said, or no more without fields."""
        self._all[code].knobs = Knobs(**fields)

    def orders(self) -> dict[str, control.Order]:
        """By word."""
        return {"join": self.join, "away": self.away, "back": self.back, "knobs": self.knobs}


if __name__ == "__main__":
    control.serve(int(sys.argv[1]), Receivers(Ledger(Path(sys.argv[2]))).orders())
