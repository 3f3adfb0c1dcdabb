"""Prices worked out by hand, what is refused, and the laws that any price obeys."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import pricing
from hub.pricing import Cost, Unpriced

Amounts = dict[str, tuple[str, str]]


def component(dimension: str, price: str, vat: str | None = None, step_size: int = 1) -> dict[str, Any]:
    found = {"type": dimension, "price": Decimal(price), "step_size": step_size}
    return found if vat is None else found | {"vat": Decimal(vat)}


def element(*components: dict[str, Any], **restrictions: Any) -> dict[str, Any]:
    found = {"price_components": list(components)}
    return found | {"restrictions": restrictions} if restrictions else found


def tariff(*elements: dict[str, Any], **bounds: Any) -> dict[str, Any]:
    return {"elements": list(elements), **bounds}


def amount(excl_vat: str, incl_vat: str | None = None) -> dict[str, Decimal]:
    return {"excl_vat": Decimal(excl_vat)} | ({} if incl_vat is None else {"incl_vat": Decimal(incl_vat)})


def period(**volumes: str) -> dict[str, Any]:
    return {"dimensions": [{"type": kind, "volume": Decimal(volume)} for kind, volume in volumes.items()]}


def priced(plan: dict[str, Any], *periods: dict[str, Any]) -> Cost:
    cost = pricing.price(plan, periods)
    assert isinstance(cost, Cost), cost
    return cost


def amounts(plan: dict[str, Any], *periods: dict[str, Any]) -> Amounts:
    fields = pricing.amounts_to_ocpi(priced(plan, *periods))
    return {field: (str(price["excl_vat"]), str(price["incl_vat"])) for field, price in fields.items()}


def total(plan: dict[str, Any], *periods: dict[str, Any]) -> tuple[str, str]:
    return amounts(plan, *periods)["total_cost"]


# --- worked out by hand ---


def test_energy_only() -> None:
    assert amounts(tariff(element(component("ENERGY", "0.25", "10.0"))), period(ENERGY="20")) == {
        "total_cost": ("5.0000", "5.5000"),
        "total_energy_cost": ("5.0000", "5.5000"),
        "total_time_cost": ("0.0000", "0.0000"),
        "total_parking_cost": ("0.0000", "0.0000"),
        "total_fixed_cost": ("0.0000", "0.0000"),
    }


@pytest.mark.catalogue("CDR-036")
def test_every_dimension_with_its_own_vat() -> None:
    plan = tariff(
        element(component("FLAT", "0.50", "20"), component("ENERGY", "0.25", "10")),
        element(component("TIME", "1.00", "20", 0), component("PARKING_TIME", "6.00", None, 0)),
    )
    assert amounts(plan, period(ENERGY="20", TIME="1.5"), period(PARKING_TIME="0.25")) == {
        "total_cost": ("8.5000", "9.4000"),
        "total_energy_cost": ("5.0000", "5.5000"),
        "total_time_cost": ("1.5000", "1.8000"),
        "total_parking_cost": ("1.5000", "1.5000"),
        "total_fixed_cost": ("0.5000", "0.6000"),
    }


@pytest.mark.catalogue("TAR-015")
def test_free_of_charge() -> None:
    plan = tariff(element(component("FLAT", "0.00", step_size=0)))
    assert total(plan, period(ENERGY="20", TIME="1"), period(PARKING_TIME="1")) == ("0.0000", "0.0000")


@pytest.mark.catalogue("TAR-012", "TAR-013")
def test_the_first_element_with_a_dimension_prices_it() -> None:
    plan = tariff(
        element(component("FLAT", "1.00")),
        element(component("ENERGY", "0.20"), component("FLAT", "9.00")),
        element(component("ENERGY", "9.00")),
    )
    assert total(plan, period(ENERGY="10", TIME="3", PARKING_TIME="2")) == ("3.0000", "3.0000")


@pytest.mark.catalogue("TAR-016")
@pytest.mark.parametrize(
    ("kwh", "expected"),
    [
        ("1", ("0.5000", "0.5500")),  # below the floor
        ("2", ("0.5000", "0.5500")),
        ("20", ("5.0000", "5.5000")),
        ("44", ("10.0000", "11.0000")),  # above the ceiling
    ],
)
def test_bounds(kwh: str, expected: tuple[str, str]) -> None:
    plan = tariff(
        element(component("ENERGY", "0.25", "10")), min_price=amount("0.50", "0.55"), max_price=amount("10", "11")
    )
    assert total(plan, period(ENERGY=kwh)) == expected
    assert priced(plan, period(ENERGY=kwh)).energy.excl_vat == Fraction(kwh) / 4, "parts are not clamped"


def test_bounds_hold_without_and_with_vat_on_their_own() -> None:
    plan = tariff(element(component("ENERGY", "1.00", "10")), min_price=amount("5.00", "5.20"))
    assert total(plan, period(ENERGY="4.9")) == ("5.0000", "5.3900")


def test_a_bound_without_vat_takes_that_of_the_session() -> None:
    floor = tariff(element(component("ENERGY", "1.00", "25")), min_price=amount("8.00"))
    assert total(floor, period(ENERGY="2")) == ("8.0000", "10.0000")
    assert total(floor, period(ENERGY="0")) == ("8.0000", "8.0000")
    ceiling = tariff(element(component("ENERGY", "1.00")), max_price={"excl_vat": 8, "incl_vat": None})
    assert total(ceiling, period(ENERGY="20")) == ("8.0000", "8.0000")


def test_max_price_wins_over_a_min_price_above_it() -> None:
    plan = tariff(element(component("ENERGY", "1")), min_price=amount("9", "9"), max_price=amount("5", "5"))
    assert total(plan, period(ENERGY="7")) == ("5.0000", "5.0000")


@pytest.mark.catalogue("TAR-025", "CDR-042", "CDR-044")
@pytest.mark.parametrize(
    ("step_size", "volumes", "expected"),
    [
        (1, ["0.1152"], "0.0290"),  # 115.2 Wh bill as 116 Wh
        (0, ["0.1152"], "0.0288"),
        (1, ["0.1152", "0.1148"], "0.0575"),  # once per session: 230 Wh, nothing to round
        (1, ["0.1151", "0.1148"], "0.0575"),
    ],
)
def test_steps_of_energy(step_size: int, volumes: list[str], expected: str) -> None:
    plan = tariff(element(component("ENERGY", "0.25", step_size=step_size)))
    assert total(plan, *(period(ENERGY=volume) for volume in volumes))[0] == expected


@pytest.mark.parametrize(
    ("step_size", "hours", "expected"),
    [
        (1, "0.0833", "6.0000"),  # 299.88 s are meant as 300
        (1, "0.0834", "6.0048"),  # so are 300.24 s, but rounding takes nothing away
        (1, "0.0001", "0.0072"),  # 0.36 s: as good as none
        (1, "0.08344", "6.0200"),  # 300.384 s are not: 301 s
        (0, "0.0833", "5.9976"),
    ],
)
def test_steps_of_time(step_size: int, hours: str, expected: str) -> None:
    assert total(tariff(element(component("TIME", "72", step_size=step_size))), period(TIME=hours))[0] == expected


@pytest.mark.catalogue("CDR-043")
def test_with_parking_billed_charging_time_stays_exact() -> None:
    plan = tariff(element(component("TIME", "72"), component("PARKING_TIME", "72")))
    cost = priced(plan, period(TIME="0.08344"), period(PARKING_TIME="0.08344"))
    assert (cost.time.excl_vat, cost.parking.excl_vat) == (Fraction("6.00768"), Fraction("6.02"))
    free = tariff(element(component("TIME", "72")))
    assert priced(free, period(TIME="0.08344"), period(PARKING_TIME="1")).time.excl_vat == Fraction("6.02")


def test_dimensions_that_only_restrictions_look_at() -> None:
    plan = tariff(element(component("ENERGY", "1")))
    assert total(plan, period(ENERGY="2", MAX_POWER="11", STATE_OF_CHARGE="80", ENERGY_IMPORT="7"))[0] == "2.0000"


def test_a_dimension_told_twice_is_summed() -> None:
    twice = {"dimensions": [{"type": "ENERGY", "volume": 1}, {"type": "ENERGY", "volume": 2}]}
    assert total(tariff(element(component("ENERGY", "1"))), twice)[0] == "3.0000"


def test_rounding_is_half_up_and_away_from_zero() -> None:
    plan = tariff(element(component("ENERGY", "0.00005", step_size=0)))
    assert total(plan, period(ENERGY="1"))[0] == "0.0001"
    assert total(plan, period(ENERGY="0.9"))[0] == "0.0000"
    back = tariff(element(component("ENERGY", "-0.00005", step_size=0)))
    assert total(back, period(ENERGY="1"))[0] == "-0.0001"
    assert total(back, period(ENERGY="0.9"))[0] == "0.0000"


# --- never a guess ---

ENERGY = element(component("ENERGY", "1"))

DOUBTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "a weekday": (tariff(element(component("ENERGY", "1"), day_of_week=["MONDAY"])), [period()], "restrictions"),
    "behind a plain one": (tariff(ENERGY, element(component("ENERGY", "2"), max_power=11)), [], "restrictions"),
    "reservation": (tariff(ENERGY, element(component("FLAT", "2"), reservation="RESERVATION")), [], "restrictions"),
    "odd restrictions": (tariff(ENERGY | {"restrictions": "none"}), [], "restrictions"),
    "steps of energy": (tariff(element(component("ENERGY", "1", step_size=500))), [], "bills ENERGY in steps"),
    "steps of parking": (
        tariff(element(component("ENERGY", "1"), component("PARKING_TIME", "2", step_size=900))),
        [],
        "bills PARKING_TIME in steps",
    ),
    "negative steps": (tariff(element(component("TIME", "1", step_size=-1))), [], "steps"),
    "unknown type": (tariff(element(component("SESSION_TIME", "1"))), [], "unknown type"),
    "odd type": (tariff(element(component("FLAT", "1") | {"type": ["FLAT"]})), [], "unknown type"),
    "two prices": (tariff(element(component("FLAT", "1"), component("FLAT", "2"))), [], "two prices for FLAT"),
    "no elements": (tariff(), [], "elements"),
    "odd elements": ({"elements": ["free"]}, [], "elements"),
    "no components": (tariff(element()), [], "price_components"),
    "price as text": (tariff(element(component("ENERGY", "1") | {"price": "1.00"})), [], "price is not a number"),
    "price as float": (tariff(element(component("ENERGY", "1") | {"price": 1.0})), [], "price is not a number"),
    "price as truth": (tariff(element(component("ENERGY", "1") | {"price": True})), [], "price is not a number"),
    "vat as text": (tariff(element(component("ENERGY", "1") | {"vat": "25"})), [], "vat is not a number"),
    "no step_size": (tariff({"price_components": [{"type": "FLAT", "price": 1}]}), [], "step_size is not a number"),
    "odd bound": (tariff(ENERGY, min_price=5), [period(ENERGY="1")], "min_price is not a price"),
    "bound without price": (tariff(ENERGY, max_price={}), [period(ENERGY="1")], "max_price is not a number"),
    "no periods": (tariff(ENERGY), [], "no charging periods"),
    "a reservation": (tariff(ENERGY), [period(RESERVATION_TIME="1")], "reservation"),
    "unknown measure": (tariff(ENERGY), [period(FLAT="1")], "something unknown"),
    "given back": (tariff(ENERGY), [period(ENERGY="-1")], "negative volume"),
    "odd volume": (tariff(ENERGY), [{"dimensions": [{"type": "ENERGY", "volume": "1"}]}], "volume is not a number"),
    "no dimensions": (tariff(ENERGY), [{}], "dimensions"),
}


@pytest.mark.parametrize(("plan", "periods", "reason"), DOUBTS.values(), ids=DOUBTS)
def test_doubt_gives_no_price(plan: dict[str, Any], periods: list[dict[str, Any]], reason: str) -> None:
    answer = pricing.price(plan, periods)
    assert isinstance(answer, Unpriced)
    assert reason in answer.reason


@pytest.mark.parametrize("restrictions", [None, {}, {"day_of_week": []}, {"min_kwh": None, "day_of_week": None}])
def test_empty_restrictions_restrict_nothing(restrictions: object) -> None:
    assert total(tariff(ENERGY | {"restrictions": restrictions}), period(ENERGY="3"))[0] == "3.0000"


# --- laws ---

prices = st.decimals("0", "100", places=4)
volumes = st.decimals("0", "100", places=4)
rates = st.sampled_from([None, Decimal("0"), Decimal("5.2"), Decimal("25.0")])
periods_of = st.lists(
    st.fixed_dictionaries({"ENERGY": volumes, "TIME": volumes, "PARKING_TIME": volumes}).map(
        lambda found: period(**{kind: str(volume) for kind, volume in found.items()})
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def plans(draw: st.DrawFn, step_sizes: st.SearchStrategy[int], kinds: list[str]) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(kinds), unique=True, min_size=1))
    components = [
        {"type": kind, "price": draw(prices), "vat": draw(rates), "step_size": draw(step_sizes)} for kind in chosen
    ]
    return tariff(element(*components))


MEASURED = ["ENERGY", "TIME", "PARKING_TIME"]
any_plan = plans(st.sampled_from([0, 1]), [*MEASURED, "FLAT"])
exact_plan = plans(st.just(0), MEASURED)


@given(exact_plan, periods_of, periods_of)
def test_a_session_costs_the_sum_of_its_halves(
    plan: dict[str, Any], first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    assert priced(plan, *first, *second).total == priced(plan, *first).total + priced(plan, *second).total


@given(any_plan, periods_of, st.randoms(use_true_random=False))
def test_the_order_of_periods_does_not_matter(plan: dict[str, Any], periods: list[dict[str, Any]], random: Any) -> None:
    shuffled = random.sample(periods, len(periods))
    assert priced(plan, *shuffled) == priced(plan, *periods)


@given(any_plan, periods_of)
def test_the_total_is_the_sum_of_its_parts(plan: dict[str, Any], periods: list[dict[str, Any]]) -> None:
    cost = priced(plan, *periods)
    assert cost.total == cost.energy + cost.time + cost.parking + cost.fixed
    assert cost.total.excl_vat <= cost.total.incl_vat


@given(any_plan, periods_of, st.tuples(prices, prices, prices, prices))
def test_the_total_is_between_its_bounds(
    plan: dict[str, Any], periods: list[dict[str, Any]], bounds: tuple[Decimal, Decimal, Decimal, Decimal]
) -> None:
    low, high, low_incl, high_incl = bounds
    low, high = sorted((low, high))
    low_incl, high_incl = sorted((low_incl, high_incl))
    bounded = plan | {
        "min_price": {"excl_vat": low, "incl_vat": low_incl},
        "max_price": {"excl_vat": high, "incl_vat": high_incl},
    }
    bounded_total = priced(bounded, *periods).total
    assert Fraction(low) <= bounded_total.excl_vat <= Fraction(high)
    assert Fraction(low_incl) <= bounded_total.incl_vat <= Fraction(high_incl)


@given(any_plan)
def test_nothing_used_costs_the_start_fee(plan: dict[str, Any]) -> None:
    cost = priced(plan, period(ENERGY="0", TIME="0", PARKING_TIME="0"))
    assert cost.total == cost.fixed


@given(any_plan, periods_of)
def test_steps_never_take_away_and_add_less_than_one_step_each(
    plan: dict[str, Any], periods: list[dict[str, Any]]
) -> None:
    components = [found | {"step_size": 0} for found in plan["elements"][0]["price_components"]]
    exact, stepped = priced(tariff(element(*components)), *periods), priced(plan, *periods)
    seconds = len(periods) * Fraction(36, 100) + 1
    assert exact.energy.excl_vat <= stepped.energy.excl_vat <= exact.energy.excl_vat + Fraction(100, 1000)
    assert exact.time.excl_vat <= stepped.time.excl_vat <= exact.time.excl_vat + 100 * seconds / 3600
    assert exact.parking.excl_vat <= stepped.parking.excl_vat <= exact.parking.excl_vat + 100 * seconds / 3600


@given(any_plan, periods_of)
def test_no_float_anywhere(plan: dict[str, Any], periods: list[dict[str, Any]]) -> None:
    cost = priced(plan, *periods)
    for part in (cost.total, cost.energy, cost.time, cost.parking, cost.fixed):
        assert type(part.excl_vat) is Fraction
        assert type(part.incl_vat) is Fraction
    for field in pricing.amounts_to_ocpi(cost).values():
        assert all(type(number) is Decimal and number.as_tuple().exponent == -4 for number in field.values())


@pytest.mark.catalogue("TAR-023")
def test_a_step_is_a_watt_hour_or_a_second_and_a_fee_has_none() -> None:
    plan = tariff(
        element(component("ENERGY", "1000"), component("TIME", "3600"), component("PARKING_TIME", "3600")),
        element(component("FLAT", "1.00", step_size=300)),
    )
    assert total(plan, period(ENERGY="0.0105", TIME="0.08344"))[0] == "313.0000", "11 Wh, 301 s (300.384) and the fee"
    assert total(plan, period(PARKING_TIME="0.00069"))[0] == "4.0000", "3 s (2.484) and the fee"
