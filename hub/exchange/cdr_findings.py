"""What is wrong with a CDR: its times, its sums, and how it stands to others of its owner (CDR-041). Pure.

A hub carries CDRs, it does not correct them. What is noticed here goes to the sender, in the status_message of the
answer, and to the operator, in the ledger; the CDR itself goes on unaltered. A finding names a field and never
repeats what it held.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.ocpi.types import EPOCH, parse_datetime, same

Body = Mapping[str, Any]

AT_MOST = 10
"""Findings that are kept of one CDR."""

SESSION_ONLY = frozenset({"CURRENT", "ENERGY_EXPORT", "ENERGY_IMPORT", "POWER", "STATE_OF_CHARGE"})
"""Dimensions that a CDR has no place for (CDR-047)."""

KWH = Decimal("0.01")
HOURS = Decimal("0.0167")
MONEY = Decimal("0.01")
"""How far sums may be apart: rounding, and a minute."""

COSTS = ("total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost", "total_reservation_cost")
_NOT_REPEATED = frozenset({"id", "last_updated", "total_cost", "credit", "credit_reference_id", "remark"})
_AN_HOUR = Decimal(int(timedelta(hours=1).total_seconds()))


def of(cdr: Body) -> list[str]:
    """The findings on a CDR that fits its schema as far as the hub insists on it."""
    return [*_times(cdr), *_periods(cdr), *_volumes(cdr), *_costs(cdr)][:AT_MOST]


def of_credit(credit: Body, original: Body | None) -> list[str]:
    """The findings on a Credit CDR beside the CDR it takes back; None where that is not known (CDR-007..CDR-010)."""
    if original is None:
        return ["credit_reference_id: no CDR with this id is known here"]
    names = sorted((credit.keys() | original.keys()) - _NOT_REPEATED)
    found = [
        f"{name}: differs from the CDR that is credited" for name in names if credit.get(name) != original.get(name)
    ]
    for part in ("excl_vat", "incl_vat"):
        amounts = [_amount(each.get("total_cost"), part) for each in (credit, original)]
        one_is_missing = None in amounts and amounts != [None, None]
        if one_is_missing or sum((each or Decimal(0) for each in amounts), Decimal(0)):
            found.append(f"total_cost.{part}: is not the negative of that of the CDR that is credited")
    return found[:AT_MOST]


def _times(cdr: Body) -> Iterator[str]:
    start, end = _time(cdr["start_date_time"]), _time(cdr["end_date_time"])
    if start is None or end is None:
        return  # by agreement, the real one is not known (CDR-038)
    if end < start:
        yield "end_date_time: is before start_date_time"
    elif abs(Decimal(int((end - start).total_seconds())) / _AN_HOUR - Decimal(cdr["total_time"])) > HOURS:
        yield "total_time: is not the time from start to end, in hours"
    updated = _time(cdr["last_updated"])
    if updated is not None and updated < end:
        yield "last_updated: is before end_date_time"


def _periods(cdr: Body) -> Iterator[str]:
    """CDR-056, CDR-057: periods lie within the session, one after the other, each with its tariff."""
    start, end = _time(cdr["start_date_time"]), _time(cdr["end_date_time"])
    before = start
    tariffs = [each.get("id") for each in _tariffs(cdr)]
    for number, period in enumerate(cdr["charging_periods"]):
        at, place = _time(period["start_date_time"]), f"charging_periods[{number}]"
        if at is not None and before is not None and at < before:
            yield f"{place}.start_date_time: is before that of the period before, or of the CDR"
        if at is not None and end is not None and at > end:
            yield f"{place}.start_date_time: is after end_date_time"
        before = at or before
        named = period.get("tariff_id")
        if tariffs and named is None:
            yield f"{place}.tariff_id: missing, although the CDR lists tariffs"
        elif tariffs and not any(same(str(named), str(each)) for each in tariffs):
            yield f"{place}.tariff_id: is not one of the tariffs listed"
        if any(dimension["type"] in SESSION_ONLY for dimension in period["dimensions"]):
            yield f"{place}.dimensions: one of them belongs in Sessions only"


def _volumes(cdr: Body) -> Iterator[str]:
    """CDR-033, CDR-034, CDR-048: the periods add up to the totals, in kWh and hours."""
    energy, times = _sum(cdr, "ENERGY"), _sum(cdr, "TIME", "PARKING_TIME", "RESERVATION_TIME")
    if energy is not None and abs(energy - Decimal(cdr["total_energy"])) > KWH:
        yield "total_energy: is not the sum of the ENERGY of the periods, in kWh"
    total, parking = Decimal(cdr["total_time"]), _number(cdr.get("total_parking_time"))
    if parking is not None and parking > total + HOURS:
        yield "total_parking_time: is longer than total_time"
    parked = _sum(cdr, "PARKING_TIME")
    if parking is not None and parked is not None and abs(parking - parked) > HOURS:
        yield "total_parking_time: is not the sum of the PARKING_TIME of the periods, in hours"
    if times is not None and _time(cdr["start_date_time"]) is not None and times > total + HOURS:
        yield "total_time: is less than the periods add up to, in hours"


def _costs(cdr: Body) -> Iterator[str]:
    """CDR-035, CDR-036: one currency, and no part of the costs beyond the total."""
    tariffs = _tariffs(cdr)
    for number, tariff in enumerate(tariffs):
        if not same(str(tariff.get("currency")), str(cdr["currency"])):
            yield f"tariffs[{number}].currency: is not that of the CDR"
    if cdr.get("credit") is True or any(tariff.get("max_price") for tariff in tariffs):
        return
    total = Decimal(cdr["total_cost"]["excl_vat"])
    parts = [_amount(cdr.get(name), "excl_vat") or Decimal(0) for name in COSTS]
    if sum(parts, Decimal(0)) > total + MONEY:
        yield "total_cost: is less than its parts add up to"


def _tariffs(cdr: Body) -> list[Body]:
    listed = cdr.get("tariffs")
    return [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _sum(cdr: Body, *kinds: str) -> Decimal | None:
    """The volumes of these dimensions over all periods; None when there are none."""
    volumes = [
        Decimal(dimension["volume"])
        for period in cdr["charging_periods"]
        for dimension in period["dimensions"]
        if dimension["type"] in kinds
    ]
    return sum(volumes, Decimal(0)) if volumes else None


def _time(text: str) -> datetime | None:
    """A moment; None for the epoch, which says that it is not known."""
    moment = parse_datetime(text)
    return None if moment.date() == EPOCH else moment


def _amount(price: object, part: str) -> Decimal | None:
    return _number(price.get(part)) if isinstance(price, Mapping) else None


def _number(value: object) -> Decimal | None:
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
