import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from hub.services import ServiceError, binaries, privilege, process
from hub.services.data import DataDirectory
from hub.services.postgres import Postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    """A data directory that only its owner may enter."""
    tmp_path.chmod(0o700)
    directory = DataDirectory(tmp_path / "var")
    directory.create()
    return directory


@pytest.fixture
async def server(data: DataDirectory) -> AsyncIterator[Callable[[], Postgres]]:
    """Makes servers on one data directory; they are stopped after the test."""
    made: list[Postgres] = []

    def make() -> Postgres:
        made.append(Postgres(data))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


async def _write(url: str) -> None:
    connection = await asyncpg.connect(url, ssl=False)
    await connection.execute("CREATE TABLE kept (word text); INSERT INTO kept VALUES ('whole')")
    await connection.close()


async def _read(url: str) -> str:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        word: str = await connection.fetchval("SELECT word FROM kept")
        return word
    finally:
        await connection.close()


async def test_a_second_start_finds_everything_again(server: Callable[[], Postgres]) -> None:
    first = server()
    await first.start()
    await _write(first.url)
    await first.stop()
    assert first.process
    assert first.process.exit_status == 0
    second = server()
    await second.start()
    assert await _read(second.url) == "whole"


async def test_it_is_durable_and_reached_by_password_over_loopback_only(server: Callable[[], Postgres]) -> None:
    one = server()
    await one.start()
    connection = await asyncpg.connect(one.url, ssl=False)
    shown = {
        name: await connection.fetchval(f"SHOW {name}")
        for name in ("fsync", "listen_addresses", "unix_socket_directories", "password_encryption", "max_connections")
    }
    await connection.close()
    assert list(shown.values()) == ["on", "127.0.0.1", "", "scram-sha-256", "200"]
    address = one.url.rpartition("@")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://knutpunkt:guess@{address}", ssl=False)


async def test_after_kill_9_the_number_in_its_pid_file_may_be_somebody_elses(
    server: Callable[[], Postgres], data: DataDirectory
) -> None:
    first = server()
    running = await first.start()
    await _write(first.url)
    running.send(signal.SIGKILL)
    await running.wait()
    innocent = await asyncio.create_subprocess_exec("sleep", "60")
    pid_file = data.postgres / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(innocent.pid), *lines[1:]]) + "\n")
    second = server()
    await second.start()
    assert await _read(second.url) == "whole"
    assert innocent.returncode is None
    innocent.kill()
    await innocent.wait()


async def test_a_server_left_running_is_stopped_the_clean_way(
    server: Callable[[], Postgres], data: DataDirectory
) -> None:
    first = server()
    left = await first.start()
    await _write(first.url)
    second = server()
    await second.start()
    assert left.exit_status == 0
    assert await _read(second.url) == "whole"


async def test_it_comes_back_at_the_same_address(server: Callable[[], Postgres]) -> None:
    one = server()
    running = await one.start()
    before = one.url
    running.send(signal.SIGKILL)
    await running.wait()
    await one.start()
    assert one.url == before


async def test_an_interrupted_first_start_is_begun_again(server: Callable[[], Postgres], data: DataDirectory) -> None:
    ruin = data.path / "postgres.new"
    ruin.mkdir()
    (ruin / "PG_VERSION").write_text("15")
    await server().start()
    assert not ruin.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the package with the programs exists for Linux only")
async def test_without_one_on_the_machine_the_package_serves(
    server: Callable[[], Postgres], data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = await binaries.postgres()
    monkeypatch.setattr(binaries, "_installed", list)
    first = server()
    await first.start()
    await _write(first.url)
    await first.stop()
    monkeypatch.undo()
    assert len(await binaries.postgres()) == len(everything)
    second = server()
    await second.start()
    assert await _read(second.url) == "whole"


async def test_without_any_it_says_what_to_install(
    server: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "postgres", _nothing)
    with pytest.raises(
        ServiceError, match=r"no PostgreSQL 15 or newer .* apt install postgresql.* or set DATABASE_URL"
    ):
        await server().start()


async def test_files_of_a_version_that_is_gone_are_not_touched(
    server: Callable[[], Postgres], data: DataDirectory
) -> None:
    data.postgres.mkdir()
    (data.postgres / "PG_VERSION").write_text("99\n")
    with pytest.raises(ServiceError, match=r"was made by PostgreSQL 99, which is not on this machine \(found: "):
        await server().start()


async def test_a_lost_password_is_explained(server: Callable[[], Postgres], data: DataDirectory) -> None:
    first = server()
    await first.start()
    await first.stop()
    data.secret_file("postgres_password").unlink()
    with pytest.raises(ServiceError, match=r"does not open the database .* same backup"):
        await server().start()


async def test_a_server_that_cannot_start_says_why(server: Callable[[], Postgres], data: DataDirectory) -> None:
    first = server()
    await first.start()
    await first.stop()
    (data.postgres / "global" / "pg_control").unlink()
    with pytest.raises(ServiceError, match=r"PostgreSQL did not start, see .*postgres\.log: .*pg_control"):
        await server().start()


@as_root
async def test_as_root_where_namespaces_are_forbidden(
    server: Callable[[], Postgres], data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privilege, "NAMESPACE", ("false",))
    first = server()
    await first.start()
    await _write(first.url)
    assert data.postgres.stat().st_uid == privilege.NOBODY
    await first.stop()
    monkeypatch.undo()
    second = server()
    await second.start()
    assert await _read(second.url) == "whole"
    assert data.postgres.stat().st_uid == privilege.NOBODY


@as_root
async def test_as_root_where_nothing_is_allowed(
    server: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privilege, "NAMESPACE", ("false",))
    monkeypatch.setattr(privilege, "_setpriv", lambda _: ("false",))
    with pytest.raises(ServiceError, match="does not run as root"):
        await server().start()


async def test_another_program_may_be_faster_at_the_port(
    server: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    ports = iter([taken.sockets[0].getsockname()[1]])
    free_port = process.free_port
    monkeypatch.setattr(process, "free_port", lambda: next(ports, None) or free_port())
    await server().start()
    taken.close()
    await taken.wait_closed()


async def _nothing() -> list[binaries.Found]:
    return []
