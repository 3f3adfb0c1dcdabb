"""Charging profiles, what is asked about them, and what is answered. Source: mod_charging_profiles.asciidoc."""

from decimal import Decimal
from typing import Self

from pydantic import model_validator

from hub.ocpi.enums import ChargingProfileResponseType, ChargingProfileResultType, ChargingRateUnit
from hub.ocpi.types import DateTime, Int, Many, Number, Schema, Url, oddity


class ChargingProfilePeriod(Schema):
    """A limit from `start_period` seconds after the start of the profile until the next period begins.

    Source: mod_charging_profiles.asciidoc > ChargingProfilePeriod class.
    """

    start_period: Int
    limit: Number

    @model_validator(mode="after")
    def _decimals(self) -> Self:
        if not _one_decimal(self.limit):
            raise oddity("limit has more than one decimal")
        return self


class ChargingProfile(Schema):
    """Limits over time. Without `start_date_time` they count from the start of charging; without `duration` the last
    one goes on. Source: mod_charging_profiles.asciidoc > ChargingProfile class."""

    start_date_time: DateTime | None = None
    duration: Int | None = None
    charging_rate_unit: ChargingRateUnit
    min_charging_rate: Number | None = None
    charging_profile_period: Many[ChargingProfilePeriod] = None

    @model_validator(mode="after")
    def _decimals(self) -> Self:
        if self.min_charging_rate is not None and not _one_decimal(self.min_charging_rate):
            raise oddity("min_charging_rate has more than one decimal")
        return self


class ActiveChargingProfile(Schema):
    """What a charge point plans to do, from `start_date_time` on. Source: mod_charging_profiles.asciidoc."""

    start_date_time: DateTime
    charging_profile: ChargingProfile


class SetChargingProfile(Schema):
    """A profile for a Session, and where its result goes. Source: mod_charging_profiles.asciidoc."""

    charging_profile: ChargingProfile
    response_url: Url


class ChargingProfileResponse(Schema):
    """Whether the CPO passes the request on, and in how many seconds the result comes at the latest.

    Source: mod_charging_profiles.asciidoc > ChargingProfileResponse Object.
    """

    result: ChargingProfileResponseType
    timeout: Int


class ActiveChargingProfileResult(Schema):
    """The result of a GET. Source: mod_charging_profiles.asciidoc > ActiveChargingProfileResult Object."""

    result: ChargingProfileResultType
    profile: ActiveChargingProfile | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.result is ChargingProfileResultType.ACCEPTED and self.profile is None:
            raise oddity("profile goes with ACCEPTED")
        return self


class ChargingProfileResult(Schema):
    """The result of a PUT. Source: mod_charging_profiles.asciidoc > ChargingProfileResult Object."""

    result: ChargingProfileResultType


class ClearProfileResult(Schema):
    """The result of a DELETE. Source: mod_charging_profiles.asciidoc > ClearProfileResult Object."""

    result: ChargingProfileResultType


def _one_decimal(number: Decimal) -> bool:
    """Whether a limit is written with at most one decimal that says something (CHP-031)."""
    return number * 10 == (number * 10).to_integral_value()
