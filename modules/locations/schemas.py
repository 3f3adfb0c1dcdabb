"""A Location holds EVSEs, an EVSE holds Connectors. Source: mod_locations.asciidoc."""

import functools
import zoneinfo
from typing import Annotated, Self

from pydantic import model_validator

from hub.ocpi.classes import DisplayText
from hub.ocpi.enums import (
    Capability,
    ConnectorFormat,
    ConnectorType,
    EnergySourceCategory,
    EnvironmentalImpactCategory,
    Facility,
    ImageCategory,
    ParkingRestriction,
    ParkingType,
    PowerType,
    Status,
    TokenType,
)
from hub.ocpi.types import (
    Boolean,
    CiString2,
    CiString3,
    CiString4,
    CiString36,
    CiString48,
    Country,
    DateTime,
    Id36,
    Int,
    Int1,
    Int5,
    Latitude,
    Longitude,
    Many,
    Number,
    Schema,
    Some,
    String4,
    String10,
    String16,
    String45,
    String64,
    String100,
    String255,
    Structural,
    Time5,
    Url,
    oddity,
)


def _on_earth(latitude: str, longitude: str) -> None:
    """LOC-070."""
    if abs(float(latitude)) > 90 or abs(float(longitude)) > 180:
        raise oddity("latitude goes to 90 and longitude to 180 degrees: are the two swapped?")


class GeoLocation(Schema):
    """A point on earth, WGS 84, as text. Source: mod_locations.asciidoc > GeoLocation class."""

    latitude: Latitude
    longitude: Longitude

    @model_validator(mode="after")
    def _is_on_earth(self) -> Self:
        _on_earth(self.latitude, self.longitude)
        return self


class AdditionalGeoLocation(Schema):
    """An entrance, a pay machine. Source: mod_locations.asciidoc > AdditionalGeoLocation class."""

    latitude: Latitude
    longitude: Longitude
    name: DisplayText | None = None

    @model_validator(mode="after")
    def _is_on_earth(self) -> Self:
        _on_earth(self.latitude, self.longitude)
        return self


class Image(Schema):
    """A picture by its address. Source: mod_locations.asciidoc > Image class."""

    url: Url
    thumbnail: Url | None = None
    category: ImageCategory
    type: CiString4
    width: Int5 | None = None
    height: Int5 | None = None


class BusinessDetails(Schema):
    """Who runs or owns something. Source: mod_locations.asciidoc > BusinessDetails class."""

    name: String100
    website: Url | None = None
    logo: Image | None = None


class EnergySource(Schema):
    """A share of the energy, in percent. Source: mod_locations.asciidoc > EnergySource class."""

    source: EnergySourceCategory
    percentage: Number


class EnvironmentalImpact(Schema):
    """Grams per kWh. Source: mod_locations.asciidoc > EnvironmentalImpact class."""

    category: EnvironmentalImpactCategory
    amount: Number


class EnergyMix(Schema):
    """Where the energy comes from. Source: mod_locations.asciidoc > EnergyMix class."""

    is_green_energy: Boolean
    energy_sources: Many[EnergySource] = None
    environ_impact: Many[EnvironmentalImpact] = None
    supplier_name: String64 | None = None
    energy_product_name: String64 | None = None


class RegularHours(Schema):
    """A stretch of a weekday (1 is Monday), local time. Source: mod_locations.asciidoc > RegularHours class."""

    weekday: Int1
    period_begin: Time5
    period_end: Time5

    @model_validator(mode="after")
    def _is_a_stretch_of_a_day(self) -> Self:
        """LOC-075."""
        if not 1 <= self.weekday <= 7:
            raise oddity("weekday goes from 1 (Monday) to 7 (Sunday)")
        if self.period_end <= self.period_begin:
            raise oddity("period_end must be later than period_begin")
        return self


