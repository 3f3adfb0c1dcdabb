"""How much room the database has left: within the operator's limit, or on the disk of a PostgreSQL of our own."""

import shutil

from sqlalchemy import make_url

from hub.settings import Settings
from hub.watch.judge import Room

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def room(settings: Settings, size: int) -> Room | None:
    """What is used of what there is; None when neither a limit is set nor the disk is one that we can see."""
    if settings.database_limit:
        return Room(size, settings.database_limit * 2**30, "database")
    if not _is_ours(settings):
        return None
    disk = shutil.disk_usage(settings.data)
    return Room(disk.total - disk.free, disk.total, "disk of the database")


def _is_ours(settings: Settings) -> bool:
    """Whether the database is the one that `up` keeps in HUB_DATA: its server says there which port it has."""
    url = make_url(settings.database_url)
    try:
        port = (settings.data / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3]
    except (OSError, IndexError):
        return False
    return url.host in LOOPBACK and port.strip() == str(url.port)
