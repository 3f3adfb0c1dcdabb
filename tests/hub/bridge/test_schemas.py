"""Lenient in, strict out."""

import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.bridge import schemas, v16
from hub.ocpi import json

NOW = datetime.fromisoformat("2026-05-01T12:00:00+00:00")
SAMPLE = {"value": "1000", "unit": "Wh"}
METER: dict[str, Any] = {
    "connectorId": 1,
    "transactionId": 7,
    "meterValue": [{"timestamp": "2026-05-01T11:59:59Z", "sampledValue": [SAMPLE]}],
}


def read(action: str, payload: object) -> dict[str, Any]:
    repaired, violation = schemas.read(action, payload)
    assert violation is None
    return repaired


def test_what_fits_is_not_touched() -> None:
    assert read("MeterValues", METER) is METER


def test_an_object_where_a_list_belongs() -> None:
    """F23."""
    bent = copy.deepcopy(METER)
    bent["meterValue"] = {"timestamp": METER["meterValue"][0]["timestamp"], "sampledValue": SAMPLE}
    assert read("MeterValues", bent) == METER


@pytest.mark.parametrize("value", [1000, True, 1000.5])
def test_numbers_and_text(value: object) -> None:
    """F20."""
    bent = json.loads(json.dumps(METER))
    bent["meterValue"][0]["sampledValue"][0]["value"] = json.loads(json.dumps(value))
    text = read("MeterValues", bent)["meterValue"][0]["sampledValue"][0]["value"]
    assert isinstance(text, str)


def test_extra_fields_nulls_and_long_text() -> None:
    """F16, F21, F25."""
    boot = {"chargePointVendor": "V" * 50, "chargePointModel": "M", "iccid": None, "colour": "red"}
    assert read("BootNotification", boot) == {"chargePointVendor": "V" * 50, "chargePointModel": "M"}


def test_whole_numbers_that_came_as_text() -> None:
    stop = {"transactionId": "12", "meterStop": "1500.0", "timestamp": "x"}
    assert read("StopTransaction", stop)["meterStop"] == 1500


def test_what_is_missing_is_named() -> None:
    _, violation = schemas.read("StatusNotification", {"connectorId": 1, "status": "Available"})
    assert violation == schemas.Violation("OccurenceConstraintViolation", "errorCode")
    _, violation = schemas.read("Authorize", {"idTag": ["x"]})
    assert violation == schemas.Violation("TypeConstraintViolation", "idTag")
    _, violation = schemas.read("Heartbeat", [])
    assert violation == schemas.Violation("TypeConstraintViolation", "payload")


def test_known_actions() -> None:
    assert all(map(schemas.known, ["Heartbeat", "MeterValues", "Reset", *v16.ANSWERED_ONLY]))
    assert not any(map(schemas.known, ["TransactionEvent", "../MeterValues", "", "heartbeat"]))


def test_what_we_send_must_fit() -> None:
    schemas.require("RemoteStopTransaction", {"transactionId": 1})
    with pytest.raises(ValueError, match="RemoteStartTransaction"):
        schemas.require("RemoteStartTransaction", {"idTag": "x" * 21})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.decimals(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
READERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "BootNotification": lambda payload: v16.boot(payload),
    "StatusNotification": lambda payload: v16.status(payload, NOW),
    "StartTransaction": lambda payload: v16.start(payload, NOW),
    "MeterValues": lambda payload: v16.meter_values(payload, NOW),
    "StopTransaction": lambda payload: v16.stop(payload, NOW),
}
FIELDS = [
    "connectorId",
    "idTag",
    "meterStart",
    "meterStop",
    "timestamp",
    "transactionId",
    "meterValue",
    "transactionData",
    "status",
    "errorCode",
    "reason",
]


@given(st.sampled_from(sorted(READERS)), st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_whatever_comes_is_read(action: str, payload: object) -> None:
    """A transaction message always leads to a row and an answer (F26)."""
    repaired, _ = schemas.read(action, payload)
    READERS[action](repaired)
