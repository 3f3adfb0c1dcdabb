"""What pg_dump and pg_restore are, and are not, asked to do."""

from pathlib import Path

import pytest

from hub.services import ServiceError, binaries, dump
from hub.store import migrate


async def test_the_programs_are_found_and_fit_the_server() -> None:
    for name in ("pg_dump", "pg_restore"):
        found = await binaries.client(name)
        assert found
        assert all(one.program.name == name and one.major >= 12 for one in found)
        assert (await dump._tool(name, found[-1].major)).name == name
    with pytest.raises(ServiceError, match="there is no pg_dump of PostgreSQL 99 or newer here"):
        await dump._tool("pg_dump", 99)


async def test_a_backup_that_fails_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    target = tmp_path / "hub.dump"
    with pytest.raises(ServiceError, match="does not answer"):
        await dump.write("postgresql://nobody:x@127.0.0.1:1/none", target, 1)
    with pytest.raises(ServiceError, match="pg_dump failed: "):
        await dump.write(database_url, tmp_path / "none" / "hub.dump", 1)
    assert list(tmp_path.glob("*")) == []  # noqa: ASYNC240  # a test's folder


async def test_what_a_backup_says_of_itself(database_url: str, tmp_path: Path) -> None:
    target = tmp_path / "hub.dump"
    await dump.write(database_url, target, 1)
    about = await dump.about(target)
    assert (about.revision, about.begun_at, about.version) == (migrate.newest(), None, None)
    assert migrate.knows("0001")
    assert not migrate.knows("9999")
