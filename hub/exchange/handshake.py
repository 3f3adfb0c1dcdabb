"""The credentials handshake, with the hub in either part: registration, renewal by the partner, the end.

Token A admits to a handshake, B is what the hub must show to the platform, C what the platform shows to the hub
(credentials.asciidoc > Registration; hub flow 1). Nothing changes unless the whole exchange succeeds, so token A
stays good for another try. Renewal by the hub is in `renewal`, who may register what in `admission`.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.exchange import admission, discovery, enrolment
from hub.exchange.context import Hub
from hub.exchange.discovery import EXCHANGE_TIMEOUT, VERSION
from hub.ocpi.errors import InvalidParameters, MethodNotAllowed, OcpiError, UnableToUseClientApi
from hub.ocpi.types import PartyId, check
from hub.store import parties
from hub.store.directory import Access
from hub.store.parties import AccessToken, Platform
from hub.store.seal import hash_token, new_token

log = structlog.get_logger(__name__)

INVITATION_LIFETIME = timedelta(days=7)
NAME_LIMIT = 100

Credentials = dict[str, Any]


async def invite(hub: Hub, name: str, roles: Sequence[tuple[PartyId, str]]) -> str:
    """Prepare a connection: a platform that may register these roles. The token A to hand over.

    Parties that left (their platform is SUSPENDED) come back to the platform they had (CRED-036). Who was invited for
    just these parties and has not come is invited anew: the earlier token A is void.
    """
    codes = [str(code) for code, _ in roles]
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await admission.left_by(session, codes) or await admission.invited_before(session, codes)
        token, _ = await _token_a(session, platform or Platform(name=name), roles, INVITATION_LIFETIME)
    await hub.directory.refresh()
    return token


async def withdraw(hub: Hub, platform_id: int) -> None:
    """Void the open invitations of a platform."""
    async with hub.db.session() as session:
        await parties.touch(session)
        await _void_a(session, platform_id)
    await hub.directory.refresh()


async def _token_a(
    session: AsyncSession, platform: Platform, roles: Sequence[tuple[PartyId, str]], lifetime: timedelta
) -> tuple[str, int]:
    """A token A of this platform, the only one, and the platform's id; `roles` are its admission list."""
    session.add(platform)
    await session.flush()
    assert platform.id is not None
    await admission.write(session, platform.id, roles)
    await _void_a(session, platform.id)
    token, expires = new_token(), datetime.now(UTC) + lifetime
    session.add(AccessToken(hash=hash_token(token), platform_id=platform.id, kind="A", expires_at=expires))
    await session.flush()
    return token, platform.id


async def _void_a(session: AsyncSession, platform_id: int) -> None:
    tokens = delete(AccessToken).where(col(AccessToken.platform_id) == platform_id)
    await session.exec(tokens.where(col(AccessToken.kind) == "A"))


def own_credentials(hub: Hub, token: str) -> Credentials:
    """The Credentials object of the hub: role HUB and no other (CRED-044, CRED-045)."""
    role = {
        "role": "HUB",
        "country_code": hub.code.country_code,
        "party_id": hub.code.party_id,
        "business_details": {"name": hub.settings.name},
    }
    return {"token": token, "url": hub.versions_url, "roles": [role]}


async def register(hub: Hub, access: Access, body: Credentials) -> Credentials:
    """POST credentials with token A; 405 with token C (CRED-026)."""
    if access.kind != "A":
        raise MethodNotAllowed("this platform is registered already: use PUT to change its credentials")
    return await _exchange(hub, access, body)


async def update(hub: Hub, access: Access, body: Credentials) -> Credentials:
    """PUT credentials with token C; 405 before registration (CRED-029). The old token stays good for a while; a failure
    leaves token, endpoints and roles as they were (CRED-053)."""
    if access.kind != "C":
        raise MethodNotAllowed("this platform is not registered yet: use POST")
    return await _exchange(hub, access, body)


async def unregister(hub: Hub, access: Access) -> None:
    """DELETE credentials: the platform's tokens are void and its parties SUSPENDED (CRED-033..CRED-035)."""
    if access.kind != "C":
        raise MethodNotAllowed("this platform is not registered")
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get_one(Platform, access.platform.id)
        await enrolment.void_tokens(session, platform)
    await hub.directory.refresh()
    log.info("platform unregistered", platform=access.platform.name)


async def take_leave(hub: Hub, platform_id: int) -> bool | None:
    """DELETE credentials at the partner, so that it stops as well (CRED-033): whether it took note. None: it holds no
    token of this hub that could be ended. Best effort, nothing changes here."""
    platform = (await hub.directory.refresh()).platforms.get(platform_id)
    if platform is None or platform.token_out is None:
        return None
    try:
        url = discovery.credentials_url(dict(platform.endpoints))
        await discovery.call(hub, "DELETE", url, platform.token_out, platform.token_form)
    except OcpiError as error:
        log.warning("the partner was not told that the connection ends", platform=platform.name, why=str(error))
        return False
    return True


