"""From what a meter said to what was charged, in Decimals.

The energy of a session is the register at its end minus the register at its start; what lies between only tells how
it is spread over time. Three things go wrong in the field and are settled here (mapping 5.7; F57, F58, F60):

- a 0 sent as first register because the meter had not answered yet, which would bill the meter's whole life: it is
  dropped when the step to the next register is more than the connector could have delivered;
- a register that goes back: by a few Wh it is noise, by more the meter was reset, and only what rose is counted;
- a total that the connector could not have delivered: it is kept, with the doubt, and nobody bills it unseen.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

NOISE_WH = Decimal(10)
SLACK_WH = Decimal(1000)
REGISTER = "Energy.Active.Import.Register"
_WH_PER = {"Wh": Decimal(1), "kWh": Decimal(1000), "MWh": Decimal(1_000_000)}
_WRAPS = (Decimal(2**31), Decimal(2**32))
_ZERO = Decimal(0)
_TICK = timedelta(microseconds=1)


def sane(number: Decimal) -> Decimal | None:
    """The number, unless it is none or of a size that no meter shows."""
    if not number.is_finite() or abs(number) >= 10**15:
        return None
    return number if number == 0 or number.adjusted() >= -12 else Decimal(0)


def register_wh(values: Sequence[Mapping[str, Any]]) -> Decimal | None:
    """The energy import register, in Wh, among the sampledValues of one moment.

    A total counts before phases that must be added up, the outlet before the grid side. A value that is signed, of
    another unit or not a number is passed over, the others are used (F17, F61, F62).
    """
    totals: dict[str, Decimal] = {}
    phases: dict[str, dict[str, Decimal]] = {}
    for value in values:
        wh = _wh(value)
        if wh is None:
            continue
        place = str(value.get("location") or "Outlet")
        if phase := value.get("phase"):
            phases.setdefault(place, {})[str(phase).removesuffix("-N")] = wh
        else:
            totals[place] = wh
    sums = {place: sum(each.values(), _ZERO) for place, each in phases.items() if each.keys() >= {"L1", "L2", "L3"}}
    for found in (totals, sums):
        if found:
            return found.get("Outlet", next(iter(found.values())))
    return None


def _wh(value: Mapping[str, Any]) -> Decimal | None:
    if value.get("measurand", REGISTER) != REGISTER or value.get("format", "Raw") != "Raw":
        return None
    factor = _WH_PER.get(str(value.get("unit") or "Wh"))
    if factor is None or value.get("context") == "Other":
        return None
    try:
        number = sane(Decimal(str(value.get("value"))))
    except InvalidOperation:
        return None
    return None if number is None else number * factor


@dataclass(frozen=True)
class Point:
    """A register, or an amount since the start, in Wh at a moment."""

    at: datetime
    wh: Decimal


@dataclass(frozen=True)
class Energy:
    """What was charged: amounts since the start, never falling. `doubt` says why it must not be billed unseen."""

    points: tuple[Point, ...]
    doubt: str | None = None

    @property
    def total_wh(self) -> Decimal:
        """The whole amount."""
        return self.points[-1].wh

    def wh_at(self, at: datetime) -> Decimal:
        """The amount at a moment, in a straight line between two points."""
        index = bisect_right(self.points, at, key=lambda point: point.at)
        if index == 0:
            return _ZERO
        before = self.points[index - 1]
        if index == len(self.points) or before.at == at:
            return before.wh
        after = self.points[index]
        share = Decimal((at - before.at) // _TICK) / Decimal((after.at - before.at) // _TICK)
        return before.wh + (after.wh - before.wh) * share


def deliverable_wh(limit_w: Decimal, span: timedelta) -> Decimal:
    """What a connector of that power can deliver in that time at the very most."""
    return limit_w * Decimal(int(span.total_seconds())) / 3600 * Decimal("1.1") + SLACK_WH


def energy(registers: Sequence[Point], limit_w: Decimal) -> Energy:
    """What was charged, from the registers in the order of time, the first and the last being start and end."""
    first, last = registers[0], registers[-1]
    rest = registers[1:]
    if first.wh == 0 and rest and rest[0].wh > deliverable_wh(limit_w, rest[0].at - first.at):
        first = Point(first.at, rest[0].wh)
        if len(rest) == 1:
            return Energy(_flat(first, rest), "the register at the start is missing")
    gain = last.wh - first.wh
    if gain <= -NOISE_WH:
        return _segments(first, rest, limit_w)
    gain = max(gain, _ZERO)
    points, most = [Point(first.at, _ZERO)], _ZERO
    for point in rest:
        most = max(most, min(point.wh - first.wh, gain))
        points.append(Point(point.at, most))
    possible = gain <= deliverable_wh(limit_w, last.at - first.at)
    return Energy(tuple(points), None if possible else "more energy than the connector can deliver in that time")


def _flat(first: Point, rest: Sequence[Point]) -> tuple[Point, ...]:
    return tuple(Point(point.at, _ZERO) for point in (first, *rest))


def _segments(first: Point, rest: Sequence[Point], limit_w: Decimal) -> Energy:
    """The meter went back in between: add up what rose, as far as it is possible."""
    points, total, previous, rose = [Point(first.at, _ZERO)], _ZERO, first, False
    for point in rest:
        most = deliverable_wh(limit_w, point.at - previous.at)
        step = point.wh - previous.wh
        if step < 0:
            step = next((step + wrap for wrap in _WRAPS if 0 <= step + wrap <= most), step)
        if 0 <= step <= most:
            total += step
            rose = True
        elif step <= -NOISE_WH:
            rose = False
        else:
            continue
        previous = point
        points.append(Point(point.at, total))
    if points[-1].at != rest[-1].at:
        points.append(Point(rest[-1].at, total))
    return Energy(tuple(points), None if rose else "the meter went backwards")
