"""Receivers that register as they should and then turn bad, each in its own way; and the only sound one here, which
can say that it is back.

    python -m tests.chaos.odd_receivers PORT LEDGER

Orders beside those of `receiver`: `turn` (code, kind) makes a receiver bad from now on, `greet` (code) lets it call the
hub, `canary` tells how many connections came to the address that a redirect names and a hub must never follow.
"""

import asyncio
import functools
import gzip
import ssl
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hub.ocpi import headers
from hub.sandbox import wire
from hub.sandbox.registration import BASE
from tests.chaos import control
from tests.chaos.ledger import Ledger
from tests.chaos.receiver import Receiver, Receivers

LATE = 14.0
"""Seconds to an answer that comes after any deadline of the hub."""

CHUNK = b" " * 2**16
GIB = 2**30
CANARY = "127.0.99.99"

Answer = Callable[["Odd", web.Request], Awaitable[web.StreamResponse]]


def envelope(code: int, http_status: int = 200) -> Answer:
    """An OCPI envelope with this status code."""

    async def answer(_: "Odd", __: web.Request) -> web.StreamResponse:
        return web.json_response({"status_code": code, "timestamp": "2026-01-01T00:00:00Z"}, status=http_status)

    return answer


def text(body: str, kind: str, status: int = 200, **more: str) -> Answer:
    """Something that is no envelope."""

    async def answer(_: "Odd", __: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, content_type=kind, headers=more)

    return answer


async def never(_: "Odd", __: web.Request) -> web.StreamResponse:
    """No answer at all."""
    await asyncio.Event().wait()
    raise AssertionError


async def drip(_: "Odd", request: web.Request) -> web.StreamResponse:
    """A byte each second."""
    return await _stream(request, b" ", pause=1.0)


async def never_close(_: "Odd", request: web.Request) -> web.StreamResponse:
    """A whole envelope, and an answer that does not end."""
    return await _stream(request, b'{"status_code":1000,"timestamp":"2026-01-01T00:00:00Z"}', pause=3600.0)


async def gigabyte(_: "Odd", request: web.Request) -> web.StreamResponse:
    """A gigabyte."""
    return await _stream(request, CHUNK, size=GIB)


async def bomb(_: "Odd", __: web.Request) -> web.StreamResponse:
    """256 MiB, in a quarter of a megabyte."""
    return web.Response(body=_bomb(), headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


async def late(_: "Odd", request: web.Request) -> web.StreamResponse:
    """A good answer, too late."""
    await asyncio.sleep(LATE)
    return wire.ok()


async def redirect(odd: "Odd", __: web.Request) -> web.StreamResponse:
    """Go and look there."""
    return web.Response(status=307, headers={"Location": odd.canary})


async def other_ids(_: "Odd", __: web.Request) -> web.StreamResponse:
    """A good answer that names another request."""
    answer = wire.ok()
    answer.headers[headers.REQUEST_ID] = answer.headers[headers.CORRELATION_ID] = "somebody-elses"
    return answer


KINDS: dict[str, Answer | None] = {
    "refuses_tcp": None,
    "http_500": text("oops", "text/plain", 500),
    "http_401": envelope(2000, 401),
    "http_429": text("slow down", "text/plain", 429, **{"Retry-After": "3"}),
    "html": text("<html><body>Welcome</body></html>", "text/html"),
    "broken_json": text('{"status_code": 1000, "timesta', "application/json"),
    "ocpi_3000": envelope(3000),
    "ocpi_2001": envelope(2001),
    "never_answers": never,
    "drips": drip,
    "never_closes": never_close,
    "gigabyte": gigabyte,
    "gzip_bomb": bomb,
    "redirect": redirect,
    "wrong_certificate": None,
    "too_late": late,
    "other_ids": other_ids,
}
"""How receivers are bad. Without an answer of its own: `refuses_tcp` does not listen, and `wrong_certificate` publishes
endpoints over TLS from the start, with a certificate that nobody has signed."""


class Odd(Receiver):
    """One of them; sound until it is told."""

    canary = ""

    def __init__(self, code: str, number: int, ledger: Ledger) -> None:
        super().__init__(code, number, ledger)
        self._bad: Answer | None = None
        self._tls: int | None = None

    def url(self, module: str, interface: str) -> str:
        """Its endpoints, over TLS once it has a port for that."""
        if self._tls is None:
            return super().url(module, interface)
        return f"https://{self._address[0]}:{self._tls}{BASE}/{interface.lower()}/{module}"

    async def encrypt(self) -> None:
        """Publish endpoints over TLS, with a certificate of its own making."""
        server = await asyncio.start_server(lambda _, writer: writer.close(), self._address[0], 0, ssl=_untrusted())
        self._tls = server.sockets[0].getsockname()[1]

    async def turn(self, kind: str) -> None:
        """Be bad."""
        self._bad = KINDS[kind]
        if kind == "refuses_tcp":
            await self.go_away()

    async def greet(self) -> None:
        """Call the hub, as a party does that is back."""
        await self.call("GET", self.registered.versions_url, self.registered.token_out)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if self._bad is None:
            return await super()._take(request)
        await request.read()
        return await self._bad(self, request)


class OddReceivers(Receivers):
    """The orders."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger, Odd)
        self._sung = 0

    async def join(self, code: str, number: int, versions_url: str, token_a: str) -> None:
        """Start one and register it; whose code says so over TLS."""
        receiver = self._all[code] = Odd(code, number, self._ledger)
        if code in ENCRYPTED:
            await receiver.encrypt()
        await receiver.start()
        await receiver.register(versions_url, token_a)

    async def turn(self, code: str, kind: str) -> None:
        """Make one bad."""
        if not Odd.canary:
            server = await asyncio.start_server(self._sing, CANARY, 0)
            Odd.canary = "http://{}:{}/".format(*server.sockets[0].getsockname()[:2])
        receiver = self._all[code]
        assert isinstance(receiver, Odd)
        await receiver.turn(kind)

    async def greet(self, code: str) -> None:
        """Let one call the hub."""
        receiver = self._all[code]
        assert isinstance(receiver, Odd)
        await receiver.greet()

    async def canary(self) -> int:
        """How many connections there were that a redirect had led to."""
        return self._sung

    def orders(self) -> dict[str, control.Order]:
        """By word."""
        return super().orders() | {"turn": self.turn, "greet": self.greet, "canary": self.canary}

    def _sing(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._sung += 1
        writer.close()


def code(kind: str) -> str:
    """The party that is bad in this way: "SE*BA0" and so on."""
    number = list(KINDS).index(kind)
    return f"SE*B{chr(ord('A') + number)}D"


ENCRYPTED = frozenset({code("wrong_certificate")})


async def _stream(request: web.Request, chunk: bytes, *, pause: float = 0.0, size: int = GIB) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(size // len(chunk)):
        await response.write(chunk)
        await asyncio.sleep(pause)
    return response


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(256 * 2**20), 9)


def _untrusted() -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "partner.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(signed.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file.name)
    return context


def main(arguments: list[str]) -> None:
    """Obey until the process is ended."""
    orders: dict[str, Any] = OddReceivers(Ledger(Path(arguments[1]))).orders()
    control.serve(int(arguments[0]), orders)


if __name__ == "__main__":
    main(sys.argv[1:])
