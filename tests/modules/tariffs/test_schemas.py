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
