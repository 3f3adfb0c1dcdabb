from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Awaitable[Any]]


async def test_the_settings_of_the_hub_with_secrets_masked(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("config", "show")
    assert ended.status == 0
    assert served.url in ended.out
    assert served.hub.settings.api_token not in ended.out
    assert "HUB_BRIDGE_PORT" not in ended.out
    assert "HUB_BRIDGE_PORT" in (await knutpunkt("config", "show", "--all")).out
    rows = {row["variable"]: row for row in (await knutpunkt("config", "show", "--json")).value["settings"]}
    assert rows["HUB_API_TOKEN"]["value"] == "***"
    password = served.hub.settings.database_url.split(":")[2].partition("@")[0]
    assert password not in rows["DATABASE_URL"]["value"]


async def test_those_a_hub_started_here_would_have(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "8123")
    monkeypatch.setenv("HUB_PUBLC_URL", "https://hub.example")
    ended = await command("config", "show", "--local")
    assert ended.status == 0
    assert "HUB_PORT  8123   environment" in ended.out
    assert "HUB_PUBLC_URL is no setting: did you mean HUB_PUBLIC_URL?" in ended.out


async def test_no_hub_to_ask(command: Command, tmp_path: Path) -> None:
    ended = await command("config", "show", "--data", str(tmp_path))
    assert (ended.status, "no hub runs" in ended.err) == (1, True)
