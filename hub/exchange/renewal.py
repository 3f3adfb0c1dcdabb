"""Renewal of tokens and endpoints that the hub begins: PUT to the partner's credentials endpoint (CRED-015..CRED-019).

The partner is handed a new token C and hands back a new token B. Both tokens C are good until the partner shows which
one it uses: the new one at the first call with it; the old one if it comes in after the window has ended, and then the
renewal is rolled back. A partner that does not call decides nothing, until PATIENCE is over and the letter counts. Of
its own two tokens the hub goes on with the one that works.

All of this is in the database before the PUT goes out. A crash, or an answer that is lost, leaves both tokens C good
and token B as it was, and the next look decides as above.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.delivery import backfill, background
from hub.exchange import admission, discovery, enrolment, handshake
from hub.exchange.admission import Role
from hub.exchange.context import Hub
from hub.exchange.discovery import EXCHANGE_TIMEOUT, VERSION, Doubtful, Published
from hub.ocpi.errors import Conflict, InvalidParameters, NotFound, OcpiError
from hub.ocpi.types import PartyId, check
from hub.store import parties, rotations
from hub.store.directory import PlatformView
from hub.store.parties import AccessToken, Party, Platform
from hub.store.rotations import REFUSED, ROLLED_BACK, SWITCHED, Rotation, Watched
from hub.store.seal import hash_token, new_token

log = structlog.get_logger(__name__)

WINDOW = timedelta(minutes=15)
PATIENCE = timedelta(hours=24)
LOOK = 10.0
"""Seconds between two looks at the open renewals."""

GRACE = timedelta(minutes=1)
"""What the old token is good for at least once the new one has been shown: requests may be under way."""


async def rotate(hub: Hub, platform_id: int, leaked: bool = False) -> None:
    """Renew both tokens with a partner, and have it read the hub's endpoints again.

    `leaked`: the token that the partner shows is in wrong hands (CRED-017), so it is void as soon as the partner has
    taken the new one, with no way back. Conflict when there is nothing to renew or a renewal is open; ServerError says
    why the partner has not taken the new credentials: then everything is as it was.
    """
    token = new_token()
    platform, url = await _begin(hub, platform_id, token)
    form, old = platform.token_form, platform.token_out or ""
    try:
        mine = handshake.own_credentials(hub, token)
        theirs = await discovery.call(hub, "PUT", url, old, form, mine, EXCHANGE_TIMEOUT)
    except Doubtful as error:
        log.warning("renewal in doubt: which token the partner uses will show", platform=platform.name, why=str(error))
        raise
    except OcpiError as error:
        log.warning("renewal refused by the partner, all is as it was", platform=platform.name, why=str(error))
        await _close(hub, platform_id, hash_token(token), REFUSED)
        raise
    try:
        check(hub.catalog["credentials"].model, theirs if isinstance(theirs, dict) else {})
    except InvalidParameters as error:
        raise Doubtful(f"the partner took the new credentials and answered with none of its own: {error}") from None
    published = await _first_that_works(hub, theirs, platform)
    await _answered(hub, platform_id, hash_token(token), theirs, published, leaked)


async def settle(hub: Hub) -> None:
    """Decide every open renewal that can be decided; and begin one that is due, if the hub is to do so by itself."""
    async with hub.db.unit_of_work() as session:
        found = await rotations.watched(session)
    if found:
        await hub.directory.refresh()
    for seen in found:
        switched = decide(seen)
        if switched is None and seen.answered_at is None and seen.now >= seen.ends_at:
            switched = await _took_it_in_silence(hub, seen)
        if switched is not None:
            await _conclude(hub, seen, switched)
    await _renew_next(hub)


@asynccontextmanager
async def settling(hub: Hub) -> AsyncIterator[None]:
    """Look after renewals for as long as a worker lives. Several workers may: each decision is taken once."""
    async with background.repeating("looking after renewals of tokens", partial(settle, hub), LOOK):
        yield


def decide(seen: Watched) -> bool | None:
    """Whether the partner has switched to its new token; None: that is not known yet."""
    if seen.new_shown is not None:
        return True
    if seen.now < seen.ends_at:
        return None
    if seen.old_shown is not None and seen.old_shown >= seen.ends_at:
        return False
    if seen.now < seen.ends_at + PATIENCE:
        return None
    return seen.answered_at is not None


async def _begin(hub: Hub, platform_id: int, token: str) -> tuple[PlatformView, str]:
    """Write down what is about to be done; the platform and its credentials endpoint."""
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get(Platform, platform_id)
        if platform is None:
            raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
        await _may_renew(session, platform)
        view = (await enrolment.picture(hub, session)).platform(platform_id)
        url = discovery.credentials_url(dict(view.endpoints))
        session.add(AccessToken(hash=hash_token(token), platform_id=platform_id, kind="C"))
        now = datetime.now(UTC)
        row = Rotation(
            platform_id=platform_id,
            new_hash=hash_token(token),
            old_out=platform.token_out or b"",
            old_form=platform.token_form,
            begun_at=now,
            ends_at=now + WINDOW,
        )
        await session.merge(row)
    await hub.directory.refresh()
    return view, url


async def _may_renew(session: AsyncSession, platform: Platform) -> None:
    if platform.hosted:
        raise Conflict("this is the hub's own platform, of the parties it hosts: it has no tokens")
    if platform.token_out is None:
        raise Conflict("there are no tokens to renew: invite the partner with `knutpunkt invite`")
    if platform.status == "SUSPENDED":
        raise Conflict("this platform is SUSPENDED: `knutpunkt platform resume` it first")
    row = await session.get(Rotation, platform.id)
    if row is not None and row.outcome is None:
        raise Conflict(
            f"a renewal that began at {row.begun_at:%Y-%m-%d %H:%M} UTC is not over: both tokens are good until the "
            "partner has shown which one it uses"
        )


async def _first_that_works(
    hub: Hub, theirs: dict[str, object], platform: PlatformView
) -> tuple[str, Published] | None:
    """The token to go on with and what it reads: the one that the partner has just given, or else, if it refuses that,
    the old one; None when neither can be tried now."""
    url = str(theirs["url"])
    for token in (str(theirs["token"]), platform.token_out or ""):
        try:
            return token, await discovery.discover(hub, url, token, (VERSION,))
        except OcpiError as error:
            log.warning("a token of a renewal does not read the partner's versions", platform=platform.name,
                        new=token == theirs["token"], why=str(error))  # fmt: skip
            if await discovery.works(hub, url, token, platform.token_form) is not False:
                return None
    return None


async def _answered(
    hub: Hub,
    platform_id: int,
    new_hash: bytes,
    theirs: dict[str, object],
    working: tuple[str, Published] | None,
    leaked: bool,
) -> None:
    """The partner took the new credentials: its own token, endpoints and parties are those of its answer."""
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get(Platform, platform_id)
        row = await session.get(Rotation, platform_id)
        if platform is None or row is None or row.outcome is not None or row.new_hash != new_hash:
            raise Conflict("somebody else changed this connection meanwhile: look at it, and try again if need be")
        row.answered_at = datetime.now(UTC)
        if leaked:
            row.outcome = SWITCHED
            await enrolment.end_others(session, platform_id, new_hash, datetime.now(UTC))
        session.add(row)
        if working is None:
            platform.token_out = hub.seal.close(str(theirs["token"]))
            platform.told = hub.endpoints_mark
            session.add(platform)
        else:
            before = await enrolment.picture(hub, session)
            token, published = working
            status = platform.status
            enrolment.take_token(hub, platform, {**theirs, "token": token}, published)
            platform.status = status if status == "SUSPENDED" else platform.status  # the operator was faster
            session.add(platform)
            roles = await _roles(session, platform_id, theirs)
            await enrolment.refresh(hub, session, before, platform_id, published, roles, backfill.REGISTRATION)
    await hub.directory.refresh()
    hub.bell.ring()
    log.info("the partner took new credentials", platform=platform.name, leaked=leaked)


async def _roles(session: AsyncSession, platform_id: int, theirs: dict[str, object]) -> list[Role]:
    """The parties in the partner's answer; those it had, if it brings one that is not admitted."""
    try:
        return await admission.admit(session, platform_id, theirs)
    except InvalidParameters as error:
        log.warning("parties in the answer to a renewal are not taken over", platform_id=platform_id, why=str(error))
    known = await session.exec(select(Party).where(Party.platform_id == platform_id))
    return [Role(PartyId.parse(p.code), role, p.business_details) for p in known for role in p.roles]


