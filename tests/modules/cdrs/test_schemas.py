"""What of a CDR may be odd, and what may not."""

from decimal import Decimal
from typing import Any

import pytest

from hub.ocpi import types
from hub.ocpi.enums import CdrDimensionType
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import Finding
from modules.cdrs.schemas import CDR, CdrDimension, SignedData


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


def credit(**changes: Any) -> dict[str, Any]:
    amounts = {"total_cost": {"excl_vat": Decimal("-20.00")}}
    return cdr(id="C" * 39, credit=True, credit_reference_id="C-1", **amounts) | changes


@pytest.mark.catalogue("CDR-026")
def test_the_length_of_an_id() -> None:
    assert types.check(CDR, credit()) == []
    assert types.check(CDR, credit(id="C" * 40)) == [Finding("id", "longer than 39 characters")]
    assert types.check(CDR, cdr(id="C" * 36)) == []
    (finding,) = types.check(CDR, cdr(id="C" * 37))
    assert "longer than 36 characters" in finding.reason


@pytest.mark.catalogue("CDR-039", "CDR-006")
@pytest.mark.parametrize(
    "changes",
    [{"credit_reference_id": None}, {"credit": None}, {"credit": False}],
)
def test_credit_goes_with_its_reference(changes: dict[str, Any]) -> None:
    assert types.check(CDR, credit(id="C-2", **changes)) == [
        Finding("body", "credit true and credit_reference_id go together")
    ]


@pytest.mark.catalogue("CDR-040")
def test_a_home_charger() -> None:
    assert types.check(CDR, cdr(home_charging_compensation=True)) == []
    assert types.check(CDR, cdr(home_charging_compensation="yes")) == [
        Finding("home_charging_compensation", "must be true or false")
    ]


@pytest.mark.catalogue("CDR-035")
@pytest.mark.parametrize(
    "name",
    ["total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost", "total_reservation_cost"],
)
def test_costs_are_prices(name: str) -> None:
    assert types.check(CDR, cdr(**{name: {"excl_vat": 1, "incl_vat": Decimal("1.21")}})) == []
    assert types.check(CDR, cdr(**{name: Decimal("1.00")})) == [Finding(name, "must be an object")]


@pytest.mark.catalogue("CDR-034", "CDR-033")
@pytest.mark.parametrize("name", ["total_energy", "total_time"])
def test_totals_are_numbers(name: str) -> None:
    with pytest.raises(InvalidParameters, match=f"^{name}: must be a number$"):
        types.check(CDR, cdr(**{name: "01:00"}))
    without = cdr()
    del without[name]
    with pytest.raises(InvalidParameters, match=f"^{name}: field required$"):
        types.check(CDR, without)


