"""The hub's database for a command that needs no running hub: the one DATABASE_URL names, or that of a data directory.

The PostgreSQL of a data directory is used as it runs; where none runs, it is started for the command and stopped
again, and no hub can start there meanwhile.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from hub.services import ServiceError
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.settings import Settings, reason

SECRET_KEY = "secret_key"


class Place(NamedTuple):
    """A database: its URL, as its owner, and the data directory it lives in, None for one that DATABASE_URL names."""

    url: str
    directory: DataDirectory | None


def directory(settings: Settings, data: Path | None) -> DataDirectory | None:
    """The data directory that is meant: --data wins, then DATABASE_URL (None), then HUB_DATA."""
    return None if data is None and settings.database_url else DataDirectory(data or settings.data)


@asynccontextmanager
async def opened(settings: Settings, data: Path | None) -> AsyncIterator[Place]:
    """The database, whether or not a hub runs on it. Raises ServiceError."""
    found = directory(settings, data)
    if found is None:
        yield Place(settings.database_url, None)
        return
    if not found.postgres.exists():
        raise ServiceError(f"there is no database in {found.path}: choose another --data, or set DATABASE_URL")
    server = Postgres(found)
    if server.attach():
        yield Place(server.url, found)
        return
    async with alone(found) as place:
        yield place


@asynccontextmanager
async def alone(found: DataDirectory) -> AsyncIterator[Place]:
    """The PostgreSQL of a data directory on which no hub runs; made if there is none. Raises ServiceError."""
    found.create()
    found.lock()
    server = Postgres(found)
    try:
        await server.start()
        yield Place(server.url, found)
    finally:
        await server.stop()
        found.unlock()


def secret_key(settings: Settings, found: DataDirectory | None) -> str:
    """HUB_SECRET_KEY, or the one that `up` made; ServiceError where there is none."""
    if settings.secret_key:
        return settings.secret_key
    try:
        if found is not None:
            return found.secret_file(SECRET_KEY).read_text(encoding="ascii")
        missing = "HUB_SECRET_KEY is not set"
    except OSError as error:
        missing = f"{found.secret_file(SECRET_KEY)} cannot be read ({reason(error)})" if found else ""
    raise ServiceError(f"{missing}: set HUB_SECRET_KEY to the key of this hub")
