"""OCPP 1.6 payloads as values. The readers never fail: what a charger left out or got wrong becomes None or empty.

They are handed what `schemas.read` could make of a payload, so that a transaction message always leads to a row and
an answer, however odd it is (F26): a station that gets an error for it sends it again for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.bridge import meter
from hub.bridge.clock import Moment, moment
from hub.ocpi import json

TRANSACTION_ACTIONS = frozenset({"StartTransaction", "MeterValues", "StopTransaction"})

ANSWERED_ONLY: Mapping[str, dict[str, Any]] = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "DiagnosticsStatusNotification": {},
    "FirmwareStatusNotification": {},
    "LogStatusNotification": {},
    "SecurityEventNotification": {},
    "SignCertificate": {"status": "Rejected"},
    "SignedFirmwareStatusNotification": {},
}
"""What a station may send without any effect here, and the answer it waits for."""

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Boot:
    """BootNotification.req: who the station says it is."""

    vendor: str
    model: str
    serial: str | None
    firmware: str | None


@dataclass(frozen=True)
class Status:
    """StatusNotification.req."""

    connector: int
    status: str
    error_code: str
    at: Moment


@dataclass(frozen=True)
class Sample:
    """One entry of a meterValue list: the import register in Wh if there is one, and what was sent."""

    at: datetime
    register_wh: Decimal | None
    raw: str


@dataclass(frozen=True)
class Start:
    """StartTransaction.req; `told_at` is the timestamp as sent, part of what makes a resent message the same."""

    connector: int
    id_tag: str
    meter_start: Decimal | None
    at: Moment
    told_at: str
    reservation: int | None


@dataclass(frozen=True)
class Meter:
    """MeterValues.req."""

    connector: int
    transaction: int | None
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Stop:
    """StopTransaction.req."""

    transaction: int | None
    id_tag: str | None
    meter_stop: Decimal | None
    at: Moment
    reason: str | None
    told_at: str
    samples: tuple[Sample, ...]


def boot(payload: Mapping[str, Any]) -> Boot:
    """Read a BootNotification."""
    serial = _text(payload, "chargePointSerialNumber") or _text(payload, "chargeBoxSerialNumber")
    firmware = _text(payload, "firmwareVersion")
    return Boot(_text(payload, "chargePointVendor") or "", _text(payload, "chargePointModel") or "", serial, firmware)


def status(payload: Mapping[str, Any], received: datetime) -> Status:
    """Read a StatusNotification."""
    error_code = _text(payload, "errorCode") or "NoError"
    at = moment(payload.get("timestamp"), received)
    return Status(_integer(payload, "connectorId") or 0, _text(payload, "status") or "", error_code, at)


def start(payload: Mapping[str, Any], received: datetime) -> Start:
    """Read a StartTransaction."""
    told_at = _text(payload, "timestamp") or ""
    connector = _integer(payload, "connectorId") or 0
    id_tag = _text(payload, "idTag") or ""
    at, reservation = moment(told_at, received), _integer(payload, "reservationId")
    return Start(connector, id_tag, _number(payload, "meterStart"), at, told_at, reservation)


def meter_values(payload: Mapping[str, Any], received: datetime) -> Meter:
    """Read a MeterValues."""
    connector = _integer(payload, "connectorId") or 0
    return Meter(connector, _integer(payload, "transactionId"), _samples(payload.get("meterValue"), received))


def stop(payload: Mapping[str, Any], received: datetime) -> Stop:
    """Read a StopTransaction."""
    told_at = _text(payload, "timestamp") or ""
    return Stop(
        _integer(payload, "transactionId"),
        _text(payload, "idTag") or None,
        _number(payload, "meterStop"),
        moment(told_at, received),
        _text(payload, "reason"),
        told_at,
        _samples(payload.get("transactionData"), received),
    )


def bare(text: str) -> str:
    """An idTag without the separators some readers add."""
    return text.replace(" ", "").replace(":", "")


def id_tag(text: str) -> str:
    """An idTag as it is compared: bare, and without regard to case."""
    return bare(text).upper()


def _samples(entries: object, received: datetime) -> tuple[Sample, ...]:
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("sampledValue"), list):
            values = [value for value in entry["sampledValue"] if isinstance(value, dict)]
            at = moment(entry.get("timestamp"), received).at
            found.append(Sample(at, meter.register_wh(values), json.dumps(values).decode()))
    return tuple(found)


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    """A text field; the word null, which some firmware sends, is no text (F25)."""
    value = payload.get(name)
    return value.strip() if isinstance(value, str) and value.strip().lower() != "null" else None


def _integer(payload: Mapping[str, Any], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID else None


def _number(payload: Mapping[str, Any], name: str) -> Decimal | None:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        return meter.sane(Decimal(value))
    except InvalidOperation:
        return None
