"""The query of a charging profile GET or DELETE, which carries a URL (mod_charging_profiles.asciidoc > Receiver
Interface).

Percent-encoded is the rule. The spec's own samples print the URL as it is; then all that follows belongs to it, but
for a `duration` behind it (CHP-009, CHP-041).
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from hub.ocpi.errors import InvalidParameters

_START = re.compile(r"(?:^|&)response_url=")
_AS_IT_IS = re.compile(r"https?://", re.IGNORECASE)
_DURATION = re.compile(r"(?:^|&)duration=([^&]*)")
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class ProfileQuery:
    """`response_url` decoded, `duration` in seconds (None when absent), `others` the other parameters as they came."""

    response_url: str
    duration: int | None
    others: str

    def with_url(self, url: str) -> str:
        """The query with another response_url, percent-encoded."""
        return f"{self.others}{'&' if self.others else ''}response_url={quote(url, safe='')}"


def read(query: str) -> ProfileQuery:
    """Read a raw query; InvalidParameters (2001) when response_url is missing or duration is no number."""
    found = _START.search(query)
    if found is None or found.end() == len(query):
        raise InvalidParameters("response_url: required in the query")
    before, rest = query[: found.start()], query[found.end() :]
    value, _, behind = rest.partition("&")
    if _AS_IT_IS.match(rest) and not _is_encoded(value):
        value, behind = _unencoded(rest, "duration=" in before)
    else:
        value = unquote(value)
    others = "&".join(part for part in (before.strip("&"), behind.strip("&")) if part)
    return ProfileQuery(value, _duration(others), others)


def _is_encoded(value: str) -> bool:
    """Whether a value was encoded, if sparingly: many clients leave the colon and the slashes as they are."""
    return "%25" in value or ("=" not in value and "%3d" in value.lower())


def _unencoded(rest: str, has_duration: bool) -> tuple[str, str]:
    """A URL as it is, to the end; a `duration` behind it is no part of it unless one stands before."""
    cut = None if has_duration else _DURATION.search(rest)
    return (rest, "") if cut is None else (rest[: cut.start()], rest[cut.start() :])


def _duration(others: str) -> int | None:
    found = _DURATION.search(others)
    if found is None:
        return None
    if not _SECONDS.fullmatch(found[1]):
        raise InvalidParameters("duration: a whole number of seconds")
    return int(found[1])
