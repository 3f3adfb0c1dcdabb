"""Signs of life of the hub's own processes: each writes its row every few seconds, with figures of its own.

The rows tell any API process what all others do (`/metrics`, `knutpunkt status`, alerts): figures that only a worker
or a bridge knows need no port of their own there.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Column, DateTime, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from hub.ocpi import json
from hub.store.db import Database, Statements

log = structlog.get_logger(__name__)

INTERVAL = 5.0
SILENT = 30.0
"""Seconds after which a process that has not beaten counts as gone."""

Figures = Callable[[], Mapping[str, Any]]


class Heartbeat(SQLModel, table=True):
    """The last sign of life of one process: "worker@host:123" of kind worker, with figures that only it knows.

    "beat" has a row of that name, written by the worker that its task reached (`shown`): beat, broker and worker live.
    """

    __tablename__ = "heartbeat"
    process: str = Field(primary_key=True)
    kind: str
    started_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=text("now()"), nullable=False)
    )
    figures: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))


_BEAT = text(
    "INSERT INTO heartbeat (process, kind, started_at, figures)"
    " VALUES (:process, :kind, :started_at, CAST(:figures AS jsonb))"
    " ON CONFLICT (process) DO UPDATE SET at = now(), figures = excluded.figures"
)
_SHOWN = text(
    "INSERT INTO heartbeat (process, kind, started_at, figures) VALUES (:kind, :kind, now(), '{}')"
    " ON CONFLICT (process) DO UPDATE SET at = now()"
)
_END = text("DELETE FROM heartbeat WHERE process = :process")
_ALL = text(
    "SELECT process, kind, started_at, at, extract(epoch FROM now() - at)::float8, figures"
    " FROM heartbeat ORDER BY process"
)
_ALIVE = text(
    "SELECT count(*) FROM heartbeat WHERE kind = :kind AND at > now() - CAST(:within AS float8) * interval '1 second'"
)
_INHERIT = text(
    "WITH dead AS (DELETE FROM heartbeat WHERE process = :dead RETURNING started_at)"
    " UPDATE heartbeat h SET started_at = dead.started_at FROM dead WHERE h.process = :heir"
)
_FORGET = text("DELETE FROM heartbeat WHERE process = ANY(CAST(:processes AS text[]))")


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a process; `age` is the seconds since, by the clock of the database."""

    process: str
    kind: str
    started_at: datetime
    at: datetime
    age: float
    figures: dict[str, Any]


async def every(session: Statements) -> list[Sign]:
    """The last sign of life of every process that has not ended well."""
    return [Sign(*row) for row in await session.execute(_ALL)]


async def alive(session: Statements, kind: str, within: float) -> int:
    """How many processes of a kind have shown their life within so many seconds."""
    return int((await session.execute(_ALIVE, {"kind": kind, "within": within})).scalar_one())


async def shown(session: Statements, kind: str) -> None:
    """A process that writes no rows itself, and of which there is one in a hub, has shown that it lives."""
    await session.execute(_SHOWN, {"kind": kind})


async def inherit(session: Statements, dead: str, heir: str) -> None:
    """A process has taken the place of a dead one, whose row goes: its place began when that of the dead one did."""
    await session.execute(_INHERIT, {"dead": dead, "heir": heir})


async def forget(session: Statements, processes: Collection[str]) -> None:
    """Take the rows of dead processes away."""
    await session.execute(_FORGET, {"processes": list(processes)})


class Pulse:
    """The heartbeat of this process. A process that ends well takes its row with it; one that dies leaves it."""

    def __init__(self, db: Database, kind: str, figures: Figures = dict) -> None:
        self._db, self._figures = db, figures
        self._names = {
            "process": f"{kind}@{socket.gethostname()}:{os.getpid()}",
            "kind": kind,
            "started_at": datetime.now(UTC),
        }
        self._task: asyncio.Task[None] | None = None

    @property
    def process(self) -> str:
        """The name of this process."""
        return str(self._names["process"])

    async def start(self) -> None:
        """Beat once, then in the background."""
        await self.beat()
        self._task = asyncio.create_task(self._run(), name="heartbeat")

    @classmethod
    @contextlib.asynccontextmanager
    async def beating(cls, db: Database, kind: str, figures: Figures = dict) -> AsyncIterator["Pulse"]:
        """Show this process alive until the block ends."""
        pulse = cls(db, kind, figures)
        await pulse.start()
        try:
            yield pulse
        finally:
            await pulse.stop()

    async def write(self) -> None:
        """Write the row. Raises what the database says."""
        async with self._db.unit_of_work() as session:
            await session.execute(_BEAT, {**self._names, "figures": json.dumps(self._figures()).decode()})

    async def beat(self) -> None:
        """Write the row; that the database is away is no reason to fall over."""
        try:
            await self.write()
        except Exception as error:
            log.warning("sign of life not written", process=self.process, error=repr(error)[:300])

    async def stop(self) -> None:
        """End, and take the row away."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        try:
            async with self._db.unit_of_work() as session:
                await session.execute(_END, {"process": self.process})
        except Exception as error:
            log.warning("sign of life not taken away", process=self.process, error=repr(error)[:300])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            await self.beat()
