"""Whether a platform takes part: the operator suspends it, resumes it, changes how it is served, or removes it.

Each is one transaction that every process hears of at once (`parties.touch`). A SUSPENDED platform keeps its tokens,
but they open nothing, nothing is sent to it, and others who address its parties get 4003.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlmodel import col, delete, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.delivery import audience, backfill
from hub.exchange import admission, enrolment, handshake
from hub.exchange.admission import Invited
from hub.exchange.context import Hub
from hub.ocpi import headers, quirks
from hub.ocpi.errors import Conflict, InvalidParameters, NotFound
from hub.ocpi.types import PartyId
from hub.store import parties
from hub.store.parties import Agreement, Party, Platform

log = structlog.get_logger(__name__)


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
        correlation_id = await enrolment.deliver_all(hub, session, platform_id, backfill.RESUMED)
    await hub.directory.refresh()
    hub.bell.ring()
    log.info("platform resumed by the operator", platform=platform.name, correlation_id=correlation_id)
    return correlation_id


async def change(
    hub: Hub, platform_id: int, resync: str | None, strict: bool | None, short_retry: bool | None = None
) -> str | None:
    """Set whether state is pushed to a platform (`resync`: push or pull), whether what it sends must hold to the letter
    of the spec (`strict`), and whether a delivery that failed is tried again within a minute (`short_retry`); None
    leaves a value as it is.

    From pull to push everything is delivered anew; then the correlation id of that.
    """
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        pushed_again = resync == "push" and platform.resync == "pull" and platform.status in ("CONNECTED", "OFFLINE")
        platform.resync = platform.resync if resync is None else resync
        platform.strict = platform.strict if strict is None else strict
        platform.short_retry = platform.short_retry if short_retry is None else short_retry
        session.add(platform)
        await session.flush()
        found = await enrolment.deliver_all(hub, session, platform_id, backfill.RESYNC) if pushed_again else None
    await hub.directory.refresh()
    hub.bell.ring()
    return found


async def resync(hub: Hub, platform_id: int, owner: PartyId | None, modules: Sequence[str]) -> str:
    """Deliver to a platform anew all that its parties may have: of one owner or of all, of these modules or of those
    that are broadcast. The correlation id of the deliveries.

    Conflict when nothing is sent to it, or there is nothing of that kind to send. Sessions must be named: while one
    goes on, its CPO pushes it itself, and the two could overtake each other.
    """
    kept = [row.name for row in hub.catalog.values() if row.owner and row.kept]
    if not set(modules) <= set(kept):
        raise InvalidParameters(
            f"modules: some of {', '.join(kept)}; CDRs that are missing, `knutpunkt reconcile` finds"
        )
    correlation_id, found = headers.new_id(), False
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        if platform.resync == "pull" or platform.status not in ("CONNECTED", "OFFLINE"):
            why = "it pulls for itself (resync)" if platform.resync == "pull" else f"it is {platform.status}"
            raise Conflict(f"nothing is sent to this platform: {why}")
        now = await enrolment.picture(hub, session)
        for code in now.platform(platform_id).parties:
            pairs = set(audience.everything_for(now, hub.catalog, code))
            pairs |= {
                (str(party.code), name)
                for name in modules
                for party in now.parties
                if party.code != code and party.roles & audience.owners(hub.catalog[name].owner)
                if audience.takes(now, party.code, name, code)
            }
            owned = {pair for pair in pairs if owner is None or pair[0] == str(owner)}
            wanted = sorted(pair for pair in owned if not modules or pair[1] in modules)
            await backfill.start(session, code, wanted, backfill.RESYNC, correlation_id)
            found = found or bool(wanted)
    if not found:
        raise Conflict("there is nothing of that kind that this platform may have: see `knutpunkt agreement list`")
    hub.bell.ring()
    log.info("delivered anew by order of the operator", platform=platform.name, correlation_id=correlation_id)
    return correlation_id


async def treat(
    hub: Hub,
    platform_id: int,
    pull: str | Sequence[str] | None,
    quirk: Mapping[str, Any],
    token_form: str | None = None,
) -> None:
    """Set what is pulled from a platform ("auto" leaves it to the hub, an empty list is nothing), which quirks it has
    (those not named stay as they are), and how its tokens are encoded. InvalidParameters names what is wrong."""
    pullable = [row.name for row in hub.catalog.values() if row.owner]
    if pull not in (None, "auto") and not set(pull or ()) <= set(pullable):
        raise InvalidParameters(f"pull: auto, or some of {', '.join(pullable)}")
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        if pull is not None:
            platform.pull = None if pull == "auto" else sorted(set(pull))
        platform.quirks = quirks.changed(platform.quirks, quirk)
        platform.token_form = token_form or platform.token_form
        session.add(platform)
    await hub.directory.refresh()


async def admit(hub: Hub, platform_id: int, roles: Invited) -> None:
    """Replace the admission list of a platform (CRED-049). A role that is registered and not on it is out at once; a
    new one can be registered, by PUT. Conflict when the platform would be left without any."""
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        await admission.write(session, platform_id, roles)
        allowed = {(str(code), role) for code, role in roles}
        members = list(await session.exec(select(Party).where(Party.platform_id == platform_id).order_by("code")))
        for member in members:
            member.roles = [role for role in member.roles if (member.code, role) in allowed]
            session.add(member)
        gone = [member for member in members if not member.roles]
        if gone and len(gone) == len(members):
            raise Conflict("that would leave no party on the platform: `knutpunkt platform remove` takes it out")
        await session.flush()
        await enrolment.take_out(session, gone)
    await hub.directory.refresh()
    log.warning("admission list changed by the operator", platform=platform.name, out=[party.code for party in gone])


async def unregister(hub: Hub, platform_id: int) -> bool | None:
    """End a connection from this side: the partner is told by DELETE, its tokens are void, its parties SUSPENDED. It
    can come back with a new invitation. Whether it took note (`handshake.take_leave`)."""
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        if platform.token_out is None:
            raise Conflict("this platform has no tokens: it has not registered, or has unregistered")
    told = await handshake.take_leave(hub, platform_id)
    async with hub.db.session() as session:
        await enrolment.void_tokens(session, await _partner(session, platform_id))
    await hub.directory.refresh()
    log.warning("platform unregistered by the operator", platform=platform.name, told=told)
    return told


async def remove(hub: Hub, platform_id: int) -> bool | None:
    """Take a platform out of the hub: tokens, endpoints, parties, lanes, what is owed to them, their agreements. It is
    told by DELETE first; whether it took note (`handshake.take_leave`).

    The CDR ledger stays, CDRs in custody stay owed (a party that comes back gets them), and so does what the hub keeps
    of the parties' objects: nobody is shown it while they are gone.
    """
    told = await handshake.take_leave(hub, platform_id)
    async with hub.db.session() as session:
        platform = await _partner(session, platform_id)
        members = list(await session.exec(select(Party).where(Party.platform_id == platform_id).order_by("code")))
        codes = [party.code for party in members]
        await enrolment.take_out(session, members)
        touched = or_(col(Agreement.a).in_(codes), col(Agreement.b).in_(codes))
        await session.exec(delete(Agreement).where(touched))
        await session.delete(platform)
    await hub.directory.refresh()
    log.warning("platform removed by the operator", platform=platform.name, parties=codes, told=told)
    return told


async def _partner(session: AsyncSession, platform_id: int) -> Platform:
    """A platform that is not the hub's own, for a change; orders for it come one after the other."""
    await parties.touch(session)
    platform = await session.get(Platform, platform_id)
    if platform is None:
        raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
    if platform.hosted:
        raise Conflict("this is the hub's own platform, of the parties it hosts: it cannot be changed so")
    return platform
