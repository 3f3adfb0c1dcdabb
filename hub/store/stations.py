"""Stations and their connectors: who they are, which socket is theirs, what state they told (tables: `chargers`)."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.chargers import Station, StationConnector

ARRIVED = "station_arrived"
"""NOTIFY channel: "EPOCH STATION" of a socket that took a station over."""

_TAKE_OVER = text(
    "WITH old AS (SELECT station_id, away FROM station WHERE station_id = :station_id FOR UPDATE),"
    " told AS (UPDATE station_connector c SET due_at = LEAST(due_at, now() + CAST(:settle AS interval))"
    "  FROM old WHERE c.station_id = old.station_id AND old.away)"
    " UPDATE station s SET epoch = epoch + 1, connected = true, away = false, last_seen_at = now()"
    " FROM old WHERE s.station_id = old.station_id RETURNING s.epoch"
)
_NOTIFY = text("SELECT pg_notify(:channel, :message)")
_RELEASE = text(
    "UPDATE station SET connected = false, last_seen_at = now() WHERE station_id = :station_id AND epoch = :epoch"
)
_SEEN = text(
    "WITH back AS (SELECT station_id FROM station WHERE station_id = ANY(:stations) AND connected AND away),"
    " told AS (UPDATE station_connector c SET due_at = now() FROM back WHERE c.station_id = back.station_id)"
    " UPDATE station SET last_seen_at = now(), away = false WHERE station_id = ANY(:stations) AND connected"
)
_AWAY = text(
    "WITH gone AS (UPDATE station SET away = true"
    "  WHERE NOT away AND last_seen_at < now() - CAST(:grace AS interval) RETURNING station_id),"
    " told AS (UPDATE station_connector c SET due_at = now() FROM gone WHERE c.station_id = gone.station_id)"
    " SELECT station_id FROM gone"
)
_BOOTED = text(
    "UPDATE station SET vendor = :vendor, model = :model, serial = :serial, firmware = :firmware,"
    " boot_status = 'Accepted', booted_at = now() WHERE station_id = :station_id"
)
_STATION_STATUS = text(
    "WITH station AS (UPDATE station SET status = :status WHERE station_id = :station_id)"
    " UPDATE station_connector SET due_at = LEAST(due_at, now() + CAST(:settle AS interval))"
    " WHERE station_id = :station_id"
)
_CONNECTOR_STATUS = text(
    "WITH said AS (SELECT CAST(:station_id AS text) AS station_id, CAST(:connector AS int) AS connector,"
    "   CAST(:status AS text) AS status, CAST(:at AS timestamptz) AS at),"
    " told AS (UPDATE station_connector c SET status = said.status, error_code = :error_code, status_at = said.at,"
    "  due_at = CASE WHEN c.status = said.status THEN c.due_at ELSE now() + CAST(:settle AS interval) END"
    "  FROM said WHERE c.station_id = said.station_id AND c.ocpp_connector_id = said.connector"
    "  AND (c.status_at IS NULL OR c.status_at <= said.at) RETURNING c.ocpp_connector_id),"
    " others AS (UPDATE station_connector c SET due_at = LEAST(c.due_at, now() + CAST(:settle AS interval))"
    "  FROM said JOIN station s USING (station_id) WHERE c.station_id = s.station_id"
    "  AND c.ocpp_connector_id <> said.connector AND s.settings @> '{\"shared\": true}'),"
    " noted AS (INSERT INTO reading (station_id, ocpp_connector_id, transaction_id, at, status)"
    "  SELECT c.station_id, c.ocpp_connector_id, c.transaction_id, said.at, said.status FROM charging c, said"
    "  WHERE c.station_id = said.station_id AND c.ocpp_connector_id = said.connector AND c.state = 'open')"
    " SELECT count(*) FROM told"
)
_LOOK_AGAIN = text(
    "UPDATE station_connector c SET due_at = now() FROM station s WHERE s.station_id = c.station_id"
    " AND s.owner = :owner AND upper(s.location_id) = upper(:location_id) AND NOT s.away"
)
_CLAIM_DUE = text(
    "UPDATE station_connector SET due_at = now() + CAST(:lease AS interval)"
    " WHERE (station_id, ocpp_connector_id) IN (SELECT station_id, ocpp_connector_id FROM station_connector"
    "  WHERE due_at <= now() ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED)"
    " RETURNING station_id, ocpp_connector_id, due_at"
)
_NEXT_LOOK = text(
    "UPDATE station_connector SET due_at = :next WHERE station_id = :station_id AND ocpp_connector_id = :connector"
    " AND due_at = :claimed"
)


@dataclass(frozen=True)
class Claimed:
    """A connector whose EVSE status is to be looked at; `until` is the lease that names the claim."""

    station_id: str
    connector: int
    until: datetime


def new_password() -> tuple[str, bytes]:
    """A fresh AuthorizationKey of 160 bits as 40 hex digits, the most OCPP 1.6 allows, and what is stored of it."""
    password = secrets.token_hex(20)
    return password, hashlib.sha256(password.encode()).digest()


def password_fits(stored: bytes, shown: bytes) -> bool:
    """Whether a station showed its key: as text, in upper case, or as the bytes that the hex stands for."""
    forms = (shown, shown.lower(), shown.hex().encode())
    return any(hmac.compare_digest(stored, hashlib.sha256(form).digest()) for form in forms)


async def enrol(
    session: AsyncSession,
    owner: str,
    station_id: str,
    location: Mapping[str, Any],
    evse_uids: Sequence[str] = (),
    *,
    shared: bool = False,
) -> str:
    """Add a station at a Location; returns its password, which is shown once.

    `location` is the OCPI object; connectorId 1, 2, ... stand for the connectors of `evse_uids`, by default of all its
    EVSEs, in their order. `shared`: they share one power unit, so that one of them in use takes the others out of
    service (LOC-011). Raises ValueError when the id is taken or an EVSE is not there.
    """
    known = await find(session, station_id)
    if known is not None and (known.owner != owner or await connectors(session, known.station_id)):
        raise ValueError("a charger with this id exists already")
    evses = {str(evse["uid"]).upper(): evse for evse in location.get("evses") or ()}
    missing = [uid for uid in evse_uids if uid.upper() not in evses]
    if missing or not evses:
        raise ValueError("the location has no such EVSE" if missing else "the location has no EVSEs")
    chosen = [evses[uid.upper()] for uid in evse_uids] if evse_uids else list(evses.values())
    password, stored = new_password()
    # A charger that was removed stays on record while it has transactions; it may come back under its id.
    station = known or Station(station_id=station_id, owner=owner, location_id="", password_hash=stored)
    station_id, station.location_id, station.password_hash = station.station_id, str(location["id"]), stored
    station.settings = {**station.settings, "shared": shared}
    session.add(station)
    await session.flush()
    plugs = [(str(evse["uid"]), str(plug["id"])) for evse in chosen for plug in evse["connectors"]]
    session.add_all(
        StationConnector(station_id=station_id, ocpp_connector_id=number, evse_uid=evse_uid, connector_id=connector_id)
        for number, (evse_uid, connector_id) in enumerate(plugs, 1)
    )
    return password


async def find(session: AsyncSession, station_id: str) -> Station | None:
    """The station with this id, in any case."""
    return (await session.exec(select(Station).where(func.upper(Station.station_id) == station_id.upper()))).first()


async def at_location(session: AsyncSession, owner: str, location_id: str) -> list[tuple[Station, StationConnector]]:
    """Every connector at a Location with its station."""
    query = (
        select(Station, StationConnector)
        .join(StationConnector, col(StationConnector.station_id) == col(Station.station_id))
        .where(Station.owner == owner, func.upper(Station.location_id) == location_id.upper())
        .order_by(col(Station.station_id), col(StationConnector.ocpp_connector_id))
    )
    return list(await session.exec(query))


async def connectors(session: AsyncSession, station_id: str) -> list[StationConnector]:
    """The connectors of a station."""
    query = select(StationConnector).where(StationConnector.station_id == station_id)
    return list(await session.exec(query.order_by(col(StationConnector.ocpp_connector_id))))


async def take_over(session: AsyncSession, station_id: str, settle: timedelta) -> int:
    """A new socket is the station's: its epoch. Every bridge hears of it and lets go of older sockets."""
    epoch = int((await session.execute(_TAKE_OVER, {"station_id": station_id, "settle": settle})).scalar_one())
    await session.execute(_NOTIFY, {"channel": ARRIVED, "message": f"{epoch} {station_id}"})
    return epoch


