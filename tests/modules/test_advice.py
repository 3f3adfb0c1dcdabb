"""Advice on sound objects: each rule alone, and nothing to say about what follows them all."""

from decimal import Decimal
from typing import Any

import pytest

from hub.sandbox import samples
from modules import advice

Json = dict[str, Any]


def on_location(**changes: Any) -> list[str]:
    return advice.on_location(samples.location() | changes)


def on_evse(**changes: Any) -> list[str]:
    return on_location(evses=[samples.evse() | changes])


def on_tariff(*elements: Json, **changes: Any) -> list[str]:
    return advice.on_tariff(samples.tariff() | ({"elements": elements} if elements else {}) | changes)


def element(kind: str = "ENERGY", price: str = "0.40", step_size: int = 1, **restrictions: Any) -> Json:
    component = {"type": kind, "price": Decimal(price), "step_size": step_size}
    return {"price_components": [component], **({"restrictions": restrictions} if restrictions else {})}


def test_nothing_is_said_about_what_is_well() -> None:
    assert on_location() == on_tariff() == []
    assert on_location(evses=None, energy_mix=None, opening_times=None) == []


@pytest.mark.catalogue("LOC-068")
def test_shares_of_energy_add_up() -> None:
    def mix(*shares: str) -> Json:
        sources = [{"source": "WIND", "percentage": Decimal(share)} for share in shares]
        return {"is_green_energy": True, "energy_sources": sources}

    assert on_location(energy_mix=mix("33.3", "66.7")) == on_location(energy_mix=mix()) == []
    assert on_location(energy_mix=mix("33.3", "66.6")) == [
        "energy_mix.energy_sources: the percentages add up to 99.9, not to 100"
    ]


@pytest.mark.catalogue("LOC-084")
def test_closings_do_not_overlap_openings() -> None:
    def hours(closed: tuple[str, str], opened: tuple[str, str]) -> Json:
        names = ("period_begin", "period_end")
        periods = [
            [dict(zip(names, (f"2026-05-0{day}T00:00:00Z" for day in days), strict=True))] for days in (closed, opened)
        ]
        return {"twentyfourseven": True, "exceptional_closings": periods[0], "exceptional_openings": periods[1]}

    assert on_location(opening_times=hours(("1", "2"), ("2", "3"))) == []
    assert len(on_location(opening_times=hours(("1", "3"), ("2", "4")))) == 1


@pytest.mark.catalogue("LOC-053")
def test_an_evse_id_has_its_form() -> None:
    for good in ("NL*CPA*E000001", "nlcpae1", "DE*8AA*E1*2*3"):
        assert on_evse(evse_id=good) == []
    for bad in ("NL*CPA*S1", "CPA*E1", "EVSE 1"):
        assert on_evse(evse_id=bad) == ["EVSE1: evse_id is not of the form NL*ABC*E123"]


@pytest.mark.catalogue("LOC-060")
def test_a_connector_names_a_tariff() -> None:
    plug = samples.evse()["connectors"][0]
    assert len(on_evse(connectors=[plug, plug | {"tariff_ids": []}])) == 1


@pytest.mark.catalogue("LOC-063")
def test_whoever_takes_bank_cards_says_how() -> None:
    assert on_evse(capabilities=["CREDIT_CARD_PAYABLE", "CHIP_CARD_SUPPORT", "PED_TERMINAL"]) == []
    assert len(on_evse(capabilities=["DEBIT_CARD_PAYABLE", "RFID_READER"])) == 1


@pytest.mark.catalogue("TAR-014")
def test_every_dimension_has_a_fallback() -> None:
    assert on_tariff(element(max_power=Decimal(16)), element()) == []
    assert on_tariff(element(), element(max_power=Decimal(16)), element("TIME")) == [
        "elements: the last one with ENERGY has restrictions; where none fits, it costs nothing"
    ]


@pytest.mark.catalogue("TAR-024")
def test_steps_are_of_one() -> None:
    assert on_tariff(element(), element("FLAT", step_size=0)) == []
    assert len(on_tariff(element(step_size=1000), element("TIME", step_size=300))) == 1


@pytest.mark.catalogue("TAR-018")
@pytest.mark.parametrize(
    ("text", "found"),
    [("0,40 EUR per kWh", 1), ("Energy costs 0.4", 1), ("Free parking for 2 hours", 0), ("See the sign", 0)],
)
def test_the_text_does_not_repeat_the_prices(text: str, found: int) -> None:
    assert len(on_tariff(element(), tariff_alt_text=[{"language": "en", "text": text}])) == found
