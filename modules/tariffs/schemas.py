"""A Tariff holds elements, an element holds price components. Source: mod_tariffs.asciidoc."""

from hub.ocpi.classes import DisplayText, Price
from hub.ocpi.enums import DayOfWeek, ReservationRestrictionType, TariffDimensionType, TariffType
from hub.ocpi.types import (
    CiString2,
    CiString3,
    DateTime,
    Id36,
    Int,
    Many,
    Number,
    Schema,
    Some,
    String3,
    String5,
    String10,
    Url,
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

    start_time: String5 | None = None
    end_time: String5 | None = None
    start_date: String10 | None = None
    end_date: String10 | None = None
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


class Tariff(Schema):
    """What charging costs. Source: mod_tariffs.asciidoc > Tariff Object."""

    country_code: CiString2
    party_id: CiString3
    id: Id36
    currency: String3
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
