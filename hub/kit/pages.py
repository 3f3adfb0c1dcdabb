"""Pages of a list, and what is wrong with them. Pure: answers in, complaints out.

Source: transport_and_format.asciidoc > Pagination.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.kit.ask import Heard
from hub.kit.check import Skipped
from hub.kit.peer import origin
from hub.ocpi import headers
from hub.ocpi.types import masked, parse_datetime

_LINK = re.compile(r"\s*<(https?://[^<>\s]+)>\s*;\s*rel\s*=\s*(\"next\"|'next'|next)\s*", re.IGNORECASE)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """One page: the answer, and what could be read of it. Counts are None where the header is missing or no number."""

    heard: Heard
    objects: list[dict[str, Any]]

    @property
    def total(self) -> int | None:
        """X-Total-Count."""
        return _number(self.heard, headers.TOTAL_COUNT)

    @property
    def limit(self) -> int | None:
        """X-Limit."""
        return _number(self.heard, headers.LIMIT)

    @property
    def keys(self) -> list[Key]:
        """The objects by owner, id and kind."""
        return [key(found) for found in self.objects]


def read(heard: Heard) -> Page:
    """The page in an answer. Skipped when there is none: another check tells that."""
    data = heard.data
    if heard.http_status >= 300 or not heard.ok or not isinstance(data, list):
        raise Skipped(f"the list could not be read: {heard.asked} was answered {heard.came}")
    return Page(heard, [found for found in data if isinstance(found, dict)])


def key(found: dict[str, Any]) -> Key:
    """What tells an object from others of its list, whatever the module: owner, id, kind or role."""
    names = ("country_code", "party_id", "id", "uid", "type" if "uid" in found else "role")
    return tuple(str(found.get(name, "")).upper() for name in names)


def name(found: dict[str, Any]) -> str:
    """An object as a report names it; the uid of a token is personal."""
    shown = {**found, "uid": masked(str(found["uid"]))} if "uid" in found else found
    names = ("country_code", "party_id", "id", "uid", "type" if "uid" in found else "role")
    return " ".join(str(shown[part]) for part in names if part in shown) or "an object without an id"


def moment(found: dict[str, Any]) -> datetime | None:
    """last_updated, None when it cannot be read."""
    try:
        return parse_datetime(found["last_updated"])
    except (KeyError, TypeError, ValueError):
        return None


def link(page: Page) -> str | None:
    """The URL of the next page, however it is written."""
    return page.heard.next_url


def malformed_link(page: Page) -> str | None:
    """What is wrong with a Link header; None when it is right, or not there (TF-042)."""
    value = page.heard.headers.get("Link")
    if value is None or any(_LINK.fullmatch(part) for part in re.split(r",(?=\s*<)", value)):
        return None
    return f"Link: {value}"


def foreign_link(page: Page) -> str | None:
    """A next page at another host than the list itself, which is never followed (TF-043)."""
    url = link(page)
    return url if url is not None and origin(url) != origin(page.heard.url) else None


def lost_filters(page: Page, filters: Sequence[str]) -> list[str]:
    """Those parameters of the request that the next link does not repeat (TF-033)."""
    asked, following = parse_qs(urlsplit(page.heard.url).query), parse_qs(urlsplit(link(page) or "").query)
    return [name for name in filters if name in asked and name not in following]


def outside(page: Page, since: datetime | None, until: datetime | None) -> dict[str, Any] | None:
    """An object that does not belong in the window [since, until), if there is one (TF-024, TF-025)."""
    for found in page.objects:
        at = moment(found)
        if at is not None and ((since is not None and at < since) or (until is not None and at >= until)):
            return found
    return None


def _number(heard: Heard, name: str) -> int | None:
    value = heard.headers.get(name, "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
