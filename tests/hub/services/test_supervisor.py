import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from hub.services import ServiceError, process, supervisor
from hub.services.postgres import Postgres
from hub.services.redis import Redis
from hub.services.supervisor import PROCESSES, Stack
from hub.settings import CHECKOUT, Settings

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
MakeStack = Callable[..., Stack]

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Where the stand-ins note what they do."""
    return tmp_path / "journal"


@pytest.fixture
async def stack(
    tmp_path: Path, journal: Path, postgres_server: Postgres, redis_server: Redis
) -> AsyncIterator[MakeStack]:
    """Makes stacks of stand-ins that use the services of the test run; they are stopped after the test."""
    made: list[Stack] = []

    def make(**settings: object) -> Stack:
        given = {"database_url": postgres_server.url, "redis_url": redis_server.url, "port": 0, "bridge_port": 0}
        given |= {"data": tmp_path / "var"} | settings
        made.append(Stack(Settings().model_copy(update=given), command=lambda name: _stand_in(name, journal)))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


def _stand_in(name: str, journal: Path) -> list[str]:
    return [sys.executable, str(STAND_IN), name, str(journal)]


def _lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines() if journal.exists() else []


async def test_the_schema_first_then_the_processes_then_readiness(
    stack: MakeStack, journal: Path, eventually: Eventually
) -> None:
    async with stack() as one, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{one.url}/readyz")).is_success
        assert set(one.pids) == set(PROCESSES)
        assert one.settings.public_url == one.url
        running = one.data.running()
        assert running
        assert (running.url, running.bridge_url, running.pid) == (one.url, one.bridge_url, os.getpid())
        await eventually(lambda: len(_lines(journal)) == 1 + len(PROCESSES))
        assert _lines(journal)[0] == "migrate started"
        assert {f"{name} started" for name in PROCESSES} == set(_lines(journal)[1:])
    assert one.pids == {}
    assert one.data.running() is None


async def test_a_process_that_falls_is_started_again(stack: MakeStack, eventually: Eventually) -> None:
    async with stack() as one:
        before = one.pids
        one.kill("worker")
        await eventually(lambda: one.pids.get("worker") not in (None, before["worker"]))
        assert {name: pid for name, pid in one.pids.items() if name != "worker"} == {
            name: pid for name, pid in before.items() if name != "worker"
        }


async def test_a_process_that_keeps_falling_is_tried_until_it_stays(
    stack: MakeStack, journal: Path, eventually: Eventually
) -> None:
    async with stack() as one:
        fault = journal.with_name("beat")
        fault.write_text("1")
        one.kill("beat", signal.SIGTERM)
        await eventually(lambda: _lines(journal).count("beat started") >= 3)
        fault.unlink()
        await eventually(lambda: "beat" in one.pids)


@pytest.mark.parametrize(("falls", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (6, 5.0), (1000, 5.0)])
def test_the_pause_doubles_up_to_a_limit(falls: int, seconds: float) -> None:
    assert supervisor.pause(falls) == pytest.approx(seconds)


async def test_with_services_of_its_own_everything_stops_in_order_and_is_found_again(
    stack: MakeStack, journal: Path, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    for service in (Redis, Postgres):
        monkeypatch.setattr(service, "stop", _noting(service.stop, stopped))
    first = stack(database_url="", redis_url="")
    async with first:
        assert first.first_start
        assert set(first.pids) == {"postgres", "redis", *PROCESSES}
        redis_before = first.pids["redis"]
        first.kill("redis")
        await eventually(lambda: first.pids.get("redis") not in (None, redis_before))
        postgres_before = first.pids["postgres"]
        first.kill("postgres")
        await eventually(lambda: first.pids.get("postgres") not in (None, postgres_before))
        await eventually(lambda: (first.data.postgres / "postmaster.pid").read_text().split()[-1] == "ready")
        stopped.clear()
    assert stopped == ["redis", "postgres"]
    ends = [line for line in _lines(journal) if "stopped" in line]
    assert sorted(ends) == sorted(f"{name} stopped with DATABASE_URL REDIS_URL" for name in PROCESSES)

    second = stack(database_url="", redis_url="")
    async with second:
        assert not second.first_start
        assert second.settings.secret_key == first.settings.secret_key
        assert second.settings.api_token == first.settings.api_token


async def test_with_another_broker_no_redis_is_started(stack: MakeStack) -> None:
    async with stack(redis_url="", broker_url="amqp://guest@127.0.0.1:9/") as one:
        assert set(one.pids) == set(PROCESSES)
        assert one.settings.redis_url == ""


async def test_what_the_processes_say_is_kept_in_the_data_directory(stack: MakeStack, journal: Path) -> None:
    journal.with_name("bridge").write_text("not a number")
    one = stack()
    with pytest.raises(ServiceError, match=f"bridge ended .* before the hub was ready: see {one.data.logs}/hub.log"):
        await one.start()
    assert "invalid literal for int() with base 10: 'not a number'" in (one.data.logs / "hub.log").read_text()


def _noting(stop: Callable[..., Awaitable[None]], stopped: list[str]) -> Callable[..., Awaitable[None]]:
    async def wrapper(service: Postgres | Redis) -> None:
        stopped.append(service.name)
        await stop(service)

    return wrapper


async def test_secrets_that_are_set_are_used(stack: MakeStack) -> None:
    key = Fernet.generate_key().decode()
    async with stack(secret_key=key, api_token="mine") as one:
        assert (one.settings.secret_key, one.settings.api_token) == (key, "mine")
        assert not one.first_start
        assert not one.data.secret_file("api_token").exists()


async def test_secrets_that_are_made_are_private(stack: MakeStack) -> None:
    async with stack() as one:
        modes = [stat.S_IMODE(one.data.secret_file(name).stat().st_mode) for name in ("api_token", "secret_key")]
        assert modes == [0o600, 0o600]


async def test_a_second_hub_on_the_same_data_is_refused(stack: MakeStack) -> None:
    async with stack() as one:
        with pytest.raises(ServiceError, match="a hub is already running on"):
            await stack().start()
        assert set(one.pids) == set(PROCESSES)
        assert one.data.running()


@pytest.mark.parametrize(("field", "option"), [("port", "--port"), ("bridge_port", "--bridge-port")])
async def test_a_port_that_is_taken_is_named(stack: MakeStack, field: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} on 127.0.0.1 is in use .* with {option}"):
            await stack(**{field: port}).start()


async def test_after_a_crash_the_port_is_waited_for(stack: MakeStack) -> None:
    one = stack(port=process.free_port())
    one.data.create()
    one.data.announce("http://127.0.0.1:1", "ws://127.0.0.1:2")
    with socket.create_server(("127.0.0.1", one.settings.port)) as left_behind:
        asyncio.get_running_loop().call_later(0.3, left_behind.close)
        await one.start()
    assert set(one.pids) == set(PROCESSES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("migrate", "the migrations of the database ended with status 1"),
        ("bridge", "bridge ended with status 1 .* before the hub was ready"),
    ],
)
async def test_a_start_that_fails_says_why_and_leaves_nothing(
    stack: MakeStack, journal: Path, name: str, words: str
) -> None:
    journal.with_name(name).write_text("1")
    one = stack()
    with pytest.raises(ServiceError, match=words):
        await one.start()
    assert one.pids == {}
    journal.with_name(name).unlink()
    async with stack() as again:
        assert set(again.pids) == set(PROCESSES)


async def test_run_ends_on_sigterm_with_everything_stopped(
    tmp_path: Path, journal: Path, postgres_server: Postgres, redis_server: Redis, eventually: Eventually
) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(CHECKOUT),
        "DATABASE_URL": postgres_server.url,
        "REDIS_URL": redis_server.url,
        "HUB_PORT": "0",
        "HUB_BRIDGE_PORT": "0",
        "HUB_DATA": str(tmp_path / "var"),
    }
    program = f"""
import asyncio
from hub.services.supervisor import Stack, run
from hub.settings import Settings
stack = Stack(Settings(), command=lambda name: [{sys.executable!r}, {str(STAND_IN)!r}, name, {str(journal)!r}])
asyncio.run(run(stack, lambda stack: print("up", flush=True)))
"""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert running.stdout
    assert await running.stdout.readline() == b"up\n"
    await eventually(lambda: len(_lines(journal)) == 1 + len(PROCESSES))
    running.terminate()
    await running.communicate()
    assert running.returncode == 0
    assert len([line for line in _lines(journal) if "stopped" in line]) == len(PROCESSES)
