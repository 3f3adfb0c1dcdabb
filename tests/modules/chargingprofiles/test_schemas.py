"""What of a charging profile may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Schema
from modules.chargingprofiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfile,
    ChargingProfilePeriod,
    ChargingProfileResponse,
    ChargingProfileResult,
    ClearProfileResult,
    SetChargingProfile,
)

PROFILE: dict[str, Any] = {"charging_rate_unit": "W"}
ACTIVE: dict[str, Any] = {"start_date_time": "2026-01-01T12:00:00Z", "charging_profile": PROFILE}
FULL: list[tuple[type[Schema], dict[str, Any]]] = [
    (ChargingProfileResponse, {"result": "ACCEPTED", "timeout": 30}),
    (ActiveChargingProfile, ACTIVE),
    (ChargingProfile, PROFILE),
    (ChargingProfilePeriod, {"start_period": 0, "limit": Decimal("11.5")}),
    (SetChargingProfile, {"charging_profile": PROFILE, "response_url": "https://m.example/1"}),
    (ChargingProfileResult, {"result": "ACCEPTED"}),
    (ClearProfileResult, {"result": "UNKNOWN"}),
    (ActiveChargingProfileResult, {"result": "REJECTED"}),
]
IDS = {
    "ChargingProfileResponse": "CHP-025",
    "ActiveChargingProfile": "CHP-027",
    "ChargingProfile": "CHP-028",
    "ChargingProfilePeriod": "CHP-032",
    "SetChargingProfile": "CHP-043",
    "ChargingProfileResult": "CHP-043",
    "ClearProfileResult": "CHP-043",
    "ActiveChargingProfileResult": "CHP-026",
}


@pytest.mark.parametrize(
    ("model", "body", "missing"),
    [
        pytest.param(model, body, name, marks=pytest.mark.catalogue(IDS[model.__name__]), id=f"{model.__name__}-{name}")
        for model, body in FULL
        for name in body
    ],
)
def test_each_needs_its_required_fields(model: type[Schema], body: dict[str, Any], missing: str) -> None:
    assert types.check(model, body) == []
    with pytest.raises(InvalidParameters, match=f"^{missing}: field required"):
        types.check(model, {name: value for name, value in body.items() if name != missing})


@pytest.mark.catalogue("CHP-029", "CHP-030")
def test_start_and_duration_may_be_missing() -> None:
    assert types.check(ChargingProfile, PROFILE) == []
    whole = PROFILE | {"start_date_time": "2026-01-01T12:00:00Z", "duration": 600, "min_charging_rate": Decimal("6.0")}
    assert types.check(ChargingProfile, whole | {"charging_profile_period": [{"start_period": 0, "limit": 16}]}) == []


@pytest.mark.catalogue("CHP-031")
@pytest.mark.parametrize("limit", ["11.25", "0.01"])
def test_one_decimal_is_enough(limit: str) -> None:
    assert types.check(ChargingProfilePeriod, {"start_period": 0, "limit": Decimal("11.50")}) == []
    [found] = types.check(ChargingProfilePeriod, {"start_period": 0, "limit": Decimal(limit)})
    assert "one decimal" in found.reason
    [found] = types.check(ChargingProfile, PROFILE | {"min_charging_rate": Decimal(limit)})
    assert "one decimal" in found.reason


@pytest.mark.catalogue("CHP-026")
def test_an_accepted_get_has_a_profile() -> None:
    assert types.check(ActiveChargingProfileResult, {"result": "ACCEPTED", "profile": ACTIVE}) == []
    [found] = types.check(ActiveChargingProfileResult, {"result": "ACCEPTED"})
    assert "profile" in found.reason


@pytest.mark.catalogue("CHP-033")
def test_watts_or_amperes() -> None:
    assert types.check(ChargingProfile, {"charging_rate_unit": "A"}) == []
    assert types.check(ChargingProfile, {"charging_rate_unit": "kW"})[0].path == "charging_rate_unit"
