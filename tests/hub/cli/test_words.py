from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hub.cli import words

Command = Callable[..., Awaitable[Any]]


def test_messages_name_commands_as_they_are_typed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(words.VARIABLE, raising=False)
    assert words.here("start it: `knutpunkt up`") == "start it: `knutpunkt up`"
    monkeypatch.setenv(words.VARIABLE, "./run")
    assert words.here("start it: `knutpunkt up`, Knutpunkt") == "start it: `./run up`, Knutpunkt"


async def test_in_errors_answers_and_usage(
    knutpunkt: Command, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(words.VARIABLE, "./run")
    assert "`./run platform list`" in (await knutpunkt("platform", "show", "4711")).err
    assert "`./run charger add`" in (await knutpunkt("charger", "list")).out
    assert "Usage: ./run charger" in (await command("charger", "--help")).out
