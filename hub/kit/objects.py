"""What is wrong with an object that came. Pure: each function returns a complaint that names the field, or None."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Schema, check, parse_datetime

Json = dict[str, Any]

_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:?\d\d")
_LATITUDE = re.compile(r"-?\d{1,2}\.\d{5,7}", re.ASCII)
_LONGITUDE = re.compile(r"-?\d{1,3}\.\d{5,7}", re.ASCII)
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)

SESSION_ONLY = frozenset({"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"})


def unfit(model: type[Schema], found: Json) -> str | None:
    """Required fields that are missing or of the wrong kind."""
    try:
        check(model, found)
    except InvalidParameters as error:
        return str(error)
    return None


def odd(model: type[Schema], found: Json) -> str | None:
    """Values that OCPI does not know, text that is too long; nothing when required fields are at fault already."""
    try:
        findings = check(model, found)
    except InvalidParameters:
        return None
    return "; ".join(f"{path}: {reason}" for path, reason in findings[:3]) or None


def not_utc(found: Json) -> str | None:
    """Times with an offset (TYP-006)."""
    return next((f"{path}: has an offset" for path, text in texts(found) if _OFFSET.fullmatch(text)), None)


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text inside a value, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{path}[{index}]")


# --- Locations ---


def stale_parent(location: Json) -> str | None:
    """A level that is newer than the one above it (LOC-013)."""
    for index, evse in parts(location, "evses"):
        if _newer(evse, location):
            return f"evses[{index}].last_updated: later than that of the Location"
        for number, connector in parts(evse, "connectors"):
            if _newer(connector, evse):
                return f"evses[{index}].connectors[{number}].last_updated: later than that of the EVSE"
    return None


def bad_coordinates(location: Json) -> str | None:
    """Coordinates not written with a dot and 5 to 7 decimals (LOC-069)."""
    places = [("coordinates", location.get("coordinates"))]
    places += [(f"evses[{i}].coordinates", evse.get("coordinates")) for i, evse in parts(location, "evses")]
    for path, place in places:
        if not isinstance(place, dict):
            continue
        for name, form in (("latitude", _LATITUDE), ("longitude", _LONGITUDE)):
            if not form.fullmatch(str(place.get(name, ""))):
                return f"{path}.{name}: not a number of 5 to 7 decimals, as text"
    return None


def bad_time_zone(location: Json) -> str | None:
    """A time_zone that is not a name of the IANA tz database (LOC-037)."""
    return None if location.get("time_zone") in available_timezones() else "time_zone: not a name like Europe/Oslo"


def bad_hours(location: Json) -> str | None:
    """Opening times that are both round the clock and not, or neither (LOC-072), or no clock times (LOC-075)."""
    hours = location.get("opening_times")
    if not isinstance(hours, dict):
        return None
    regular = list(parts(hours, "regular_hours"))
    if hours.get("twentyfourseven") is True and regular:
        return "opening_times.regular_hours: given although twentyfourseven is true"
    if hours.get("twentyfourseven") is False and not regular:
        return "opening_times.regular_hours: missing although twentyfourseven is false"
    for index, entry in regular:
        if not all(_CLOCK.fullmatch(str(entry.get(name))) for name in ("period_begin", "period_end")):
            return f"opening_times.regular_hours[{index}]: not two times like 08:00"
    return None


def needless_allowance(location: Json) -> str | None:
    """publish_allowed_to of a Location that is published anyway (LOC-041)."""
    needless = location.get("publish") is True and location.get("publish_allowed_to")
    return "publish_allowed_to: given although publish is true" if needless else None


# --- Tariffs, sessions, CDRs, tokens ---


def bad_reservation_price(tariff: Json) -> str | None:
    """A reservation element with components other than FLAT and TIME (TAR-035)."""
    for index, element in parts(tariff, "elements"):
        restrictions = element.get("restrictions")
        if not isinstance(restrictions, dict) or not restrictions.get("reservation"):
            continue
        if {str(c.get("type")) for _, c in parts(element, "price_components")} - {"FLAT", "TIME"}:
            return f"elements[{index}]: has reservation, and components other than FLAT and TIME"
    return None


def bad_restriction_times(tariff: Json) -> str | None:
    """Restrictions that are no dates like 2026-01-31, or no times like 08:00 (TAR-042)."""
    forms = {"start_time": _CLOCK, "end_time": _CLOCK, "start_date": _DAY, "end_date": _DAY}
    for index, element in parts(tariff, "elements"):
        restrictions = element.get("restrictions")
        if not isinstance(restrictions, dict):
            continue
        for name, form in forms.items():
            if restrictions.get(name) is not None and not form.fullmatch(str(restrictions[name])):
                return f"elements[{index}].restrictions.{name}: not written like 08:00 or 2026-01-31"
    return None


_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def bad_credit(cdr: Json) -> str | None:
    """A Credit CDR that names no CDR, or the reverse (CDR-039)."""
    if bool(cdr.get("credit")) == bool(cdr.get("credit_reference_id")):
        return None
    return "credit, credit_reference_id: one is given without the other"


def session_dimensions(cdr: Json) -> str | None:
    """Dimensions that only Sessions may have (CDR-047)."""
    for index, period in parts(cdr, "charging_periods"):
        if SESSION_ONLY & {str(dimension.get("type")) for _, dimension in parts(period, "dimensions")}:
            return f"charging_periods[{index}].dimensions: a type that only Sessions have"
    return None


def bad_parking(cdr: Json) -> str | None:
    """More parking than time (CDR-033)."""
    total, parked = cdr.get("total_time"), cdr.get("total_parking_time")
    if not isinstance(total, int | Decimal) or not isinstance(parked, int | Decimal):
        return None
    return "total_parking_time: more than total_time" if parked > total else None


def repeated(found: Iterable[Json], names: tuple[str, ...]) -> str | None:
    """The first of several objects that has these fields in common with an earlier one."""
    seen: set[tuple[str, ...]] = set()
    for entry in found:
        key = tuple(str(entry.get(name, "")).upper() for name in names)
        if key in seen:
            return f"{', '.join(names)}: the same as in another one"
        seen.add(key)
    return None


def parts(of: Json, name: str) -> Iterator[tuple[int, Json]]:
    """The objects in a list field, numbered; none when it is no list."""
    value = of.get(name)
    for index, entry in enumerate(value if isinstance(value, list) else ()):
        if isinstance(entry, dict):
            yield index, entry


def _newer(inner: Json, outer: Json) -> bool:
    try:
        return parse_datetime(inner["last_updated"]) > parse_datetime(outer["last_updated"])
    except (KeyError, TypeError, ValueError):
        return False