async def _took_it_in_silence(hub: Hub, seen: Watched) -> bool | None:
    """The answer was lost and the partner does not call: it has switched if it refuses the hub's old token."""
    platform = hub.directory.now.platform(seen.platform_id)
    old = hub.seal.open(seen.old_out)
    works = await discovery.works(hub, platform.versions_url or "", old, seen.old_form)
    return None if works is None else not works


async def _conclude(hub: Hub, seen: Watched, switched: bool) -> None:
    """The partner goes on with its new token, or with the old one; so does the hub with whichever of its own works."""
    back_to_old = seen.answered_at is not None and await _only_old_works(hub, seen)
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get(Platform, seen.platform_id)
        row = await session.get(Rotation, seen.platform_id)
        if platform is None or row is None or row.outcome is not None or row.new_hash != seen.new_hash:
            return
        row.outcome = SWITCHED if switched else ROLLED_BACK
        session.add(row)
        if switched:
            until = max(seen.ends_at, seen.now + GRACE)
            await enrolment.end_others(session, seen.platform_id, seen.new_hash, until)
        else:
            await session.exec(delete(AccessToken).where(col(AccessToken.hash) == seen.new_hash))
        if back_to_old:
            platform.token_out, platform.token_form, platform.stopped_reason = seen.old_out, seen.old_form, None
            session.add(platform)
    await hub.directory.refresh()
    hub.bell.ring()
    if switched:
        log.info("the partner has switched to its new token", platform=platform.name)
    else:
        log.warning("renewal rolled back: the partner goes on with its old token, which stays good; ask it to store "
                    "what PUT credentials brings, then renew again", platform=platform.name)  # fmt: skip