class ExceptionalPeriod(Schema):
    """A stretch of time, UTC. Source: mod_locations.asciidoc > ExceptionalPeriod class."""

    period_begin: DateTime
    period_end: DateTime


class Hours(Schema):
    """When a Location is open. Source: mod_locations.asciidoc > Hours class."""

    twentyfourseven: Boolean
    regular_hours: Many[RegularHours] = None
    exceptional_openings: Many[ExceptionalPeriod] = None
    exceptional_closings: Many[ExceptionalPeriod] = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        """LOC-072."""
        if self.twentyfourseven and self.regular_hours:
            raise oddity("regular_hours are not given with twentyfourseven")
        if not self.twentyfourseven and not self.regular_hours:
            raise oddity("regular_hours are needed unless it is open twentyfourseven")
        return self


class PublishTokenType(Schema):
    """Whom an unpublished Location may be shown to. Source: mod_locations.asciidoc > PublishTokenType class."""

    uid: CiString36 | None = None
    type: TokenType | None = None
    visual_number: String64 | None = None
    issuer: String64 | None = None
    group_id: CiString36 | None = None

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        """LOC-077, LOC-078."""
        if not (self.uid or self.visual_number or self.group_id):
            raise oddity("at least one of uid, visual_number and group_id is needed")
        if self.uid and not self.type:
            raise oddity("uid needs a type")
        if self.visual_number and not self.issuer:
            raise oddity("visual_number needs an issuer")
        return self


class StatusSchedule(Schema):
    """A status that is planned. Source: mod_locations.asciidoc > StatusSchedule class."""

    period_begin: DateTime
    period_end: DateTime | None = None
    status: Status


class Connector(Schema):
    """A socket or a cable with a plug. Source: mod_locations.asciidoc > Connector Object."""

    id: Id36
    standard: ConnectorType
    format: ConnectorFormat
    power_type: PowerType
    max_voltage: Int
    max_amperage: Int
    max_electric_power: Int | None = None
    tariff_ids: Many[CiString36] = None
    terms_and_conditions: Url | None = None
    last_updated: DateTime


class EVSE(Schema):
    """What charges one vehicle at a time. Source: mod_locations.asciidoc > EVSE Object."""

    uid: Id36
    evse_id: CiString48 | None = None
    status: Status
    status_schedule: Many[StatusSchedule] = None
    capabilities: Many[Capability] = None
    connectors: Some[Connector]
    floor_level: String4 | None = None
    coordinates: GeoLocation | None = None
    physical_reference: String16 | None = None
    directions: Many[DisplayText] = None
    parking_restrictions: Many[ParkingRestriction] = None
    images: Many[Image] = None
    last_updated: DateTime


class Location(Schema):
    """A place with EVSEs. Source: mod_locations.asciidoc > Location Object."""

    country_code: CiString2
    party_id: CiString3
    id: Id36
    publish: Boolean
    publish_allowed_to: Many[PublishTokenType] = None
    name: String255 | None = None
    address: String255
    city: String45
    postal_code: String10 | None = None
    state: String45 | None = None
    country: Country
    coordinates: GeoLocation
    related_locations: Many[AdditionalGeoLocation] = None
    parking_type: ParkingType | None = None
    evses: Annotated[Many[EVSE], Structural] = None
    directions: Many[DisplayText] = None
    operator: BusinessDetails | None = None
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: Many[Facility] = None
    time_zone: String255
    opening_times: Hours | None = None
    charging_when_closed: Boolean | None = None
    images: Many[Image] = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """LOC-037, LOC-041."""
        if self.publish and self.publish_allowed_to:
            raise oddity("publish_allowed_to is for Locations with publish false")
        if _zones() and self.time_zone not in _zones():
            raise oddity("time_zone must be a name of the IANA time zone database, like Europe/Amsterdam")
        return self


@functools.cache
def _zones() -> frozenset[str]:
    """The names that this machine knows; none where it has no time zone database."""
    return frozenset(zoneinfo.available_timezones())
