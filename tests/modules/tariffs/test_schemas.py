"""What of a Tariff may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.tariffs.schemas import Tariff


def component(**changes: Any) -> dict[str, Any]:
    return {"type": "ENERGY", "price": Decimal("4.00"), "step_size": 1} | changes


def tariff(elements: object, **changes: Any) -> dict[str, Any]:
    return {
        "country_code": "SE",
        "party_id": "VLT",
        "id": "DAG",
        "currency": "SEK",
        "elements": elements,
        "last_updated": "2026-03-14T08:30:00Z",
    } | changes


@pytest.mark.catalogue("TAR-015", "TAR-022", "TAR-026")
def test_plain_tariffs() -> None:
    assert types.check(Tariff, tariff([{"price_components": [component(type="FLAT", price=0, step_size=0)]}])) == []
    assert types.check(Tariff, tariff([{"price_components": [component(vat=None, step_size=Decimal("1.0"))]}])) == []


@pytest.mark.catalogue("TAR-011", "TAR-021", "TAR-043")
@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ([], "elements: must have at least one element"),
        (None, "elements: must be a list"),
        ([{"restrictions": {}}], "elements[0].price_components: field required"),
        ([{"price_components": []}], "elements[0].price_components: must have at least one element"),
        (
            [{"price_components": [{"type": "ENERGY", "price": 4}]}],
            "elements[0].price_components[0].step_size: field required",
        ),
        ([{"price_components": [component(price="4.00")]}], "elements[0].price_components[0].price: must be a number"),
    ],
)
def test_a_tariff_without_a_price(elements: object, message: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        types.check(Tariff, tariff(elements))
    assert refusal.value.message == message


def test_odd_extras_are_noted() -> None:
    odd = tariff(
        [{"price_components": [component(type="SESSION_TIME", vat="25")], "restrictions": {"day_of_week": ["Monday"]}}],
        tariff_alt_url="voltvagen.example/pris",
        type="NIGHT",
    )
    assert {finding.path: finding.reason for finding in types.check(Tariff, odd)} == {
        "type": "unknown value",
        "tariff_alt_url": "holds characters that are not allowed here",
        "elements[0].price_components[0].type": "unknown value",
        "elements[0].price_components[0].vat": "must be a number",
        "elements[0].restrictions.day_of_week[0]": "unknown value",
    }


def test_what_odd_extras_look_like_to_a_stranger() -> None:
    assert types.check(Tariff, tariff([{"price_components": [component()], "restrictions": []}])) == [
        Finding("elements[0].restrictions", "must be an object")
    ]


@pytest.mark.catalogue("TAR-035")
@pytest.mark.parametrize("reservation", ["RESERVATION", "RESERVATION_EXPIRES"])
def test_a_reservation_has_a_fee_and_a_time_only(reservation: str) -> None:
    def found(*kinds: str, **restrictions: str) -> list[Finding]:
        components = [component(type=kind) for kind in kinds]
        return types.check(Tariff, tariff([{"price_components": components, "restrictions": restrictions}]))

    assert found("FLAT", "TIME", reservation=reservation) == []
    assert found("ENERGY", "PARKING_TIME") == []
    for kinds in (("ENERGY",), ("FLAT", "PARKING_TIME")):
        assert [finding.path for finding in found(*kinds, reservation=reservation)] == ["elements[0]"]


@pytest.mark.parametrize(
    ("restrictions", "odd"),
    [
        pytest.param({"start_time": "00:00", "end_time": "23:59"}, [], marks=pytest.mark.catalogue("TAR-042")),
        pytest.param(
            {"start_date": "2026-02-01", "end_date": "2026-12-31"}, [], marks=pytest.mark.catalogue("TAR-042")
        ),
        pytest.param({"start_time": "9:00"}, ["start_time"], marks=pytest.mark.catalogue("TAR-042")),
        pytest.param({"end_time": "24:00"}, ["end_time"], marks=pytest.mark.catalogue("TAR-042")),
        pytest.param({"start_date": "1-2-2026"}, ["start_date"], marks=pytest.mark.catalogue("TAR-042")),
        pytest.param({"end_date": "20260201"}, ["end_date"], marks=pytest.mark.catalogue("TAR-042")),
        ({"end_date": "2026-13-01"}, ["end_date"]),
        pytest.param({"day_of_week": ["MONDAY", "SUNDAY"]}, [], marks=pytest.mark.catalogue("TAR-034")),
        pytest.param({"day_of_week": ["Monday"]}, ["day_of_week[0]"], marks=pytest.mark.catalogue("TAR-034")),
        pytest.param({"day_of_week": ["MONTAG"]}, ["day_of_week[0]"], marks=pytest.mark.catalogue("TAR-034")),
    ],
)
def test_days_and_times_of_restrictions_have_their_form(restrictions: dict[str, Any], odd: list[str]) -> None:
    element = {"price_components": [component()], "restrictions": restrictions}
    found = types.check(Tariff, tariff([element]))
    assert sorted({finding.path for finding in found}) == [f"elements[0].restrictions.{name}" for name in odd]
