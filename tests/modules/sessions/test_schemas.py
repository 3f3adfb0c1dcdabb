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


@pytest.mark.catalogue("SES-036")
def test_the_status_that_the_flow_text_misspells() -> None:
    assert types.check(Session, session(status="RESERVATION")) == []
    assert types.check(Session, session(status="RESERVED")) == [Finding("status", "unknown value")]


REQUIRED = (
    *("country_code", "party_id", "id", "start_date_time", "kwh", "cdr_token", "auth_method", "location_id"),
    *("evse_uid", "connector_id", "currency", "status", "last_updated"),
)


@pytest.mark.catalogue("SES-032")
@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required(name: str) -> None:
    body = session()
    del body[name]
    with pytest.raises(InvalidParameters, match=f"^{name}: field required$"):
        types.check(Session, body)


@pytest.mark.catalogue("SES-032")
def test_what_is_not_required() -> None:
    assert set(session()) == set(REQUIRED)
    assert types.check(Session, session()) == []


@pytest.mark.catalogue("SES-044")
@pytest.mark.parametrize("status", ["ACTIVE", "COMPLETED", "INVALID", "PENDING", "RESERVATION"])
def test_statuses(status: str) -> None:
    assert types.check(Session, session(status=status)) == []
    assert types.check(Session, session(status=status.lower())) == [Finding("status", "unknown value")]


@pytest.mark.catalogue("SES-039")
@pytest.mark.parametrize("currency", ["EURO", "eur", "E1R", "EU"])
def test_a_currency_is_three_letters(currency: str) -> None:
    assert types.check(Session, session(currency="NOK")) == []
    assert [finding.path for finding in types.check(Session, session(currency=currency))] == ["currency"]


@pytest.mark.catalogue("SES-038")
def test_the_costs_so_far_are_a_price() -> None:
    assert types.check(Session, session(total_cost={"excl_vat": Decimal("0.00")})) == []
    assert types.check(Session, session(total_cost=Decimal("0.00"))) == [Finding("total_cost", "must be an object")]


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


@pytest.mark.catalogue("CDR-054")
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


@pytest.mark.catalogue("SES-041")
def test_charging_preferences_have_a_profile_type() -> None:
    with pytest.raises(InvalidParameters, match=r"^profile_type: field required$"):
        types.check(ChargingPreferences, {"energy_need": 20})


@pytest.mark.catalogue("SES-043")
@pytest.mark.parametrize("profile", ["CHEAP", "FAST", "GREEN", "REGULAR"])
def test_profile_types(profile: str) -> None:
    assert types.check(ChargingPreferences, {"profile_type": profile}) == []
    assert types.check(ChargingPreferences, {"profile_type": f"{profile}ER"}) == [
        Finding("profile_type", "unknown value")
    ]
