"""What of a CDR may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.cdrs.schemas import CDR, SignedData


def cdr(**changes: Any) -> dict[str, Any]:
    return {
        "country_code": "SE",
        "party_id": "VLT",
        "id": "C-1",
        "start_date_time": "2026-03-14T09:00:00Z",
        "end_date_time": "2026-03-14T10:00:00Z",
        "cdr_token": {
            "country_code": "NO",
            "party_id": "FJD",
            "uid": "04E2A19C",
            "type": "RFID",
            "contract_id": "NO-FJD-C00012345-K",
        },
        "auth_method": "COMMAND",
        "cdr_location": {
            "id": "U-2",
            "address": "Storgatan 12",
            "city": "Umeå",
            "country": "SWE",
            "coordinates": {"latitude": "63.825847", "longitude": "20.263035"},
            "evse_uid": "701",
            "evse_id": "SE*VLT*E701",
            "connector_id": "1",
            "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET",
            "connector_power_type": "AC_3_PHASE",
        },
        "currency": "SEK",
        "charging_periods": [
            {"start_date_time": "2026-03-14T09:00:00Z", "dimensions": [{"type": "ENERGY", "volume": Decimal("5.00")}]}
        ],
        "total_cost": {"excl_vat": Decimal("20.00")},
        "total_energy": 5,
        "total_time": 1,
        "last_updated": "2026-03-14T10:05:00Z",
    } | changes


@pytest.mark.catalogue("CDR-026", "CDR-006", "CDR-010")
def test_a_credit_cdr() -> None:
    credit = cdr(id="C" * 39, credit=True, credit_reference_id="C-1", total_cost={"excl_vat": Decimal("-20.00")})
    assert types.check(CDR, credit) == []
    assert types.check(CDR, credit | {"id": "C" * 40}) == [Finding("id", "longer than 39 characters")]


@pytest.mark.catalogue("CDR-025", "CDR-056", "TYP-011", "TYP-014")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": ""}, "id: must not be empty"),
        ({"total_cost": {"incl_vat": 25}}, "total_cost.excl_vat: field required"),
        ({"total_cost": {"excl_vat": "20.00"}}, "total_cost.excl_vat: must be a number"),
        ({"total_energy": "5"}, "total_energy: must be a number"),
        ({"charging_periods": []}, "charging_periods: must have at least one element"),
        ({"end_date_time": "1970-1-1T00:00:00Z"}, "end_date_time: must be a time like 2026-01-01T00:00:00Z"),
        ({"total_energy_cost": {}}, "total_energy_cost.excl_vat: field required"),
    ],
)
def test_what_no_ledger_can_take(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters) as refusal:
        types.check(CDR, cdr(**changes))
    assert refusal.value.message == message


@pytest.mark.catalogue("CDR-052", "CDR-053")
def test_a_place_of_its_time() -> None:
    place = cdr()["cdr_location"]
    not_assigned = place | {"evse_uid": "#NA", "evse_id": "#NA", "connector_id": "#NA"}
    assert types.check(CDR, cdr(cdr_location=not_assigned)) == []
    assert types.check(CDR, cdr(cdr_location=place | {"address": "x" * 46, "state": "x" * 21})) == [
        Finding("cdr_location.address", "longer than 45 characters"),
        Finding("cdr_location.state", "longer than 20 characters"),
    ]


@pytest.mark.catalogue("CDR-058", "CDR-060")
def test_signed_data() -> None:
    signed = {
        "encoding_method": "OCMF",
        "signed_values": [{"nature": "begin", "plain_data": "x", "signed_data": "eA=="}],
    }
    assert types.check(SignedData, signed) == []
    signed["signed_values"] = []
    with pytest.raises(InvalidParameters, match=r"^signed_values: must have at least one element$"):
        types.check(SignedData, signed)
