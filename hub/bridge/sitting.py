"""One transaction as OCPI sees it: from its row and readings to the Session, the CDR or the reason to hold it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hub import pricing
from hub.bridge import translate
from hub.bridge.meter import Energy, Point
from hub.bridge.translate import Mark, Period, Sitting
from hub.ocpi.types import PartyId, parse_datetime
from hub.store.chargers import Charging, Reading, StationReservation

Json = dict[str, Any]

CURRENCY_UNTOLD = "EUR"
"""What a Session says while no tariff is known; its CDR is held then."""

TRIFLE = timedelta(minutes=2)
"""A session without energy and costs that was over in less is not worth a CDR (mapping 5.1)."""

_USUAL_TYPES = (None, "REGULAR")


@dataclass(frozen=True)
class Picture:
    """A transaction up to a moment: what was charged and how the time was spent."""

    sitting: Sitting
    status: str
    place: Mapping[str, str]
    amount: Energy
    periods: Sequence[Period]
    tariff: Json | None


@dataclass(frozen=True)
class Bill:
    """The CDR of a transaction. `hold` says why it must not go out, `trifle` that nobody needs it."""

    body: Json
    hold: str | None = None
    trifle: bool = False


def choose_tariff(tariffs: Sequence[Json], at: datetime) -> Json | None:
    """The tariff for a driver of an eMSP: the first of its Connector that is regular and in force at `at`."""
    for tariff in tariffs:
        start, end = tariff.get("start_date_time"), tariff.get("end_date_time")
        in_force = (start is None or parse_datetime(start) <= at) and (end is None or at < parse_datetime(end))
        if in_force and tariff.get("type") in _USUAL_TYPES:
            return tariff
    return None


def picture(row: Charging, readings: Sequence[Reading], connector: Json, tariff: Json | None) -> Picture:
    """The state of a transaction that has a token and a plug."""
    over = row.state == "closed"
    begun = row.started_at
    latest = max((reading.at for reading in readings), default=begun)
    ended = max(begun, row.stopped_at if over and row.stopped_at else latest)
    start = Point(begun, row.meter_start) if row.meter_start is not None else None
    stop = Point(ended, row.meter_stop) if over and row.meter_stop is not None else None
    registers = [Point(each.at, each.register_wh) for each in readings if each.register_wh is not None]
    marks = [Mark(each.at, each.status) for each in readings if each.status is not None]
    amount = translate.charged(start, registers, stop, translate.limit_w(connector), begun, ended)
    sitting = Sitting(
        owner=PartyId.parse(row.owner),
        session_id=row.session_id,
        token=row.token or {},
        auth_method=row.auth_method or "AUTH_REQUEST",
        authorization_reference=row.authorization_reference,
        begun=begun,
        ended=ended if over else None,
        updated=row.updated_at,
        currency=str(tariff["currency"]) if tariff else CURRENCY_UNTOLD,
    )
    status = "INVALID" if row.id_tag_status != "Accepted" else "COMPLETED" if over else "ACTIVE"
    place = {
        "location_id": row.location_id,
        "evse_uid": row.evse_uid or "#NA",
        "connector_id": row.connector_id or "#NA",
    }
    periods = translate.periods(begun, ended, amount, marks)
    return Picture(sitting, status, place, amount, periods, tariff)


def session(seen: Picture) -> Json:
    """The Session object."""
    tariff_id = str(seen.tariff["id"]) if seen.tariff else None
    listed = translate.charging_periods(seen.periods, tariff_id)
    return translate.session(seen.sitting, seen.status, seen.place, seen.amount, listed)


def reserved(row: StationReservation, tariff: Json | None) -> Json:
    """The Session of a reservation: RESERVATION, or COMPLETED when no charging followed (SES-007..SES-010)."""
    over = row.state != "active"
    sitting = Sitting(
        owner=PartyId.parse(row.owner),
        session_id=row.session_id,
        token=row.token,
        auth_method="COMMAND",
        authorization_reference=row.authorization_reference,
        begun=row.began_at,
        ended=row.updated_at if over else None,
        updated=row.updated_at,
        currency=str(tariff["currency"]) if tariff else CURRENCY_UNTOLD,
    )
    place = {"location_id": row.location_id, "evse_uid": row.evse_uid, "connector_id": row.connector_id}
    nothing = Energy((Point(row.began_at, Decimal(0)),))
    return translate.session(sitting, "COMPLETED" if over else "RESERVATION", place, nothing, [])


def bill(seen: Picture, cdr_id: str, location: Json, plug: tuple[Json, Json], remark: str | None) -> Bill:
    """The CDR, priced by the tariff that was in force at the start."""
    body = translate.cdr(seen.sitting, cdr_id, location, plug, seen.periods, seen.tariff, remark)
    if seen.amount.doubt is not None:
        return Bill(body, hold=f"the meter readings cannot be billed: {seen.amount.doubt}")
    if seen.tariff is None:
        return Bill(body, hold="no tariff: the connector names none that is regular, stored and in force")
    cost = pricing.price(seen.tariff, body["charging_periods"])
    if isinstance(cost, pricing.Unpriced):
        return Bill(body, hold=f"unpriced: {cost.reason}")
    body |= pricing.amounts_to_ocpi(cost)
    short = seen.sitting.ended is not None and seen.sitting.ended - seen.sitting.begun < TRIFLE
    trifle = short and body["total_energy"] == 0 and body["total_cost"]["excl_vat"] == Decimal(0)
    return Bill(body, trifle=trifle)


def without_plug(row: Charging) -> Bill:
    """What is known of a transaction on a connector that no Location has."""
    names = ("owner", "session_id", "station_id", "ocpp_connector_id", "transaction_id")
    facts: Json = {name: getattr(row, name) for name in names}
    facts |= {"token": row.token, "meter_start": row.meter_start, "meter_stop": row.meter_stop}
    facts |= {"started_at": row.started_at, "stopped_at": row.stopped_at}
    return Bill(facts, hold="the connector stands for no EVSE of a stored location: enrol it, or put the location")
