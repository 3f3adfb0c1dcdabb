"""The commands as a whole: each has a help that reads well, and wrong usage is status 2."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import typer

from hub.cli import commands

Command = Callable[..., Awaitable[Any]]


def every(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, found in getattr(group, "commands", {}).items():
        yield (*path, name)
        yield from every(found, (*path, name))


ALL = sorted(every(typer.main.get_command(commands.app)))


def test_every_command_is_there() -> None:
    assert {" ".join(path) for path in ALL if len(path) == 1} == {
        "invite", "platform", "party", "agreement", "location", "tariff", "charger", "cdr", "trace", "status",
    }  # fmt: skip
    assert {" ".join(path) for path in ALL if len(path) == 2} == {
        "platform list", "platform show", "party add", "party list", "agreement add", "agreement list",
        "agreement remove", "location put", "location list", "tariff put", "tariff list", "tariff remove",
        "charger add", "charger list", "charger remove", "cdr list", "cdr export",
    }  # fmt: skip


@pytest.mark.parametrize("path", ALL, ids=" ".join)
async def test_help_says_what_a_command_does_and_what_every_option_is(command: Command, path: tuple[str, ...]) -> None:
    ended = await command(*path, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.split("Usage: ")[1].startswith(f"knutpunkt {' '.join(path)}")
    found: Any = typer.main.get_command(commands.app)
    for name in path:
        found = found.commands[name]
    assert found.help
    assert all(parameter.help for parameter in found.params if parameter.name != "help")


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
    ],
)
async def test_wrong_usage_is_one_line_and_status_2(command: Command, arguments: list[str]) -> None:
    ended = await command(*arguments)
    assert ended.status == 2
    assert ended.err.startswith("knutpunkt: ")
    assert ended.err.count("\n") == 1
