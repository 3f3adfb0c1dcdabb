"""What can be checked without a hub: whether `up` could start one here. Nothing is changed."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Iterator
from pathlib import Path
from shutil import disk_usage

from hub import provenance
from hub.admin import findings
from hub.admin.findings import Finding
from hub.delivery import broker
from hub.services import ServiceError, process
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres
from hub.services.redis import Redis
from hub.settings import CHECKOUT, Settings, reason
from hub.store import migrate

OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
PATIENCE = 5.0  # seconds


async def examine(settings: Settings, data: Path) -> list[Finding]:
    """Every check, for a hub in the data directory `data`."""
    found = [*_settings(settings), *_directory(data), *_secrets(data), *_ports(settings)]
    return [*found, *await _services(settings, DataDirectory(data))]


def _settings(settings: Settings) -> Iterator[Finding]:
    file = CHECKOUT / ".env"
    if file.exists() and not os.access(file, os.R_OK):
        yield Finding("settings", "fail", f"{file} cannot be read", "make it readable for the user who runs the hub")
    elif file.exists() and file.stat().st_mode & stat.S_IROTH:
        yield Finding("settings", "warn", f"{file} can be read by everybody on this machine", f"chmod 600 {file}")
    wrong = [
        *findings.slips(provenance.unknown()),
        *findings.allowances(settings),
        *findings.weak_secrets(settings),
    ]
    yield from wrong or [Finding("settings", "ok", "nothing in them looks wrong")]


def _directory(data: Path) -> Iterator[Finding]:
    nearest = next(path for path in (data, *data.parents) if path.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        advice = "start the hub as its owner, or choose another directory with --data"
        yield Finding("data directory", "fail", f"{nearest} cannot be written by this user", advice)
    else:
        there = "exists" if nearest == data else "is made at the first start"
        yield Finding("data directory", "ok", f"{data} {there}")
    usage = disk_usage(nearest)
    yield findings.room(usage.free, usage.total, f"at {nearest}")


def _secrets(data: Path) -> Iterator[Finding]:
    directory = DataDirectory(data).secret_file("any").parent
    if not directory.exists():
        return
    try:
        files = [directory, *sorted(directory.iterdir())]
    except OSError as error:
        yield Finding("secrets", "fail", f"{directory} cannot be read: {reason(error)}", "run this as the hub's user")
        return
    readable = [path for path in files if path.stat().st_mode & OPEN_TO_OTHERS]
    for path in readable:
        mode = "700" if path.is_dir() else "600"
        yield Finding("secrets", "fail", f"{path} is open to other users of this machine", f"chmod {mode} {path}")
    if not readable:
        yield Finding("secrets", "ok", f"{directory} is closed to other users")


def _ports(settings: Settings) -> Iterator[Finding]:
    wanted = (
        ("HUB_PORT", settings.host, settings.port, "--port"),
        ("HUB_BRIDGE_PORT", settings.bridge_host, settings.bridge_port, "--bridge-port"),
    )
    for name, host, port, option in wanted:
        if port and not process.is_free(host.strip("[]"), port):
            advice = f"stop what listens there (`ss -ltnp`), or choose another with {option}"
            yield Finding(name, "fail", f"port {port} on {host} is in use by another program", advice)
        else:
            yield Finding(name, "ok", f"port {port} on {host} is free")


async def _services(settings: Settings, data: DataDirectory) -> list[Finding]:
    """The two services: those that settings name must answer, those that `up` would start must be installed."""
    return list(
        await asyncio.gather(
            _answers("PostgreSQL", _revision(settings)) if settings.database_url else _is_there(Postgres(data)),
            _answers("broker", _knock(settings)) if settings.broker else _is_there(Redis(data)),
        )
    )


async def _is_there(service: Postgres | Redis) -> Finding:
    try:
        return Finding(service.name, "ok", f"{await service.program()} is used")
    except ServiceError as error:
        detail, _, advice = str(error).partition(": ")
        return Finding(service.name, "fail", detail, advice)


async def _answers(name: str, asked: Awaitable[str]) -> Finding:
    variable = {"PostgreSQL": "DATABASE_URL", "broker": "HUB_BROKER_URL or REDIS_URL"}[name]
    try:
        async with asyncio.timeout(PATIENCE):
            return Finding(name, "ok", await asked)
    except Exception as error:  # each kind of service has errors of its own
        detail = f"what {variable} names does not serve us ({type(error).__name__})"
        return Finding(name, "fail", detail, f"start it, or correct {variable}")


async def _revision(settings: Settings) -> str:
    found = await asyncio.to_thread(migrate.current, settings.database_url)
    return f"answers, its schema is at {found or 'nothing yet'}"


async def _knock(settings: Settings) -> str:
    await asyncio.to_thread(broker.knock, settings.broker, PATIENCE)
    return "answers"
