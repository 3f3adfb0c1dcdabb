"""One log of all the hub's processes: a file in the data directory, and the terminal.

The processes write into a pipe that a thread reads. So what they say in their last moments is kept as well, and none
of them has to mind the size of the file.
"""

import os
import threading
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, TextIO

from hub.services import process

CHECK_EVERY = 1000  # lines; then the file is put aside if it has grown large
LAST_WORDS = 2.0  # seconds for whoever still holds the pipe


class Log:
    """The log file `path`. `echo`, such as the terminal, gets every line too."""

    def __init__(self, path: Path, echo: BinaryIO | None = None) -> None:
        self.path = path
        self.entrance: TextIO | None = None  # what is written here while it is open, a child's output too, is logged
        self._echo = echo
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Begin to take lines; the file's directory must exist."""
        read_end, write_end = os.pipe()
        self.entrance = os.fdopen(write_end, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
        self._thread = threading.Thread(target=self._run, args=(read_end,), name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the last lines; those who write should have ended."""
        if self.entrance and self._thread:
            self.entrance.close()
            self._thread.join(LAST_WORDS)
        self.entrance = self._thread = None

    def _run(self, read_end: int) -> None:
        with os.fdopen(read_end, "rb") as lines:
            while line := lines.readline():
                with self._file() as file:
                    for each in chain((line,), islice(lines, CHECK_EVERY)):
                        _write(each, file)
                        _write(each, self._echo)

    def _file(self) -> AbstractContextManager[BinaryIO | None]:
        try:
            process.put_aside(self.path)
            return self.path.open("ab", buffering=0)
        except OSError:
            return nullcontext()


def _write(line: bytes, target: BinaryIO | None) -> None:
    with suppress(OSError, ValueError):  # a full disk or a closed terminal: the other still has the line
        if target:
            target.write(line)
            target.flush()
