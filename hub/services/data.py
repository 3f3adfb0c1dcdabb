"""The data directory of `up`: one hub's state on one machine.

    postgres/   the database          logs/     what all processes say
    redis/      a configuration       secrets/  0600: passwords, the key, the operator API token
    hub.lock    held while a hub runs here; hub.json says where it listens

Everything is relative to this directory, so it may be moved or copied as a whole while the hub is down.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TextIO

from hub.services import ServiceError
from hub.settings import reason


class Running(NamedTuple):
    """Where a hub listens."""

    url: str
    bridge_url: str
    pid: int


class DataDirectory:
    """Paths, secrets and the lock of one data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgres = self.path / "postgres"
        self.redis = self.path / "redis"
        self.logs = self.path / "logs"
        self._secrets = self.path / "secrets"
        self._announcement = self.path / "hub.json"
        self._lock: TextIO | None = None
        self.after_crash = False  # known once the lock is held: the hub before was killed

    def create(self) -> None:
        """Make what is missing. Raises ServiceError where that is not allowed."""
        try:
            for directory in (self.path, self.redis, self.logs):
                directory.mkdir(parents=True, exist_ok=True)
            self._secrets.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ServiceError(
                f"the data directory {self.path} cannot be made ({reason(error)}): choose another with --data"
            ) from None
        if not all(os.access(path, os.R_OK | os.W_OK | os.X_OK) for path in (self.path, self._secrets, self.logs)):
            raise ServiceError(
                f"the data directory {self.path} belongs to another user: "
                "start the hub as that user, or choose another with --data"
            )

    def lock(self) -> None:
        """Take the directory for this process. Raises ServiceError while another hub runs on it."""
        file = (self.path / "hub.lock").open("a+", encoding="ascii")
        try:
            _take(file)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise ServiceError(
                f"a hub is already running on {self.path} (process {holder}): stop it first, or choose another --data"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file
        self.after_crash = self._announcement.exists()

    def unlock(self) -> None:
        """Let others have the directory."""
        if self._lock:
            self._announcement.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def secret(self, name: str, make: Callable[[], str] = secrets.token_urlsafe) -> str:
        """The secret of this name, made and kept at the first call."""
        file = self._secrets / name
        with suppress(FileNotFoundError):
            return file.read_text(encoding="ascii")
        value, fresh = make(), file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as target:
            target.write(value)
            target.flush()
            os.fsync(target.fileno())
        fresh.rename(file)
        return value

    def secret_file(self, name: str) -> Path:
        """Where a secret is kept, whether or not it exists yet."""
        return self._secrets / name

    def announce(self, url: str, bridge_url: str) -> None:
        """Tell the commands where the hub of this directory listens."""
        fresh = self._announcement.with_suffix(".new")
        fresh.write_text(json.dumps({"url": url, "bridge_url": bridge_url, "pid": os.getpid()}), encoding="utf-8")
        fresh.rename(self._announcement)

    def running(self) -> Running | None:
        """The hub that runs on this directory, None if there is none or it is not ready yet."""
        try:
            announced = json.loads(self._announcement.read_text(encoding="utf-8"))
            with (self.path / "hub.lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Running(announced["url"], announced["bridge_url"], announced["pid"])
        except (OSError, ValueError):
            return None
        return None


def _take(lock: TextIO) -> None:
    """Tried for a moment: a command that asks whether a hub runs here holds the lock while it looks."""
    for _ in range(10):
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.02)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
