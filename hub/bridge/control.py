"""OCPI commands for hosted parties. `submit` answers in the process that got the command; a bridge does the rest.

START_SESSION and STOP_SESSION are taken on when a station can be told; the row is in the database before the eMSP
hears ACCEPTED. START_SESSION leaves a grant, so that the card check and the StartTransaction that follow are accepted
in the name of the token in the command, which may be of any type (mapping 3.3, 3.4). Everything else a 1.6 station
could do is NOT_SUPPORTED for now.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hub.bridge.authorise import alias, snapshot
from hub.bridge.timing import Timing
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi.errors import UnknownLocation
from hub.ocpi.types import PartyId, same
from hub.store import charging, commands, stations
from hub.store.chargers import Station, StationConnector

Json = dict[str, Any]
Plug = tuple[Station, StationConnector]

TIMING = Timing()
NOT_SUPPORTED: Json = {"result": "NOT_SUPPORTED", "timeout": 0}
UNKNOWN_SESSION: Json = {"result": "UNKNOWN_SESSION", "timeout": 0}

_FITS_ID_TAG = re.compile(r"[0-9A-Za-z]{1,20}")
_FREE = ("Preparing", "Available", None, "Finishing", "Reserved")
"""Where an EVSE is not named: the states of a connector worth trying, a plugged-in car first."""


async def submit(hub: Hub, call: Call, name: str, body: Json) -> Json:
    """The CommandResponse for a command to a hosted CPO (`call.to`). Raises UnknownLocation (2003)."""
    if call.to is None or name not in ("START_SESSION", "STOP_SESSION"):
        return dict(NOT_SUPPORTED)
    if name == "START_SESSION":
        return await _start(hub, call, call.to, body)
    return await _stop(hub, call, call.to, body)


async def _start(hub: Hub, call: Call, owner: PartyId, body: Json) -> Json:
    async with hub.db.session() as session:
        found = await stations.at_location(session, str(owner), str(body["location_id"]))
    named = [plug for plug in found if _is_named(plug[1], body)]
    if not named:
        raise UnknownLocation("location_id, evse_uid, connector_id: there is no such connector with a charger here")
    token = body["token"]
    if not _is_party(call.sender, token):
        return _rejected("the token is not one of yours")
    plug = choose_plug(named)
    if plug is None:
        return _rejected("the charger is not connected at the moment")
    station, connector = plug
    uid, now = str(token["uid"]), datetime.now(UTC)
    id_tag = uid.upper() if _FITS_ID_TAG.fullmatch(uid) else alias()
    grant: Json = {
        "station_id": station.station_id,
        "id_tag": id_tag,
        "token": snapshot(token),
        "auth_method": "COMMAND",
        "authorization_reference": body.get("authorization_reference"),
        "evse_uids": [],
        "until": now + TIMING.command_grant,
    }
    payload = {"connectorId": connector.ocpp_connector_id, "idTag": uid if id_tag == uid.upper() else id_tag}
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


def choose_plug(named: Sequence[Plug]) -> Plug | None:
    """The connector to start at: on a connected station, rather one that is not in use."""
    there = [plug for plug in named if _is_there(plug[0])]
    free = [plug for plug in there if plug[1].status in _FREE]
    return min(free, key=lambda plug: _FREE.index(plug[1].status), default=there[0] if there else None)


def result_of(kind: str, answer: Json | str, connector_status: str | None = None) -> Json:
    """The CommandResult for a station's answer: its payload, or the code of a CALLERROR (mapping 7)."""
    if isinstance(answer, str):
        return {"result": "NOT_SUPPORTED" if answer in ("NotImplemented", "NotSupported") else "FAILED"}
    if answer.get("status") == "Accepted":
        return {"result": "ACCEPTED"}
    if kind == "START_SESSION" and connector_status in ("Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"):
        return {"result": "EVSE_OCCUPIED"}
    if kind == "START_SESSION" and connector_status in ("Faulted", "Unavailable"):
        return {"result": "EVSE_INOPERATIVE"}
    return {"result": "REJECTED"}


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
