"""The compiled load generator, wrk: what it sends, one run of it, and what it said."""

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hub.ocpi import headers
from tests.bench import processes
from tests.bench.figures import Run

CONNECTIONS = 32
PATIENCE = 30  # seconds for an answer
SCRIPT = Path(__file__).with_name("wrk.lua")
INSTALL = "the load generator wrk is not on this machine: install it (Debian: apt install wrk)"


def _slot(name: str, length: int) -> str:
    return f"@{name.center(length - 2, '-')}@"


# Places in a shot that differ from request to request; each is as long as what will stand there.
NUMBER = _slot("NR", 6)
TIME = _slot("TIME", 24)
MESSAGE = _slot("MESSAGE", 22)


@dataclass(frozen=True)
class Shot:
    """A request to be sent many times. NUMBER runs over so many `objects`, TIME is now, MESSAGE an id of its own.
    Each answer must be a 2xx and hold `mark`. So many `connections` are open, with one request on each."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    mark: str = '"status_code":1000'
    objects: int = 1
    connections: int = CONNECTIONS

    def template(self) -> bytes:
        """The request as it goes over the wire."""
        parts = urlsplit(self.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        sent = {"Host": parts.netloc, **self.headers}
        if self.body:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        lines = [f"{self.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body

    def one(self, number: int, at: str) -> tuple[str, dict[str, str], bytes]:
        """URL, headers and body of a single request, for whoever sends it by other means."""
        told = {NUMBER: f"{number:06}", TIME: at, MESSAGE: headers.new_id()}
        return (
            _filled(self.url, told),
            {name: _filled(value, told) for name, value in self.headers.items()},
            _filled(self.body.decode(), told).encode(),
        )


def is_installed() -> bool:
    """Whether wrk is on the PATH."""
    return shutil.which("wrk") is not None


async def fire(shot: Shot, folder: Path, *, seconds: float, rate: float | None = None) -> Run:
    """One run: as fast as the answers come, or `rate` requests a second whether or not an earlier answer is late."""
    template = folder / "template"
    template.write_bytes(shot.template())
    whole = math.ceil(seconds)
    command = [
        "wrk",
        "-t1",
        f"-c{shot.connections}",
        f"-d{whole}s",
        f"--timeout={PATIENCE}s",
        "-s",
        str(SCRIPT),
        shot.url,
    ]
    variables = {
        "BENCH_TEMPLATE": str(template),
        "BENCH_MARK": shot.mark,
        "BENCH_OBJECTS": str(shot.objects),
        "BENCH_START": str(time.time_ns() // 1000),
    }
    if rate is not None:
        variables["BENCH_RATE"] = f"{rate:.3f}"
    return read(await processes.output_of(command, folder / "wrk.log", **variables))


def read(output: str) -> Run:
    """What a run found out, from the last line that wrk wrote."""
    told = json.loads(output)
    faults = []
    if told["wrong"]:
        faults.append(f"{told['wrong']} wrong answers: {told['example']}")
    if told["lost"]:
        faults.append(f"{told['lost']} requests without an answer")
    if not told["requests"]:
        faults.append("no request was answered")
    return Run(
        per_s=told["requests"] / told["seconds"],
        count=told["requests"],
        busy=told["cpu_s"] / told["seconds"],
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        faults=tuple(faults),
    )


def _filled(text: str, told: Mapping[str, str]) -> str:
    for slot, value in told.items():
        text = text.replace(slot, value)
    return text
