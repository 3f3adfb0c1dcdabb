"""A Session, and the driver's wishes for it. Source: mod_sessions.asciidoc."""

from typing import Annotated

from hub.ocpi.classes import Price
from hub.ocpi.enums import AuthMethod, ProfileType, SessionStatus
from hub.ocpi.types import (
    Boolean,
    CiString2,
    CiString3,
    CiString36,
    Currency,
    DateTime,
    Id36,
    Many,
    Number,
    Schema,
    String255,
    Structural,
)
from modules.cdrs.schemas import CdrToken, ChargingPeriod


class Session(Schema):
    """Charging that is going on, or a reservation. Source: mod_sessions.asciidoc > Session Object."""

    country_code: CiString2
    party_id: CiString3
    id: Id36
    start_date_time: DateTime
    end_date_time: DateTime | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: AuthMethod
    authorization_reference: CiString36 | None = None
    location_id: CiString36
    evse_uid: CiString36
    connector_id: CiString36
    meter_id: String255 | None = None
    currency: Currency
    charging_periods: Annotated[Many[ChargingPeriod], Structural] = None
    total_cost: Price | None = None
    status: SessionStatus
    last_updated: DateTime


class ChargingPreferences(Schema):
    """What the driver wants, and by when. Source: mod_sessions.asciidoc > ChargingPreferences Object."""

    profile_type: ProfileType
    departure_time: DateTime | None = None
    energy_need: Number | None = None
    discharge_allowed: Boolean | None = None
