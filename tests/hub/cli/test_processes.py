import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub import cli, settings
from hub.settings import CHECKOUT


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Settings are read once per process; each test reads its own."""
    settings._load.cache_clear()


def test_without_a_command_it_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("up", "api", "worker", "beat", "bridge", "migrate"))


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--port", "eighty"], ["up", "--port", "70000"]])
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("knutpunkt: ")
    assert shown.count("\n") == 1


@pytest.mark.parametrize("command", ["api", "migrate"])
def test_a_process_says_which_setting_it_misses(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([command]) == 1
    assert capsys.readouterr().err.startswith("knutpunkt: DATABASE_URL is not set: ")


def test_up_names_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-P", "-m", "hub", "up", "--data", "here", "--port", str(port)]
        ended = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True
        )
    assert ended.returncode == 1
    assert ended.stderr == (
        f"knutpunkt: port {port} on 127.0.0.1 is in use by another program: choose another with --port\n"
    )
    assert (tmp_path / "here").is_dir()


def test_migrate_makes_the_schema(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "hub", "migrate"], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
