"""PostgreSQL's pid file: whether our server is ready, and what a killed one left behind.

The file's first line is a process id, its eighth says "ready", and one between them leads to the shared memory by
which a new server sees whether processes of the old one still run. A server killed with its supervisor leaves the
file. By the time of the next start the number may belong to an innocent process, and PostgreSQL would refuse to
start; so the number is taken out and the rest stays.
"""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hub import telemetry
from hub.services import process

NO_PROCESS = 4_194_304  # one above the highest process id Linux gives

log = telemetry.logger(__name__)


class Postmaster:
    """The server whose files are in `cluster`, as its pid file tells."""

    def __init__(self, cluster: Path) -> None:
        self._cluster = cluster
        self._file = cluster / "postmaster.pid"

    def is_ready(self, pid: int) -> bool:
        """Whether the server with this process id accepts connections."""
        lines = self._lines()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7] == "ready"

    def port(self) -> int:
        """Where a server that is ready accepts connections; 0 when there is none."""
        lines = self._lines()
        ready = len(lines) > 7 and lines[7] == "ready" and lines[0].isdigit() and _lives(int(lines[0]))
        return int(lines[3]) if ready else 0

    async def stop_leftover(self, *steps: tuple[signal.Signals, float]) -> None:
        """Stop a server that an earlier hub left, with these signals and so many seconds for each, then SIGKILL."""
        lines = self._lines()
        pid = int(lines[0]) if lines and lines[0].isdigit() else NO_PROCESS
        if await self._is_ours(pid):
            log.warning("stopping the PostgreSQL that an earlier hub left running", pid=pid)
            await self._stop(pid, (*steps, (signal.SIGKILL, 5.0)))
        self._disarm()

    async def _stop(self, pid: int, steps: Sequence[tuple[signal.Signals, float]]) -> None:
        for number, patience in steps:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if not await self._is_ours(pid):
                    return
                await asyncio.sleep(0.05)

    async def _is_ours(self, pid: int) -> bool:
        command = await process.command_of(pid)
        return bool(command) and Path(command[0]).name == "postgres" and str(self._cluster) in command

    def _lines(self) -> list[str]:
        with suppress(FileNotFoundError):
            return [line.strip() for line in self._file.read_text(encoding="utf-8").splitlines()]
        return []

    def _disarm(self) -> None:
        lines = self._lines()
        if lines:
            self._file.write_text("\n".join([str(NO_PROCESS), *lines[1:]]) + "\n", encoding="utf-8")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # it is another user's
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
