"""`knutpunkt backup` and `restore`, from one database into another."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet

from hub import settings
from hub.store import migrate
from hub.store.seal import Seal

Command = Callable[..., Awaitable[Any]]
KEY = Fernet.generate_key().decode()
HEARTBEAT = "INSERT INTO heartbeat (process, kind, started_at, figures) VALUES ('api@old:1', 'api', now(), '{}')"


@pytest.fixture
async def other_url(database_url: str) -> AsyncIterator[str]:
    """An empty database in the same server."""
    server, _, name = database_url.rpartition("/")
    connection = await asyncpg.connect(database_url, ssl=False)
    await connection.execute(f"CREATE DATABASE {name}_restored")
    yield f"{server}/{name}_restored"
    await connection.execute(f"DROP DATABASE {name}_restored WITH (FORCE)")
    await connection.close()


@pytest.fixture
def using(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Name the database of the next command."""
    monkeypatch.setenv("HUB_SECRET_KEY", KEY)

    def use(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        settings._load.cache_clear()

    return use


async def rows(url: str, sql: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return [tuple(row) for row in await connection.fetch(sql, *values)]
    finally:
        await connection.close()


async def filled(url: str) -> None:
    """A partner with a sealed token and a lane that a worker held."""
    await rows(
        url,
        "INSERT INTO platform (id, name, hosted, status, token_out, token_form, resync, strict, failures)"
        " VALUES (7, 'DE', false, 'CONNECTED', $1, 'base64', 'push', false, 3)",
        Seal(KEY).close("their-token"),
    )
    await rows(url, "INSERT INTO party VALUES (7, 'DE*MSA', 7, '{EMSP}', '{}')")
    await rows(url, "INSERT INTO lane VALUES (7, 'DE*MSA', 'worker@old:1')")
    await rows(url, "INSERT INTO lane_cursor VALUES (7, 0, 0)")
    await rows(url, HEARTBEAT)


async def test_what_was_backed_up_is_restored_and_ready(
    command: Command, using: Any, database_url: str, other_url: str, tmp_path: Path
) -> None:
    await filled(database_url)
    file = tmp_path / "hub.dump"
    using(database_url)
    written = await command("backup", str(file))
    assert (written.status, written.err) == (0, "")
    assert "HUB_SECRET_KEY is not in it" in written.out
    assert os.listdir(tmp_path) == ["hub.dump"]
    again = await command("backup", str(file))
    assert (again.status, "is there already" in again.err) == (1, True)
    using(other_url)
    restored = await command("restore", str(file))
    assert (restored.status, restored.err) == (0, "")
    assert "may be missing" in restored.out
    assert max(map(len, restored.out.splitlines())) <= 110
    assert await rows(other_url, "SELECT receiver, holder FROM lane") == [("DE*MSA", None)]
    assert await rows(other_url, "SELECT count(*) FROM heartbeat") == [(0,)]
    assert await rows(other_url, "SELECT failures FROM platform WHERE id = 7") == [(0,)]
    assert migrate.current(other_url) == migrate.newest()
    assert KEY.encode() not in file.read_bytes()


async def test_a_folder_is_written_and_read_by_several_jobs(
    command: Command, using: Any, database_url: str, other_url: str, tmp_path: Path
) -> None:
    await filled(database_url)
    folder = tmp_path / "hub"
    using(database_url)
    told = json.loads((await command("backup", str(folder), "--jobs", "2", "--json")).out)
    assert told["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    using(other_url)
    assert (await command("restore", str(folder), "--jobs", "2")).status == 0
    assert await rows(other_url, "SELECT name FROM platform WHERE NOT hosted") == [("DE",)]


async def test_a_database_with_something_in_it_is_given_up_only_when_told(
    command: Command, using: Any, database_url: str, other_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "hub.dump"
    using(database_url)
    await command("backup", str(file))
    migrate.upgrade(other_url)
    await filled(other_url)
    using(other_url)
    refused = await command("restore", str(file))
    assert (refused.status, "the database is not empty" in refused.err) == (1, True)
    assert (await command("restore", str(file), "--replace")).status == 0
    assert await rows(other_url, "SELECT count(*) FROM platform WHERE NOT hosted") == [(0,)]
    schemas = await rows(other_url, "SELECT nspname FROM pg_namespace WHERE nspname IN ('public', 'before_restore')")
    assert schemas == [("public",)]


async def test_a_restore_that_fails_leaves_what_was_there(
    command: Command, using: Any, database_url: str, other_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "hub.dump"
    using(database_url)
    await command("backup", str(file))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    migrate.upgrade(other_url)
    await filled(other_url)
    using(other_url)
    failed = await command("restore", str(file), "--replace")
    assert failed.status == 1
    assert failed.err.count("\n") == 1
    assert await rows(other_url, "SELECT name FROM platform WHERE NOT hosted") == [("DE",)]
    assert await rows(other_url, "SELECT holder FROM lane") == [("worker@old:1",)]


async def test_a_backup_of_a_newer_release_is_refused(
    command: Command, using: Any, database_url: str, other_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "hub.dump"
    using(database_url)
    await rows(database_url, "UPDATE alembic_version SET version_num = '9999'")
    await command("backup", str(file))
    using(other_url)
    refused = await command("restore", str(file))
    assert (refused.status, "whose schema this release does not know" in refused.err) == (1, True)
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"PGDMP nonsense")
    assert (await command("restore", str(nonsense))).status == 1
    assert (await command("restore", str(tmp_path / "none"))).err.startswith("knutpunkt: there is no ")


async def test_while_a_hub_runs_nothing_is_restored(command: Command, using: Any, database_url: str) -> None:
    """And what was restored by other means is made ready by --after."""
    await filled(database_url)
    using(database_url)
    connection = await asyncpg.connect(database_url, ssl=False, server_settings={"application_name": "knutpunkt"})
    busy = await command("restore", "--after")
    assert (busy.status, "a hub is running on this database" in busy.err) == (1, True)
    await connection.close()
    ready = json.loads((await command("restore", "--after", "--json")).out)
    assert ready["since"] < ready["now"]
    assert await rows(database_url, "SELECT holder FROM lane") == [(None,)]


async def test_another_key_is_noticed(
    command: Command, using: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(database_url)
    monkeypatch.setenv("HUB_SECRET_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("DATABASE_URL", database_url)
    other = await command("restore", "--after")
    assert (other.status, "HUB_SECRET_KEY is not the key of this database" in other.err) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["file", "--after"]])
async def test_either_a_backup_or_after(command: Command, arguments: list[str]) -> None:
    assert (await command("restore", *arguments)).status == 2
