"""Whether a platform takes part: the operator suspends it, resumes it, changes how it is served, or removes it.

Each is one transaction that every process hears of at once (`parties.touch`). A SUSPENDED platform keeps its tokens,
but they open nothing, nothing is sent to it, and others who address its parties get 4003.
"""

import structlog
from sqlalchemy import text
from sqlmodel import col, delete, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.delivery import backfill
from hub.exchange import handshake
from hub.exchange.context import Hub
from hub.ocpi.errors import Conflict, NotFound
from hub.store import parties
from hub.store.parties import Agreement, Party, Platform

log = structlog.get_logger(__name__)

_FORGET_OWED = text("DELETE FROM owed WHERE receiver = ANY(:codes) AND module <> 'cdrs'")
_FORGET_BACKFILLS = text("DELETE FROM backfill WHERE receiver = ANY(:codes)")


async def suspend(hub: Hub, platform_id: int) -> None:
    """Stop all traffic with a platform, both ways; Conflict when it is not registered or suspended already."""
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        if platform.status == "PLANNED":
            raise Conflict("this platform has not registered: `knutpunkt platform remove` withdraws its invitation")
        if platform.status == "SUSPENDED":
            raise Conflict("this platform is SUSPENDED already")
        platform.status = "SUSPENDED"
        session.add(platform)
    await hub.directory.refresh()
    log.warning("platform suspended by the operator", platform=platform.name)


async def resume(hub: Hub, platform_id: int) -> str:
    """End a suspension, or a stop because the platform refused the hub's token: everything is delivered anew. The
    correlation id of the deliveries. Conflict when there is nothing to resume, or the platform has unregistered."""
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        if platform.status != "SUSPENDED" and platform.stopped_reason is None:
            raise Conflict(f"this platform is {platform.status}, and nothing keeps deliveries from it")
        if platform.token_out is None:
            raise Conflict("this platform has unregistered, so there are no tokens: invite it with `knutpunkt invite`")
        platform.status, platform.stopped_reason = "CONNECTED", None
        platform.failures, platform.next_try_at = 0, None
        session.add(platform)
        await session.flush()
        correlation_id = await handshake.deliver_all(hub, session, platform_id, backfill.RESUMED)
    await hub.directory.refresh()
    hub.bell.ring()
    log.info("platform resumed by the operator", platform=platform.name, correlation_id=correlation_id)
    return correlation_id


async def change(hub: Hub, platform_id: int, resync: str | None, strict: bool | None) -> str | None:
    """Set whether state is pushed to a platform that was away (`resync`: push or pull), and whether what it sends must
    hold to the letter of the spec (`strict`); None leaves a value as it is.

    From pull to push everything is delivered anew; then the correlation id of that.
    """
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        pushed_again = resync == "push" and platform.resync == "pull" and platform.status in ("CONNECTED", "OFFLINE")
        platform.resync = platform.resync if resync is None else resync
        platform.strict = platform.strict if strict is None else strict
        session.add(platform)
        await session.flush()
        found = await handshake.deliver_all(hub, session, platform_id, backfill.RESYNC) if pushed_again else None
    await hub.directory.refresh()
    hub.bell.ring()
    return found


async def remove(hub: Hub, platform_id: int) -> None:
    """Take a platform out of the hub: tokens, endpoints, parties, lanes, what is owed to them, their agreements.

    The CDR ledger stays, CDRs in custody stay owed (a party that comes back gets them), and so does what the hub keeps
    of the parties' objects: nobody is shown it while they are gone.
    """
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        members = list(await session.exec(select(Party).where(Party.platform_id == platform_id).order_by("code")))
        codes = [party.code for party in members]
        for member in members:  # its lane goes with it
            await session.delete(member)
        await session.flush()
        for forget in (_FORGET_OWED, _FORGET_BACKFILLS):
            await session.execute(forget, {"codes": codes})
        touched = or_(col(Agreement.a).in_(codes), col(Agreement.b).in_(codes))
        await session.exec(delete(Agreement).where(touched))
        await session.delete(platform)
    await hub.directory.refresh()
    log.warning("platform removed by the operator", platform=platform.name, parties=codes)


async def _partner(session: AsyncSession, platform_id: int) -> Platform:
    """A platform that is not the hub's own, for a change; orders for it come one after the other."""
    await parties.touch(session)
    platform = await session.get(Platform, platform_id)
    if platform is None:
        raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
    if platform.hosted:
        raise Conflict("this is the hub's own platform, of the parties it hosts: it cannot be changed so")
    return platform
