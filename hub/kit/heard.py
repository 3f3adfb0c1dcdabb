"""What was heard from a partner: answers, and what is on them. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from yarl import URL

from hub.ocpi import headers, paging
from hub.ocpi.types import parse_datetime


@dataclass(frozen=True)
class Heard:
    """An answer. `status` None: there was none, and `trouble` says why. `told` are its headers."""

    url: str
    status: int | None = None
    trouble: str = ""
    code: int | None = None
    data: Any = None
    stamped: bool = False
    told: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    sent: Mapping[str, str] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether it is a success by OCPI's own word."""
        return self.status is not None and self.status < 300 and self.code is not None and 1000 <= self.code < 2000

    @property
    def objects(self) -> list[Any]:
        """What is on a page."""
        return self.data if self.well and isinstance(self.data, list) else []

    @property
    def total(self) -> int | None:
        """X-Total-Count."""
        return _number(self.told.get(headers.TOTAL_COUNT))

    @property
    def limit(self) -> int | None:
        """X-Limit."""
        return _number(self.told.get(headers.LIMIT))

    @property
    def link(self) -> str | None:
        """The URL of the next page."""
        return paging.next_link(self.told.get("Link"))

    @property
    def said(self) -> str:
        """The answer in words."""
        if self.status is None:
            return self.trouble
        envelope = "no OCPI envelope" if self.code is None else f"status_code {self.code}"
        return f"HTTP {self.status}, {envelope}"

    def repeats(self, name: str) -> bool:
        """Whether it repeats a header of the request."""
        return self.told.get(name) == self.sent.get(name)


@dataclass(frozen=True)
class ListLook:
    """A Sender list that was asked in several ways: the answers by what was asked (`probe.look_at`)."""

    module: str
    endpoint: str
    answers: Mapping[str, Heard]
    filters: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Heard:
        return self.answers.get(name, Heard("", trouble="was not asked"))

    @property
    def count(self) -> int:
        """How many different objects any answer has shown."""
        seen = {id_of(entry) for heard in self.answers.values() for entry in heard.objects}
        return len(seen)


@dataclass(frozen=True)
class Look:
    """All that was asked: the versions endpoint with the token in both forms, and the lists."""

    versions: Mapping[str, Heard]
    details: Heard
    token_form: str
    lists: tuple[ListLook, ...]

    @property
    def heard(self) -> list[Heard]:
        """Every answer."""
        found = [*self.versions.values(), self.details]
        return [*found, *(heard for look in self.lists for heard in look.answers.values())]


def url_of(link: str, endpoint: str) -> URL | None:
    """The URL that a Link means; None when it is none."""
    try:
        return URL(endpoint).join(URL(link))
    except ValueError:
        return None


def goes_on(first: Heard, second: Heard) -> bool:
    """Whether the second answer holds something else than the first."""
    return second.well and bool(second.objects) and ids_of(second) != ids_of(first)


def ids_of(heard: Heard) -> set[str]:
    return {id_of(entry) for entry in heard.objects}


def id_of(entry: Any) -> str:
    """What tells an object from others; the object itself where it has no id."""
    if not isinstance(entry, dict):
        return repr(entry)
    names = ("country_code", "party_id", "id", "uid", "type")
    return "/".join(str(entry.get(name, "")) for name in names) if {"id", "uid"} & entry.keys() else repr(entry)


def stamp(entries: Iterable[Any]) -> datetime | None:
    """The last_updated of the first object."""
    first = next(iter(entries), None)
    try:
        return parse_datetime(str(first["last_updated"])) if isinstance(first, dict) else None
    except (KeyError, ValueError):
        return None


def same_origin(link: str, endpoint: str) -> bool:
    """Whether a Link leads to the origin of the endpoint that sent it."""
    url = url_of(link, endpoint)
    return url is not None and url.is_absolute() and url.origin() == URL(endpoint).origin()


def slowest(look: Look) -> float | None:
    """Seconds of the slowest answer."""
    return max((heard.seconds for heard in look.heard if heard.status is not None), default=None)


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
