"""OCPI commands for hosted parties. `submit` answers in the process that got the command; a bridge does the rest.

A command is taken on when a station can be told; the row is in the database before the eMSP hears ACCEPTED.
START_SESSION and RESERVE_NOW leave a grant, so that the card check and the StartTransaction that follow are accepted
in the name of the token in the command, which may be of any type (mapping 3.3, 3.4). A reservation is known to its
station by a number of ours, and to us by its eMSP and that one's reservation_id (CMD-030, CMD-031).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from hub.bridge.authorise import alias, snapshot
from hub.bridge.timing import Timing
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.types import PartyId, format_datetime, parse_datetime, same
from hub.store import bookings, charging, commands, objects, stations
from hub.store.chargers import Station, StationCommand, StationConnector, StationReservation

Json = dict[str, Any]
Plug = tuple[Station, StationConnector]

TIMING = Timing()
NOT_SUPPORTED: Json = {"result": "NOT_SUPPORTED", "timeout": 0}
UNKNOWN_SESSION: Json = {"result": "UNKNOWN_SESSION", "timeout": 0}
RELEASE = "RELEASE"
"""The kind of a command of our own, whose result no eMSP hears."""

_RESULTS = {
    "Accepted": "ACCEPTED",
    "Unlocked": "ACCEPTED",
    "UnlockFailed": "FAILED",
    "NotSupported": "NOT_SUPPORTED",
    "Occupied": "EVSE_OCCUPIED",
    "Faulted": "EVSE_INOPERATIVE",
    "Unavailable": "EVSE_INOPERATIVE",
}
"""What a station's answer means, whatever it was asked (mapping 7); Rejected depends on that."""

_NEVER_ASKED = ("APP_USER", "AD_HOC_USER")
"""Tokens that are not authorised live after a command, however long ago it was (CMD-034, CMD-035)."""

_FITS_ID_TAG = re.compile(r"[0-9A-Za-z]{1,20}")
_FREE = ("Preparing", "Available", None, "Finishing", "Reserved")
"""Where an EVSE is not named: the states of a connector worth trying, a plugged-in car first."""


async def submit(hub: Hub, call: Call, name: str, body: Json) -> Json:
    """The CommandResponse for a command to a hosted CPO (`call.to`). Raises UnknownLocation (2003)."""
    take = _TAKEN.get(name)
    return dict(NOT_SUPPORTED) if call.to is None or take is None else await take(hub, call, call.to, body)


