"""The rig that the benches run on: real processes in a temporary directory, and how often and how long to measure."""

import dataclasses
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from hub.services import process
from hub.services.supervisor import Stack
from hub.settings import Settings
from tests.bench import figures, processes
from tests.bench.figures import Findings, Line, Run
from tests.bench.load import wrk
from tests.bench.load.receivers import Receivers
from tests.bench.load.wrk import Shot

DELIVERING = ("api", "worker", "beat")
"""The processes of a hub that delivers."""

Side = Callable[[], Awaitable[Run]]
"""One side of a comparison: each call is one run."""


@dataclass(frozen=True)
class Plan:
    """How often, how long, how much. A paced run that would need more than `patience` seconds for its `samples` is cut
    to `short` ones."""

    rounds: int = 5
    seconds: float = 3
    warm: float = 1
    samples: int = 10_000
    patience: float = 180
    short: float = 40
    changes: int = 200
    tasks: int = 2_000
    pushes: int = 1_000
    held: int = 100_000


FULL = Plan()
QUICK = Plan(rounds=1, seconds=2, samples=400, patience=10, short=10, changes=40, tasks=300, pushes=50, held=10_000)


@dataclass(frozen=True)
class Rig:
    """What a bench is handed."""

    plan: Plan
    folder: Path
    commit: str

    def say(self, text: str) -> None:
        """Tell whoever waits how far we are."""
        sys.stderr.write(f"{text}\n")

    @asynccontextmanager
    async def hub(self, *names: str, data: str = "hub") -> AsyncIterator[Stack]:
        """A hub of these processes, started as `knutpunkt up` starts them; it may talk to loopback."""
        folder = self.folder / data
        settings = Settings(
            data=folder, port=0, bridge_port=0, outbound_allow=(ip_network("127.0.0.0/8"),), log_format="json"
        )
        async with Stack(settings, log_file=self.folder / f"{data}.log", processes=names) as stack:
            yield stack

    @asynccontextmanager
    async def web(self, name: str, argument: str = "") -> AsyncIterator[str]:
        """A floor over HTTP; its address."""
        port = process.free_port()
        command = processes.ours("floors.web", name, port, argument)
        async with processes.serving(command, port, self.folder / f"{name}.log"):
            yield f"http://127.0.0.1:{port}"

    @asynccontextmanager
    async def receivers(self, count: int = 1) -> AsyncIterator[Receivers]:
        """The partners' side."""
        port = process.free_port()
        command = processes.ours("load.receiver", port, count)
        async with (
            processes.serving(command, port, self.folder / "receiver.log") as child,
            Receivers(port, count, child.pid) as receivers,
        ):
            yield receivers

    async def fire(self, shot: Shot, *, seconds: float | None = None, rate: float | None = None, at: int = 0) -> Run:
        """A run of wrk. `at` is the process that takes what the server under test sends on."""
        usage = processes.Usage(at or os.getpid())
        run = await wrk.fire(shot, self.folder, seconds=seconds or self.plan.seconds, rate=rate)
        return dataclasses.replace(run, busy=max(run.busy, usage.share(run.count / run.per_s if run.count else 1)))

    def pace(self, fastest: list[Run]) -> tuple[float, float]:
        """Half of the measured maximum, and the seconds that give the samples wanted at that rate."""
        rate = (figures.middle(fastest) or 2.0) / 2
        seconds = self.plan.samples / rate * 1.02 + 1
        return rate, seconds if seconds <= self.plan.patience else self.plan.short

    async def interleaved(self, *sides: Side) -> list[list[Run]]:
        """Run the sides in turn, as many rounds as the plan has; the runs of each side."""
        rounds = []
        for number in range(self.plan.rounds):
            begun = time.monotonic()
            rounds.append([await side() for side in sides])
            rates = " | ".join(f"{run.per_s:.1f}/s" for run in rounds[-1])
            self.say(f"  round {number + 1}: {rates} ({time.monotonic() - begun:.0f} s)")
        return [list(runs) for runs in zip(*rounds, strict=True)]

    async def duel(
        self, bench: str, ours: Shot, floor: Shot, *, name: str, pid: int, at: int = 0, added: bool = False
    ) -> Line:
        """Compare two answers to the same load. `name` is the floor's, `pid` our process; `added` measures the floor's
        latency as well, so that ours can be compared with it."""
        for shot in (floor, ours):
            await self.fire(shot, seconds=self.plan.warm, at=at)
        floors, mine = await self.interleaved(lambda: self.fire(floor, at=at), lambda: self.fire(ours, at=at))
        rate, seconds = self.pace(mine)
        paced_floor = await self.fire(floor, seconds=seconds, rate=rate, at=at) if added else None
        paced = await self.fire(ours, seconds=seconds, rate=rate, at=at)
        return self.line(bench, pid, name, mine, floors, paced, paced_floor)

    def line(
        self,
        bench: str,
        pid: int,
        floor: str,
        ours: Sequence[Run],
        floors: Sequence[Run] = (),
        paced: Run | None = None,
        paced_floor: Run | None = None,
    ) -> Line:
        """The line of a bench; `pid` is the process whose memory it shows."""
        found = Findings(ours, floors, paced, paced_floor, self.plan.samples)
        return figures.line(bench, found, floor=floor, rss_mb=processes.rss_mb(pid), commit=self.commit)
