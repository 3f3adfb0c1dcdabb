"""Valid OCPI 2.2.1 objects to start from, and the price of a session by the tariff among them.

Each function gives a new dict that may be changed freely. Times are `at`, by default now. Parties are written
"NL*CPA". The ids fit together: the location's connectors name the tariff, sessions and CDRs name the location.
"""

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hub.ocpi.types import PartyId, format_datetime
from hub.sandbox.wire import Json

CPO = "NL*CPA"
EMSP = "DE*MSA"


def now() -> str:
    """This moment as an OCPI DateTime, to the millisecond."""
    return format_datetime(datetime.now(UTC))


def owned(party: str) -> Json:
    """country_code and party_id of an object's owner."""
    owner = PartyId.parse(party)
    return {"country_code": owner.country_code, "party_id": owner.party_id}


def location(party: str = CPO, id: str = "LOC1", tariff_id: str = "TARIFF1", at: str | None = None) -> Json:
    """A public Location in Utrecht with two EVSEs, EVSE1 and EVSE2, of one AC connector each."""
    at = at or now()
    return {
        **owned(party),
        "id": id,
        "publish": True,
        "name": "Stationsplein",
        "address": "Stationsplein 14",
        "city": "Utrecht",
        "postal_code": "3511 ED",
        "country": "NLD",
        "coordinates": {"latitude": "52.089444", "longitude": "5.110278"},
        "time_zone": "Europe/Amsterdam",
        "opening_times": {"twentyfourseven": True},
        "evses": [evse(party, number, tariff_id, at) for number in (1, 2)],
        "last_updated": at,
    }


def evse(party: str = CPO, number: int = 1, tariff_id: str = "TARIFF1", at: str | None = None) -> Json:
    """An available EVSE with one type 2 socket of 22 kW."""
    at, owner = at or now(), PartyId.parse(party)
    connector = {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "max_electric_power": 22000,
        "tariff_ids": [tariff_id],
        "last_updated": at,
    }
    return {
        "uid": f"EVSE{number}",
        "evse_id": f"{owner.country_code}*{owner.party_id}*E{number:06}",
        "status": "AVAILABLE",
        "capabilities": ["RFID_READER", "REMOTE_START_STOP_CAPABLE"],
        "connectors": [connector],
        "last_updated": at,
    }


def tariff(party: str = CPO, id: str = "TARIFF1", at: str | None = None) -> Json:
    """0.35 EUR per kWh and 0.50 EUR per session, both plus 21 % VAT."""
    components = [
        {"type": "ENERGY", "price": Decimal("0.35"), "vat": Decimal("21.0"), "step_size": 1},
        {"type": "FLAT", "price": Decimal("0.50"), "vat": Decimal("21.0"), "step_size": 1},
    ]
    return {
        **owned(party),
        "id": id,
        "currency": "EUR",
        "type": "REGULAR",
        "elements": [{"price_components": components}],
        "last_updated": at or now(),
    }


def token(party: str = EMSP, uid: str = "04A1B2C3D4E580", at: str | None = None, **fields: Any) -> Json:
    """A valid RFID card that has to be authorised live, whenever its eMSP can be reached."""
    owner = PartyId.parse(party)
    return {
        **owned(party),
        "uid": uid,
        "type": "RFID",
        "contract_id": f"{owner.country_code}{owner.party_id}C{uid[:8]:0>8}",
        "issuer": f"Sandbox {party}",
        "valid": True,
        "whitelist": "ALLOWED_OFFLINE",
        "last_updated": at or now(),
        **fields,
    }


def cdr_token(of: Json) -> Json:
    """The part of a Token that sessions and CDRs carry."""
    return {name: of[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}


def session(party: str = CPO, id: str = "SESSION1", of: Json | None = None, at: str | None = None) -> Json:
    """A Session that has just begun at EVSE1 of LOC1, with the token `of`."""
    at = at or now()
    return {
        **owned(party),
        "id": id,
        "start_date_time": at,
        "kwh": Decimal("0.0"),
        "cdr_token": cdr_token(of or token()),
        "auth_method": "AUTH_REQUEST",
        "location_id": "LOC1",
        "evse_uid": "EVSE1",
        "connector_id": "1",
        "currency": "EUR",
        "charging_periods": [],
        "status": "ACTIVE",
        "last_updated": at,
    }


def cdr(of: Json, location: Json, tariff: Json, id: str = "CDR1", at: str | None = None) -> Json:
    """The CDR of the finished Session `of`, with one charging period, priced by `tariff`."""
    at = at or now()
    kwh, ended = of["kwh"], of.get("end_date_time") or at
    hours = _hours(of["start_date_time"], ended)
    dimensions = [{"type": "ENERGY", "volume": kwh}, {"type": "TIME", "volume": hours}]
    period = {"start_date_time": of["start_date_time"], "dimensions": dimensions, "tariff_id": tariff["id"]}
    total = price(tariff, kwh)
    reference = {n: of[n] for n in ("authorization_reference",) if n in of}
    return {
        **{name: of[name] for name in ("country_code", "party_id", "start_date_time", "cdr_token", "auth_method")},
        **reference,
        "id": id,
        "end_date_time": ended,
        "session_id": of["id"],
        "cdr_location": cdr_location(location, of["evse_uid"], of["connector_id"]),
        "currency": of["currency"],
        "tariffs": [tariff],
        "charging_periods": [period],
        "total_cost": total,
        "total_energy": kwh,
        "total_time": hours,
        "last_updated": at,
    }


def cdr_location(of: Json, evse_uid: str, connector_id: str) -> Json:
    """What a CDR tells of the place (CDR-051)."""
    evse = next(e for e in of["evses"] if e["uid"] == evse_uid)
    connector = next(c for c in evse["connectors"] if c["id"] == connector_id)
    return {
        **{name: of[name] for name in ("id", "name", "address", "city", "postal_code", "country", "coordinates")},
        "evse_uid": evse_uid,
        "evse_id": evse["evse_id"],
        "connector_id": connector_id,
        "connector_standard": connector["standard"],
        "connector_format": connector["format"],
        "connector_power_type": connector["power_type"],
    }


def price(tariff: Json, kwh: Decimal) -> Json:
    """What `kwh` cost by the ENERGY and FLAT components of a tariff without restrictions, as a Price.

    A check of its own on the hub's arithmetic: exact, and rounded once, to OCPI's four decimals.
    """
    volumes = {"ENERGY": kwh, "FLAT": Decimal(1)}
    excl = incl = Decimal(0)
    for element in tariff["elements"]:
        for component in element["price_components"]:
            cost = volumes[component["type"]] * component["price"]
            excl += cost
            incl += cost * (1 + Decimal(component.get("vat") or 0) / 100)
    return {"excl_vat": _four(excl), "incl_vat": _four(incl)}


def _hours(start: str, end: str) -> Decimal:
    seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    return _four(Decimal(str(seconds)) / 3600)


def _four(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.0001"), ROUND_HALF_UP)
