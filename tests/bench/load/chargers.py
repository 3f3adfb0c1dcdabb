"""The chargers' side: sockets that send MeterValues of ten samples, with as little work for each as can be.

    python -m tests.bench.load.chargers FILE

FILE is JSON: the `url` of the server, `stations` as pairs of id and password, the `seconds` to send, and the `rate` of
all together, or null for as fast as the answers come (each socket then has one message on its way). WebSocket frames
are put together here: no library for it is fast enough. The result is a line of JSON.
"""

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from tests.bench.figures import percentile

PATIENCE = 10.0
TEXT, PING, PONG = 0x81, 0x89, 0x8A
_MASK = b"\0\0\0\0"  # the frame of a client is masked, if only by zeros (RFC 6455, 5.3)
SAMPLES = (
    ("Power.Active.Import", "W", "10850"),
    ("Current.Import", "A", "16.1"),
    ("Current.Import", "A", "16.0"),
    ("Current.Import", "A", "15.9"),
    ("Voltage", "V", "230.1"),
    ("Voltage", "V", "229.8"),
    ("Voltage", "V", "230.4"),
    ("SoC", "Percent", "54"),
    ("Temperature", "Celsius", "31"),
)
_START = '[2,"start","StartTransaction",{"connectorId":1,"idTag":"%s","meterStart":0,"timestamp":"%s"}]'


def frame(text: bytes, kind: int = TEXT) -> bytes:
    """A masked WebSocket frame."""
    length = len(text)
    size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + length.to_bytes(2, "big")
    return bytes([kind]) + size + _MASK + text


def frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The frames of a server in `data`, as kind and payload, and what is left of a frame that is not whole yet."""
    found, at = [], 0
    while len(data) - at >= 2:
        kind, length, begin = data[at], data[at + 1], at + 2
        if length == 126:
            length, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
        if len(data) < begin + length:
            break
        found.append((kind, data[begin : begin + length]))
        at = begin + length
    return found, data[at:]


def meter_values(transaction: int) -> list[bytes]:
    """A message around its id, the time, and the register in Wh."""
    samples = [{"measurand": name, "unit": unit, "value": value} for name, unit, value in SAMPLES]
    register = {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "value": "@@"}
    value = {"timestamp": "@@", "sampledValue": [*samples, register]}
    payload = {"connectorId": 1, "transactionId": transaction, "meterValue": [value]}
    return json.dumps([2, "@@", "MeterValues", payload], separators=(",", ":")).encode().split(b"@@")


class Charger(asyncio.Protocol):
    """One socket. `answered` is told of each answer, with its delay in ms; None for one that is no CALLRESULT."""

    def __init__(
        self, host: str, path: str, password: str, answered: Callable[["Charger", float | None], None]
    ) -> None:
        self._answered = answered
        self._left = b""
        self._open = self._begun = False
        self._pieces: list[bytes] = []
        self._sent: dict[bytes, float] = {}
        self._count = 0
        name = path.rpartition("/")[2]
        shown = base64.b64encode(f"{name}:{password}".encode()).decode()
        self._handshake = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(b'0123456789abcdef').decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic {shown}\r\n\r\n"
        ).encode()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._handshake)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"{self._name} was turned away"))

    def data_received(self, data: bytes) -> None:
        self._left += data
        if not self._open:
            self._upgrade()
        if self._open:
            found, self._left = frames(self._left)
            for kind, payload in found:
                self._take(kind, payload)

    def send(self) -> None:
        """The next MeterValues."""
        self._count += 1
        number = b"%012d" % self._count
        before, between, among, after = self._pieces
        self._sent[number] = time.perf_counter()
        self._transport.write(frame(b"".join((before, number, between, _now().encode(), among, number, after))))

    @property
    def waits(self) -> int:
        """How many answers are due."""
        return len(self._sent)

    def _upgrade(self) -> None:
        head, end, rest = self._left.partition(b"\r\n\r\n")
        if end and head.startswith(b"HTTP/1.1 101"):
            self._open, self._left = True, rest
            self._transport.write(frame((_START % (self._name, _now())).encode()))
        elif end:
            self._transport.close()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == PING:
            self._transport.write(frame(payload, PONG))
        elif kind == TEXT and not self._begun:
            self._begun = True
            self._pieces = meter_values(json.loads(payload)[2]["transactionId"])
            self.ready.set_result(None)
        elif kind == TEXT:
            sent = self._sent.pop(payload[4:16], None)
            accepted = payload.startswith(b'[3,"') and sent is not None
            self._answered(self, (time.perf_counter() - sent) * 1000 if accepted and sent else None)


class Load:
    """All the sockets and what came back."""

    def __init__(self, rate: float | None) -> None:
        self._rate, self._on = rate, False
        self.delays: list[float] = []
        self.wrong = 0

    def answered(self, charger: Charger, delay: float | None) -> None:
        """An answer came: as fast as can be, the next message goes out at once."""
        if delay is None:
            self.wrong += 1
        elif self._on:
            self.delays.append(delay)
        if self._on and self._rate is None:
            charger.send()

    async def run(self, chargers: list[Charger], seconds: float) -> dict[str, Any]:
        """Send for so long; the figures."""
        self._on = True
        begun, cpu = time.perf_counter(), time.process_time()
        if self._rate is None:
            for charger in chargers:
                charger.send()
            await asyncio.sleep(seconds)
        else:
            await self._paced(chargers, seconds, self._rate)
        took, busy = time.perf_counter() - begun, time.process_time() - cpu
        count = len(self.delays)
        self._on = self._rate is not None
        await _until_quiet(chargers)
        return {
            "count": len(self.delays) if self._rate else count,
            "seconds": took,
            "cpu_s": busy,
            "p50_ms": percentile(self.delays, 50) if self.delays else None,
            "p99_ms": percentile(self.delays, 99) if self.delays else None,
            "wrong": self.wrong,
            "lost": sum(charger.waits for charger in chargers),
        }

    async def _paced(self, chargers: list[Charger], seconds: float, rate: float) -> None:
        """Each message has its moment, whether or not an earlier answer is late."""
        begun = time.perf_counter()
        for number in range(int(seconds * rate)):
            await asyncio.sleep(max(begun + number / rate - time.perf_counter(), 0))
            chargers[number % len(chargers)].send()


async def _until_quiet(chargers: list[Charger]) -> None:
    for _ in range(int(PATIENCE / 0.01)):
        if not any(charger.waits for charger in chargers):
            return
        await asyncio.sleep(0.01)


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


async def _connect(charger: Charger, host: str, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: charger, host, port)
    await asyncio.wait_for(charger.ready, PATIENCE)


async def work(url: str, stations: list[tuple[str, str]], seconds: float, rate: float | None) -> dict[str, Any]:
    """Connect all, begin a transaction on each, then send."""
    parts, load = urlsplit(url), Load(rate)
    chargers = [Charger(parts.netloc, f"{parts.path}/{name}", password, load.answered) for name, password in stations]
    for charger in chargers:
        await _connect(charger, parts.hostname or "", parts.port or 80)
    return await load.run(chargers, seconds)


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(uvloop.run(work(**json.loads(Path(sys.argv[1]).read_bytes())))))
