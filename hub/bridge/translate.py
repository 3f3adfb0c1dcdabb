"""OCPP state to OCPI objects. Pure: rows, readings, a Location and a tariff in, JSON objects out.

Status: mapping sections 1.1, 1.3 and 1.4. Periods: section 4.3, for ENERGY, TIME and PARKING_TIME. Amounts are taken
from the running totals at the borders of the periods, so the periods add up to the totals exactly, whatever rounding
did to each border.

PARKING_TIME is the time in which the car did not ask for power (SuspendedEV, Finishing). While the station itself
pauses (SuspendedEVSE) neither TIME nor PARKING_TIME runs: a driver does not pay for the grid's reasons.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hub.bridge.meter import Energy, Point, energy
from hub.ocpi.types import PartyId, format_datetime, same

Json = dict[str, Any]

STATUSES: Mapping[str, str] = {
    "Available": "AVAILABLE",
    "Preparing": "CHARGING",
    "Charging": "CHARGING",
    "SuspendedEV": "CHARGING",
    "SuspendedEVSE": "CHARGING",
    "Finishing": "CHARGING",
    "Reserved": "RESERVED",
    "Unavailable": "INOPERATIVE",
    "Faulted": "OUTOFORDER",
}
_PRIORITY = ("CHARGING", "RESERVED", "BLOCKED", "AVAILABLE", "INOPERATIVE", "OUTOFORDER", "UNKNOWN")
_WHOLE_STATION = {"Unavailable": "INOPERATIVE", "Faulted": "OUTOFORDER"}
SET_BY_OPERATOR = frozenset({"REMOVED", "PLANNED"})

CHARGING, PARKING, PAUSED = "TIME", "PARKING_TIME", ""
_CLASSES = {"Charging": CHARGING, "SuspendedEV": PARKING, "Finishing": PARKING, "SuspendedEVSE": PAUSED}

LIMIT_UNKNOWN_W = Decimal(400_000)
_KWH = Decimal("0.001")
_HOURS = Decimal("0.0001")
_TICK = timedelta(microseconds=1)
_TICKS_PER_HOUR = timedelta(hours=1) // _TICK


@dataclass(frozen=True)
class Plug:
    """A connector as its station told it; `busy` while a transaction runs on it."""

    status: str | None
    status_at: datetime | None
    busy: bool


@dataclass(frozen=True)
class Mark:
    """A connector status at a moment of a transaction."""

    at: datetime
    status: str


def evse_status(
    away: bool, station_status: str | None, plugs: Iterable[Plug], now: datetime, finishing: timedelta
) -> tuple[str | None, datetime | None]:
    """The status of an EVSE, None if nothing is known of it yet, and when time alone will change it."""
    if away:
        return "UNKNOWN", None
    if station_status in _WHOLE_STATION:
        return _WHOLE_STATION[station_status], None
    found: set[str] = set()
    next_look: datetime | None = None
    for plug in plugs:
        status = STATUSES.get(plug.status or "")
        if plug.status == "Finishing" and plug.status_at is not None:
            blocked_at = (now if plug.busy else plug.status_at) + finishing
            status = "BLOCKED" if now >= blocked_at else status
            next_look = blocked_at if now < blocked_at else next_look
        if status is not None:
            found.add(status)
    return next((status for status in _PRIORITY if status in found), None), next_look


def beside(status: str | None, others: Iterable[Plug]) -> str | None:
    """The status of an EVSE whose power unit others share: out of service while one of them is in use (LOC-011)."""
    in_use = any(plug.busy or STATUSES.get(plug.status or "") == "CHARGING" for plug in others)
    return "INOPERATIVE" if in_use and status == "AVAILABLE" else status


def evse_patch(status: str, at: datetime) -> Json:
    """The body of a PATCH of an EVSE."""
    return {"status": status, "last_updated": format_datetime(at)}


def find_evse(location: Json | None, evse_uid: str | None) -> Json | None:
    """The EVSE in a Location."""
    return next((evse for evse in (location or {}).get("evses") or () if same(evse["uid"], evse_uid)), None)


def find_connector(location: Json | None, evse_uid: str | None, connector_id: str | None) -> tuple[Json, Json] | None:
    """The EVSE and the Connector in a Location."""
    evse = find_evse(location, evse_uid)
    for connector in evse["connectors"] if evse else ():
        if evse and same(connector["id"], connector_id):
            return evse, connector
    return None


def only(location: Json, evse: Json, connector: Json) -> Json:
    """A Location with nothing but this EVSE and this Connector."""
    return {**location, "evses": [{**evse, "connectors": [connector]}]}


def limit_w(connector: Json) -> Decimal:
    """The power a Connector can deliver at most, from what the Location says about it."""
    if connector.get("max_electric_power"):
        return Decimal(connector["max_electric_power"])
    volts, amperes = connector.get("max_voltage"), connector.get("max_amperage")
    if not volts or not amperes:
        return LIMIT_UNKNOWN_W
    phases = 3 if connector.get("power_type") == "AC_3_PHASE" else 1
    return Decimal(volts) * Decimal(amperes) * phases


def charged(
    start: Point | None, readings: Iterable[Point], stop: Point | None, limit: Decimal, begun: datetime, ended: datetime
) -> Energy:
    """The energy of a transaction between `begun` and `ended`, from its registers in any order of arrival."""
    seen = [Point(min(max(point.at, begun), ended), point.wh) for point in readings]
    seen.sort(key=lambda point: point.at)
    registers = [*([start] if start else []), *seen, *([stop] if stop else [])]
    if not registers:
        return Energy((Point(begun, Decimal(0)),), "the meter said nothing")
    return energy(registers, limit)


@dataclass(frozen=True)
class Period:
    """A stretch of time in one class, with its energy in kWh and its length in hours."""

    start: datetime
    kind: str
    kwh: Decimal
    hours: Decimal


def periods(begun: datetime, ended: datetime, amount: Energy, marks: Iterable[Mark]) -> list[Period]:
    """The smallest list of periods that tells the classes apart; kWh and hours add up to the totals exactly."""
    borders = [(begun, CHARGING)]
    for mark in sorted(marks, key=lambda mark: mark.at):
        kind, at = _CLASSES.get(mark.status), max(mark.at, begun)
        if kind is None or at >= ended or kind == borders[-1][1]:
            continue
        if at == borders[-1][0]:
            borders.pop()
        if not borders or borders[-1][1] != kind:
            borders.append((at, kind))
    found = []
    for index, (at, kind) in enumerate(borders):
        is_last = index + 1 == len(borders)
        until = ended if is_last else borders[index + 1][0]
        until_kwh = kwh(amount.total_wh) if is_last else kwh(amount.wh_at(until))
        from_kwh = Decimal("0.000") if index == 0 else kwh(amount.wh_at(at))
        found.append(Period(at, kind, until_kwh - from_kwh, hours(begun, until) - hours(begun, at)))
    return found


def kwh(wh: Decimal) -> Decimal:
    """Wh as kWh with three decimals."""
    return (wh / 1000).quantize(_KWH, ROUND_HALF_UP)


def hours(begun: datetime, ended: datetime) -> Decimal:
    """A length of time in hours with four decimals."""
    return (Decimal((ended - begun) // _TICK) / _TICKS_PER_HOUR).quantize(_HOURS, ROUND_HALF_UP)


def charging_periods(found: Sequence[Period], tariff_id: str | None) -> list[Json]:
    """Periods as OCPI ChargingPeriods."""
    listed = []
    for period in found:
        dimensions: list[Json] = [{"type": "ENERGY", "volume": period.kwh}]
        if period.kind:
            dimensions.append({"type": period.kind, "volume": period.hours})
        told: Json = {"start_date_time": format_datetime(period.start), "dimensions": dimensions}
        listed.append(told | ({"tariff_id": tariff_id} if tariff_id else {}))
    return listed


@dataclass(frozen=True)
class Sitting:
    """What Session and CDR have in common: who charged where, by whose word, from when to when (None: not over)."""

    owner: PartyId
    session_id: str
    token: Json
    auth_method: str
    authorization_reference: str | None
    begun: datetime
    ended: datetime | None
    updated: datetime
    currency: str


def session(sitting: Sitting, status: str, place: Mapping[str, str], amount: Energy, listed: list[Json]) -> Json:
    """A Session; `place` holds location_id, evse_uid and connector_id."""
    return {
        **_common(sitting),
        "id": sitting.session_id,
        **({"end_date_time": format_datetime(sitting.ended)} if sitting.ended else {}),
        "kwh": kwh(amount.total_wh),
        **place,
        "charging_periods": listed,
        "status": status,
    }


def cdr(
    sitting: Sitting,
    cdr_id: str,
    location: Json,
    place: tuple[Json, Json],
    found: Sequence[Period],
    tariff: Json | None,
    remark: str | None = None,
) -> Json:
    """A CDR without its costs, of a sitting that is over."""
    ended = sitting.ended or sitting.updated
    return {
        **_common(sitting),
        "id": cdr_id,
        "end_date_time": format_datetime(ended),
        "session_id": sitting.session_id,
        "cdr_location": cdr_location(location, *place),
        **({"tariffs": [tariff]} if tariff else {}),
        "charging_periods": charging_periods(found, str(tariff["id"]) if tariff else None),
        "total_energy": sum((period.kwh for period in found), Decimal("0.000")),
        "total_time": hours(sitting.begun, ended),
        "total_parking_time": sum((each.hours for each in found if each.kind == PARKING), Decimal("0.0000")),
        **({"remark": remark[:255]} if remark else {}),
    }


def cdr_location(location: Json, evse: Json, connector: Json) -> Json:
    """What a CDR keeps of the place (mod_cdrs > CdrLocation class); an EVSE without evse_id shows its uid."""
    fields = ("id", "name", "address", "city", "postal_code", "state", "country", "coordinates")
    kept = {name: location[name] for name in fields if location.get(name) is not None}
    return {
        **kept,
        "evse_uid": evse["uid"],
        "evse_id": evse.get("evse_id") or evse["uid"],
        "connector_id": connector["id"],
        "connector_standard": connector["standard"],
        "connector_format": connector["format"],
        "connector_power_type": connector["power_type"],
    }


def _common(sitting: Sitting) -> Json:
    reference = sitting.authorization_reference
    token_fields = ("country_code", "party_id", "uid", "type", "contract_id")
    return {
        "country_code": sitting.owner.country_code,
        "party_id": sitting.owner.party_id,
        "start_date_time": format_datetime(sitting.begun),
        "cdr_token": {name: sitting.token[name] for name in token_fields},
        "auth_method": sitting.auth_method,
        **({"authorization_reference": reference} if reference else {}),
        "currency": sitting.currency,
        "last_updated": format_datetime(sitting.updated),
    }