async def _start(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    async with hub.db.session() as session:
        named = await _named(session, owner, body)
    token = body["token"]
    if not _is_party(call.sender, token):
        return _rejected("the token is not one of yours")
    plug = choose_plug(named)
    if plug is None:
        return _rejected("the charger is not connected at the moment")
    station, connector = plug
    now = datetime.now(UTC)
    id_tag, shown = _id_tag(token)
    lifetime = TIMING.app_grant if token["type"] in _NEVER_ASKED else TIMING.command_grant
    grant = _grant(station, id_tag, body, now + lifetime)
    payload = {"connectorId": connector.ocpp_connector_id, "idTag": shown}
    row = _row(call, owner, station.station_id, "START_SESSION", "RemoteStartTransaction", payload, body, now)
    async with hub.db.session() as session:
        await commands.grant(session, grant)
        await commands.submit(session, row)
    return _accepted()


async def _stop(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    now = datetime.now(UTC)
    async with hub.db.session() as session:
        running = await charging.of_session(session, str(owner), str(body["session_id"]))
        if running is None:
            return dict(UNKNOWN_SESSION)
        if running.token is None or not _is_party(call.sender, running.token):
            return _rejected("the session is not one of yours")
        if running.state not in ("open", "estimated"):
            return _rejected("the session is over")
        station = await session.get_one(Station, running.station_id)
        if not _is_there(station):
            return _rejected("the charger is not connected at the moment")
        payload = {"transactionId": running.transaction_id}
        row = _row(call, owner, station.station_id, "STOP_SESSION", "RemoteStopTransaction", payload, body, now)
        await commands.submit(session, row)
    return _accepted()


async def _reserve(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    """RESERVE_NOW. Under a reservation_id that stands at this Location it replaces that one (CMD-029)."""
    now, until, token = datetime.now(UTC), parse_datetime(str(body["expiry_date"])), body["token"]
    async with hub.db.session() as session:
        named = await _named(session, owner, body)
        if not _is_party(call.sender, token):
            return _rejected("the token is not one of yours")
        if until <= now:
            return _rejected("expiry_date is over")
        await objects.lock(session, str(owner), "reservations", str(body["location_id"]).upper())
        before = await bookings.standing(session, str(owner), str(call.sender), str(body["reservation_id"]))
        if any(row.state == "asked" for row in before):
            return _rejected("the charger is still being asked for this reservation_id")
        if any(not same(row.location_id, str(body["location_id"])) for row in before):
            return _rejected("this reservation_id is in use at another location: cancel it first")
        taken = await bookings.taken(session, str(owner), str(body["location_id"]))
        plug = choose_free(named, before, taken)
        if plug is None:
            return _rejected("the charger is not connected at the moment")
        id_tag, shown = _id_tag(token)
        row = await bookings.ask(session, _reservation(call, owner, plug, id_tag, body, before, now))
        granted_until = until if token["type"] in _NEVER_ASKED else now + TIMING.command_grant
        await commands.grant(session, _grant(plug[0], id_tag, body, granted_until))
        payload = {
            "connectorId": row.ocpp_connector_id,
            "expiryDate": format_datetime(until),
            "idTag": shown,
            "reservationId": row.number,
        }
        command = _row(call, owner, row.station_id, "RESERVE_NOW", "ReserveNow", payload, body, now)
        await commands.submit(session, command)
    return _accepted()


async def _cancel(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    async with hub.db.session() as session:
        found = await bookings.standing(session, str(owner), str(call.sender), str(body["reservation_id"]))
        if not found:
            return _rejected("you have no such reservation")
        station = await session.get_one(Station, found[0].station_id)
        if not _is_there(station):
            return _rejected("the charger is not connected at the moment")
        payload = {"reservationId": found[0].number}
        kind, action = "CANCEL_RESERVATION", "CancelReservation"
        row = _row(call, owner, station.station_id, kind, action, payload, body, datetime.now(UTC))
        await commands.submit(session, row)
    return _accepted()


async def _unlock(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    """UNLOCK_CONNECTOR. It would end a transaction, so nobody may do that to somebody else's."""
    async with hub.db.session() as session:
        station, connector = (await _named(session, owner, body))[0]
        if not _is_there(station):
            return _rejected("the charger is not connected at the moment")
        for row in await charging.running(session, station.station_id):
            is_here = row.ocpp_connector_id == connector.ocpp_connector_id
            if is_here and not (row.token is not None and _is_party(call.sender, row.token)):
                return _rejected("another party's session runs at this connector")
        payload = {"connectorId": connector.ocpp_connector_id}
        now, kind = datetime.now(UTC), "UNLOCK_CONNECTOR"
        command = _row(call, owner, station.station_id, kind, "UnlockConnector", payload, body, now)
        await commands.submit(session, command)
    return _accepted()


_TAKEN = {
    "START_SESSION": _start,
    "STOP_SESSION": _stop,
    "RESERVE_NOW": _reserve,
    "CANCEL_RESERVATION": _cancel,
    "UNLOCK_CONNECTOR": _unlock,
}


async def settle(session: AsyncSession, command: StationCommand, result: Json, in_time: bool) -> None:
    """What a station's answer means for a reservation; in the commit that notes the result.

    An answer that came too late counts as none, and what the station reserved then is taken back.
    """
    number = int(command.payload.get("reservationId", 0))
    if command.kind == "CANCEL_RESERVATION" and result["result"] in ("ACCEPTED", "UNKNOWN_RESERVATION"):
        row = await bookings.cancelled(session, number)
        if row is not None:
            await commands.use_grant(session, row.station_id, row.id_tag)
    if command.kind != "RESERVE_NOW":
        return
    released = []
    if result["result"] != "ACCEPTED":
        await bookings.refused(session, number)
    elif in_time:
        replaced = await bookings.granted(session, number)
        released = [(row.station_id, row.number) for row in replaced if row.number != number]
    else:
        await bookings.refused(session, number)
        released = [(command.station_id, number)]
    for station_id, old in released:
        await commands.submit(session, _release(command, station_id, old))


def choose_plug(named: Sequence[Plug]) -> Plug | None:
    """The connector to start at: on a connected station, rather one that is not in use."""
    there = [plug for plug in named if _is_there(plug[0])]
    free = [plug for plug in there if plug[1].status in _FREE]
    return min(free, key=lambda plug: _FREE.index(plug[1].status), default=there[0] if there else None)


def choose_free(
    named: Sequence[Plug], before: Sequence[StationReservation], taken: set[tuple[str, int]]
) -> Plug | None:
    """The connector to reserve: that of the reservation it replaces, else one that nobody has reserved (CMD-053)."""
    held = {(row.station_id, row.ocpp_connector_id) for row in before}
    again = [plug for plug in named if _place(plug) in held]
    free = [plug for plug in named if _place(plug) not in taken]
    return choose_plug(again) or choose_plug(free or named)


def result_of(kind: str, answer: Json | str, connector_status: str | None = None) -> Json:
    """The CommandResult for a station's answer: its payload, or the code of a CALLERROR (mapping 7)."""
    if isinstance(answer, str):
        return {"result": "NOT_SUPPORTED" if answer in ("NotImplemented", "NotSupported") else "FAILED"}
    told = str(answer.get("status"))
    if told in _RESULTS:
        return {"result": _RESULTS[told]}
    if kind == "CANCEL_RESERVATION":
        return {"result": "UNKNOWN_RESERVATION"}
    if kind == "START_SESSION" and connector_status in ("Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"):
        return {"result": "EVSE_OCCUPIED"}
    if kind == "START_SESSION" and connector_status in ("Faulted", "Unavailable"):
        return {"result": "EVSE_INOPERATIVE"}
    return {"result": "REJECTED"}


async def _named(session: AsyncSession, owner: PartyId, body: Json) -> list[Plug]:
    """The connectors a command means; UnknownLocation (2003) when there are none (CMD-043)."""
    found = await stations.at_location(session, str(owner), str(body["location_id"]))
    named = [plug for plug in found if _is_named(plug[1], body)]
    if not named:
        raise UnknownLocation("location_id, evse_uid, connector_id: there is no such connector with a charger here")
    return named


def _id_tag(token: Json) -> tuple[str, str]:
    """The idTag of a token as it is compared, and as the station is told; an alias where its uid does not fit one."""
    uid = str(token["uid"])
    if _FITS_ID_TAG.fullmatch(uid):
        return uid.upper(), uid
    made = alias()
    return made, made


def _grant(station: Station, id_tag: str, body: Json, until: datetime) -> Json:
    return {
        "station_id": station.station_id,
        "id_tag": id_tag,
        "token": snapshot(body["token"]),
        "auth_method": "COMMAND",
        "authorization_reference": body.get("authorization_reference"),
        "evse_uids": [],
        "until": until,
    }


def _reservation(
    call: Call, owner: PartyId, plug: Plug, id_tag: str, body: Json, before: Sequence[StationReservation], now: datetime
) -> Json:
    """The row of a RESERVE_NOW. What stands under its id hands on its Session and, at its station, its number."""
    station, connector = plug
    old = before[0] if before else None
    stays = old is not None and old.station_id == station.station_id
    return {
        "number": old.number if old is not None and stays else None,
        "owner": str(owner),
        "sender": str(call.sender),
        "key": str(body["reservation_id"]).upper(),
        "station_id": station.station_id,
        "location_id": station.location_id,
        "ocpp_connector_id": connector.ocpp_connector_id,
        "evse_uid": connector.evse_uid,
        "connector_id": connector.connector_id,
        "id_tag": id_tag,
        "token": snapshot(body["token"]),
        "authorization_reference": body.get("authorization_reference"),
        "session_id": old.session_id if old is not None else str(uuid4()),
        "expires_at": parse_datetime(str(body["expiry_date"])),
        "began_at": old.began_at if old is not None else now,
    }


def _release(command: StationCommand, station_id: str, number: int) -> Json:
    """A CancelReservation that nobody waits for."""
    return {
        "station_id": station_id,
        "owner": command.owner,
        "sender": command.sender,
        "kind": RELEASE,
        "action": "CancelReservation",
        "payload": {"reservationId": number},
        "response_url": "",
        "correlation_id": command.correlation_id,
        "deadline": datetime.now(UTC) + TIMING.command,
    }


def _place(plug: Plug) -> tuple[str, int]:
    return plug[1].station_id, plug[1].ocpp_connector_id


def _is_named(connector: StationConnector, body: Json) -> bool:
    evse_uid, connector_id = body.get("evse_uid"), body.get("connector_id")
    return (evse_uid is None or same(connector.evse_uid, str(evse_uid))) and (
        connector_id is None or same(connector.connector_id, str(connector_id))
    )


def _is_party(code: PartyId, token: Json) -> bool:
    return PartyId.of(str(token["country_code"]), str(token["party_id"])) == code


def _is_there(station: Station) -> bool:
    return station.connected and not station.away


def _row(
    call: Call, owner: PartyId, station_id: str, kind: str, action: str, payload: Json, body: Json, now: datetime
) -> Json:
    return {
        "station_id": station_id,
        "owner": str(owner),
        "sender": str(call.sender),
        "kind": kind,
        "action": action,
        "payload": payload,
        "response_url": str(body["response_url"]),
        "correlation_id": call.correlation_id,
        "deadline": now + TIMING.command,
    }


def _accepted() -> Json:
    return {"result": "ACCEPTED", "timeout": int(TIMING.command.total_seconds())}


def _rejected(why: str) -> Json:
    return {"result": "REJECTED", "timeout": 0, "message": [{"language": "en", "text": why}]}
