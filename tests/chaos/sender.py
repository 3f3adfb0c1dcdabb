"""A CPO that pushes, and writes down what it was answered.

    python -m tests.chaos.sender PORT LEDGER

Orders: `join` (code, versions_url, token_a), `push` (count, hands, objects, receivers, seed, per_s or null, name),
`progress`, which tells how many of the pushes are through, and `stop`, which lets what is under way end.

An outcome is "ok" (OCPI 1xxx), "refused" (OCPI 2xxx: it was not taken) or "info": no answer in time, no connection, or
a fault on the other side, so that nobody knows. A state that was answered with "info" is sent again as it is, or
followed by a newer one; a CDR is sent again with the same bytes until it is answered.
"""

import asyncio
import hashlib
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from hub.ocpi import json
from hub.ocpi.types import PartyId
from hub.sandbox.platform import Platform
from tests.chaos import control
from tests.chaos.ledger import Ledger, Line
from tests.chaos.load import CPO, EVERYBODY, Hand, Push

PATIENCE = 15.0
"""Seconds until an answer no longer counts: more than the hub may take for a push to somebody else."""

PAUSE = 0.3
"""Seconds before the next attempt after an answer that leaves open what happened."""

SINCE = timedelta(hours=2)
"""How long ago the first version was made."""

AGAIN = 0.5
"""The share of states of unknown fate that are sent again."""


class Cpo(Platform):
    """The platform behind the senders. It offers what a CPO takes, so that nobody reads lists of it."""

    role: ClassVar[str] = "CPO"
    modules: ClassVar[tuple[tuple[str, str], ...]] = (("tokens", "RECEIVER"), ("commands", "RECEIVER"))


class Senders:
    """The orders."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._cpo: Cpo | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._left = self._count = self._through = self._ok = self._info = self._refused = 0

    async def join(self, code: str, versions_url: str, token_a: str) -> None:
        """Start the platform and register it."""
        self._cpo = Cpo(code)
        await self._cpo.start()
        await self._cpo.register(versions_url, token_a)

    async def push(
        self,
        count: int,
        hands: int,
        objects: int,
        receivers: list[str],
        seed: int,
        per_s: float | None = None,
        name: str = "",
    ) -> None:
        """Begin to push: `count` pushes of `hands` with `objects` locations, tariffs and sessions each."""
        self._count, self._left, self._through, self._stopping = count, count, 0, False
        since = datetime.now(UTC).replace(microsecond=0) - SINCE
        for number in range(hands):
            hand = Hand(number, hands, seed=seed, since=since, receivers=receivers, objects=objects, name=name)
            rate = per_s / hands if per_s else None
            task = asyncio.create_task(self._work(hand, random.Random(f"{seed}-{number}"), rate))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def progress(self) -> dict[str, int]:
        """How far they are."""
        counts = {"ok": self._ok, "info": self._info, "refused": self._refused}
        return counts | {"count": self._count, "through": self._through, "working": len(self._tasks)}

    async def stop(self) -> None:
        """No further pushes."""
        self._stopping = True
        await self.done()

    async def done(self) -> None:
        """Wait until the pushes are through."""
        await asyncio.gather(*self._tasks)

    async def leave(self) -> None:
        """Stop the platform."""
        await self.stop()
        await self.cpo.stop()

    @property
    def cpo(self) -> Cpo:
        """The platform; `join` starts it."""
        assert self._cpo is not None
        return self._cpo

    def orders(self) -> dict[str, control.Order]:
        """By word."""
        return {"join": self.join, "push": self.push, "progress": self.progress, "stop": self.stop}

    async def _work(self, hand: Hand, chance: random.Random, per_s: float | None) -> None:
        begun = time.monotonic()
        for done, push in enumerate(hand.pushes()):
            if self._left <= 0 or self._stopping:
                return
            self._left -= 1
            if per_s:
                await asyncio.sleep(max(0.0, begun + done / per_s - time.monotonic()))
            await self._until_known(push, chance)
            self._through += 1

    async def _until_known(self, push: Push, chance: random.Random) -> None:
        """Send it until it is answered; a state may be given up for a newer one, unless that rests on it."""
        raw = json.dumps(push.body)
        while await self._send(push, raw) == "info":
            if self._stopping or (push.kind in ("evse patch", "location patch") and chance.random() > AGAIN):
                return
            await asyncio.sleep(PAUSE)

    async def _send(self, push: Push, raw: bytes) -> str:
        to = self.cpo.hub if push.to == EVERYBODY else push.to
        path = (*PartyId.parse(CPO), *push.path) if push.path else ()
        begun = time.monotonic()
        told: Line = {}
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self.cpo.send(push.method, push.module, *path, to=to, body=raw)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome, told = "info", {"error": type(error).__name__}
        else:
            code = answer.status_code or 0
            outcome = "ok" if answer.ok and answer.http_status < 300 else "refused" if _refused(code) else "info"
            told = {"http": answer.http_status, "ocpi": code, "retry_after": answer.headers.get("Retry-After")}
            if outcome != "ok":
                told["message"] = answer.message
        self._count_outcome(outcome)
        line: Line = {"kind": push.kind, "to": push.to, "parts": dict(push.parts), "outcome": outcome, **told}
        if push.cdr:
            line |= {"cdr": push.cdr, "hash": hashlib.sha256(raw).hexdigest()}
        await self._ledger.write(line | {"ms": round((time.monotonic() - begun) * 1000, 1)})
        return outcome

    def _count_outcome(self, outcome: str) -> None:
        self._ok += outcome == "ok"
        self._info += outcome == "info"
        self._refused += outcome == "refused"


def _refused(code: int) -> bool:
    return 2000 <= code < 3000


def main(arguments: list[str]) -> None:
    """Obey until the process is ended."""
    orders: dict[str, Any] = Senders(Ledger(Path(arguments[1]))).orders()
    control.serve(int(arguments[0]), orders)


if __name__ == "__main__":
    main(sys.argv[1:])