CDR_REQUIRED = (
    *("country_code", "party_id", "id", "start_date_time", "end_date_time", "cdr_token", "auth_method"),
    *("cdr_location", "currency", "charging_periods", "total_cost", "total_energy", "total_time", "last_updated"),
)
PLACE_REQUIRED = (
    *("id", "address", "city", "country", "coordinates", "evse_uid", "evse_id", "connector_id"),
    *("connector_standard", "connector_format", "connector_power_type"),
)
TOKEN_REQUIRED = ("country_code", "party_id", "uid", "type", "contract_id")


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        *(
            pytest.param(without(cdr(), name), f"^{name}: field required", marks=pytest.mark.catalogue("CDR-025"))
            for name in CDR_REQUIRED
        ),
        *(
            pytest.param(
                cdr(cdr_location=without(cdr()["cdr_location"], name)),
                rf"^cdr_location\.{name}: field required",
                marks=pytest.mark.catalogue("CDR-051"),
            )
            for name in PLACE_REQUIRED
        ),
        *(
            pytest.param(
                cdr(cdr_token=without(cdr()["cdr_token"], name)),
                rf"^cdr_token\.{name}: field required",
                marks=pytest.mark.catalogue("CDR-054"),
            )
            for name in TOKEN_REQUIRED
        ),
        *(
            pytest.param(
                cdr(charging_periods=[without(cdr()["charging_periods"][0], name)]),
                rf"^charging_periods\[0\]\.{name}: field required",
                marks=pytest.mark.catalogue("CDR-056"),
            )
            for name in ("start_date_time", "dimensions")
        ),
        pytest.param(
            cdr(charging_periods=[cdr()["charging_periods"][0] | {"dimensions": []}]),
            r"^charging_periods\[0\]\.dimensions: must have at least one element",
            marks=pytest.mark.catalogue("CDR-056"),
        ),
        *(
            pytest.param(
                cdr(charging_periods=[cdr()["charging_periods"][0] | {"dimensions": [dimension]}]),
                rf"dimensions\[0\]\.{name}: field required",
                marks=pytest.mark.catalogue("CDR-064"),
            )
            for name, dimension in (("type", {"volume": 1}), ("volume", {"type": "ENERGY"}))
        ),
    ],
)
def test_what_is_required(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        types.check(CDR, changed)


@pytest.mark.catalogue("CDR-046")
@pytest.mark.parametrize("method", ["AUTH_REQUEST", "COMMAND", "WHITELIST"])
def test_auth_methods(method: str) -> None:
    assert types.check(CDR, cdr(auth_method=method)) == []
    assert types.check(CDR, cdr(auth_method=f"{method}_2")) == [Finding("auth_method", "unknown value")]


DIMENSIONS = (
    *("CURRENT", "ENERGY", "ENERGY_EXPORT", "ENERGY_IMPORT", "MAX_CURRENT", "MIN_CURRENT", "MAX_POWER", "MIN_POWER"),
    *("PARKING_TIME", "POWER", "RESERVATION_TIME", "STATE_OF_CHARGE", "TIME"),
)


@pytest.mark.catalogue("CDR-047")
def test_dimension_types() -> None:
    assert sorted(DIMENSIONS) == sorted(CdrDimensionType)
    assert all(types.check(CdrDimension, {"type": name, "volume": 1}) == [] for name in DIMENSIONS)
    assert types.check(CdrDimension, {"type": "VOLTAGE", "volume": 1}) == [Finding("type", "unknown value")]


@pytest.mark.catalogue("CDR-050")
@pytest.mark.parametrize(("volume", "odd"), [(0, False), (100, False), (Decimal("100.1"), True), (-1, True)])
def test_a_battery_is_between_empty_and_full(volume: Any, odd: bool) -> None:
    findings = types.check(CdrDimension, {"type": "STATE_OF_CHARGE", "volume": volume})
    assert [finding.reason for finding in findings] == (
        ["volume of STATE_OF_CHARGE must be between 0 and 100"] if odd else []
    )
    assert types.check(CdrDimension, {"type": "ENERGY", "volume": volume}) == []


@pytest.mark.catalogue("TYP-011", "TYP-014")
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


VALUE = {"nature": "begin", "plain_data": "x", "signed_data": "eA=="}
SIGNED = {"encoding_method": "OCMF", "signed_values": [VALUE]}


@pytest.mark.catalogue("CDR-058", "CDR-063")
@pytest.mark.parametrize(
    ("signed", "message"),
    [
        (without(SIGNED, "encoding_method"), r"^encoding_method: field required$"),
        (SIGNED | {"signed_values": []}, r"^signed_values: must have at least one element$"),
        (without(SIGNED, "signed_values"), r"^signed_values: field required$"),
        *(
            (SIGNED | {"signed_values": [without(VALUE, name)]}, rf"^signed_values\[0\]\.{name}: field required$")
            for name in VALUE
        ),
    ],
)
def test_signed_data_is_whole(signed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        types.check(SignedData, signed)


@pytest.mark.catalogue("CDR-058", "CDR-063")
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (VALUE | {"plain_data": "x" * 5001}, "plain_data"),
        (VALUE | {"signed_data": "x" * 5004}, "signed_data"),
        (VALUE | {"signed_data": "OCMF|{}|{}"}, "signed_data"),
    ],
)
def test_signed_values_that_are_odd(value: dict[str, Any], path: str) -> None:
    assert types.check(SignedData, SIGNED | {"signed_values": [VALUE | {"plain_data": "x" * 5000}]}) == []
    (finding,) = types.check(SignedData, SIGNED | {"signed_values": [value]})
    assert finding.path == f"signed_values[0].{path}"


@pytest.mark.catalogue("CDR-063")
def test_a_public_key_is_base64() -> None:
    assert types.check(SignedData, SIGNED | {"public_key": "MFkwEwYHKoZIzj0="}) == []
    (finding,) = types.check(SignedData, SIGNED | {"public_key": "-----BEGIN"})
    assert finding.path == "public_key"


@pytest.mark.catalogue("CDR-060")
@pytest.mark.parametrize("nature", ["Start", "END", "intermediate", "SomethingNew"])
def test_any_nature_is_kept(nature: str) -> None:
    assert types.check(SignedData, SIGNED | {"signed_values": [VALUE | {"nature": nature}]}) == []
