"""Grants and commands: what an eMSP's word or wish means for a station (tables: `chargers`).

A command is a row before anybody is told that it was accepted. The bridge that holds the station's newest socket
claims it, sends it and writes the result; whoever finds a result posts it. What a crash leaves behind is found by its
deadline.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.store.chargers import Grant, Station, StationCommand

WAITING = "station_command"
"""NOTIFY channel: the id of a station with a queued command."""

_NOTIFY = text("SELECT pg_notify(:channel, :message)")
_EXPIRE = text(
    "UPDATE station_command SET state = 'answered', result = CAST(:result AS jsonb), deadline = now()"
    " WHERE state IN ('queued', 'sent') AND deadline < now() - interval '2 s'"
)
_CLAIM_ANSWERED = text(
    "UPDATE station_command SET state = 'posting', tries = tries + 1, deadline = now() + CAST(:lease AS interval)"
    " WHERE id IN (SELECT id FROM station_command WHERE state = 'answered' OR (state = 'posting' AND deadline < now())"
    "  ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id"
)


async def submit(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Queue a command and wake the bridges."""
    session.add(StationCommand(**values))
    await session.flush()
    await session.execute(_NOTIFY, {"channel": WAITING, "message": values["station_id"]})


async def waiting(session: AsyncSession) -> list[str]:
    """The stations that have a queued command."""
    query = select(StationCommand.station_id).where(
        StationCommand.state == "queued", col(StationCommand.deadline) > func.now()
    )
    return list((await session.exec(query.distinct())).all())


async def claim(session: AsyncSession, station_id: str, epoch: int) -> list[StationCommand]:
    """The queued commands of a station, in order, for the holder of its newest socket and nobody else."""
    newest = select(Station.station_id).where(Station.station_id == station_id, Station.epoch == epoch)
    statement = (
        update(StationCommand)
        .where(
            col(StationCommand.station_id).in_(newest),
            col(StationCommand.state) == "queued",
            col(StationCommand.deadline) > func.now(),
        )
        .values(state="sent")
        .returning(StationCommand)
    )
    return sorted((await session.execute(statement)).scalars(), key=lambda command: command.id or 0)


async def answered(session: AsyncSession, command_id: int, result: dict[str, Any]) -> bool:
    """Write the result; False when somebody else has already said TIMEOUT."""
    statement = (
        update(StationCommand)
        .where(col(StationCommand.id) == command_id, col(StationCommand.state) == "sent")
        .values(state="answered", result=result)
        .returning(col(StationCommand.id))
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def expire(session: AsyncSession) -> None:
    """Commands whose deadline passed without a result, because a bridge or a socket was lost, get TIMEOUT."""
    await session.execute(_EXPIRE, {"result": '{"result": "TIMEOUT"}'})


async def claim_answered(session: AsyncSession, lease: timedelta) -> list[StationCommand]:
    """Commands whose result must be posted now."""
    claimed = list((await session.execute(_CLAIM_ANSWERED, {"lease": lease})).scalars())
    if not claimed:
        return []
    return list(await session.exec(select(StationCommand).where(col(StationCommand.id).in_(claimed))))


async def posted(session: AsyncSession, command_id: int) -> None:
    """The result went out: nothing more happens to this command."""
    await session.execute(update(StationCommand).where(col(StationCommand.id) == command_id).values(state="posted"))


async def grant(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Let a token start at a station; a newer grant takes the place of an older one."""
    fresh = insert(Grant).values(**values)
    kept = ("token", "auth_method", "authorization_reference", "evse_uids", "until")
    await session.execute(
        fresh.on_conflict_do_update(
            index_elements=["station_id", "id_tag"], set_={name: fresh.excluded[name] for name in kept}
        )
    )


async def granted(session: AsyncSession, station_id: str, id_tag: str, now: datetime) -> Grant | None:
    """The grant of this idTag, if there is one."""
    query = select(Grant).where(Grant.station_id == station_id, Grant.id_tag == id_tag, Grant.until > now)
    return (await session.exec(query)).one_or_none()


async def use_grant(session: AsyncSession, station_id: str, id_tag: str) -> None:
    """A transaction began with this grant: it serves for one."""
    await session.execute(delete(Grant).where(col(Grant.station_id) == station_id, col(Grant.id_tag) == id_tag))


async def forget_old_grants(session: AsyncSession) -> None:
    """Remove the grants that are no longer good."""
    await session.execute(delete(Grant).where(col(Grant.until) < func.now()))
