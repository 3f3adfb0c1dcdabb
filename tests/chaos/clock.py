"""Clocks that can be moved while the processes run: libfaketime, told the offset by a file.

Only the time of day is moved. The monotonic clock runs on, as it does on a machine whose time is set.
"""

from pathlib import Path

from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.services.process import Process

LIBRARIES = ("usr/lib/*/faketime/libfaketimeMT.so.1", "usr/lib/faketime/libfaketimeMT.so.1")
HUB, POSTGRES, MACHINE = "hub", "postgres", "machine"


def library() -> Path | None:
    """The library, None where faketime is not installed."""
    return next((found for pattern in LIBRARIES for found in Path("/").glob(pattern)), None)


class Clock:
    """A clock for the hub's processes and one for PostgreSQL; "machine" means both."""

    def __init__(self, folder: Path) -> None:
        self._offsets = {HUB: 0.0, POSTGRES: 0.0}
        self._files = {name: folder / f"{name}.clock" for name in self._offsets}
        self.jump(MACHINE, 0)

    def jump(self, name: str, seconds: float) -> None:
        """Move a clock."""
        for one in (HUB, POSTGRES) if name == MACHINE else (name,):
            self._offsets[one] += seconds
            fresh = self._files[one].with_suffix(".new")
            fresh.write_text(f"{self._offsets[one]:+f}\n", encoding="ascii")
            fresh.chmod(0o644)
            fresh.rename(self._files[one])

    def variables(self, name: str) -> dict[str, str]:
        """The environment of a process that goes by a clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._files[name]),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


class ClockedPostgres(Postgres):
    """A PostgreSQL that goes by such a clock."""

    def __init__(self, data: DataDirectory, clock: Clock) -> None:
        super().__init__(data)
        self._clock = clock

    async def _run(self, name: str, command: tuple[str, ...], wrapper: tuple[str, ...]) -> Process:
        pairs = (f"{key}={value}" for key, value in self._clock.variables(POSTGRES).items())
        return await super()._run(name, ("env", *pairs, *command), wrapper)
