"""The rig that the runs stand on: a hub, receivers and senders in processes of their own, and the evidence they leave.

async with rig.world(receivers=10, workers=2) as world:
    await world.push(5_000, hands=8)
    ...
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.sandbox import samples
from tests.bench.processes import Failed
from tests.chaos import control
from tests.chaos.checker import Checker
from tests.chaos.clock import Clock
from tests.chaos.control import Remote
from tests.chaos.hub import Hub
from tests.chaos.ledger import Reader

CPO = samples.CPO
RECEIVER, SENDER = "tests.chaos.receiver", "tests.chaos.sender"
LOOK = 0.5
"""Seconds between two looks at the ledgers."""


@dataclass
class Result:
    """What a run found. `faults` are sentences; without any it passed."""

    figures: dict[str, Any]
    faults: list[str] = field(default_factory=list)

    def as_json(self, run: str, seed: int, evidence: Path | None, seconds: float) -> str:
        """The line that is printed."""
        told = {"run": run, "seed": seed, "ok": not self.faults, **self.figures, "took_s": round(seconds, 1)}
        return json.dumps(told | {"faults": self.faults, "evidence": str(evidence) if evidence else None})


@dataclass(frozen=True)
class Rig:
    """What a run is handed: its seed, its size, a folder for its evidence, and a module (`patch`) that the processes of
    its hubs import first."""

    folder: Path
    seed: int
    full: bool
    patch: str = ""

    def say(self, text: str) -> None:
        """Tell whoever waits how far we are."""
        sys.stderr.write(f"  {text}\n")

    @asynccontextmanager
    async def world(
        self,
        *,
        receivers: int = 10,
        workers: int = 1,
        settings: Mapping[str, object] | None = None,
        variables: Mapping[str, Mapping[str, str]] | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator["World"]:
        """A hub with so many receivers and a CPO registered; `settings`, `variables` and `clock` as in Hub."""
        hub = Hub(self.folder, workers=workers, patch=self.patch, settings=settings, variables=variables, clock=clock)
        async with AsyncExitStack() as leaving:
            leaving.push_async_callback(hub.stop)
            await hub.start()
            world = World(self, hub, leaving)
            await world.join_senders()
            await world.join_receivers([code(number) for number in range(receivers)])
            yield world


class World:
    """A running hub and its partners."""

    def __init__(self, rig: Rig, hub: Hub, leaving: AsyncExitStack) -> None:
        self.rig, self.hub = rig, hub
        self.receivers: list[str] = []
        self.checker = Checker([])
        self.senders: Remote | None = None
        self._leaving = leaving
        self._remotes: dict[str, Remote] = {}
        self._readers: list[Reader] = []
        self._processes = 0

    async def join_senders(self) -> None:
        """Start the senders' process and register its CPO."""
        ledger = self.rig.folder / "sent.jsonl"
        self.senders = await self._leaving.enter_async_context(
            control.running(SENDER, self.rig.folder / "sender.log", ledger)
        )
        self._readers.append(Reader(ledger))
        await self.senders("join", code=CPO, **await self.invite(CPO, "CPO"))

    async def join_receivers(self, codes: Sequence[str], module: str = RECEIVER) -> Remote:
        """Start a process of `module` with receivers of these codes, and register them. They are entitled to all that
        is broadcast from now on."""
        self._processes += 1
        ledger = self.rig.folder / f"received-{self._processes}.jsonl"
        log = self.rig.folder / f"receiver-{self._processes}.log"
        remote = await self._leaving.enter_async_context(control.running(module, log, ledger))
        for receiver in codes:
            number = len(self._remotes)
            await remote("join", code=receiver, number=number, **await self.invite(receiver, "EMSP"))
            self._remotes[receiver] = remote
        self.receivers += codes
        self.checker.receivers += codes
        self._readers.append(Reader(ledger))
        return remote

    async def invite(self, party: str, role: str) -> dict[str, str]:
        """An invitation for a platform with one party: versions_url and token_a."""
        async with self.hub.operator() as operator:
            asked = {"name": party, "parties": [{"code": party, "role": role}]}
            answer = await operator.post("/invitations", json=asked)
        if answer.status_code != 201:
            raise Failed(f"{party} could not be invited: {answer.text}")
        return {name: answer.json()[name] for name in ("versions_url", "token_a")}

    async def tell(self, receiver: str, word: str, **arguments: Any) -> Any:
        """Give an order to a receiver: away, back, knobs."""
        return await self._remotes[receiver](word, code=receiver, **arguments)

    async def push(
        self, count: int, *, hands: int = 8, objects: int = 5, per_s: float | None = None, name: str = ""
    ) -> None:
        """Let the senders begin: `hands` at once, each with `objects` locations of its own. `name` is part of ids."""
        await self.sender(
            "push",
            count=count,
            hands=hands,
            objects=objects,
            receivers=self.receivers,
            seed=self.rig.seed,
            per_s=per_s,
            name=name,
        )

    async def sender(self, word: str, **arguments: Any) -> Any:
        """Give an order to the senders."""
        assert self.senders is not None
        return await self.senders(word, **arguments)

    async def progress(self) -> float:
        """The share of the pushes that are through."""
        told = await self.sender("progress")
        return float(told["through"] / told["count"]) if told["count"] else 1.0

    async def pushed(self, patience: float) -> None:
        """Wait until the senders are through. Raises Failed."""
        await self.until(self._idle, patience, "the senders to be through")

    async def until(self, reached: Callable[[], Awaitable[bool]], patience: float, what: str) -> None:
        """Wait for a condition, looked at twice a second. Raises Failed."""
        deadline = time.monotonic() + patience
        while not await reached():
            if time.monotonic() > deadline:
                raise Failed(f"waited {patience:.0f} s for {what}")
            await asyncio.sleep(LOOK)

    def look(self) -> Checker:
        """The checker, with all that the ledgers hold by now."""
        for reader in self._readers:
            for line in reader.news():
                self.checker.feed(line)
        return self.checker

    async def drained(self, patience: float) -> bool:
        """Wait until every receiver has what was acknowledged; whether it came to that in so many seconds."""
        deadline = time.monotonic() + patience
        while self.look().missing():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def settled(self, patience: float, late: float) -> bool:
        """`drained`, and then so many seconds more in which something old could still come."""
        drained = await self.drained(patience)
        await asyncio.sleep(late)
        self.look()
        return drained

    async def cdr_ledger(self) -> list[str]:
        """The ids in the hub's ledger of CDRs, as they stand there; each as often as it does."""
        return [row["key"] for row in await self.hub.sql("SELECT key FROM cdr WHERE owner = $1", CPO)]

    async def _idle(self) -> bool:
        return not (await self.sender("progress"))["working"]


def code(number: int) -> str:
    """The party of a receiver, counted from 0."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return f"DE*{letters[number // 26 % 26]}{letters[number % 26]}{number // 676}"
