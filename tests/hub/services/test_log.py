import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.services import log as logs
from hub.services import process
from hub.services.log import Log
from hub.services.process import Process


@pytest.fixture
def terminal() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def log(tmp_path: Path, terminal: io.BytesIO) -> Iterator[Log]:
    made = Log(tmp_path / "hub.log", terminal)
    made.open()
    yield made
    made.close()


async def test_file_and_terminal_have_every_line_of_all_processes(log: Log, terminal: io.BytesIO) -> None:
    says = "import sys; sys.stdout.write('{0}\\n'); sys.stderr.write('{0}\\n')"
    children = [
        await Process.start(str(n), [sys.executable, "-c", says.format(n)], os.environ, log=log.entrance)
        for n in range(3)
    ]
    for child in children:
        assert await child.wait() == 0
    print("ours", file=log.entrance)
    log.close()
    assert sorted(log.path.read_text().split()) == ["0", "0", "1", "1", "2", "2", "ours"]
    assert terminal.getvalue() == log.path.read_bytes()


def test_a_second_start_goes_on_in_the_same_file(log: Log) -> None:
    print("first", file=log.entrance)
    log.close()
    log.open()
    print("second", file=log.entrance)
    log.close()
    assert log.path.read_text() == "first\nsecond\n"


def test_a_large_file_is_put_aside_while_the_hub_runs(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_LIMIT", 1000)
    monkeypatch.setattr(logs, "CHECK_EVERY", 10)
    for number in range(300):
        print(f"line {number} of the log", file=log.entrance)
    log.close()
    aside = log.path.with_suffix(".log.1")
    assert log.path.read_text().endswith("line 299 of the log\n")
    assert 0 < log.path.stat().st_size < 2000
    assert 0 < aside.stat().st_size < 2000


def test_a_closed_terminal_does_not_end_the_log(log: Log, terminal: io.BytesIO) -> None:
    terminal.close()
    print("still kept", file=log.entrance)
    log.close()
    assert log.path.read_text() == "still kept\n"


def test_a_file_that_cannot_be_written_does_not_end_the_hub(tmp_path: Path, terminal: io.BytesIO) -> None:
    log = Log(tmp_path / "missing" / "hub.log", terminal)
    log.open()
    print("still shown", file=log.entrance)
    log.close()
    assert terminal.getvalue() == b"still shown\n"
