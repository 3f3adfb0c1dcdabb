"""The doctor: what is wrong with the hub, and what to do. Facts are gathered here, `findings` says what they mean."""

import asyncio
import shutil
from datetime import UTC, datetime

import redis.asyncio
import structlog
from fastapi import Response
from redis.exceptions import RedisError
from sqlalchemy import text

from hub import provenance
from hub.admin import access, findings
from hub.admin.findings import Facts, Finding
from hub.delivery import broker
from hub.exchange.context import Hub
from hub.settings import Settings
from hub.store import alerts, migrate, vitals
from hub.store.db import FAULTS
from modules.calls import CurrentHub

router = access.router("status")
log = structlog.get_logger(__name__)

PATIENCE = 5.0  # seconds that each service is given to answer

_DATABASE = text(
    "SELECT current_setting('server_version_num')::integer / 10000 AS version,"
    " (SELECT version_num FROM alembic_version) AS revision, clock_timestamp() AS now,"
    " (SELECT count(DISTINCT station_id) FROM station_connector) AS stations"
)


async def examine(hub: Hub) -> list[Finding]:
    """Every check, also when what the hub needs is away."""
    said = asyncio.gather(_redis(hub.settings), _broker(hub.settings))
    try:
        async with asyncio.timeout(PATIENCE), hub.db.unit_of_work() as session:
            row = (await session.execute(_DATABASE)).one()
            skew = (datetime.now(UTC) - row.now).total_seconds()
            seen = await vitals.look(session)
            open_alerts = [(alert.kind, alert.subject, alert.detail) for alert in await alerts.every(session, False)]
    except FAULTS as error:
        log.error("the doctor could not ask the database", error=repr(error)[:300])
        await said
        return [_no_database(error), *findings.slips(provenance.unknown()), *findings.weak_secrets(hub.settings)]
    (problem, policy), silent = await said
    facts = Facts(
        settings=hub.settings,
        unknown=provenance.unknown(),
        vitals=seen,
        postgres=row.version,
        revision=row.revision,
        needed=await asyncio.to_thread(migrate.newest),
        skew=skew,
        redis=problem,
        policy=policy,
        broker=silent,
        room=_room(hub.settings),
        stations=row.stations,
        alerts=open_alerts,
        mark=hub.endpoints_mark,
    )
    return findings.judge(facts)


def _no_database(error: Exception) -> Finding:
    detail = f"does not serve the hub ({type(error).__name__})"
    return Finding("database", "fail", detail, "start PostgreSQL, or correct DATABASE_URL; the hub finds it by itself")


async def _redis(settings: Settings) -> tuple[str | None, str | None]:
    """What is the matter with Redis, if it is the broker, and its maxmemory-policy if it tells."""
    if settings.broker_url:
        return None, None
    try:
        async with (
            asyncio.timeout(PATIENCE),
            redis.asyncio.from_url(settings.redis_url, socket_connect_timeout=PATIENCE) as client,
        ):
            await client.ping()
            told = await client.info("memory")
    except (RedisError, OSError) as error:
        return f"does not answer ({type(error).__name__})", None
    return None, told.get("maxmemory_policy")


async def _broker(settings: Settings) -> str | None:
    """What is the matter with a broker of its own."""
    if not settings.broker_url:
        return None
    try:
        await asyncio.to_thread(broker.knock, settings.broker_url, PATIENCE)
    except Exception as error:  # each kind of broker has errors of its own
        return f"does not answer ({type(error).__name__})"
    return None


def _room(settings: Settings) -> tuple[int, int] | None:
    """Free and total bytes of the disk below HUB_DATA; None where there is no such directory (a container)."""
    if not settings.data.exists():
        return None
    usage = shutil.disk_usage(settings.data)
    return usage.free, usage.total


@router.get("/doctor", response_model=list[Finding])
async def get(hub: CurrentHub) -> Response:
    """What is wrong, and what to do: one entry a check, `ok`, `warn` or `fail`."""
    return access.respond(await examine(hub))
