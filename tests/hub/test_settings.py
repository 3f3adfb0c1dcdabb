from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from hub import settings
from hub.settings import CHECKOUT, Settings, SettingsError


def test_defaults_are_a_hub_on_this_machine() -> None:
    loaded = Settings.load()
    assert (loaded.country_code, loaded.party_id, loaded.public_url) == ("NL", "HUB", "http://127.0.0.1:8000")
    assert loaded.outbound_allow == ()
    assert loaded.data == CHECKOUT / "var"
    assert Settings.load() is loaded


def test_services_go_by_their_bare_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@c/d")
    monkeypatch.setenv("REDIS_URL", "redis://e/0")
    monkeypatch.setenv("HUB_URL", "https://hub.example/")
    loaded = Settings.load()
    assert (loaded.database_url, loaded.redis_url) == ("postgresql://a:b@c/d", "redis://e/0")
    assert loaded.api_url == "https://hub.example"


def test_networks_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_OUTBOUND_ALLOW", "127.0.0.0/8, ::1/128")
    assert Settings.load().outbound_allow == (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize("name", ["DATABASE_URL", "HUB_SECRET_KEY", "HUB_API_TOKEN"])
def test_a_secret_may_lie_in_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"DATABASE_URL": "postgresql://x/y", "HUB_SECRET_KEY": Fernet.generate_key().decode()}
    value = values.get(name, "a-token")
    (tmp_path / "secret").write_text(value + "\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    assert value in (Settings.load().database_url, Settings.load().secret_key, Settings.load().api_token)


def test_a_secret_in_two_places_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_API_TOKEN", "one")
    monkeypatch.setenv("HUB_API_TOKEN_FILE", str(tmp_path))
    with pytest.raises(SettingsError, match="HUB_API_TOKEN and HUB_API_TOKEN_FILE are both set"):
        Settings.load()


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="HUB_SECRET_KEY_FILE names a file that cannot be read: No such file"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_PORT", "eighty"),
        ("HUB_OUTBOUND_ALLOW", "10.0.0.1/8"),
        ("HUB_SECRET_KEY", "hunter2"),
        ("DATABASE_URL", "sqlite:///hub.db"),
        ("REDIS_URL", "localhost:6379"),
        ("HUB_PUBLIC_URL", "hub.example"),
        ("HUB_BRIDGE_URL", "http://hub.example"),
        ("HUB_COUNTRY_CODE", "NLD"),
        ("HUB_DEFAULT_AGREEMENT", "ajar"),
        ("HUB_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(f"{name}: ")
    assert value not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings(database_url="postgresql://u:hidden@h/d", api_token="hidden"))
    assert "hidden" not in shown


def test_require_names_what_is_missing() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        Settings(database_url="postgresql://h/d").require("database_url", "redis_url")


def test_the_broker_is_redis_unless_another_is_named() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL is not set"):
        Settings().require("broker")
    redis, rabbitmq = "redis://h/0", "amqp://u:p@h/v"
    for given, broker in (
        (Settings(redis_url=redis), redis),
        (Settings(broker_url=rabbitmq), rabbitmq),
        (Settings(redis_url=redis, broker_url=rabbitmq), rabbitmq),
    ):
        given.require("broker")
        assert given.broker == broker


def test_a_child_loads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = Settings(
        database_url="postgresql://h/d",
        port=1234,
        data=tmp_path,
        outbound_allow=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")),
    )
    environment = mine.environment({"DATABASE_URL_FILE": "/old", "HUB_PORT": "1", "PATH": "/bin"})
    assert "DATABASE_URL_FILE" not in environment
    assert environment["PATH"] == "/bin"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == mine


def test_env_file_gives_way_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HUB_PORT=1111\nHUB_NAME=From the file\n")
    monkeypatch.setitem(Settings.model_config, "env_file", tmp_path / ".env")
    monkeypatch.setenv("HUB_PORT", "2222")
    assert (Settings.load().port, Settings.load().name) == (2222, "From the file")


def test_env_example_is_up_to_date() -> None:
    committed = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    assert committed == settings.env_example(), "run: .venv/bin/python -m hub.settings > .env.example"


def test_every_setting_is_explained() -> None:
    assert all(field.description for field in Settings.model_fields.values())
