"""Everything that can be set, in one class.

A setting is an environment variable: `HUB_` and the field's name, except that the two services go by the
names every platform uses, DATABASE_URL and REDIS_URL. A line in the file `.env` beside `pyproject.toml`
counts as well; the environment wins. A secret may instead lie in a file, named by the same variable with
`_FILE` behind it, which is how container platforms hand secrets over. `.env.example` is written from this
class: `python -m hub.settings > .env.example`.
"""

import base64
import binascii
import functools
import ipaddress
import re
import sys
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

CHECKOUT = Path(__file__).resolve().parent.parent
SECRETS = ("database_url", "redis_url", "broker_url", "secret_key", "api_token", "alert_url")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class OperatorError(Exception):
    """Something only the operator can put right. The message says what happened, to whom, and what to do."""


class SettingsError(OperatorError):
    """A setting is missing or makes no sense. The message names it and repeats nothing of its value."""


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the secrets whose `*_FILE` variable is set."""

    def __init__(self, settings: type[BaseSettings], environment: Mapping[str, str | None]) -> None:
        super().__init__(settings)
        self._environment = environment

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        """The content of the file named for this field, None where none is named."""
        name = variable(field_name, field)
        path = self._environment.get(f"{name}_FILE".lower())
        if field_name not in SECRETS or not path:
            return None, field_name, False
        if self._environment.get(name.lower()):
            raise SettingsError(f"{name} and {name}_FILE are both set: keep one of them")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}_FILE names a file that cannot be read: {reason(error)}") from None

    def __call__(self) -> dict[str, Any]:
        """Every secret found in a file, by field."""
        found = ((name, self.get_field_value(field, name)[0]) for name, field in self.settings_cls.model_fields.items())
        return {name: value for name, value in found if value}


class Settings(BaseSettings):
    """The settings of every process; `Settings.load()` is the one in force."""

    model_config = SettingsConfigDict(
        env_prefix="HUB_",
        env_file=CHECKOUT / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    database_url: str = Field(
        default="",
        validation_alias="DATABASE_URL",
        repr=False,
        description="PostgreSQL 15 or newer, as the owner of the database: "
        "postgresql://USER:PASSWORD@HOST:PORT/NAME. Left out, `up` starts a PostgreSQL of its own.",
    )
    redis_url: str = Field(
        default="",
        validation_alias="REDIS_URL",
        repr=False,
        description="Redis, redis://:PASSWORD@HOST:PORT/0, with maxmemory-policy noeviction. "
        "Left out, and no HUB_BROKER_URL either, `up` starts a Redis of its own.",
    )
    broker_url: str = Field(
        default="",
        repr=False,
        description="The broker between the API and the workers: redis://, or amqp://USER:PASSWORD@HOST:PORT/VHOST for "
        "a RabbitMQ. Left out, it is REDIS_URL; set, no Redis is needed.",
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description="Seals the partners' tokens in the database: 32 random bytes in URL-safe Base64 (a "
        "Fernet key). Keep it as carefully as the database: without it every partner must register again. "
        "`up` makes one.",
    )
    data: Path = Field(
        default=CHECKOUT / "var",
        description="Where `up` keeps its PostgreSQL, logs and secrets. Left out: `var` in the checkout.",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="The address partners reach the hub at; it stands in every URL the hub gives them.",
    )
    bridge_url: str = Field(
        default="ws://127.0.0.1:9000",
        description="The address chargers reach the bridge at, without `/ocpp`.",
    )
    country_code: str = Field(
        default="NL",
        description="The hub's own country_code in OCPI, ISO 3166-1 alpha-2.",
        pattern=r"^[A-Za-z]{2}$",
    )
    party_id: str = Field(
        default="HUB",
        description="The hub's own party_id in OCPI, three characters.",
        pattern=r"^[A-Za-z0-9]{3}$",
    )
    name: str = Field(default="Knutpunkt", description="The hub's name in its business_details.", min_length=1)
    outbound_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Networks the hub may call although they are private or loopback, and over plain http: "
        "127.0.0.0/8,10.0.0.0/8. Left out, such partner URLs are refused.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Networks of the proxies in front of the hub, such as 10.0.0.0/8. Only from them an "
        "X-Forwarded-For is believed; left out, the client is who opens the connection.",
    )
    default_agreement: Literal["open", "closed"] = Field(
        default="open",
        description="Whether two parties without an agreement may reach each other: open or closed.",
    )
    without_agreement: Literal["unlisted", "planned"] = Field(
        default="unlisted",
        description="How partners are shown a party that they have no agreement with: not at all (unlisted), or as one "
        "that is planned (planned).",
    )
    alive_after: int = Field(
        default=300,
        ge=10,
        description="Seconds without a message from a partner after which the hub asks for its versions; a partner "
        "that does not answer is OFFLINE.",
    )
    host: str = Field(default="127.0.0.1", description="The address the API listens on; 0.0.0.0 for all.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port the API listens on.")
    bridge_host: str = Field(default="127.0.0.1", description="The address the bridge listens on; 0.0.0.0 for all.")
    bridge_port: int = Field(default=9000, ge=0, le=65535, description="The port the bridge listens on.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe message that is logged: DEBUG, INFO, WARNING or ERROR."
    )
    log_format: Literal["json", "console"] = Field(
        default="console", description="One JSON object a line (json), or lines for people (console)."
    )
    message_bodies: Literal["none", "errors", "all"] = Field(
        default="none",
        description="Which bodies the message log keeps beside the hops: none, those of exchanges that failed "
        "(errors), or all. They hold drivers' data.",
    )
    message_retention: int = Field(
        default=14, ge=1, le=365, description="Days that the message log is kept; then each day goes as a whole."
    )
    pull_every: int = Field(
        default=6,
        ge=1,
        le=168,
        description="Hours between two pulls of what has changed, from partners that push nothing.",
    )
    pull_spread: int = Field(
        default=60, ge=0, le=720, description="Minutes that are added at random to HUB_PULL_EVERY and HUB_PULL_NIGHT."
    )
    pull_night: int = Field(
        default=1, ge=0, le=23, description="The hour (UTC) from which such partners' lists are pulled whole again."
    )
    pull_after: int = Field(
        default=10,
        ge=0,
        le=1440,
        description="Minutes that a partner has to push something of its own before its lists are pulled.",
    )
    reconcile: Literal["off"] | Annotated[int, Field(ge=0, le=23)] = Field(
        default=3,
        description="The hour (UTC) from which partners are asked each night whether they hold what they acknowledged "
        "the day before (`knutpunkt reconcile`); off: only by hand.",
    )
    reconcile_sample: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="Objects of each module that a partner is asked for then; of CDRs it is asked for all.",
    )
    alert_url: str = Field(
        default="",
        repr=False,
        description="A webhook that is told of every alert, raised and cleared, by a POST of JSON. Left out, alerts "
        "are in `knutpunkt alerts`, the metrics and the logs alone.",
    )
    token_renewal: int = Field(
        default=0,
        ge=0,
        le=365,
        description="Days after which the hub renews the tokens with a partner by itself; OCPI wants it at least once "
        "a month. It also does so when its own endpoints have changed. 0: only `knutpunkt platform rotate` does.",
    )
    silent_after: int = Field(
        default=24,
        ge=1,
        description="Hours without a call from a partner that has data to push (a CPO) after which an alert is raised.",
    )
    database_limit: int = Field(
        default=0,
        ge=0,
        description="The size in GiB that the database may grow to; an alert is raised at 85 % of it. 0: the disk of "
        "HUB_DATA is watched instead, if the PostgreSQL there is the hub's own.",
    )
    otlp_url: str = Field(
        default="",
        description="An OpenTelemetry collector that takes traces over HTTP, such as http://127.0.0.1:4318. Left out, "
        "no traces are made. Needs the extra `telemetry`.",
    )
    api_url: str = Field(
        default="",
        validation_alias="HUB_URL",
        description="For the commands: the hub to talk to. Left out, the one running on this machine.",
    )
    api_token: str = Field(
        default="",
        repr=False,
        description="The bearer token of the operator API /api/v1. `up` makes one and prints it once.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then `.env`; a file a variable names comes right after it."""
        sources = [init_settings]
        for source in (env_settings, dotenv_settings):
            sources.append(source)
            if isinstance(source, EnvSettingsSource):
                sources.append(SecretFiles(settings_cls, source.env_vars))
        return tuple(sources)

    @classmethod
    def load(cls) -> "Settings":
        """The settings of this process, read once. Raises SettingsError."""
        return _load()

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str) -> str:
        return _must(value, re.match(r"postgres(ql)?(\+\w+)?://", value), "must start with postgresql://")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str) -> str:
        return _must(value, re.match(r"(rediss?|unix)://", value), "must start with redis:// or rediss://")

    @field_validator("broker_url")
    @classmethod
    def _is_broker(cls, value: str) -> str:
        return _must(value, re.match(r"(rediss?|amqps?)://", value), "must start with redis://, rediss:// or amqp://")

    @field_validator("public_url", "api_url", "alert_url", "otlp_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        return _must(value, re.match(r"https?://[^/]", value), "must start with http:// or https://").rstrip("/")

    @field_validator("bridge_url")
    @classmethod
    def _is_websocket(cls, value: str) -> str:
        return _must(value, re.match(r"wss?://[^/]", value), "must start with ws:// or wss://").rstrip("/")

    @field_validator("secret_key")
    @classmethod
    def _is_fernet_key(cls, value: str) -> str:
        try:
            size = len(base64.urlsafe_b64decode(value))
        except (binascii.Error, ValueError):
            size = 0
        return _must(value, size == 32, "must be 32 bytes in URL-safe Base64 (a Fernet key)")

    @field_validator("country_code", "party_id", "log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("outbound_allow", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        try:
            return tuple(ipaddress.ip_network(part) for part in parts)
        except ValueError:
            raise ValueError("must be networks separated by commas, such as 10.0.0.0/8,::1/128") from None

    @property
    def broker(self) -> str:
        """The URL of the broker in force."""
        return self.broker_url or self.redis_url

    def require(self, *fields: str) -> None:
        """Raise SettingsError naming the first of `fields` that is not set. "broker" is met by either of its URLs."""
        for field in fields:
            if not getattr(self, field):
                source = "redis_url" if field == "broker" else field
                name = variable(source, type(self).model_fields[source])
                raise SettingsError(f"{name} is not set: set it, or start the hub with `knutpunkt up`, which does")

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` with these settings in it: what a child process needs to load the same."""
        names = {variable(name, field): name for name, field in type(self).model_fields.items()}
        kept = {key: value for key, value in base.items() if key.removesuffix("_FILE") not in names}
        return kept | {key: text for key, name in names.items() if (text := shown(getattr(self, name)))}


@functools.cache
def version() -> str:
    """The release that runs."""
    project: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def variable(name: str, field: FieldInfo) -> str:
    """The environment variable of a field."""
    return field.validation_alias if isinstance(field.validation_alias, str) else f"HUB_{name.upper()}"


def reason(error: Exception) -> str:
    """The operating system's words for an error, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def env_example() -> str:
    """The text of `.env.example`: every setting, its meaning and its default, all commented out."""
    lines = ["# The settings of Knutpunkt. Copy to .env, or set them in the environment; the environment wins."]
    for name, field in Settings.model_fields.items():
        key, default = variable(name, field), field.default
        lines += [
            "",
            *textwrap.wrap(field.description or "", 110, initial_indent="# ", subsequent_indent="# "),
        ]
        lines += [f"#{key}={shown(default) if default != CHECKOUT / 'var' else ''}"]
        lines += [f"#{key}_FILE="] if name in SECRETS else []
    return "\n".join(lines) + "\n"


@functools.cache
def _load() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = str(first["loc"][0])
        name = variable(field, Settings.model_fields[field]) if field in Settings.model_fields else field
        raise SettingsError(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None


def shown(value: object) -> str:
    """A value as it is written in the environment."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _must(value: str, holds: object, demand: str) -> str:
    if value and not holds:
        raise ValueError(demand)
    return value


if __name__ == "__main__":
    sys.stdout.write(env_example())
