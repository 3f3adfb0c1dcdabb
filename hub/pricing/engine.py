"""A tariff and charging periods in, a cost out; no clock, no database, and never a guess.

Covered are tariffs whose elements hold plain ENERGY, TIME, PARKING_TIME and FLAT prices, without restrictions
and with step_size 0 or 1. For anything else the answer is Unpriced with the reason: a wrong price is worse
than none. Inside, amounts are fractions, because a second is not a whole number of decimal hours; they are
rounded once, on the way out, to the four decimals of an OCPI number. Rounding to cents is left to contracts
(TAR-020).

A step_size of 1 bills whole Wh and whole seconds, rounded up over the session, not per period (TAR-025, CDR-044).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, Self

Period = Mapping[str, Any]
"""An OCPI ChargingPeriod as read from JSON: numbers are int or Decimal."""

_UNITS = {"ENERGY": 1000, "TIME": 3600, "PARKING_TIME": 3600}
"""Steps per unit of volume: Wh in a kWh, seconds in an hour (TAR-023)."""

_PRICED = {*_UNITS, "FLAT"}

_NOT_PRICED = {
    "CURRENT",
    "ENERGY_EXPORT",
    "ENERGY_IMPORT",
    "MAX_CURRENT",
    "MAX_POWER",
    "MIN_CURRENT",
    "MIN_POWER",
    "POWER",
    "STATE_OF_CHARGE",
}
"""Dimensions that only restrictions look at."""

_NEARLY = Fraction(36, 100)
"""Seconds in 0.0001 h: volumes in hours have four decimals, so 300 s may arrive as 0.0833 h or 0.0834 h."""


@dataclass(frozen=True)
class Price:
    """An exact amount without and with VAT, in the currency of the tariff."""

    excl_vat: Fraction = Fraction()
    incl_vat: Fraction = Fraction()

    def __add__(self, other: Self) -> "Price":
        return Price(self.excl_vat + other.excl_vat, self.incl_vat + other.incl_vat)

    def to_ocpi(self) -> dict[str, Decimal]:
        """As an OCPI Price, rounded half up to four decimals."""
        return {"excl_vat": _four_decimals(self.excl_vat), "incl_vat": _four_decimals(self.incl_vat)}


@dataclass(frozen=True)
class Cost:
    """What a session costs. Only `total` is held to min_price and max_price (TAR-016)."""

    total: Price
    energy: Price
    time: Price
    parking: Price
    fixed: Price


@dataclass(frozen=True)
class Unpriced:
    """There is no price, and why; the reason is for an operator and repeats no value."""

    reason: str


def price(tariff: Mapping[str, Any], periods: Sequence[Period]) -> Cost | Unpriced:
    """The cost of a session under an OCPI Tariff, both as read from JSON."""
    try:
        return _cost(tariff, periods)
    except _DoubtError as doubt:
        return Unpriced(str(doubt))


def amounts_to_ocpi(cost: Cost) -> dict[str, dict[str, Decimal]]:
    """The cost fields of a CDR, each rounded on its own."""
    return {
        "total_cost": cost.total.to_ocpi(),
        "total_fixed_cost": cost.fixed.to_ocpi(),
        "total_energy_cost": cost.energy.to_ocpi(),
        "total_time_cost": cost.time.to_ocpi(),
        "total_parking_cost": cost.parking.to_ocpi(),
    }


class _DoubtError(Exception):
    """Something that cannot be priced with certainty."""


@dataclass(frozen=True)
class _Rate:
    """A price component: the price of one kWh, hour or session."""

    price: Fraction
    vat: Fraction
    step_size: int

    def of(self, volume: Fraction) -> Price:
        excl_vat = self.price * volume
        return Price(excl_vat, excl_vat * (1 + self.vat / 100))


def _cost(tariff: Mapping[str, Any], periods: Sequence[Period]) -> Cost:
    rates = _rates(tariff)
    volumes = _volumes(periods)
    parks = "PARKING_TIME" in rates and any(volumes["PARKING_TIME"])

    def billed(dimension: str, in_steps: bool = True) -> Price:
        rate = rates.get(dimension)
        if rate is None:
            return Price()
        return rate.of(_billable(volumes[dimension], dimension, rate.step_size if in_steps else 0))

    energy = billed("ENERGY")
    time = billed("TIME", in_steps=not parks)  # with parking billed, only that is rounded (CDR-043)
    parking = billed("PARKING_TIME")
    fixed = rates["FLAT"].of(Fraction(1)) if "FLAT" in rates else Price()
    return Cost(_within_bounds(energy + time + parking + fixed, tariff), energy, time, parking, fixed)


def _rates(tariff: Mapping[str, Any]) -> dict[str, _Rate]:
    """The component that applies to each dimension: that of the first element which has one (TAR-012)."""
    rates: dict[str, _Rate] = {}
    for element in _objects(tariff.get("elements"), "elements"):
        if _restricts(element.get("restrictions")):
            raise _DoubtError("the tariff has elements with restrictions")
        found: dict[str, _Rate] = {}
        for component in _objects(element.get("price_components"), "price_components"):
            dimension = str(component.get("type"))
            if dimension not in _PRICED:
                raise _DoubtError("the tariff has a price component of an unknown type")
            if dimension in found:
                raise _DoubtError(f"an element of the tariff has two prices for {dimension}")
            found[dimension] = _rate(component, dimension)
        rates = found | rates
    return rates


def _restricts(restrictions: object) -> bool:
    if isinstance(restrictions, Mapping):
        return any(value is not None and value != [] for value in restrictions.values())
    return restrictions is not None


def _rate(component: Mapping[str, Any], dimension: str) -> _Rate:
    step_size = _exact(component.get("step_size"), "step_size")
    if step_size not in (0, 1) and dimension != "FLAT":
        raise _DoubtError(f"the tariff bills {dimension} in steps larger than one")
    vat = component.get("vat")
    return _Rate(
        price=_exact(component.get("price"), "price"),
        vat=Fraction() if vat is None else _exact(vat, "vat"),
        step_size=int(step_size),
    )


def _volumes(periods: Sequence[Period]) -> dict[str, list[Fraction]]:
    """The volumes of each priced dimension, period by period."""
    if not periods:
        raise _DoubtError("the session has no charging periods")
    volumes: dict[str, list[Fraction]] = {dimension: [] for dimension in _UNITS}
    for period in periods:
        for dimension in _objects(period.get("dimensions"), "dimensions"):
            kind = str(dimension.get("type"))
            if kind == "RESERVATION_TIME":
                raise _DoubtError("the session has a reservation")
            if kind in _NOT_PRICED:
                continue
            if kind not in volumes:
                raise _DoubtError("a charging period measures something unknown")
            volume = _exact(dimension.get("volume"), "volume")
            if volume < 0:
                raise _DoubtError("a charging period has a negative volume")
            volumes[kind].append(volume)
    return volumes


def _billable(volumes: Iterable[Fraction], dimension: str, step_size: int) -> Fraction:
    """The sum, with step_size rounded up to whole steps; rounding never takes anything away."""
    volumes = list(volumes)
    total = sum(volumes, Fraction())
    if step_size == 0:
        return total
    unit = _UNITS[dimension]
    steps = sum((_snapped(volume * unit) if unit == 3600 else volume * unit for volume in volumes), Fraction())
    return max(total, Fraction(ceil(steps), unit))


def _snapped(seconds: Fraction) -> Fraction:
    """The whole second that is meant, where four decimals of an hour could not say it."""
    whole = Fraction(round(seconds))
    return whole if abs(whole - seconds) <= _NEARLY else seconds


def _within_bounds(total: Price, tariff: Mapping[str, Any]) -> Price:
    """Hold a total to min_price and max_price, without and with VAT on their own; max_price wins."""
    low = _bound(tariff.get("min_price"), "min_price", total)
    high = _bound(tariff.get("max_price"), "max_price", total)
    if low is not None:
        total = Price(max(total.excl_vat, low.excl_vat), max(total.incl_vat, low.incl_vat))
    if high is not None:
        total = Price(min(total.excl_vat, high.excl_vat), min(total.incl_vat, high.incl_vat))
    return total


def _bound(value: object, field: str, total: Price) -> Price | None:
    """A bound without incl_vat gets the session's own VAT."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _DoubtError(f"{field} is not a price")
    excl_vat = _exact(value.get("excl_vat"), field)
    if value.get("incl_vat") is not None:
        return Price(excl_vat, _exact(value["incl_vat"], field))
    return Price(excl_vat, excl_vat * total.incl_vat / total.excl_vat if total.excl_vat else excl_vat)


def _objects(value: object, field: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(child, Mapping) for child in value):
        raise _DoubtError(f"{field} is not a list of objects")
    return value


def _exact(value: object, field: str) -> Fraction:
    if type(value) is int or (type(value) is Decimal and value.is_finite()):
        return Fraction(value)
    raise _DoubtError(f"{field} is not a number")


def _four_decimals(amount: Fraction) -> Decimal:
    rounded = floor(abs(amount) * 10_000 + Fraction(1, 2))
    return Decimal(f"{-rounded if amount < 0 else rounded}E-4")
