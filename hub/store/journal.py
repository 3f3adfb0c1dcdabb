"""The journal of hops: noted in memory on the hot path, written to the message log in batches beside it.

A crash loses what the last quarter of a second noted, a second at the very most; nothing but `knutpunkt trace` depends
on it. While the database is away hops wait, up to CAPACITY. Noting is an append: all other work is done at the flush.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

import asyncpg
import structlog

from hub import telemetry
from hub.store import messages
from hub.store.db import Database
from hub.store.outgoing import Identity
from hub.store.seal import Seal

log = structlog.get_logger(__name__)

FLUSH_INTERVAL = 0.25
CAPACITY = 20_000
AT_ONCE = 1_000

BODY_LIMIT = 16 * 1024
BODIES_WAITING = 2_000
"""Hops that wait to be written, from which on they are noted without bodies: two of these make 64 MiB."""

UNWRITABLE = (ValueError, TypeError, ArithmeticError, asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""What a batch meets that no database will ever take."""

Bodies = Literal["none", "errors", "all"]


class Hop(NamedTuple):
    """One hop of a message: who asked whom for what, what the hub decided, what was answered and how long it took.

    `about` is the object (owner, module, key) that it carries, `changed` what the hub changed on the way, for people.
    """

    correlation_id: str
    request_id: str
    sender: str
    receiver: str
    method: str
    what: str
    decision: str
    http_status: int | None = None
    status_code: int | None = None
    ms: int | None = None
    detail: str | None = None
    about: Identity | None = None
    changed: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether there was no answer, or one that is no success."""
        code = self.status_code
        return self.http_status is None or self.http_status >= 400 or code is None or not 1000 <= code < 2000


class Note(Protocol):
    """Notes a hop with the bodies of request and answer, of which the policy decides what is kept."""

    def __call__(self, hop: Hop, request: bytes | None = None, answer: bytes | None = None, /) -> None: ...


Noted = tuple[float, Hop, bytes | None, bytes | None]


class Journal:
    """Buffers hops and writes them every quarter of a second. `bodies` is the policy (HUB_MESSAGE_BODIES)."""

    def __init__(self, db: Database, seal: Seal, bodies: Bodies = "none") -> None:
        self._db, self._seal, self._bodies = db, seal, bodies
        self._hops: list[Noted] = []
        self._dropped = 0
        self._failing = False
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def note(self, hop: Hop, request: bytes | None = None, answer: bytes | None = None, /) -> None:
        """Remember one hop; an overloaded hub loses bodies, then hops, rather than memory."""
        waiting = len(self._hops)
        if waiting >= CAPACITY:
            self._dropped += 1
        elif self._bodies == "none" or waiting >= BODIES_WAITING or (self._bodies == "errors" and not hop.failed):
            self._hops.append((time.time(), hop, None, None))
        else:
            self._hops.append((time.time(), hop, _cut(request), _cut(answer)))

    async def start(self) -> None:
        """Begin to flush in the background."""
        self._task = asyncio.create_task(self._run(), name="journal")

    async def stop(self) -> None:
        """Write what is left and end."""
        if self._task is not None:
            async with self._turn:  # never in the middle of a write: it would be made twice
                self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()
        if self._hops:
            log.warning("hops not written, trace will miss them", hops=len(self._hops))

    async def flush(self) -> None:
        """Write what was noted so far; when it returns, that is written, or waits for a database that is away."""
        async with self._turn:
            left = len(self._hops)
            while left > 0:
                batch = self._hops[: min(left, AT_ONCE)]
                if not await self._write(batch):
                    break
                del self._hops[: len(batch)]
                left -= len(batch)
            if self._dropped:
                log.warning("hops dropped, trace will miss them", hops=self._dropped)
                self._dropped = 0

    async def _write(self, batch: list[Noted]) -> bool:
        """Whether this batch is done with; False when it must wait. The journal never takes the exchange down."""
        try:
            rows = [self._row(*noted) for noted in batch]
            try:
                await self._insert(rows)
            except asyncpg.CheckViolationError:  # no partition for today: nobody has rolled them for days
                async with self._db.unit_of_work() as session:
                    await messages.roll(session, messages.KEEP_ALL)
                await self._insert(rows)
        except UNWRITABLE as error:
            log.error("hops cannot be written, trace will miss them", hops=len(batch), error=repr(error)[:300])
        except Exception as error:
            if not self._failing:
                log.warning("hops not written yet, they wait for the database", error=repr(error)[:300])
            self._failing = True
            return False
        self._failing = False
        return True

    async def _insert(self, rows: list[messages.Row]) -> None:
        async with self._db.unit_of_work(synced=False) as session:
            await messages.write(session, rows)

    def _row(self, at: float, hop: Hop, request: bytes | None, answer: bytes | None) -> messages.Row:
        owner, module, key = messages.filed(self._seal, hop.about) if hop.about else (None, None, None)
        return (
            datetime.fromtimestamp(at, UTC), *hop[:7], hop.http_status, _number(hop.status_code), hop.ms,
            telemetry.printable(hop.detail) if hop.detail else None, owner, module, key, hop.changed or None,
            _text(request), _text(answer),
        )  # fmt: skip

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            await self.flush()


def _cut(body: bytes | None) -> bytes | None:
    if not body or len(body) <= BODY_LIMIT:
        return body or None
    return body[:BODY_LIMIT] + b" [cut here, %d bytes in all]" % len(body)


def _text(body: bytes | None) -> str | None:
    return body.decode(errors="replace").replace("\0", "\ufffd") if body else None


def _number(code: int | None) -> int | None:
    """A partner may call any whole number its status_code; the column takes those of 32 bits."""
    return code if code is not None and -(2**31) <= code < 2**31 else None
