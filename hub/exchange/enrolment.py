"""What an exchange of credentials makes lasting: status, tokens, endpoints, parties, lanes, deliveries.

Each function works in one transaction, begun with `parties.touch`, so that the operator's orders and the partners'
handshakes come one after the other, and every process hears of them at once.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import text
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.delivery import audience, backfill, lanes
from hub.exchange import admission
from hub.exchange.admission import Role
from hub.exchange.context import Hub
from hub.exchange.discovery import VERSION, Published
from hub.ocpi import headers
from hub.ocpi.errors import Suspended, Unauthorized
from hub.store import directory, parties, rotations
from hub.store.directory import Directory
from hub.store.parties import AccessToken, Endpoint, Party, Platform
from hub.store.seal import hash_token

log = structlog.get_logger(__name__)

# During a renewal the old token is honoured this long, so that requests in flight do not fail (CRED-019).
OVERLAP = timedelta(minutes=15)

_FORGET_OWED = text("DELETE FROM owed WHERE receiver = ANY(:codes) AND module <> 'cdrs'")
_FORGET_BACKFILLS = text("DELETE FROM backfill WHERE receiver = ANY(:codes)")


async def store(
    hub: Hub, platform_id: int, body: dict[str, Any], published: Published, token_c: str, began_with: str
) -> None:
    """A platform has registered or renewed. `began_with` is the kind of token that was shown first."""
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get(Platform, platform_id)
        if platform is None:
            raise Unauthorized("the operator of this hub has removed this platform")
        if platform.status == "SUSPENDED" and began_with == "C":
            raise Suspended
        roles = await admission.admit(session, platform_id, body)  # again: the list may have changed meanwhile
        before = await picture(hub, session)
        reason = backfill.RESUMED if platform.status == "SUSPENDED" else backfill.REGISTRATION
        take_token(hub, platform, body, published)
        await _retire(session, platform_id, token_c)
        await rotations.replace(session, platform_id)
        await refresh(hub, session, before, platform_id, published, roles, reason)
    await hub.directory.refresh()
    hub.bell.ring()
    log.info("platform connected", platform=platform.name, parties=[f"{r.code}:{r.role}" for r in roles])


def take_token(hub: Hub, platform: Platform, body: dict[str, Any], published: Published) -> None:
    """From now on the hub shows the token in `body`, at the addresses in `published`."""
    platform.status, platform.versions_url, platform.version = "CONNECTED", body["url"], VERSION
    platform.token_out, platform.token_form = hub.seal.close(body["token"]), published.token_form
    platform.stopped_reason, platform.failures, platform.next_try_at = None, 0, None
    platform.told = hub.endpoints_mark


async def refresh(
    hub: Hub,
    session: AsyncSession,
    before: Directory,
    platform_id: int,
    published: Published,
    roles: Collection[Role],
    reason: str,
) -> None:
    """Endpoints and parties as the platform has them now, and deliveries of what that makes new for it; `before` is the
    picture as it was."""
    await session.exec(delete(Endpoint).where(col(Endpoint.platform_id) == platform_id))
    session.add_all(
        Endpoint(platform_id=platform_id, module=module, role=role, url=url)
        for (module, role), url in published.endpoints.items()
    )
    await _parties(session, platform_id, roles)
    await session.flush()
    await _deliver_new(hub, session, before, platform_id, reason)


async def picture(hub: Hub, session: AsyncSession) -> Directory:
    """The directory as this transaction sees it."""
    return await directory.load(session, hub.seal, hub.directory.now.open_policy)


async def deliver_all(hub: Hub, session: AsyncSession, platform_id: int, reason: str) -> str:
    """Give every party of the platform its lane, at the head of the log, and a backfill of all there is for it (seen as
    this transaction leaves things). The correlation id of the deliveries."""
    return await _deliver_new(hub, session, Directory(), platform_id, reason)


async def void_tokens(session: AsyncSession, platform: Platform) -> None:
    """No token opens anything any more, in neither direction, and the platform's parties are SUSPENDED (CRED-033)."""
    await session.exec(delete(AccessToken).where(col(AccessToken.platform_id) == platform.id))
    platform.status, platform.token_out = "SUSPENDED", None
    session.add(platform)
    await rotations.replace(session, platform.id or 0)
    await session.flush()


async def take_out(session: AsyncSession, gone: Collection[Party]) -> None:
    """Parties leave: their lanes and what is owed to them, but for CDRs in custody, which await their return."""
    for party in gone:  # its lane goes with it
        await session.delete(party)
    await session.flush()
    for forget in (_FORGET_OWED, _FORGET_BACKFILLS):
        await session.execute(forget, {"codes": [party.code for party in gone]})


async def _deliver_new(hub: Hub, session: AsyncSession, before: Directory, platform_id: int, reason: str) -> str:
    """Lanes for parties that had none, and backfills of what they were not given before, or elsewhere."""
    correlation_id = headers.new_id()
    now = await picture(hub, session)
    moved = _moved(before, now, platform_id)
    for code in now.platform(platform_id).parties:
        if not audience.served(before.party(code)):
            await lanes.open_for(session, now.by_code[code].id, code)
        had = set(audience.everything_for(before, hub.catalog, code))
        new = [pair for pair in audience.everything_for(now, hub.catalog, code) if pair not in had or pair[1] in moved]
        await backfill.start(session, code, new, reason, correlation_id)
    return correlation_id


def _moved(before: Directory, now: Directory, platform_id: int) -> set[str]:
    """The modules that the platform now takes at another address: what is there may be empty."""
    old = before.platforms.get(platform_id)
    if old is None:
        return set()
    endpoints = now.platform(platform_id).endpoints.items()
    return {module for (module, role), url in endpoints if role == "RECEIVER" and url != old.endpoint(module, role)}


async def _parties(session: AsyncSession, platform_id: int, roles: Collection[Role]) -> None:
    """The platform's parties as the roles say; those no longer listed are gone from routing (CRED-055)."""
    codes = {str(role.code) for role in roles}
    known = {party.code: party for party in await session.exec(select(Party).where(col(Party.code).in_(codes)))}
    for code in codes:
        mine = [role for role in roles if str(role.code) == code]
        party = known.get(code) or Party(code=code, platform_id=platform_id, roles=[])
        party.platform_id = platform_id
        party.roles = sorted({role.role for role in mine})
        party.business_details = mine[0].business_details
        session.add(party)
    others = select(Party).where(Party.platform_id == platform_id, col(Party.code).not_in(codes)).order_by("code")
    await take_out(session, list(await session.exec(others)))


async def _retire(session: AsyncSession, platform_id: int, newest: str) -> None:
    """The newest token stands, as token C. Token A is void once it has served (CRED-010); an old token C lives on for
    the overlap."""
    await session.exec(
        delete(AccessToken).where(col(AccessToken.platform_id) == platform_id, col(AccessToken.kind) == "A")
    )
    await end_others(session, platform_id, hash_token(newest), datetime.now(UTC) + OVERLAP)
    session.add(AccessToken(hash=hash_token(newest), platform_id=platform_id, kind="C"))


async def end_others(session: AsyncSession, platform_id: int, newest: bytes, until: datetime) -> None:
    """Every token C of the platform but the newest ends at `until`, or earlier if it was to."""
    others = select(AccessToken).where(AccessToken.platform_id == platform_id, AccessToken.hash != newest)
    for token in await session.exec(others):
        token.expires_at = min(token.expires_at or until, until)
        session.add(token)
    await session.flush()
