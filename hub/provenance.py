"""Where each setting comes from, what may be shown of its value, and variables that look like settings and are none."""

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from dotenv import dotenv_values

from hub.settings import SECRETS, Settings, shown, variable

CARRIED = "HUB_SETTINGS_FROM"
"""Tells the processes of `up` where it found what it hands to them: {variable: source} as JSON."""

MADE = "up"
_MASK = "***"


@dataclass(frozen=True)
class Setting:
    """A setting in force. `source` is environment, file (a variable with _FILE), .env, default, or up (an option of
    that command, or made by it). Secrets are masked."""

    variable: str
    value: str
    source: str
    default: str
    description: str


@dataclass(frozen=True)
class Unknown:
    """A variable that starts like a setting but is none; `nearest` is the setting that may be meant."""

    variable: str
    nearest: str | None


def every(settings: Settings, environment: Mapping[str, str] | None = None) -> list[Setting]:
    """Every setting in force."""
    found = sources(settings, environment)
    return [
        Setting(
            name,
            masked(name, shown(getattr(settings, field))),
            found[name],
            shown(info.default),
            info.description or "",
        )
        for field, info in Settings.model_fields.items()
        for name in [variable(field, info)]
    ]


def sources(settings: Settings, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The source of each setting, by variable."""
    given = _upper(os.environ if environment is None else environment)
    carried = json.loads(given.get(CARRIED, "{}"))
    in_file = _upper(_dotenv())
    found = {}
    for field, info in Settings.model_fields.items():
        name = variable(field, info)
        found[name] = carried.get(name) or _source(name, given, in_file)
        if found[name] == "default" and getattr(settings, field) != info.default:
            found[name] = MADE
    return found


def carried(settings: Settings) -> dict[str, str]:
    """What `up` adds to the environment of its processes: `settings` are what it hands to them."""
    loaded = Settings.load()
    found = sources(settings)
    for field, info in Settings.model_fields.items():
        if getattr(settings, field) != getattr(loaded, field):
            found[variable(field, info)] = MADE
    return {CARRIED: json.dumps(found)}


def unknown(environment: Mapping[str, str] | None = None) -> list[Unknown]:
    """Variables that start with HUB_ and are no setting: most likely slips of the pen."""
    given = {*_upper(os.environ if environment is None else environment), *_upper(_dotenv())}
    known = {variable(field, info) for field, info in Settings.model_fields.items()}
    allowed = known | {f"HUB_{field.upper()}" for field in Settings.model_fields} | {CARRIED}
    allowed |= {f"{name}_FILE" for name in _secrets()}
    return [
        Unknown(name, next(iter(difflib.get_close_matches(name, known, 1)), None))
        for name in sorted(given)
        if name.startswith("HUB_") and name not in allowed
    ]


def masked(name: str, value: str) -> str:
    """A value as it may be shown: of a secret URL the user, host and path, of other secrets only that it is set."""
    if name not in _secrets() or not value:
        return re.sub(r"://[^/@]*@", f"://{_MASK}@", value)
    parts = urlsplit(value)
    if not parts.hostname:
        return _MASK
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _MASK
    user = f"{parts.username or ''}:{_MASK}@" if parts.password else f"{parts.username}@" if parts.username else ""
    path = f"/{_MASK}" if name == "HUB_ALERT_URL" else parts.path  # a webhook's path is its password
    return f"{parts.scheme}://{user}{parts.hostname}{port}{path}"


def _source(name: str, given: Mapping[str, str], in_file: Mapping[str, str]) -> str:
    for values, source in ((given, "environment"), (in_file, ".env")):
        if values.get(name) or values.get(f"HUB_{name}"):
            return source
        if name in _secrets() and values.get(f"{name}_FILE"):
            return "file"
    return "default"


def _secrets() -> set[str]:
    return {variable(field, Settings.model_fields[field]) for field in SECRETS}


def _dotenv() -> dict[str, str]:
    file = Settings.model_config.get("env_file")
    return (
        {name: value or "" for name, value in dotenv_values(file).items()}
        if isinstance(file, str | os.PathLike)
        else {}
    )


def _upper(values: Mapping[str, str]) -> dict[str, str]:
    return {name.upper(): value for name, value in values.items()}
