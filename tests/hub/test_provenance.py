"""Where settings come from, and that no secret is shown."""

import json
from pathlib import Path

import pytest

from hub import provenance
from hub.provenance import CARRIED, Unknown
from hub.settings import Settings


def rows(settings: Settings, **environment: str) -> dict[str, tuple[str, str]]:
    return {row.variable: (row.value, row.source) for row in provenance.every(settings, environment)}


def test_each_source_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    (tmp_path / "redis").write_text("redis://:p@r/0")
    file.write_text(f"HUB_NAME=Junction\nHUB_PORT=8001\nREDIS_URL_FILE={tmp_path / 'redis'}\n")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    settings = Settings(name="Junction", port=8002, api_token="x", log_level="DEBUG")
    found = rows(settings, hub_port="8002", HUB_API_TOKEN_FILE="/run/secrets/token")
    assert found["HUB_NAME"] == ("Junction", ".env")
    assert found["HUB_PORT"] == ("8002", "environment")
    assert found["HUB_API_TOKEN"] == ("***", "file")
    assert found["REDIS_URL"] == ("redis://:***@r/0", "file")
    assert found["HUB_HOST"][1] == "default"
    assert found["HUB_LOG_LEVEL"] == ("DEBUG", "up")


def test_the_processes_of_up_know_what_it_knew() -> None:
    loaded = Settings.load()
    carried = provenance.carried(loaded.model_copy(update={"port": 8009, "api_token": "made"}))
    assert json.loads(carried[CARRIED])["HUB_HOST"] == "default"
    child = loaded.model_copy(update={"port": 8009, "api_token": "made"})
    found = rows(child, HUB_PORT="8009", HUB_API_TOKEN="made", HUB_HOST=loaded.host, **carried)
    assert (found["HUB_PORT"], found["HUB_API_TOKEN"]) == (("8009", "up"), ("***", "up"))
    assert found["HUB_HOST"][1] == "default"


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("DATABASE_URL", "postgresql://hub:secret@db:5432/hub?password=secret", "postgresql://hub:***@db:5432/hub"),
        ("DATABASE_URL", "postgresql://hub@db/hub", "postgresql://hub@db/hub"),
        ("REDIS_URL", "unix:///run/redis?password=secret", "***"),
        ("REDIS_URL", "redis://:secret@r:port/0", "***"),
        ("HUB_ALERT_URL", "https://hooks.example/T0/secret", "https://hooks.example/***"),
        ("HUB_SECRET_KEY", "secret", "***"),
        ("HUB_SECRET_KEY", "", ""),
        ("HUB_OTLP_URL", "http://user:secret@collector:4318", "http://***@collector:4318"),
        ("HUB_NAME", "Junction", "Junction"),
    ],
)
def test_secrets_are_masked(variable: str, value: str, shown: str) -> None:
    assert provenance.masked(variable, value) == shown


def test_what_looks_like_a_setting_and_is_none() -> None:
    environment = {"HUB_PUBLC_URL": "x", "HUB_NAME_FILE": "x", "HUB_API_TOKEN_FILE": "x", "PATH": "x", "hub_port": "1"}
    assert provenance.unknown(environment) == [
        Unknown("HUB_NAME_FILE", "HUB_NAME"),
        Unknown("HUB_PUBLC_URL", "HUB_PUBLIC_URL"),
    ]
