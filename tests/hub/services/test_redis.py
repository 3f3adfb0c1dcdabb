import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio

from hub.services import ServiceError, binaries
from hub.services.data import DataDirectory
from hub.services.redis import Redis


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Redis]:
    """A server on a data directory of its own, not started."""
    data = DataDirectory(tmp_path / "var with a space")
    data.create()
    one = Redis(data)
    yield one
    await one.stop()


async def test_it_never_evicts_and_keeps_nothing(server: Redis) -> None:
    await server.start()
    async with redis.asyncio.from_url(server.url, decode_responses=True) as client:
        shown = {name: (await client.config_get(name))[name] for name in ("maxmemory-policy", "save", "appendonly")}
    assert shown == {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}
    await server.stop()
    assert server.process
    assert server.process.exit_status == 0


async def test_it_wants_its_password_and_hides_it(server: Redis, tmp_path: Path) -> None:
    running = await server.start()
    async with redis.asyncio.from_url("redis://" + server.url.rpartition("@")[2]) as stranger:
        with pytest.raises(redis.AuthenticationError):
            await stranger.ping()
    configuration = tmp_path / "var with a space" / "redis" / "redis.conf"
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600
    assert server.url.split("@")[0].removeprefix("redis://:") in configuration.read_text()
    assert running.pid != os.getpid()


async def test_it_comes_back_at_the_same_address(server: Redis) -> None:
    running = await server.start()
    before = server.url
    running.send(signal.SIGKILL)
    await running.wait()
    await server.start()
    assert server.url == before
    async with redis.asyncio.from_url(server.url) as client:
        assert await client.ping()


async def test_without_one_on_the_machine_the_package_serves(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_on_path", lambda _: [])
    if not await binaries.redis():
        pytest.skip("the package with the program does not exist for this machine")
    await server.start()


async def test_without_any_it_says_what_to_install(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "redis", _nothing)
    with pytest.raises(ServiceError, match=r"no Redis 6 or newer .* apt install redis-server.* or set REDIS_URL"):
        await server.start()


async def _nothing() -> list[binaries.Found]:
    return []