async def _exchange(hub: Hub, access: Access, body: Credentials) -> Credentials:
    """What POST and PUT have in common: nothing is stored before the caller's endpoints have been read (CRED-027)."""
    check(hub.catalog["credentials"].model, body)
    if not all("!" <= character <= "~" for character in body["token"]):
        raise InvalidParameters("token: printable ASCII without spaces (CRED-038)")
    async with hub.db.session() as session:
        await admission.admit(session, access.platform.id, body)
    published = await discovery.discover(hub, body["url"], body["token"], (VERSION,))
    token_c = new_token()
    try:
        await enrolment.store(hub, access.platform.id, body, published, token_c, access.kind)
    except IntegrityError:  # another platform registered one of the parties a moment ago
        raise InvalidParameters("roles: one of the parties is already connected by another platform") from None
    return own_credentials(hub, token_c)


async def start(
    hub: Hub, versions_url: str, token_a: str, name: str | None = None, roles: Sequence[tuple[PartyId, str]] = ()
) -> int:
    """Register with a platform that gave the hub a token A: the hub is the Sender of the handshake. The platform's id.

    Without `roles` those of the platform's answer are admitted, since the operator asked for this very partner;
    without `name` it is called after its first party. Raises UnableToUseClientApi, UnsupportedVersion or
    NoMatchingEndpoints saying what the platform lacks, and InvalidParameters for roles that it may not bring.
    """
    try:
        published = await discovery.discover(hub, versions_url, token_a)
        url = discovery.credentials_url(published.endpoints)
    except OcpiError as error:  # the operator who asked sees it too; it may be a script that asked (CRED-021)
        log.error("not registered: the platform lacks what is needed", versions_url=versions_url, reason=str(error))
        raise
    platform_id, token_c, is_new = await _prepare(hub, name or versions_url, roles)
    theirs: Credentials = {}
    try:
        mine = own_credentials(hub, token_c)
        answer = await discovery.call(hub, "POST", url, token_a, published.token_form, mine, EXCHANGE_TIMEOUT)
        theirs = answer if isinstance(answer, dict) else {}
        check(hub.catalog["credentials"].model, theirs)
        if not roles:
            await _admit_all(hub, platform_id, theirs, name)
        await enrolment.store(hub, platform_id, theirs, published, token_c, "A")
    except BaseException:
        await _forget(hub, platform_id, token_c, is_new)
        if isinstance(theirs.get("token"), str):  # it believes that we are registered
            with contextlib.suppress(UnableToUseClientApi):
                await discovery.call(hub, "DELETE", url, theirs["token"], published.token_form)
        raise
    return platform_id


async def _prepare(hub: Hub, name: str, roles: Sequence[tuple[PartyId, str]]) -> tuple[int, str, bool]:
    """A platform (the one its parties left, if they did) and a token for it: its id, the token, whether it is new.

    The platform will call our versions with this token while our POST is open; it opens no more until all is stored.
    """
    async with hub.db.session() as session:
        await parties.touch(session)
        former = await admission.left_by(session, [str(code) for code, _ in roles])
        token, platform_id = await _token_a(session, former or Platform(name=name), roles, enrolment.OVERLAP)
    await hub.directory.refresh()
    return platform_id, token, former is None


async def _admit_all(hub: Hub, platform_id: int, theirs: Credentials, name: str | None) -> None:
    """Put every role of the platform's answer on its admission list, and call it after the first."""
    roles = admission.roles_of(theirs)
    if any(role.code == hub.code for role in roles):
        raise InvalidParameters(f"roles: the platform calls itself {hub.code}, which is this hub")
    async with hub.db.session() as session:
        await admission.write(session, platform_id, [(role.code, role.role) for role in roles])
        platform = await session.get_one(Platform, platform_id)
        platform.name = name or str(roles[0].business_details.get("name") or roles[0].code)[:NAME_LIMIT]
        session.add(platform)


async def _forget(hub: Hub, platform_id: int, token_c: str, is_new: bool) -> None:
    """Take back what a handshake that the hub began, and that failed, had prepared."""
    async with hub.db.session() as session:
        await parties.touch(session)
        if is_new:
            await session.exec(delete(Platform).where(col(Platform.id) == platform_id))
        else:
            await session.exec(delete(AccessToken).where(col(AccessToken.hash) == hash_token(token_c)))
    await hub.directory.refresh()
