"""What is found out about a machine on which no hub runs."""

import socket
from pathlib import Path

import pytest

from hub.admin.findings import Finding
from hub.services import binaries, checkup
from hub.settings import Settings


async def examined(data: Path, **settings: object) -> dict[str, Finding]:
    """The worst finding of each check."""
    found: dict[str, Finding] = {}
    for finding in await checkup.examine(Settings(port=0, bridge_port=0).model_copy(update=settings), data):
        if finding.check not in found or finding.verdict == "fail":
            found[finding.check] = finding
    return found


async def test_a_machine_on_which_up_would_start(tmp_path: Path) -> None:
    found = await examined(tmp_path / "new")
    assert {name: finding.verdict for name, finding in found.items() if finding.verdict == "fail"} == {}
    assert found["data directory"].detail == f"{tmp_path / 'new'} is made at the first start"
    assert "is used" in found["postgres"].detail


async def test_services_that_settings_name_must_answer(tmp_path: Path, database_url: str, redis_url: str) -> None:
    found = await examined(tmp_path, database_url=database_url, redis_url=redis_url)
    assert (found["PostgreSQL"].verdict, found["broker"].verdict) == ("ok", "ok")
    nowhere = await examined(tmp_path, database_url="postgresql://a@127.0.0.1:9/a", redis_url="redis://127.0.0.1:9/0")
    assert nowhere["PostgreSQL"].advice == "start it, or correct DATABASE_URL"
    assert nowhere["broker"].advice == "start it, or correct HUB_BROKER_URL or REDIS_URL"


async def test_programs_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none() -> list[binaries.Found]:
        return []

    monkeypatch.setattr(binaries, "postgres", none)
    monkeypatch.setattr(binaries, "redis", none)
    found = await examined(tmp_path)
    assert "apt install postgresql" in found["postgres"].advice
    assert "apt install redis-server" in found["redis"].advice


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = await examined(tmp_path, bridge_port=taken.getsockname()[1])
    assert (found["HUB_BRIDGE_PORT"].verdict, "--bridge-port" in found["HUB_BRIDGE_PORT"].advice) == ("fail", True)


async def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    assert (await examined(tmp_path))["secrets"].verdict == "ok"
    (secrets / "api_token").write_text("x")
    (secrets / "api_token").chmod(0o644)
    found = await examined(tmp_path)
    assert found["secrets"].advice == f"chmod 600 {secrets / 'api_token'}"


async def test_a_data_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await examined(tmp_path / "file" / "data")
    assert (found["data directory"].verdict, "--data" in found["data directory"].advice) == ("fail", True)
