"""The data types of the spec where objects use them (types, mod_tariffs, mod_locations)."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import json
from hub.ocpi.classes import DisplayText, Price
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding, PartyId, check
from hub.sandbox import samples
from modules.locations.schemas import Location
from modules.tariffs.schemas import Tariff


@pytest.mark.catalogue("TYP-010")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ({"language": "en", "text": "ü" * 512}, []),
        ({"language": "eng", "text": "Left"}, [Finding("language", "longer than 2 characters")]),
        ({"language": "en", "text": "x" * 513}, [Finding("text", "longer than 512 characters")]),
    ],
    ids=["good", "language", "text"],
)
def test_a_text_for_people_names_its_language(text: dict[str, Any], found: list[Finding]) -> None:
    assert check(DisplayText, text) == found


@pytest.mark.catalogue("TYP-014")
def test_a_price_is_without_vat_and_may_say_what_it_is_with() -> None:
    assert check(Price, {"excl_vat": Decimal("1.0000")}) == []
    assert check(Price, {"excl_vat": 1, "incl_vat": None}) == []
    with pytest.raises(InvalidParameters, match=r"^excl_vat: field required$"):
        check(Price, {"incl_vat": 1})


@pytest.mark.catalogue("TYP-021")
@pytest.mark.parametrize("currency", ["EURO", "eur", "E1R", "EU"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    assert check(Tariff, samples.tariff() | {"currency": "SEK"}) == []
    assert [finding.path for finding in check(Tariff, samples.tariff() | {"currency": currency})] == ["currency"]


@pytest.mark.catalogue("TYP-022")
def test_a_party_is_of_a_country_of_two_letters_and_a_place_in_one_of_three() -> None:
    assert PartyId.of("nl", "CPA").country_code == "NL"
    with pytest.raises(InvalidParameters):
        PartyId.of("NLD", "CPA")
    assert check(Location, samples.location()) == []
    long = check(Location, samples.location() | {"country": "NLDX", "country_code": "NLD"})
    assert sorted(finding.path for finding in long) == ["country", "country_code"]


@pytest.mark.catalogue("TYP-012")
def test_money_and_energy_are_never_binary_floats() -> None:
    read = json.loads(b'{"kwh": 0.1, "price": 2.00, "x": 1e-3}')
    assert {type(value) for value in read.values()} == {Decimal}
    assert sum([read["kwh"]] * 3) == Decimal("0.3")
    assert json.dumps(read) == b'{"kwh":0.1,"price":2.00,"x":0.001}'
