"""Paging of list GETs: what a client may ask for and the headers it gets back.

Source: transport_and_format.asciidoc > Pagination. The Link carries the offset the spec wants, and an opaque cursor
beside it: the id of the last object and the total, so that page 1,000 costs what page 1 costs, and who was asked, so
that it can be followed without OCPI-to headers (TF-044, TF-115). The cursor wins.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId, parse_datetime

_LINK = re.compile(r"<([^>]*)>([^,<]*)")
_NEXT = re.compile(r"""rel\s*=\s*["']?next\b""", re.IGNORECASE)

MAX_LIMIT = 100
MAX_OFFSET = 10_000_000


@dataclass(frozen=True)
class PageQuery:
    """A page as asked for. `after` is the cursor's last id, `total` what the first page counted."""

    date_from: datetime | None = None
    date_to: datetime | None = None
    offset: int = 0
    limit: int = MAX_LIMIT
    after: int | None = None
    total: int | None = None


def parse(query: Mapping[str, str]) -> PageQuery:
    """Read the query of a list GET; InvalidParameters names what is malformed (TF-030)."""
    after, total, _ = _cursor(query["cursor"]) if "cursor" in query else (None, None, None)
    return PageQuery(
        _date(query, "date_from"),
        _date(query, "date_to"),
        _number(query, "offset", 0, 0, MAX_OFFSET),
        min(_number(query, "limit", MAX_LIMIT, 1, 2**31), MAX_LIMIT),
        after,
        total,
    )


def addressee(query: Mapping[str, str]) -> PartyId | None:
    """Whom the list was first asked of, if this is the URL of a further page."""
    return _cursor(query["cursor"])[2] if "cursor" in query else None


def answer_headers(
    url: str, query: Mapping[str, str], page: PageQuery, count: int, total: int, last_id: int | None, *, more: bool,
    answering: PartyId | None = None,
) -> dict[str, str]:  # fmt: skip
    """X-Total-Count, X-Limit and, if more follows this page, Link (TF-031..TF-035, TF-042).

    The total is that of the first page; a list that has grown since is as long as was seen of it.
    """
    reached = page.offset + count
    total = max(total, reached + more) if count else total
    result = {headers.TOTAL_COUNT: str(total), headers.LIMIT: str(MAX_LIMIT)}
    if more and last_id is not None:
        cursor = base64.urlsafe_b64encode(f"{last_id}.{total}.{answering or ''}".encode()).decode().rstrip("=")
        repeated = {k: v for k, v in query.items() if k not in ("offset", "limit", "cursor")}
        following = urlencode({**repeated, "offset": reached, "limit": page.limit, "cursor": cursor})
        result["Link"] = f'<{url}?{following}>; rel="next"'
    return result


def next_link(value: str | None) -> str | None:
    """The URL of rel="next" in a Link header, None when there is none."""
    for url, parameters in _LINK.findall(value or ""):
        if _NEXT.search(parameters):
            return str(url).strip()
    return None


def _date(query: Mapping[str, str], name: str) -> datetime | None:
    if not query.get(name):
        return None
    try:
        return parse_datetime(query[name])
    except ValueError:
        raise InvalidParameters(f"{name}: not an OCPI DateTime") from None


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise InvalidParameters(f"{name}: a whole number from {least} to {most}")
    return int(text)


def _cursor(text: str) -> tuple[int, int, PartyId | None]:
    try:
        after, total, answering = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(".")
        if not (after.isdigit() and total.isdigit() and len(after) < 19 and len(total) < 19):
            raise ValueError
        return int(after), int(total), PartyId.parse(answering) if answering else None
    except (ValueError, binascii.Error, InvalidParameters):
        raise InvalidParameters("cursor: not one that this hub gave out") from None
