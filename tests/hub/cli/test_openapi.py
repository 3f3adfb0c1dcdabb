"""The documents under openapi/ are those that this code makes, and they hold together."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub.cli import openapi
from hub.settings import CHECKOUT

Command = Callable[..., Awaitable[Any]]
DOCUMENTS = openapi.documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_committed_is_what_the_code_makes(name: str) -> None:
    committed = (CHECKOUT / "openapi" / name).read_text(encoding="utf-8")
    assert committed == DOCUMENTS[name], "run `./run openapi export`"


async def test_export_writes_them(command: Command, tmp_path: Path) -> None:
    ended = await command("openapi", "export", str(tmp_path / "new"))
    assert (ended.status, ended.err) == (0, "")
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == DOCUMENTS
    for name in DOCUMENTS:
        assert str(tmp_path / "new" / name) in ended.out


async def test_where_nothing_can_be_written(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = await command("openapi", "export", str(tmp_path / "file" / "below"))
    assert (ended.status, "cannot be written: Not a directory: choose another directory" in ended.err) == (1, True)
    assert json.loads(DOCUMENTS["ocpi.json"])["openapi"].startswith("3.")
