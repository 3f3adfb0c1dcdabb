"""What of a Session may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.sessions.schemas import ChargingPreferences, Session


def session(**changes: Any) -> dict[str, Any]:
    return {
        "country_code": "SE",
        "party_id": "VLT",
        "id": "S-1",
        "start_date_time": "2026-03-14T09:00:00Z",
        "kwh": Decimal("7.3500"),
        "cdr_token": {
            "country_code": "NO",
            "party_id": "FJD",
            "uid": "04E2A19C",
            "type": "RFID",
            "contract_id": "NO-FJD-C00012345-K",
        },
        "auth_method": "WHITELIST",
        "location_id": "U-2",
        "evse_uid": "#NA",
        "connector_id": "#NA",
        "currency": "SEK",
        "status": "ACTIVE",
        "last_updated": "2026-03-14T09:45:00Z",
    } | changes


@pytest.mark.catalogue("SES-008", "SES-036")
def test_the_status_that_the_flow_text_misspells() -> None:
    assert types.check(Session, session(status="RESERVATION")) == []
    assert types.check(Session, session(status="RESERVED")) == [Finding("status", "unknown value")]


@pytest.mark.catalogue("SES-023", "SES-028")
@pytest.mark.parametrize("periods", [None, []])
def test_periods_may_be_missing(periods: object) -> None:
    assert types.check(Session, session(charging_periods=periods)) == []


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        ("none", "^charging_periods: must be a list$"),
        ([5], r"^charging_periods\[0\]: must be an object$"),
        ([{"start_date_time": "2026-03-14T09:00:00Z", "dimensions": []}], r"\.dimensions: must have at least one"),
    ],
)
def test_periods_must_have_a_shape_to_append_to(periods: object, message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        types.check(Session, session(charging_periods=periods))


@pytest.mark.catalogue("SES-004", "CDR-054")
def test_the_token_names_the_receiver() -> None:
    with pytest.raises(InvalidParameters, match=r"^cdr_token\.country_code: field required; cdr_token\.party_id"):
        types.check(Session, session(cdr_token={"uid": "1", "type": "RFID", "contract_id": "1"}))


@pytest.mark.catalogue("SES-041")
def test_charging_preferences() -> None:
    assert types.check(ChargingPreferences, {"profile_type": "GREEN", "discharge_allowed": None}) == []
    assert types.check(ChargingPreferences, {"profile_type": "SLOW", "energy_need": "20"}) == [
        Finding("profile_type", "unknown value"),
        Finding("energy_need", "must be a number"),
    ]
