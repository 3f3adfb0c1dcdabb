"""The database of a data directory, for commands that need no running hub."""

from pathlib import Path

import asyncpg
import pytest

from hub.services import ServiceError, database
from hub.services.data import DataDirectory
from hub.settings import Settings


async def answers(url: str) -> bool:
    connection = await asyncpg.connect(url, ssl=False)
    try:
        return bool(await connection.fetchval("SELECT true"))
    finally:
        await connection.close()


async def test_it_is_used_as_it_runs_and_started_where_it_does_not(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "var")
    with pytest.raises(ServiceError, match="there is no database in"):
        async with database.opened(settings, None):
            pass
    data = DataDirectory(tmp_path / "var")
    async with database.alone(data) as first:
        assert await answers(first.url)
        async with database.opened(settings, None) as second:
            assert second.url == first.url
        assert await answers(first.url)
        with pytest.raises(ServiceError, match="a hub is already running"):
            async with database.alone(DataDirectory(tmp_path / "var")):
                pass
    async with database.opened(settings, tmp_path / "var") as third:
        assert await answers(third.url)
    with pytest.raises(OSError, match="Connect call failed"):
        await answers(third.url)


def test_data_wins_over_the_url_and_the_url_over_the_default(tmp_path: Path) -> None:
    with_url = Settings(data=tmp_path, database_url="postgresql://u:p@127.0.0.1/hub")
    assert database.directory(with_url, None) is None
    chosen = database.directory(with_url, tmp_path / "other")
    assert chosen is not None
    assert chosen.path == tmp_path / "other"


def test_the_key_is_that_of_the_settings_or_the_one_that_was_kept(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.create()
    with pytest.raises(ServiceError, match=r"secret_key cannot be read .*: set HUB_SECRET_KEY"):
        database.secret_key(Settings(), data)
    with pytest.raises(ServiceError, match="HUB_SECRET_KEY is not set"):
        database.secret_key(Settings(), None)
    data.secret(database.SECRET_KEY, lambda: "kept")
    assert database.secret_key(Settings(), data) == "kept"
    assert database.secret_key(Settings().model_copy(update={"secret_key": "mine"}), data) == "mine"