async def _only_old_works(hub: Hub, seen: Watched) -> bool:
    """Whether the partner refuses the token that it has given, and takes the one before."""
    platform = hub.directory.now.platform(seen.platform_id)
    url = platform.versions_url or ""
    if await discovery.works(hub, url, platform.token_out or "", platform.token_form) is not False:
        return False
    return await discovery.works(hub, url, hub.seal.open(seen.old_out), seen.old_form) is True


async def _close(hub: Hub, platform_id: int, new_hash: bytes, outcome: str) -> None:
    """The partner did not take the new credentials: the new token is void."""
    async with hub.db.session() as session:
        await parties.touch(session)
        row = await session.get(Rotation, platform_id)
        if row is not None and row.new_hash == new_hash and row.outcome is None:
            row.outcome = outcome
            session.add(row)
        await session.exec(delete(AccessToken).where(col(AccessToken.hash) == new_hash))
    await hub.directory.refresh()


async def _renew_next(hub: Hub) -> None:
    """Renew with the partner whose tokens are oldest, if the operator wants that done; one at a time."""
    days = hub.settings.token_renewal
    if not days:
        return
    async with hub.db.unit_of_work() as session:
        platform_id = await rotations.due(session, days, hub.endpoints_mark)
    if platform_id is not None:
        try:
            await rotate(hub, platform_id)
        except OcpiError as error:
            log.warning("tokens not renewed, tried again in a day", platform_id=platform_id, why=str(error))
