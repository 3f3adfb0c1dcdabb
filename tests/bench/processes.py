"""Processes of the measuring side: started on the leash of the hub's own, stopped with us, and what they cost."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from hub.services import process
from hub.services.process import Process
from hub.settings import CHECKOUT

READY = 30.0  # seconds
STOP = ((signal.SIGTERM, 5.0),)
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """A process of the measuring side ended badly; the message has its last words."""


def python(module: str, *arguments: object) -> list[str]:
    """The command line of a Python module."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def ours(module: str, *arguments: object) -> list[str]:
    """The command line of a module of this package."""
    return python(f"tests.bench.{module}", *arguments)


@asynccontextmanager
async def running(command: Sequence[str], log: Path, **variables: str) -> AsyncIterator[Process]:
    """A process, until the block ends."""
    child = await Process.start(log.stem, command, _environment(variables), log=log)
    try:
        yield child
    finally:
        await child.stop(*STOP)


@asynccontextmanager
async def serving(command: Sequence[str], port: int, log: Path) -> AsyncIterator[Process]:
    """A server, from when its port is open until the block ends."""
    async with running(command, log) as child:
        await _listening(child, port, log)
        yield child


async def output_of(command: Sequence[str], log: Path, **variables: str) -> str:
    """Run a program to its end; the last line it wrote. Raises Failed."""
    async with running(command, log, **variables) as child:
        status = await child.wait()
    if status != 0:
        raise Failed(f"{log.stem} ended with {process.meaning(status)}: {process.tail(log)}")
    return process.tail(log, lines=1)


class Usage:
    """The CPU that a process and its children use, from here on."""

    def __init__(self, pid: int) -> None:
        self._pid, self._before = pid, _cpu_seconds(pid)

    def share(self, seconds: float) -> float:
        """The share of a core, if what was measured took so many seconds."""
        return (_cpu_seconds(self._pid) - self._before) / max(seconds, 0.001)


def rss_mb(pid: int) -> float:
    """The resident memory of a process and its children, in MB; pages they share count for each."""
    return sum(int(fields[21]) for fields in _session(pid)) * PAGE / 1e6


def _cpu_seconds(pid: int) -> float:
    return sum(int(fields[11]) + int(fields[12]) for fields in _session(pid)) / TICKS


def _session(pid: int) -> list[list[str]]:
    """What /proc says of the processes whose session `pid` leads (proc(5), stat, from the third field on)."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == pid:
            found.append(fields)
    return found


def _environment(variables: dict[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(CHECKOUT)} | variables


async def _listening(child: Process, port: int, log: Path) -> None:
    deadline = time.monotonic() + READY
    while process.is_free("127.0.0.1", port):
        if child.exit_status is not None or time.monotonic() > deadline:
            raise Failed(f"{child.name} does not listen: {process.tail(log)}")
        await asyncio.sleep(0.05)
