"""A CDR, and the classes that Sessions share with it. Source: mod_cdrs.asciidoc."""

from typing import Self

from pydantic import model_validator

from hub.ocpi.classes import Price
from hub.ocpi.enums import (
    AuthMethod,
    CdrDimensionType,
    ConnectorFormat,
    ConnectorType,
    PowerType,
    TokenType,
)
from hub.ocpi.types import (
    Base64String512,
    Base64String5000,
    Boolean,
    CiString2,
    CiString3,
    CiString32,
    CiString36,
    CiString39,
    CiString48,
    Currency,
    DateTime,
    Id39,
    Int,
    Many,
    Number,
    Schema,
    Some,
    String3,
    String10,
    String20,
    String45,
    String255,
    String512,
    String5000,
    oddity,
)
from modules.locations.schemas import GeoLocation
from modules.tariffs.schemas import Tariff


class CdrDimension(Schema):
    """A measured volume: kWh, kW, A, hours or percent. Source: mod_cdrs.asciidoc > CdrDimension class."""

    type: CdrDimensionType
    volume: Number

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        """CDR-050."""
        if self.type is CdrDimensionType.STATE_OF_CHARGE and not 0 <= self.volume <= 100:
            raise oddity("volume of STATE_OF_CHARGE must be between 0 and 100")
        return self


class CdrLocation(Schema):
    """Where it happened, as it was then. Source: mod_cdrs.asciidoc > CdrLocation class."""

    id: CiString36
    name: String255 | None = None
    address: String45
    city: String45
    postal_code: String10 | None = None
    state: String20 | None = None
    country: String3
    coordinates: GeoLocation
    evse_uid: CiString36
    evse_id: CiString48
    connector_id: CiString36
    connector_standard: ConnectorType
    connector_format: ConnectorFormat
    connector_power_type: PowerType


class CdrToken(Schema):
    """Whose session it was; names the eMSP. Source: mod_cdrs.asciidoc > CdrToken class."""

    country_code: CiString2
    party_id: CiString3
    uid: CiString36
    type: TokenType
    contract_id: CiString36


class ChargingPeriod(Schema):
    """Lasts until the next one starts. Source: mod_cdrs.asciidoc > ChargingPeriod class."""

    start_date_time: DateTime
    dimensions: Some[CdrDimension]
    tariff_id: CiString36 | None = None


class SignedValue(Schema):
    """One signed meter value. Source: mod_cdrs.asciidoc > SignedValue class."""

    nature: CiString32
    plain_data: String5000
    signed_data: Base64String5000


class SignedData(Schema):
    """Proof from the meter. Source: mod_cdrs.asciidoc > SignedData class."""

    encoding_method: CiString36
    encoding_method_version: Int | None = None
    public_key: Base64String512 | None = None
    signed_values: Some[SignedValue]
    url: String512 | None = None


ID_LENGTH = 36
"""Of a CDR that is no Credit CDR (CDR-026)."""


class CDR(Schema):
    """A charge detail record; never changed once sent. Source: mod_cdrs.asciidoc > CDR Object."""

    country_code: CiString2
    party_id: CiString3
    id: Id39
    start_date_time: DateTime
    end_date_time: DateTime
    session_id: CiString36 | None = None
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    cdr_location: CdrLocation
    meter_id: String255 | None = None
    currency: Currency
    tariffs: Many[Tariff] = None
    charging_periods: Some[ChargingPeriod]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: String255 | None = None
    invoice_reference_id: CiString39 | None = None
    credit: Boolean | None = None
    credit_reference_id: CiString39 | None = None
    home_charging_compensation: Boolean | None = None
    last_updated: DateTime

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """CDR-026, CDR-039."""
        if bool(self.credit) != bool(self.credit_reference_id):
            raise oddity("credit true and credit_reference_id go together")
        if not self.credit and len(self.id) > ID_LENGTH:
            raise oddity(f"id is longer than {ID_LENGTH} characters, which only a Credit CDR's may be")
        return self
