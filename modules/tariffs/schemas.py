"""A Tariff holds elements, an element holds price components. Source: mod_tariffs.asciidoc."""

from typing import Self

from pydantic import model_validator

from hub.ocpi.classes import DisplayText, Price
from hub.ocpi.enums import DayOfWeek, ReservationRestrictionType, TariffDimensionType, TariffType
from hub.ocpi.types import (
    CiString2,
    CiString3,
    Currency,
    Date10,
    DateTime,
    Id36,
    Int,
    Many,
    Number,
    Schema,
    Some,
    Time5,
    Url,
    oddity,
)
from modules.locations.schemas import EnergyMix


class PriceComponent(Schema):
    """The price of one dimension, without VAT. Source: mod_tariffs.asciidoc > PriceComponent class."""

    type: TariffDimensionType
    price: Number
    vat: Number | None = None
    step_size: Int


class TariffRestrictions(Schema):
    """When an element applies; all have to hold. Source: mod_tariffs.asciidoc > TariffRestrictions class."""

    start_time: Time5 | None = None
    end_time: Time5 | None = None
    start_date: Date10 | None = None
    end_date: Date10 | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None
    max_current: Number | None = None
    min_power: Number | None = None
    max_power: Number | None = None
    min_duration: Int | None = None
    max_duration: Int | None = None
    day_of_week: Many[DayOfWeek] = None
    reservation: ReservationRestrictionType | None = None


class TariffElement(Schema):
    """Prices with their restrictions. Source: mod_tariffs.asciidoc > TariffElement class."""

    price_components: Some[PriceComponent]
    restrictions: TariffRestrictions | None = None

    @model_validator(mode="after")
    def _prices_what_a_reservation_has(self) -> Self:
        """TAR-035."""
        if self.restrictions is not None and self.restrictions.reservation is not None:
            found = {component.type for component in self.price_components}
            if not found <= {TariffDimensionType.FLAT, TariffDimensionType.TIME}:
                raise oddity("with a reservation restriction there are only FLAT and TIME components")
        return self


class Tariff(Schema):
    """What charging costs. Source: mod_tariffs.asciidoc > Tariff Object."""

    country_code: CiString2
    party_id: CiString3
    id: Id36
    currency: Currency
    type: TariffType | None = None
    tariff_alt_text: Many[DisplayText] = None
    tariff_alt_url: Url | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    elements: Some[TariffElement]
    start_date_time: DateTime | None = None
    end_date_time: DateTime | None = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime
