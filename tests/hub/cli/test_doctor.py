import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Awaitable[Any]]


async def test_a_hub_without_a_worker_fails_and_says_what_to_do(knutpunkt: Command) -> None:
    ended = await knutpunkt("doctor")
    assert ended.status == 1
    assert "FAIL  processes: no worker shows a sign of life: nothing is delivered" in ended.out
    assert "      start `knutpunkt worker`" in ended.out
    assert "ok    database: PostgreSQL" in ended.out
    assert "checks failed" in ended.err
    found = (await knutpunkt("doctor", "--json")).value
    assert {"check", "verdict", "detail", "advice"} == set(found[0])


async def test_where_no_hub_runs_this_machine_is_looked_at(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    secrets.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HUB_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("HUB_BRIDGE_PORT", "0")
        ended = await command("doctor", "--data", str(tmp_path))
    assert ended.status == 1
    assert f"FAIL  hub: no hub runs on {tmp_path}\n      start it with `knutpunkt up`" in ended.out
    assert "is in use by another program" in ended.out
    assert f"chmod 700 {secrets}" in ended.out
    assert "ok    data directory" in ended.out
