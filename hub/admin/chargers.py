"""Chargers of hosted parties: put into service at a Location, watched, taken out of service.

Each connector of a charger stands for one EVSE of its Location. The password is shown once and kept as a hash.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Response
from pydantic import Field
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.admin import access, parties
from hub.admin.orders import Code, Order
from hub.exchange import keep
from hub.exchange.context import Hub
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.module import Ref
from hub.ocpi.types import Number
from hub.store import objects, stations
from hub.store.chargers import Charging, Station, StationConnector
from modules.calls import CurrentHub
from modules.catalog import LOCATIONS

router = access.router("chargers")

StationId = Annotated[str, Field(min_length=1, max_length=48, pattern=r"^[A-Za-z0-9*_=+|@.~-]+$")]
"""The identity a charger shows in its URL and as its user name; so no colon (RFC 7617)."""


class ChargerOrder(Order):
    """A charger of a hosted party. Without `evse_uids` it gets every EVSE of the Location that no other charger has;
    connectorId 1, 2, ... are their connectors in this order. `shared`: one power unit serves them all, so only one of
    them can be used at a time."""

    station_id: StationId
    party: Code
    location_id: Annotated[str, Field(min_length=1, max_length=36)]
    evse_uids: Annotated[list[str], Field(min_length=1)] | None = None
    shared: bool = False


@dataclass(frozen=True)
class Installed:
    """What to enter in the charger: its identity is the last part of `url`, its AuthorizationKey is `password`."""

    station_id: str
    password: str
    url: str


@dataclass(frozen=True)
class Running:
    """A transaction that has not ended; `kwh` None while the meter said nothing."""

    transaction_id: int
    session_id: str
    started_at: datetime
    kwh: Number | None


@dataclass(frozen=True)
class ConnectorRow:
    """A connector, what it stands for, and the OCPP status it told last."""

    ocpp_connector_id: int
    evse_uid: str
    connector_id: str
    status: str | None
    error_code: str | None
    status_at: datetime | None
    transaction: Running | None


@dataclass(frozen=True)
class ChargerRow:
    """A charger. `online`: its socket is open and it was heard of lately."""

    station_id: str
    party: str
    location_id: str
    online: bool
    last_seen_at: datetime | None
    vendor: str | None
    model: str | None
    firmware: str | None
    connectors: list[ConnectorRow]


@dataclass(frozen=True)
class Removed:
    """A charger that is out of service."""

    station_id: str


async def add(hub: Hub, order: ChargerOrder) -> Installed:
    """Put a charger into service. NotFound for party, Location or EVSE; Conflict when the id or an EVSE is taken."""
    await parties.hosted(hub, order.party)
    ref, owner = Ref(order.party, order.location_id), str(order.party)
    async with hub.db.session() as session:
        await objects.lock(session, owner, LOCATIONS.name, LOCATIONS.key(order.location_id))
        location = await keep.visible(session, LOCATIONS, ref, order.party)
        if location is None:
            raise NotFound(f"location_id: {owner} has no such location: put it with `knutpunkt location put`")
        known = await stations.find(session, order.station_id)
        if known is not None and (known.owner != owner or await stations.connectors(session, known.station_id)):
            raise Conflict("station_id: a charger with this id exists already")
        taken = await _taken(session, owner, order.location_id)
        chosen = _free(location, taken) if order.evse_uids is None else _checked(location, taken, order.evse_uids)
        password = await stations.enrol(session, owner, order.station_id, location, chosen, shared=order.shared)
    return Installed(order.station_id, password, _url(hub, order.station_id))


async def renew_password(hub: Hub, station_id: str) -> Installed:
    """Give a charger a new password. A connection that stands goes on; the next login needs the new one."""
    async with hub.db.session() as session:
        station = await _in_service(session, station_id)
        password, station.password_hash = stations.new_password()
        session.add(station)
    return Installed(station.station_id, password, _url(hub, station.station_id))


async def rows(hub: Hub) -> list[ChargerRow]:
    """The chargers in service."""
    running: dict[tuple[str, int], Charging] = {}
    plugs: dict[str, list[StationConnector]] = defaultdict(list)
    async with hub.db.session() as session:
        found = list(await session.exec(select(Station).order_by("station_id")))
        ordered = select(StationConnector).order_by("station_id", "ocpp_connector_id")
        for plug in await session.exec(ordered):
            plugs[plug.station_id].append(plug)
        for row in await session.exec(select(Charging).where(Charging.state == "open").order_by("transaction_id")):
            running[row.station_id, row.ocpp_connector_id] = row
    return [_charger(station, plugs[station.station_id], running) for station in found if plugs[station.station_id]]


async def remove(hub: Hub, station_id: str) -> Removed:
    """Take a charger out of service: it is hung up on and its EVSEs are free. Conflict while it charges.

    A charger with transactions stays on record, since they refer to it, but without connectors and password.
    """
    async with hub.db.session() as session:
        station = await _in_service(session, station_id)
        connectors = await stations.connectors(session, station.station_id)
        past = select(Charging).where(Charging.station_id == station.station_id).limit(1)
        unsettled = past.where(or_(col(Charging.state) == "open", col(Charging.due_at).is_not(None)))
        if (await session.exec(unsettled)).first() is not None:
            raise Conflict(f"{station.station_id} has a transaction that is not settled: stop it first, or wait")
        await stations.take_over(session, station.station_id, timedelta(0))  # a newer epoch ends the socket
        if (await session.exec(past)).first() is None:
            await session.delete(station)
            return Removed(station.station_id)
        for connector in connectors:
            await session.delete(connector)
        await session.refresh(station)
        station.password_hash, station.connected, station.away = stations.new_password()[1], False, True
        session.add(station)
    return Removed(station.station_id)


async def _in_service(session: AsyncSession, station_id: str) -> Station:
    station = await stations.find(session, station_id)
    if station is None or not await stations.connectors(session, station.station_id):
        raise NotFound("there is no charger with this id: `knutpunkt charger list` shows them")
    return station


def _url(hub: Hub, station_id: str) -> str:
    return f"{hub.settings.bridge_url.rstrip('/')}/ocpp/{quote(station_id, safe='*=+@~')}"


async def _taken(session: AsyncSession, owner: str, location_id: str) -> dict[str, str]:
    """The chargers that EVSEs of a Location are connected to, by upper-case uid."""
    found = await stations.at_location(session, owner, location_id)
    return {connector.evse_uid.upper(): station.station_id for station, connector in found}


def _free(location: dict[str, Any], taken: dict[str, str]) -> list[str]:
    evses = [evse for evse in location.get("evses") or () if evse.get("status") != "REMOVED"]
    free = [str(evse["uid"]) for evse in evses if str(evse["uid"]).upper() not in taken]
    if not evses:
        raise Conflict("location_id: this location has no EVSE: put it with its EVSEs first")
    if not free:
        raise Conflict(
            f"location_id: every EVSE of it has a charger already ({', '.join(sorted(set(taken.values())))})"
        )
    return free


def _checked(location: dict[str, Any], taken: dict[str, str], wanted: Sequence[str]) -> list[str]:
    known = {str(evse["uid"]).upper() for evse in location.get("evses") or ()}
    for number, uid in enumerate(wanted):
        if uid.upper() not in known:
            raise NotFound(f"evse_uids[{number}]: the location has no such EVSE")
        if uid.upper() in taken:
            raise Conflict(f"evse_uids[{number}]: this EVSE has a charger already, {taken[uid.upper()]}")
    if len({uid.upper() for uid in wanted}) < len(wanted):
        raise Conflict("evse_uids: an EVSE is named twice")
    return list(wanted)


def _charger(
    station: Station, plugs: Sequence[StationConnector], running: dict[tuple[str, int], Charging]
) -> ChargerRow:
    connectors = [_connector(plug, running.get((plug.station_id, plug.ocpp_connector_id))) for plug in plugs]
    return ChargerRow(
        station.station_id, station.owner, station.location_id, station.connected and not station.away,
        station.last_seen_at, station.vendor, station.model, station.firmware, connectors,
    )  # fmt: skip


def _connector(plug: StationConnector, row: Charging | None) -> ConnectorRow:
    return ConnectorRow(
        plug.ocpp_connector_id, plug.evse_uid, plug.connector_id, plug.status, plug.error_code, plug.status_at,
        _running(row) if row is not None else None,
    )  # fmt: skip


def _running(row: Charging) -> Running:
    kwh = None
    if row.register_wh is not None and row.meter_start is not None:
        kwh = ((row.register_wh - row.meter_start) / 1000).quantize(Decimal("0.001"))
    return Running(row.transaction_id or 0, row.session_id, row.started_at, kwh)


@router.post("/chargers", status_code=201, response_model=Installed)
async def post(hub: CurrentHub, order: ChargerOrder) -> Response:
    """Put a charger into service; its password is shown this once."""
    return access.respond(await add(hub, order), 201)


@router.get("/chargers", response_model=list[ChargerRow])
async def get_all(hub: CurrentHub) -> Response:
    """The chargers with their connectors and what runs on them."""
    return access.respond(await rows(hub))


@router.post("/chargers/{station_id}/password", response_model=Installed)
async def post_password(hub: CurrentHub, station_id: str) -> Response:
    """Give a charger a new password, shown this once; the old one is void from its next login on."""
    return access.respond(await renew_password(hub, station_id))


@router.delete("/chargers/{station_id}", response_model=Removed)
async def delete(hub: CurrentHub, station_id: str) -> Response:
    """Take a charger out of service."""
    return access.respond(await remove(hub, station_id))
