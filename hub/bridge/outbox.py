"""Commands on their way to stations and their results on the way back: the bridge's side of `hub.bridge.control`.

A notification wakes this loop at once, a look each second finds what a lost one left behind. Only the bridge that
holds a station's newest socket claims its commands; one after the other goes out, and each gets exactly one result:
the station's, or TIMEOUT when the deadline passed.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from hub.bridge import control
from hub.bridge.rpc import CallError, Gone
from hub.bridge.timing import Timing
from hub.exchange import callbacks
from hub.exchange.context import Hub
from hub.ocpi.types import PartyId
from hub.store import commands, stations
from hub.store.chargers import StationCommand
from hub.store.journal import Hop

log = structlog.get_logger(__name__)

Json = dict[str, Any]
TIMED_OUT: Json = {"result": "TIMEOUT"}


class Line(Protocol):
    """A way to a station."""

    async def call(self, action: str, payload: Json, timeout: float) -> Json: ...


Lines = Callable[[], Mapping[str, tuple[int, Line]]]
"""The stations whose socket is here: epoch and line by station id."""


class Outbox:
    """The loop of one bridge."""

    def __init__(self, hub: Hub, timing: Timing, lines: Lines) -> None:
        self._hub, self._timing, self._lines = hub, timing, lines
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def nudge(self) -> None:
        """There may be a command, or a station that has come back."""
        self._wake.set()

    async def run(self) -> None:
        """Send and report, for ever."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self.once()
                except Exception as error:  # the database may be away; the rows wait
                    log.warning("commands not looked at, will try again", error=repr(error))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.sweep.total_seconds()):
                        await self._wake.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def once(self) -> None:
        """Take up what waits for a station here, and what waits to be reported."""
        lines = self._lines()
        async with self._hub.db.session() as session:
            here = [station_id for station_id in await commands.waiting(session) if station_id in lines]
            queued = {
                station_id: await commands.claim(session, station_id, lines[station_id][0]) for station_id in here
            }
            await commands.expire(session)
            answered = await commands.claim_answered(session, self._timing.lease)
        for station_id, rows in queued.items():
            self._spawn(self._send_all(lines[station_id][1], rows))
        for row in answered:
            self._spawn(self._report(row))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_watched(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_all(self, line: Line, rows: list[StationCommand]) -> None:
        for row in rows:
            began = time.monotonic()
            result = await self._send(line, row)
            async with self._hub.db.session() as session:
                in_time = await commands.answered(session, row.id or 0, result)
                await control.settle(session, row, result, in_time)
            self._note(row, result, time.monotonic() - began)
            log.info("command answered", station=row.station_id, command=row.kind, **result, in_time=in_time,
                     correlation_id=row.correlation_id)  # fmt: skip
            self.nudge()

    async def _send(self, line: Line, row: StationCommand) -> Json:
        left = (row.deadline - datetime.now(UTC)).total_seconds()
        timeout = min(left, self._timing.call.total_seconds())
        if timeout <= 0:
            return TIMED_OUT
        try:
            answer: Json | str = await line.call(row.action, row.payload, timeout)
        except CallError as error:
            answer = error.code
        except (TimeoutError, Gone):
            return TIMED_OUT
        return control.result_of(row.kind, answer, await self._connector_status(row))

    def _note(self, row: StationCommand, result: Json, seconds: float) -> None:
        """The hop to the station, for whoever traces the command. Its payload holds a card's number and is not kept."""
        self._hub.journal.note(
            Hop(
                correlation_id=row.correlation_id,
                request_id=row.correlation_id,
                sender=row.owner,
                receiver=row.station_id,
                method="CALL",
                what=row.action,
                decision="bridge",
                ms=round(seconds * 1000),
                detail=str(result["result"]),
            )
        )

    async def _connector_status(self, row: StationCommand) -> str | None:
        async with self._hub.db.session() as session:
            plugs = await stations.connectors(session, row.station_id)
        return next((p.status for p in plugs if p.ocpp_connector_id == row.payload.get("connectorId")), None)

    async def _report(self, row: StationCommand) -> None:
        """POST the CommandResult: one attempt, as the spec has it (CMD-056)."""
        sender, receiver = PartyId.parse(row.owner), PartyId.parse(row.sender)
        taken = row.kind == control.RELEASE or await callbacks.post_result(
            self._hub, sender, receiver, row.response_url, row.result or TIMED_OUT, row.correlation_id
        )
        if not taken:
            log.warning("command result not taken by the eMSP", receiver=row.sender, correlation_id=row.correlation_id)
        async with self._hub.db.session() as session:
            await commands.posted(session, row.id or 0)


async def _watched(work: Coroutine[Any, Any, None]) -> None:
    """What fails here is taken up by its deadline."""
    try:
        await work
    except Exception as error:
        log.error("command left to its deadline", error=repr(error), exc_info=True)
