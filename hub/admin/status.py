"""How the hub is: what an operator looks at first."""

import asyncio
import time
from dataclasses import dataclass

import structlog
from fastapi import Response
from sqlalchemy import text

from hub.admin import access
from hub.delivery import broker
from hub.exchange.context import Hub
from hub.settings import version
from hub.store.db import FAULTS
from modules.calls import CurrentHub

router = access.router("status")
log = structlog.get_logger(__name__)

_STARTED = time.monotonic()
_PATIENCE = 3.0  # seconds
_NUMBERS = text(
    "SELECT"
    " (SELECT sum(position)::bigint FROM log_head) AS log_head,"
    " (SELECT count(*) FROM change_log WHERE position IS NULL) AS unstamped,"
    " (SELECT count(*) FROM lane) AS lanes,"
    " (SELECT count(DISTINCT party_id) FROM lane_cursor c JOIN log_head h USING (shard)"
    "  WHERE c.position < h.position) AS lanes_behind,"
    " (SELECT count(*) FROM owed WHERE NOT parked) AS owed,"
    " (SELECT count(*) FROM owed WHERE parked) AS parked,"
    " (SELECT count(*) FROM backfill) AS backfills,"
    " (SELECT count(*) FROM held_cdr) AS held_cdrs"
)
_PLATFORMS = text("SELECT status, count(*) AS number FROM platform WHERE NOT hosted GROUP BY status ORDER BY status")


@dataclass(frozen=True)
class Numbers:
    """What the database counts. `log_head` is the last position of the change log, `unstamped` how many changes have
    none yet; lanes are behind when they have not reached the head. `platforms` counts them by status."""

    log_head: int
    unstamped: int
    lanes: int
    lanes_behind: int
    owed: int
    parked: int
    backfills: int
    held_cdrs: int
    platforms: dict[str, int]


@dataclass(frozen=True)
class Status:
    """`database` and `broker` are "ok" or what is the matter; `uptime` in seconds, of the API process."""

    version: str
    hub: str
    public_url: str
    uptime: int
    database: str
    broker: str
    numbers: Numbers | None


async def look(hub: Hub) -> Status:
    """The state of the hub, also when what it needs is away."""
    (database, numbers), bell = await asyncio.gather(_database(hub), _broker(hub))
    uptime = int(time.monotonic() - _STARTED)
    return Status(version(), str(hub.code), hub.settings.public_url, uptime, database, bell, numbers)


async def _database(hub: Hub) -> tuple[str, Numbers | None]:
    try:
        async with asyncio.timeout(_PATIENCE), hub.db.unit_of_work() as session:
            row = (await session.execute(_NUMBERS)).mappings().one()
            platforms = {row.status: row.number for row in await session.execute(_PLATFORMS)}
    except FAULTS as error:
        log.error("the database does not answer", error=repr(error)[:300])
        return f"does not answer ({type(error).__name__})", None
    return "ok", Numbers(**row, platforms=platforms)


async def _broker(hub: Hub) -> str:
    try:
        await asyncio.to_thread(broker.knock, hub.settings.broker, _PATIENCE)
    except Exception as error:  # Redis and RabbitMQ each have errors of their own
        log.warning("the broker does not answer; deliveries wait for the sweep", error=repr(error)[:300])
        return f"does not answer ({type(error).__name__}); deliveries take up to a second longer"
    return "ok"


@router.get("/status", response_model=Status)
async def get(hub: CurrentHub) -> Response:
    """Version, services, the change log, lanes, what is owed."""
    return access.respond(await look(hub))
