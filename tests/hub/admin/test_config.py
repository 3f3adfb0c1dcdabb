import httpx
import pytest

from hub.exchange.context import Hub


async def test_every_setting_is_there_and_no_secret(
    api: httpx.AsyncClient, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_PUBLC_URL", "https://hub.example")
    answer = await api.get("/config")
    rows = {row["variable"]: row for row in answer.json()["settings"]}
    assert rows["HUB_PUBLIC_URL"]["value"] == "https://hub.example"
    assert rows["HUB_PORT"]["source"] == "default"
    assert hub.settings.api_token not in answer.text
    assert hub.settings.secret_key not in answer.text
    assert answer.json()["unknown"] == [{"variable": "HUB_PUBLC_URL", "nearest": "HUB_PUBLIC_URL"}]
