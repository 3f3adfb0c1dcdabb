"""What the spec advises about Locations and Tariffs and no receiver can refuse: told to whoever publishes here.

Bodies that passed the check in, sentences out. Source: the SHOULD rows of mod_locations.asciidoc and
mod_tariffs.asciidoc, and where only a reader of text could tell, a MUST (TAR-018).
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hub.ocpi.types import parse_datetime

Body = Mapping[str, Any]

_EVSE_ID = re.compile(r"[A-Za-z]{2}\*?[A-Za-z0-9]{3}\*?[Ee][A-Za-z0-9*]{1,30}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_CARDS = frozenset({"CREDIT_CARD_PAYABLE", "DEBIT_CARD_PAYABLE"})
_READERS = frozenset({"CHIP_CARD_SUPPORT", "CONTACTLESS_CARD_SUPPORT"})


def on_location(location: Body) -> list[str]:
    """Advice on a Location."""
    found = [*_on_energy(location.get("energy_mix") or {}), *_on_hours(location.get("opening_times") or {})]
    for evse in location.get("evses") or ():
        found += _on_evse(evse)
    return found


def on_tariff(tariff: Body) -> list[str]:
    """Advice on a Tariff."""
    return [*_on_fallback(tariff), *_on_steps(tariff), *_on_text(tariff)]


def _on_energy(mix: Body) -> Iterator[str]:
    """LOC-068."""
    shares = [Decimal(source["percentage"]) for source in mix.get("energy_sources") or ()]
    if shares and sum(shares) != 100:
        yield f"energy_mix.energy_sources: the percentages add up to {sum(shares)}, not to 100"


def _on_hours(hours: Body) -> Iterator[str]:
    """LOC-084."""
    closings, openings = (hours.get(f"exceptional_{kind}") or () for kind in ("closings", "openings"))
    for closed in closings:
        for opened in openings:
            begin = max(parse_datetime(period["period_begin"]) for period in (closed, opened))
            if begin < min(parse_datetime(period["period_end"]) for period in (closed, opened)):
                yield "opening_times: a closing overlaps an opening, and the closing wins"


def _on_evse(evse: Body) -> Iterator[str]:
    """LOC-053, LOC-060, LOC-063."""
    uid, capabilities = evse["uid"], set(evse.get("capabilities") or ())
    if evse.get("evse_id") and not _EVSE_ID.fullmatch(evse["evse_id"]):
        yield f"{uid}: evse_id is not of the form NL*ABC*E123"
    if not all(plug.get("tariff_ids") for plug in evse["connectors"]):
        yield f"{uid}: a connector has no tariff_ids; name a tariff, for free charging one that is free of charge"
    if capabilities & _CARDS and not capabilities & _READERS:
        yield f"{uid}: bank cards are taken, so say how: CHIP_CARD_SUPPORT, CONTACTLESS_CARD_SUPPORT"


def _on_fallback(tariff: Body) -> Iterator[str]:
    """TAR-014."""
    last = {
        component["type"]: bool(element.get("restrictions"))
        for element in tariff["elements"]
        for component in element["price_components"]
    }
    for dimension, restricted in last.items():
        if restricted:
            yield f"elements: the last one with {dimension} has restrictions; where none fits, it costs nothing"


def _on_steps(tariff: Body) -> Iterator[str]:
    """TAR-024."""
    components = [component for element in tariff["elements"] for component in element["price_components"]]
    if any(component["type"] != "FLAT" and component["step_size"] != 1 for component in components):
        yield "step_size: other than 1 will be gone in OCPI 3.0"


def _on_text(tariff: Body) -> Iterator[str]:
    """TAR-018."""
    components = [component for element in tariff["elements"] for component in element["price_components"]]
    prices = {Decimal(component["price"]) for component in components if component["price"]}
    texts = [text["text"] for text in tariff.get("tariff_alt_text") or ()]
    told = {Decimal(number.replace(",", ".")) for text in texts for number in _NUMBER.findall(text)}
    if prices & told:
        yield "tariff_alt_text: repeats a price of the elements; it is for what they do not say"
