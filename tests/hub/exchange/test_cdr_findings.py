"""What the hub notices about a CDR: times, sums, units, and a Credit CDR beside what it takes back."""

from decimal import Decimal
from typing import Any

import pytest

from hub.exchange import cdr_findings
from hub.ocpi import types
from hub.sandbox import samples
from modules.cdrs.schemas import CDR

Json = dict[str, Any]
START, MIDDLE, END = "2026-05-01T10:00:00Z", "2026-05-01T10:30:00Z", "2026-05-01T11:00:00Z"
TARIFF = samples.tariff(at=START)


def period(at: str, *dimensions: tuple[str, str], tariff_id: str | None = "TARIFF1") -> Json:
    listed = [{"type": kind, "volume": Decimal(volume)} for kind, volume in dimensions]
    return {"start_date_time": at, "dimensions": listed} | ({"tariff_id": tariff_id} if tariff_id else {})


def cdr(**changes: Any) -> Json:
    """An hour, half of it charging 10 kWh, half of it parking."""
    of = samples.session(of=samples.token(at=START), at=START) | {"kwh": Decimal(10), "end_date_time": END}
    periods = [period(START, ("ENERGY", "10"), ("TIME", "0.5")), period(MIDDLE, ("PARKING_TIME", "0.5"))]
    whole = samples.cdr(of, samples.location(at=START), TARIFF, at=END)
    return whole | {"charging_periods": periods, "total_parking_time": Decimal("0.5")} | changes


def fixed(excl: str, incl: str | None = None) -> Json:
    return {"excl_vat": Decimal(excl)} | ({"incl_vat": Decimal(incl)} if incl else {})


def test_a_clean_cdr() -> None:
    assert types.check(CDR, cdr()) == []
    assert cdr_findings.of(cdr()) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        pytest.param(
            {"total_time": Decimal(60)},
            "total_time: is not the time from start to end, in hours",
            marks=pytest.mark.catalogue("CDR-033"),
        ),
        pytest.param(
            {"total_parking_time": Decimal("1.5")},
            "total_parking_time: is longer than total_time",
            marks=pytest.mark.catalogue("CDR-033"),
        ),
        ({"total_parking_time": Decimal("0.9")}, "total_parking_time: is not the sum of the PARKING_TIME"),
        pytest.param(
            {"total_energy": Decimal(10_000)},
            "total_energy: is not the sum of the ENERGY of the periods, in kWh",
            marks=pytest.mark.catalogue("CDR-034", "CDR-041"),
        ),
        pytest.param(
            {"charging_periods": [period(START, ("ENERGY", "10000"), ("TIME", "0.5"))], "total_parking_time": None},
            "total_energy: is not the sum of the ENERGY of the periods, in kWh",
            marks=pytest.mark.catalogue("CDR-048"),
        ),
        pytest.param(
            {"charging_periods": [period(START, ("ENERGY", "10"), ("TIME", "1800"))], "total_parking_time": None},
            "total_time: is less than the periods add up to, in hours",
            marks=pytest.mark.catalogue("CDR-048"),
        ),
        pytest.param(
            {"currency": "SEK"},
            "tariffs[0].currency: is not that of the CDR",
            marks=pytest.mark.catalogue("CDR-035"),
        ),
        ({"total_energy_cost": fixed("9"), "total_fixed_cost": fixed("5")}, "total_cost: is less than its parts"),
        pytest.param(
            {"end_date_time": "2026-05-01T09:00:00Z"},
            "end_date_time: is before start_date_time",
            marks=pytest.mark.catalogue("CDR-041"),
        ),
        ({"last_updated": MIDDLE}, "last_updated: is before end_date_time"),
        pytest.param(
            {"charging_periods": [*cdr()["charging_periods"][::-1]]},
            "charging_periods[1].start_date_time: is before that of the period before",
            marks=pytest.mark.catalogue("CDR-056"),
        ),
        pytest.param(
            {"charging_periods": [*cdr()["charging_periods"], period("2026-05-01T11:00:01Z", ("TIME", "0"))]},
            "charging_periods[2].start_date_time: is after end_date_time",
            marks=pytest.mark.catalogue("CDR-056"),
        ),
        pytest.param(
            {"charging_periods": [period(START, ("ENERGY", "10"), tariff_id=None)], "total_parking_time": None},
            "charging_periods[0].tariff_id: missing, although the CDR lists tariffs",
            marks=pytest.mark.catalogue("CDR-057"),
        ),
        pytest.param(
            {"charging_periods": [period(START, ("ENERGY", "10"), tariff_id="T9")], "total_parking_time": None},
            "charging_periods[0].tariff_id: is not one of the tariffs listed",
            marks=pytest.mark.catalogue("CDR-057"),
        ),
        *(
            pytest.param(
                {"charging_periods": [period(START, ("ENERGY", "10"), (kind, "1"))], "total_parking_time": None},
                "charging_periods[0].dimensions: one of them belongs in Sessions only",
                marks=pytest.mark.catalogue("CDR-047"),
            )
            for kind in sorted(cdr_findings.SESSION_ONLY)
        ),
    ],
)
def test_what_is_noticed(changes: Json, finding: str) -> None:
    body = cdr(**changes)
    types.check(CDR, body)
    assert any(found.startswith(finding) for found in cdr_findings.of(body))


