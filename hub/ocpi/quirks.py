"""How a partner departs from the letter of OCPI, as data: only what changes what the hub does.

The defaults are a partner by the letter. What differs is kept per platform, found by `knutpunkt probe` or set by hand
with `knutpunkt platform set ID --quirk NAME=VALUE`. Differences that the hub takes as they come, such as HTTP 200 for
201 or an error without an envelope, are no quirks. How tokens are encoded is `token_form`, found in each handshake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hub.ocpi.errors import InvalidParameters

_WORDS = {"yes": True, "true": True, "no": False, "false": False}


def _choice(*values: str, help: str) -> Any:
    return field(default=values[0], metadata={"choices": values, "help": help})


def _switch(help: str) -> Any:
    return field(default=True, metadata={"help": help})


def _number(default: int, least: int, most: int, help: str) -> Any:
    return field(default=default, metadata={"least": least, "most": most, "help": help})


@dataclass(frozen=True)
class Quirks:
    """One partner; the defaults are the letter of the spec."""

    links: str = _choice(
        "follow", "query", "none",
        help="Link of a list: followed on the same origin (follow), only its query is used, at the published URL "
        "(query), or not looked at: pages are counted by offset (none)",
    )  # fmt: skip
    paging: bool = _switch("whether the list has pages; no: one request fetches all of it")
    total: bool = _switch("whether X-Total-Count is believed")
    dates: bool = _switch("whether date_from is heeded; no: every pull is a full one")
    limit: int = _number(100, 1, 1000, "objects a page that the hub asks for")
    timeout: int = _number(
        10, 1, 60, "seconds for an answer; more than 10 only for pulls, since callers and lanes do not wait longer"
    )
    slash: bool = field(default=False, metadata={"help": "whether URLs must end in a slash"})
    patch: str = _choice(
        "yes", "no_lists", "no",
        help="PATCH: sent (yes), sent unless a list changed, because the partner appends to it (no_lists), or never: "
        "the whole is PUT (no)",
    )  # fmt: skip
    gets: bool = _switch("whether its GET shows what it acknowledged; no: `reconcile` does not ask it")
    hosts: str = field(
        default="", metadata={"help": "further origins of its response_url, like https://push.example, by commas"}
    )

    @property
    def departures(self) -> dict[str, Any]:
        """What differs from the letter, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


BY_THE_LETTER = Quirks()


def read(stored: Mapping[str, Any]) -> Quirks:
    """The quirks that are kept for a platform; what this release does not know is left out."""
    return Quirks(**{name: value for name, value in stored.items() if _fits(name, value)})


def changed(stored: Mapping[str, Any], order: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be kept after an order, which may be text ("no") or values; InvalidParameters names what is wrong."""
    values = {name: _value(name, given) for name, given in order.items()}
    return Quirks(**{**read(stored).departures, **values}).departures


def explained() -> dict[str, str]:
    """What each quirk means, for the help of commands."""
    return {f.name: f.metadata["help"] for f in fields(Quirks)}


def _value(name: str, given: object) -> Any:
    value = _read_text(name, given) if isinstance(given, str) else given
    if not _fits(name, value):
        raise InvalidParameters(f"quirks: {_demand(name)}")
    return value


def _read_text(name: str, given: str) -> object:
    known = {f.name: f.default for f in fields(Quirks)}
    if isinstance(known.get(name), bool):
        return _WORDS.get(given.lower())
    if isinstance(known.get(name), int):
        return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
    return given


def _fits(name: str, value: object) -> bool:
    wanted = next((f for f in fields(Quirks) if f.name == name), None)
    if wanted is None or type(value) is not type(wanted.default):
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return bool(wanted.metadata["least"] <= value <= wanted.metadata["most"])
    return value in wanted.metadata.get("choices", (value,))


def _demand(name: str) -> str:
    wanted = next((f for f in fields(Quirks) if f.name == name), None)
    if wanted is None:
        return "there is none of this name; there are " + ", ".join(f.name for f in fields(Quirks))
    if "choices" in wanted.metadata:
        return f"{name} is one of " + ", ".join(wanted.metadata["choices"])
    if "least" in wanted.metadata:
        return f"{name} is a number from {wanted.metadata['least']} to {wanted.metadata['most']}"
    return f"{name} is yes or no"
