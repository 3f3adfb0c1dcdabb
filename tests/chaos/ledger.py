"""Ledgers: one line of JSON for each thing that happened, on disk before anybody hears of it."""

import asyncio
import time
from collections.abc import Iterator
from os import fdatasync
from pathlib import Path
from typing import Any

import orjson

Line = dict[str, Any]


class Ledger:
    """A file that only grows. Lines that wait at the same time share one sync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._syncing: asyncio.Task[None] | None = None

    async def write(self, line: Line) -> None:
        """Add a line with the moment of both clocks (`t`, monotonic and the same for all processes, and `wall`);
        it is synced when this returns."""
        stamped = {"t": time.monotonic(), "wall": time.time()} | line
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((orjson.dumps(stamped) + b"\n", written))
        if self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        await written

    async def close(self) -> None:
        """Close the file when what waits is written."""
        if self._syncing:
            await self._syncing
        self._file.close()

    async def _sync(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._put, b"".join(line for line, _ in batch))
            for _, written in batch:
                if not written.done():
                    written.set_result(None)
        self._syncing = None

    def _put(self, lines: bytes) -> None:
        self._file.write(lines)
        fdatasync(self._file.fileno())


class Reader:
    """Reads a ledger while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def news(self) -> Iterator[Line]:
        """The whole lines that came since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                yield orjson.loads(line)
