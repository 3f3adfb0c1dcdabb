import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hub.services import process
from hub.services.process import Process
from hub.settings import CHECKOUT

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)
PARENT = """
import asyncio, os, sys
from hub.services.process import Process
async def main():
    child = await Process.start("sleeper", ["sleep", "60"], os.environ)
    print(child.pid, flush=True)
    await child.wait()
asyncio.run(main())
"""
FAMILY = """
import subprocess, sys
print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
"""


async def test_it_ends_when_asked(tmp_path: Path) -> None:
    child = await Process.start("sleeper", ["sleep", "60"], os.environ)
    await child.stop((signal.SIGTERM, 10.0))
    assert child.exit_status == -signal.SIGTERM
    await child.stop((signal.SIGTERM, 10.0))


async def test_it_is_killed_when_it_does_not_listen(tmp_path: Path, eventually: Eventually) -> None:
    log = tmp_path / "log"
    child = await Process.start("deaf", [sys.executable, "-c", STUBBORN], os.environ, log=log)
    await eventually(lambda: process.tail(log) == "deaf")
    await child.stop((signal.SIGTERM, 0.1))
    assert child.exit_status == -signal.SIGKILL


async def test_a_command_that_is_not_there_says_so(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = await Process.start("nothing", ["no-such-program"], os.environ, log=log)
    assert await child.wait() == 1
    assert process.tail(log) == "cannot run no-such-program: No such file or directory"


async def test_what_it_started_itself_goes_with_it(tmp_path: Path, eventually: Eventually) -> None:
    log = tmp_path / "log"
    child = await Process.start("family", [sys.executable, "-c", FAMILY], os.environ, log=log)
    assert await child.wait() == 0
    await eventually(lambda: not _is_alive(int(process.tail(log))))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_it_does_not_outlive_a_killed_parent(eventually: Eventually) -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert _is_alive(pid)
    parent.kill()
    await parent.communicate()
    await eventually(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    """A process that has ended, but that nobody has waited for, has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "status 0 (it ended by itself)"),
        (1, "status 1 (it failed: its last log lines say why)"),
        (3, "status 3"),
        (-9, "SIGKILL (something killed it: the kernel for want of memory, or kill -9)"),
        (-15, "SIGTERM (something asked it to stop)"),
        (-13, "SIGPIPE"),
        (-200, "signal 200"),
    ],
)
def test_meaning_of_an_exit_status(status: int, words: str) -> None:
    assert process.meaning(status) == words


def test_a_free_port_is_free_and_a_taken_one_is_not() -> None:
    assert process.is_free("127.0.0.1", process.free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not process.is_free("127.0.0.1", taken.getsockname()[1])


async def test_a_command_line_is_found_by_process_id(tmp_path: Path, eventually: Eventually) -> None:
    log = tmp_path / "log"
    child = await Process.start("deaf", [sys.executable, "-c", STUBBORN], os.environ, log=log)
    await eventually(lambda: process.tail(log))
    assert await process.command_of(child.pid) == [sys.executable, "-c", STUBBORN]
    await child.stop()
    assert await process.command_of(child.pid) == []


def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "a.log"
    log.write_text("1\n2\n3\n")
    process.put_aside(log)
    assert process.tail(log, lines=2) == "2\n3"
    monkeypatch.setattr(process, "LOG_LIMIT", 3)
    process.put_aside(log)
    assert (process.size(log), (tmp_path / "a.log.1").read_text()) == (0, "1\n2\n3\n")
    process.put_aside(log)