@pytest.mark.parametrize("kind", ["ENERGY", "MAX_CURRENT", "MIN_CURRENT", "MAX_POWER", "MIN_POWER"])
@pytest.mark.catalogue("CDR-047")
def test_dimensions_that_belong_in_a_cdr(kind: str) -> None:
    periods = [period(START, ("ENERGY", "10"), (kind, "0"))]
    assert cdr_findings.of(cdr(charging_periods=periods, total_parking_time=None)) == []


def test_no_tariffs_no_tariff_ids() -> None:
    periods = [period(START, ("ENERGY", "10"), tariff_id=None)]
    assert cdr_findings.of(cdr(charging_periods=periods, total_parking_time=None, tariffs=None)) == []


@pytest.mark.catalogue("CDR-038")
@pytest.mark.parametrize("unknown", ["start_date_time", "end_date_time"])
def test_a_time_that_is_not_known_is_compared_with_nothing(unknown: str) -> None:
    body = cdr(**{unknown: "1970-01-01T00:00:00Z"})
    assert types.check(CDR, body) == []
    assert cdr_findings.of(body) == []


def test_junk_where_the_check_tolerates_it() -> None:
    body = cdr(tariffs="none", total_fixed_cost=None, total_parking_time="long")
    assert {each.path for each in types.check(CDR, body)} == {"tariffs", "total_parking_time"}
    assert cdr_findings.of(body) == []


def test_at_most_so_many() -> None:
    periods = [period(START, ("ENERGY", "1"), tariff_id=None) for _ in range(50)]
    assert len(cdr_findings.of(cdr(charging_periods=periods))) == cdr_findings.AT_MOST


def credit(**changes: Any) -> Json:
    total = {name: -amount for name, amount in cdr()["total_cost"].items()}
    return cdr(id="CDR1-C", credit=True, credit_reference_id="CDR1", total_cost=total) | changes


def test_a_clean_credit_cdr() -> None:
    assert types.check(CDR, credit()) == []
    assert cdr_findings.of(credit()) == []
    assert cdr_findings.of_credit(credit(), cdr()) == []


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        pytest.param(
            {"total_energy": Decimal(-10)},
            "total_energy: differs from the CDR that is credited",
            marks=pytest.mark.catalogue("CDR-007"),
        ),
        pytest.param(
            {"cdr_token": {}},
            "cdr_token: differs from the CDR that is credited",
            marks=pytest.mark.catalogue("CDR-007"),
        ),
        pytest.param(
            {"total_cost": cdr()["total_cost"] | {"excl_vat": Decimal(-3)}},
            "total_cost.excl_vat: is not the negative",
            marks=pytest.mark.catalogue("CDR-010"),
        ),
        pytest.param(
            {"total_cost": {"excl_vat": -cdr()["total_cost"]["excl_vat"]}},
            "total_cost.incl_vat: is not the negative",
            marks=pytest.mark.catalogue("CDR-010"),
        ),
    ],
)
def test_a_credit_cdr_that_does_not_take_back_what_was_billed(changes: Json, finding: str) -> None:
    found = cdr_findings.of_credit(credit(**changes), cdr())
    assert any(each.startswith(finding) for each in found)


@pytest.mark.catalogue("CDR-009")
def test_a_credit_cdr_for_something_nobody_knows() -> None:
    assert cdr_findings.of_credit(credit(), None) == ["credit_reference_id: no CDR with this id is known here"]
