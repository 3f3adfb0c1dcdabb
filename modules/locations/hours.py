"""Whether a Location is open at a moment. Source: mod_locations.asciidoc > Hours class.

Regular hours are in the local time of the Location, exceptional periods in UTC (LOC-074); a closing wins over both
others (LOC-073). Pure: a kept body and a moment in, a word out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import check, parse_datetime
from modules.locations.schemas import Hours

Body = Mapping[str, Any]
Word = Literal["open", "closed", "closed, charges", "unknown"]


def now(location: Body, moment: datetime) -> Word:
    """What to say of a Location. When it is closed, cars may go on charging unless it says otherwise (LOC-046);
    unknown is what gives no opening times, or none that can be read."""
    found = location.get("opening_times")
    try:
        if found is None or check(Hours, found):
            return "unknown"
        if is_open(found, moment, moment.astimezone(ZoneInfo(str(location.get("time_zone"))))):
            return "open"
    except (InvalidParameters, LookupError, OSError, ValueError):  # a zone that this machine does not know
        return "unknown"
    return "closed" if location.get("charging_when_closed") is False else "closed, charges"


def is_open(hours: Body, moment: datetime, local: datetime) -> bool:
    """Whether sound Hours have `moment`, which is `local` at the Location, in them."""
    if _within(hours.get("exceptional_closings") or (), moment):
        return False
    if hours["twentyfourseven"] or _within(hours.get("exceptional_openings") or (), moment):
        return True
    clock = local.strftime("%H:%M")
    return any(
        stretch["weekday"] == local.isoweekday() and stretch["period_begin"] <= clock < stretch["period_end"]
        for stretch in hours.get("regular_hours") or ()
    )


def _within(periods: Sequence[Body], moment: datetime) -> bool:
    return any(
        parse_datetime(period["period_begin"]) <= moment < parse_datetime(period["period_end"]) for period in periods
    )
