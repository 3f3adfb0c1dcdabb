"""Reservations at chargers of hosted parties (table: `chargers.StationReservation`).

A reservation is a row before the station is asked. Its answer makes it active or refused; a transaction, a command
or time ends it. What its Session must say anew is marked by `due_at` in the same commit, for the publisher.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import text, update
from sqlmodel import col, func, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.chargers import RESERVATION_NUMBER, StationReservation

STANDING = ("asked", "active")

_REPLACED = text(
    "UPDATE station_reservation o SET state = 'replaced', updated_at = now(), due_at = NULL FROM station_reservation n"
    " WHERE n.id = :id AND o.owner = n.owner AND o.sender = n.sender AND o.key = n.key AND o.id <> n.id"
    " AND o.state = 'active' RETURNING o.id"
)
_EXPIRE = text(
    "UPDATE station_reservation SET state = CASE state WHEN 'active' THEN 'expired' ELSE 'refused' END,"
    " updated_at = now(), due_at = CASE state WHEN 'active' THEN now() END"
    " WHERE (state = 'active' AND expires_at < now()) OR (state = 'asked' AND began_at < now() - interval '2 min')"
)
_CLAIM_DUE = text(
    "UPDATE station_reservation SET due_at = now() + CAST(:lease AS interval) WHERE id IN (SELECT id"
    " FROM station_reservation WHERE due_at <= now() ORDER BY due_at LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id"
)


async def ask(session: AsyncSession, values: Mapping[str, Any]) -> StationReservation:
    """Note what a station is about to be asked. Without a `number` it gets one that was never given (CMD-030)."""
    number = values.get("number") or (await session.execute(RESERVATION_NUMBER.next_value().select())).scalar_one()
    row = StationReservation(**{**values, "number": int(number)})
    session.add(row)
    await session.flush()
    return row


async def standing(session: AsyncSession, owner: str, sender: str, reservation_id: str) -> list[StationReservation]:
    """The reservations under an eMSP's id that are asked for or active, newest first (CMD-031)."""
    query = select(StationReservation).where(
        StationReservation.owner == owner,
        StationReservation.sender == sender,
        StationReservation.key == reservation_id.upper(),
        col(StationReservation.state).in_(STANDING),
    )
    return list(await session.exec(query.order_by(col(StationReservation.id).desc())))


async def taken(session: AsyncSession, owner: str, location_id: str) -> set[tuple[str, int]]:
    """Station and connectorId of what is reserved at a Location."""
    query = select(StationReservation.station_id, StationReservation.ocpp_connector_id).where(
        StationReservation.owner == owner,
        func.upper(StationReservation.location_id) == location_id.upper(),
        col(StationReservation.state).in_(STANDING),
    )
    return {(station_id, connector) for station_id, connector in await session.exec(query)}


async def granted(session: AsyncSession, number: int) -> list[StationReservation]:
    """The station keeps the connector free; returns those that this one replaces, also at other stations (CMD-029)."""
    row = await _become(session, number, "asked", "active")
    if row is None:
        return []
    replaced = list((await session.execute(_REPLACED, {"id": row.id})).scalars())
    return list(await session.exec(select(StationReservation).where(col(StationReservation.id).in_(replaced))))


async def refused(session: AsyncSession, number: int) -> None:
    """The station does not keep it free; one that it would have replaced stands."""
    row = await _become(session, number, "asked", "refused")
    if row is not None:
        row.due_at = None


async def cancelled(session: AsyncSession, number: int) -> StationReservation | None:
    """The eMSP gave it back; None when it was over before."""
    return await _become(session, number, "active", "cancelled")


async def use(
    session: AsyncSession, station_id: str, connector: int, number: int | None, id_tag: str
) -> StationReservation | None:
    """The reservation that a transaction of the same token takes over, by its number or its connector (SES-009)."""
    numbers = () if number is None else (number,)
    query = select(StationReservation).where(
        StationReservation.station_id == station_id,
        StationReservation.id_tag == id_tag,
        StationReservation.state == "active",
        or_(col(StationReservation.ocpp_connector_id) == connector, col(StationReservation.number).in_(numbers)),
    )
    row = (await session.exec(query.order_by(col(StationReservation.id).desc()).with_for_update())).first()
    if row is not None:
        row.state, row.due_at = "used", None
    return row


async def expire(session: AsyncSession) -> None:
    """End what nobody used in time (SES-010), and forget what no station ever answered."""
    await session.execute(_EXPIRE)


async def claim_due(session: AsyncSession, lease: timedelta) -> list[StationReservation]:
    """Reservations whose Session has to go out now. Nobody else gets them during the lease."""
    claimed = list((await session.execute(_CLAIM_DUE, {"lease": lease})).scalars())
    query = select(StationReservation).where(col(StationReservation.id).in_(claimed))
    return list(await session.exec(query)) if claimed else []


async def published(session: AsyncSession, claimed: StationReservation) -> None:
    """The token's owner knows; what happened meanwhile stays due."""
    statement = update(StationReservation).where(
        col(StationReservation.id) == claimed.id, col(StationReservation.due_at) == claimed.due_at
    )
    await session.execute(statement.values(due_at=None))


async def _become(session: AsyncSession, number: int, before: str, after: str) -> StationReservation | None:
    query = select(StationReservation).where(StationReservation.number == number, StationReservation.state == before)
    row = (await session.exec(query.order_by(col(StationReservation.id).desc()).with_for_update())).first()
    if row is not None:
        moment = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
        row.state, row.updated_at, row.due_at = after, moment, moment
        await session.flush()
    return row
