"""The commands as a whole: each has a help that reads well, and wrong usage is status 2."""

import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hub import cli

Command = Callable[..., Awaitable[Any]]


def found(path: tuple[str, ...]) -> Any:
    """The command or group behind its words."""
    command = APP
    for name in path:
        command = command.commands[name]
    return command


def every(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in getattr(group, "commands", {}).items():
        yield (*path, name)
        yield from every(inner, (*path, name))


APP: Any = typer.main.get_command(cli.app)
ALL = sorted(every(APP))
GROUPS = [path for path in ALL if hasattr(found(path), "commands")]
TESTS = [file for file in Path(__file__).parent.glob("test_*.py") if file.name != Path(__file__).name]


def test_every_command_has_a_test() -> None:
    """One that calls it: its words stand in a test beside this file."""
    written = "\n".join(file.read_text(encoding="utf-8") for file in TESTS)
    missing = [path for path in ALL if path not in GROUPS and not re.search(called(path), written)]
    assert missing == []


def called(path: tuple[str, ...]) -> str:
    """The words of a command as arguments in a test: ("cdr", "list", or [..., "api", ...]."""
    return r"[(\[,]\s*" + r",\s*".join(f'"{word}"' for word in path) + r"\s*[,)\]]"


def test_whatever_asks_or_changes_a_hub_takes_json() -> None:
    asking = [path for path in ALL if any(p.name == "data" for p in found(path).params)]
    without = {" ".join(path) for path in asking if not any(p.name == "json" for p in found(path).params)}
    assert without == {"up", "demo", "cdr export"}  # they run a hub; the export has a format of its own


@pytest.mark.parametrize("path", ALL, ids=" ".join)
async def test_help_says_what_a_command_does_and_what_every_option_is(command: Command, path: tuple[str, ...]) -> None:
    ended = await command(*path, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split("Usage: ")[1].startswith(f"knutpunkt {' '.join(path)}")
    assert found(path).help
    assert all(parameter.help for parameter in found(path).params if parameter.name != "help")
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ["invite"],
        ["invite", "--party", "NL*CPA"],
        ["platform", "show", "first"],
        ["party", "add", "NL*LOC", "--role", "CPO"],
        ["agreement", "add", "NL*CPA", "DE*MSA", "--direction", "up"],
        ["location", "put"],
        ["charger", "add", "CS-1"],
        ["cdr", "list", "--state", "lost"],
        ["cdr", "export", "--format", "xml"],
        ["trace"],
        ["register"],
        ["platform", "suspend", "first"],
        ["platform", "set", "1", "--resync", "never"],
        ["deliveries", "list", "--limit", "0"],
        ["config", "show", "--loud"],
        ["doctor", "patient"],
        ["openapi", "export", "a", "b"],
    ],
)
async def test_wrong_usage_is_one_line_and_status_2(command: Command, arguments: list[str]) -> None:
    ended = await command(*arguments)
    assert ended.status == 2
    assert ended.err.startswith("knutpunkt: ")
    assert ended.err.count("\n") == 1
