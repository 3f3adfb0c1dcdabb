"""What a meter said, and what was charged."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bridge.meter import Point, deliverable_wh, energy, register_wh, sane

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMIT = Decimal(22_000)


def points(*registers: int, minutes: int = 10) -> list[Point]:
    return [Point(START + timedelta(minutes=minutes * n), Decimal(wh)) for n, wh in enumerate(registers)]


# One moment


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"value": "1234.5"}, "1234.5"),
        ({"value": "1.5", "unit": "kWh"}, "1500"),
        ({"value": "16", "unit": "A"}, None),
        ({"value": "16", "measurand": "Power.Active.Import"}, None),
        ({"value": "16", "measurand": "Request.Energy"}, None),
        ({"value": "OCMF|{}", "format": "SignedData"}, None),
        ({"value": "NaN"}, None),
        ({"value": "1e999999"}, None),
        ({"value": "twelve"}, None),
        ({"value": "5", "context": "Other"}, None),
        ({}, None),
    ],
)
def test_one_value(value: dict[str, str], expected: str | None) -> None:
    assert register_wh([value]) == (Decimal(expected) if expected else None)


def test_bad_values_do_not_cost_the_good_one() -> None:
    """F17, F61: an unknown measurand or a state of charge beside the register."""
    values = [{"value": "x"}, {"value": "80", "measurand": "SoC", "unit": "Percent"}, {"value": "42"}]
    assert register_wh(values) == 42


def test_phases_are_added_only_without_a_total() -> None:
    """F62: only phased registers."""
    phases = [{"value": str(n), "phase": f"L{n}-N"} for n in (1, 2, 3)]
    assert register_wh(phases) == 6
    assert register_wh([*phases, {"value": "7"}]) == 7
    assert register_wh(phases[:2]) is None


def test_the_outlet_counts_before_the_grid_side() -> None:
    assert register_wh([{"value": "9", "location": "Inlet"}, {"value": "8", "location": "Outlet"}]) == 8
    assert register_wh([{"value": "9", "location": "Inlet"}]) == 9


def test_only_sane_numbers() -> None:
    assert sane(Decimal("Infinity")) is None
    assert sane(Decimal("1e15")) is None
    assert sane(Decimal("1e-400")) == 0
    assert sane(Decimal("-3.25")) == Decimal("-3.25")


# A whole transaction


def test_the_plain_case() -> None:
    found = energy(points(1000, 2500, 4000), LIMIT)
    assert (found.total_wh, found.doubt) == (Decimal(3000), None)
    assert found.wh_at(START + timedelta(minutes=5)) == 750


def test_a_zero_before_the_meter_answered() -> None:
    """F57: 910 kWh of a meter's life were billed for 83 Wh."""
    found = energy(points(0, 910_000, 910_083), LIMIT)
    assert (found.total_wh, found.doubt) == (Decimal(83), None)


def test_a_zero_and_nothing_but_the_stop_is_not_billed() -> None:
    found = energy(points(0, 910_000), LIMIT)
    assert found.total_wh == 0
    assert found.doubt is not None


def test_a_meter_that_counts_from_zero_each_time() -> None:
    assert energy(points(0, 2000, 4100), LIMIT).total_wh == 4100


def test_one_watt_hour_backwards_is_noise() -> None:
    """F58: the stop one Wh below the start."""
    found = energy(points(5000, 4999), LIMIT)
    assert (found.total_wh, found.doubt) == (Decimal(0), None)


def test_a_meter_that_starts_again_counts_what_rose() -> None:
    """F60: the register restarts at a reboot."""
    found = energy(points(100_000, 102_000, 50, 1050, 2050), LIMIT)
    assert (found.total_wh, found.doubt) == (Decimal(4000), None)


def test_a_large_step_back_at_the_end_is_not_billed_unseen() -> None:
    """F58: meterStop far below meterStart, and nothing in between."""
    found = energy(points(100_000, 20), LIMIT)
    assert found.total_wh == 0
    assert found.doubt is not None


def test_a_register_of_32_bits_that_wraps() -> None:
    assert energy(points(2**32 - 500, 300, 1300), LIMIT).total_wh == 1800


def test_a_dip_in_between_changes_nothing() -> None:
    found = energy(points(1000, 0, 2000, 3000), LIMIT)
    assert (found.total_wh, found.doubt) == (Decimal(2000), None)


def test_more_than_the_connector_can_deliver_is_doubted() -> None:
    found = energy(points(1000, 2000, 900_000), LIMIT)
    assert (found.total_wh, found.doubt is not None) == (Decimal(899_000), True)


def test_deliverable() -> None:
    assert deliverable_wh(LIMIT, timedelta(hours=1)) == Decimal(22_000) * Decimal("1.1") + 1000


REGISTERS = st.lists(st.integers(0, 2**33), min_size=1, max_size=30)


@given(REGISTERS, st.integers(1, 240))
def test_amounts_never_fall_and_never_exceed_what_the_registers_span(registers: list[int], minutes: int) -> None:
    seen = points(*registers, minutes=minutes)
    found = energy(seen, LIMIT)
    amounts = [point.wh for point in found.points]
    assert amounts == sorted(amounts)
    assert amounts[0] == 0
    assert found.total_wh == amounts[-1] <= sum(registers) + 2**32 * len(registers)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(0, 10**7))
def test_a_register_that_only_rises_is_taken_at_its_word(steps: list[int], first: int) -> None:
    registers = [first]
    for step in steps:
        registers.append(registers[-1] + step)
    found = energy(points(*registers), LIMIT)
    assert found.total_wh == registers[-1] - first
    assert found.doubt is None


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=20), st.floats(0, 1))
def test_in_between_is_in_between(steps: list[int], share: float) -> None:
    registers = [0]
    for step in steps:
        registers.append(registers[-1] + step)
    seen = points(*registers)
    found = energy(seen, LIMIT)
    at = START + (seen[-1].at - START) * share
    below = [point.wh for point in found.points if point.at <= at]
    above = [point.wh for point in found.points if point.at >= at]
    assert below[-1] <= found.wh_at(at) <= (above[0] if above else found.total_wh)
