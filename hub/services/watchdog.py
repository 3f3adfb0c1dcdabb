"""Finds processes that run and do nothing: they hold what they hold (a worker its lanes) until somebody kills them.

A process shows its life by a row in the database every few seconds. One whose row has not moved for long, while the
table could be read all the time, hangs: it is stopped, or its loop is blocked. Whatever else keeps rows from moving is
not its fault: while the database does not answer, or while this very process was asleep, nobody is judged.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from hub import telemetry
from hub.store import alerts, heartbeats
from hub.store.db import FAULTS, Database
from hub.store.heartbeats import Sign
from hub.watch.kinds import Kind

HUNG = 30.0
"""Seconds without a sign of life after which a process is killed; it shows one every 5."""

LOOK = 2.0
GAP = 3 * LOOK
"""More seconds between two looks mean that the looking itself was interrupted: all counts begin anew."""

log = telemetry.logger(__name__)


class Silence:
    """For how long each process has not moved its row, as far as was seen."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, float]] = {}
        self._looked_at = 0.0

    def look(self, signs: Iterable[Sign], now: float) -> dict[str, float]:
        """The seconds of silence of each process; `now` is a monotonic clock."""
        before = self._seen if now - self._looked_at <= GAP else {}
        self._looked_at = now
        self._seen = {}
        for sign in signs:
            at, since = before.get(sign.process, (sign.at, now))
            self._seen[sign.process] = (at, since) if at == sign.at else (sign.at, now)
        return {process: now - since for process, (_, since) in self._seen.items()}


class Watchdog:
    """Looks after processes of this machine. `kill` is given the id of one that hangs; it says whose it was, None when
    it is none of ours."""

    def __init__(self, url: str, kill: Callable[[int], str | None]) -> None:
        self._db = Database(url, pool_size=1)
        self._kill = kill

    async def run(self) -> None:
        """Look, for as long as this is not cancelled."""
        silence, here = Silence(), f"@{socket.gethostname()}:"
        try:
            while True:
                await asyncio.sleep(LOOK)
                try:
                    async with self._db.unit_of_work() as session:
                        signs = await heartbeats.every(session)
                    for process, silent in silence.look(signs, time.monotonic()).items():
                        _, found, pid = process.partition(here)
                        if silent > HUNG and found and _runs(int(pid)):
                            await self._end(process, int(pid), silent)
                except FAULTS as error:
                    log.info("signs of life not read, nobody is judged", error=repr(error)[:300])
        finally:
            await self._db.close()

    async def _end(self, process: str, pid: int, silent: float) -> None:
        name = self._kill(pid)
        if name is None:
            return
        detail = f"it ran and did nothing for {silent:.0f} s: it was killed and is started again"
        log.error(f"{name} hangs, it is killed", process=process, silent_s=round(silent))
        async with self._db.unit_of_work() as session:
            await alerts.begin(session, [(Kind.PROCESS_GONE, process, detail)])


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