async def release(session: AsyncSession, station_id: str, epoch: int) -> None:
    """The socket of that epoch closed; without effect once there is a newer one (F1)."""
    await session.execute(_RELEASE, {"station_id": station_id, "epoch": epoch})


async def seen(session: AsyncSession, stations: Sequence[str]) -> None:
    """These stations have given a sign of life; those that were thought away are back."""
    await session.execute(_SEEN, {"stations": list(stations)})


async def mark_away(session: AsyncSession, grace: timedelta) -> list[str]:
    """The stations that have just become away: unseen for longer than `grace`, whatever happened to their bridge."""
    return list((await session.execute(_AWAY, {"grace": grace})).scalars())


async def booted(session: AsyncSession, station_id: str, facts: Mapping[str, str | None]) -> None:
    """A BootNotification: vendor, model, serial and firmware."""
    await session.execute(_BOOTED, {"station_id": station_id, **facts})


async def station_status(session: AsyncSession, station_id: str, status: str, settle: timedelta) -> None:
    """The state of the station as a whole (connectorId 0)."""
    await session.execute(_STATION_STATUS, {"station_id": station_id, "status": status, "settle": settle})


async def connector_status(
    session: AsyncSession,
    station_id: str,
    connector: int,
    status: str,
    error_code: str,
    at: datetime,
    settle: timedelta,
) -> bool:
    """The state of a connector; False when it is unknown or a newer state is known (F66). Noted in its transaction."""
    names = {"station_id": station_id, "connector": connector, "status": status, "error_code": error_code}
    return bool((await session.execute(_CONNECTOR_STATUS, {**names, "at": at, "settle": settle})).scalar_one())


async def look_again(session: AsyncSession, owner: str, location_id: str) -> None:
    """The Location was written by its owner: have the bridge compare the EVSE states in it with the chargers'."""
    await session.execute(_LOOK_AGAIN, {"owner": owner, "location_id": location_id})


async def claim_due(session: AsyncSession, lease: timedelta, most: int = 100) -> list[Claimed]:
    """Connectors to look at now. Nobody else gets them during the lease; after it they are due again."""
    return [Claimed(*row) for row in await session.execute(_CLAIM_DUE, {"lease": lease, "most": most})]


async def looked(session: AsyncSession, claim: Claimed, next_look: datetime | None) -> None:
    """Done with a claim, unless something happened meanwhile."""
    names = {"station_id": claim.station_id, "connector": claim.connector, "claimed": claim.until}
    await session.execute(_NEXT_LOOK, {**names, "next": next_look})
