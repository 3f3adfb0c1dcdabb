"""The quirks that answers show, one by one; None where they do not tell. Pure."""

from typing import Any

from hub.kit.heard import ListLook, Look, goes_on, same_origin, slowest, url_of
from hub.ocpi.quirks import BY_THE_LETTER

PATIENT = 5.0
"""Seconds; who answers more slowly is given more time than usual."""

SMALL = 10
"""The page that is asked for where one of 100 is too much."""


def links_of(one: ListLook) -> str | None:
    """How the Links of a list can be used."""
    first = one["one"]
    if not first.well or one.count < 2:
        return None
    if first.link is None:
        return None if first.total is not None else "none"
    url = url_of(first.link, one.endpoint)
    if url is None or any(name not in url.query for name in one.filters):
        return "none"  # the pages after would be of another list
    if same_origin(first.link, one.endpoint):
        return "follow" if goes_on(first, one["next"]) else "none"
    return "query" if goes_on(first, one["own"]) else "none"


def pages_of(one: ListLook) -> bool | None:
    """Whether a list has pages at all."""
    first, second = one["one"], one["two"]
    if not (first.well and second.well) or one.count < 2:
        return None
    return goes_on(first, second) or goes_on(first, one["next"])


def total_of(one: ListLook) -> bool | None:
    """Whether X-Total-Count can be believed: the same however little is asked for, and what there is."""
    asked = [one[name] for name in ("one", "couple", "past", "huge")]
    totals = [heard.total for heard in asked if heard.well]
    if None in totals or not totals:
        return None
    if len(set(totals)) > 1:
        return False
    huge = one["huge"]
    whole = huge.well and huge.link is None and (huge.limit is None or len(huge.objects) < huge.limit)
    return len(huge.objects) == huge.total if whole else None


def dates_of(one: ListLook) -> bool | None:
    """Whether date_from keeps anything out."""
    if not one["future"].well or not one["one"].objects:
        return None
    return not one["future"].objects


def limit_of(one: ListLook) -> int | None:
    """The page to ask for."""
    if one["page"].well:
        return 100
    return SMALL if one["small"].well else None


def slash_of(one: ListLook) -> bool | None:
    """Whether URLs must end in a slash."""
    pairs = [(one["plain"], one["slashed"]), (one["below"], one["below/"])]
    if any(slashed.well and not plain.well for plain, slashed in pairs):
        return True
    return False if one["plain"].well else None


_MEASURES = {
    "links": links_of,
    "paging": pages_of,
    "total": total_of,
    "dates": dates_of,
    "limit": limit_of,
    "slash": slash_of,
}


def measured(look: Look) -> dict[str, Any]:
    """The quirks that could be told, worst list first."""
    found: dict[str, Any] = {}
    for name, of_list in _MEASURES.items():
        values = [value for one in look.lists if (value := of_list(one)) is not None]
        letter = getattr(BY_THE_LETTER, name)
        if values:
            found[name] = next((value for value in values if value != letter), letter)
    seconds = slowest(look)
    if seconds is not None:
        found["timeout"] = min(int(seconds * 2) + 1, 60) if seconds > PATIENT else 10
    return found
