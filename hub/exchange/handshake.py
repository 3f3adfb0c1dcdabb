"""The credentials handshake, with the hub in either part, and what follows from it: parties, tokens, endpoints, lanes.

Token A admits to a handshake, B is what the hub must show to the platform, C what the platform shows to the hub
(credentials.asciidoc > Registration; hub flow 1). Nothing changes unless the whole exchange succeeds, so token A
stays good for another try. OCPI does not prove that a platform may act for a party: only roles on the invitation's
admission list are registered (CRED-049), and none that another platform holds (CRED-048).
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.delivery import audience, backfill, lanes
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import NetworkError
from hub.ocpi.errors import (
    InvalidParameters,
    MethodNotAllowed,
    NoMatchingEndpoints,
    Suspended,
    UnableToUseClientApi,
    Unauthorized,
    UnsupportedVersion,
)
from hub.ocpi.types import PartyId, check
from hub.store import directory, parties
from hub.store.directory import Access
from hub.store.parties import AccessToken, Admission, Endpoint, Party, Platform
from hub.store.seal import hash_token, new_token

log = structlog.get_logger(__name__)

VERSION = "2.2.1"
# During a renewal the old token is honoured this long, so that requests in flight do not fail (CRED-019).
OVERLAP = timedelta(minutes=15)
INVITATION_LIFETIME = timedelta(days=7)
NAME_LIMIT = 100
FUNCTIONAL = frozenset({"locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles"})

Credentials = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """One entry of `roles` in a Credentials object."""

    code: PartyId
    role: str
    business_details: dict[str, Any]


@dataclass(frozen=True)
class Published:
    """What a platform's version details offer, and how it wants its token."""

    endpoints: dict[tuple[str, str], str]
    token_form: str


async def invite(hub: Hub, name: str, roles: Sequence[tuple[PartyId, str]]) -> str:
    """Prepare a connection: a platform that may register these roles. The token A to hand over.

    Parties that left (their platform is SUSPENDED) come back to the platform they had (CRED-036).
    """
    token = new_token()
    async with hub.db.session() as session:
        platform = await _left_by(session, [str(code) for code, _ in roles]) or Platform(name=name)
        session.add(platform)
        await session.flush()
        assert platform.id is not None
        await _readmit(session, platform.id, roles)
        expires = datetime.now(UTC) + INVITATION_LIFETIME
        session.add(AccessToken(hash=hash_token(token), platform_id=platform.id, kind="A", expires_at=expires))
        await session.flush()
        await parties.touch(session)
    await hub.directory.refresh()
    return token


async def _left_by(session: AsyncSession, codes: list[str]) -> Platform | None:
    """The one SUSPENDED platform that holds parties among these, if there is just one."""
    held = select(Party.platform_id).where(col(Party.code).in_(codes))
    found = list(await session.exec(select(Platform).where(col(Platform.id).in_(held))))
    return found[0] if len(found) == 1 and found[0].status == "SUSPENDED" else None


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
    """PUT credentials with token C; 405 before registration (CRED-029). The old token stays good for a while."""
    if access.kind != "C":
        raise MethodNotAllowed("this platform is not registered yet: use POST")
    return await _exchange(hub, access, body)


async def unregister(hub: Hub, access: Access) -> None:
    """DELETE credentials: the platform's tokens are void and its parties SUSPENDED (CRED-033..CRED-035)."""
    if access.kind != "C":
        raise MethodNotAllowed("this platform is not registered")
    async with hub.db.session() as session:
        await session.exec(delete(AccessToken).where(col(AccessToken.platform_id) == access.platform.id))
        platform = await session.get_one(Platform, access.platform.id)
        platform.status, platform.token_out = "SUSPENDED", None
        session.add(platform)
        await session.flush()
        await parties.touch(session)
    await hub.directory.refresh()
    log.info("platform unregistered", platform=access.platform.name)


async def start(
    hub: Hub, versions_url: str, token_a: str, name: str | None = None, roles: Sequence[tuple[PartyId, str]] = ()
) -> int:
    """Register with a platform that gave the hub a token A: the hub is the Sender of the handshake. The platform's id.

    Without `roles` those of the platform's answer are admitted, since the operator asked for this very partner;
    without `name` it is called after its first party. Raises UnableToUseClientApi, UnsupportedVersion or
    NoMatchingEndpoints saying what the platform lacks, and InvalidParameters for roles that it may not bring.
    """
    published = await discover(hub, versions_url, token_a)
    url = next((u for (module, _), u in published.endpoints.items() if module == "credentials"), None)
    if url is None:
        raise NoMatchingEndpoints("the platform publishes no credentials endpoint")
    platform_id, token_c, is_new = await _prepare(hub, name or versions_url, roles)
    theirs: Credentials = {}
    try:
        answer = await _call(hub, "POST", url, token_a, published.token_form, own_credentials(hub, token_c))
        theirs = answer if isinstance(answer, dict) else {}
        check(hub.catalog["credentials"].model, theirs)
        if not roles:
            await _admit_all(hub, platform_id, theirs, name)
        registered = await _admit(hub, platform_id, theirs)
        await _store(hub, platform_id, theirs, registered, published, token_c, "A")
    except BaseException:
        await _forget(hub, platform_id, token_c, is_new)
        if isinstance(theirs.get("token"), str):  # it believes that we are registered
            with contextlib.suppress(UnableToUseClientApi):
                await _call(hub, "DELETE", url, theirs["token"], published.token_form)
        raise
    return platform_id


async def _prepare(hub: Hub, name: str, roles: Sequence[tuple[PartyId, str]]) -> tuple[int, str, bool]:
    """A platform (the one its parties left, if they did) and a token for it: its id, the token, whether it is new.

    The platform will call our versions with this token while our POST is open; it opens no more until all is stored.
    """
    async with hub.db.session() as session:
        await parties.touch(session)
        former = await _left_by(session, [str(code) for code, _ in roles])
        platform = former or Platform(name=name)
        session.add(platform)
        await session.flush()
        assert platform.id is not None
        await _readmit(session, platform.id, roles)
        token, expires = new_token(), datetime.now(UTC) + OVERLAP
        session.add(AccessToken(hash=hash_token(token), platform_id=platform.id, kind="A", expires_at=expires))
    await hub.directory.refresh()
    return platform.id, token, former is None


async def _admit_all(hub: Hub, platform_id: int, theirs: Credentials, name: str | None) -> None:
    """Put every role of the platform's answer on its admission list, and call it after the first."""
    roles = [_role(entry) for entry in theirs["roles"]]
    if any(role.code == hub.code for role in roles):
        raise InvalidParameters(f"roles: the platform calls itself {hub.code}, which is this hub")
    async with hub.db.session() as session:
        await _readmit(session, platform_id, list(dict.fromkeys((role.code, role.role) for role in roles)))
        platform = await session.get_one(Platform, platform_id)
        platform.name = name or str(roles[0].business_details.get("name") or roles[0].code)[:NAME_LIMIT]
        session.add(platform)


async def _readmit(session: AsyncSession, platform_id: int, roles: Sequence[tuple[PartyId, str]]) -> None:
    await session.exec(delete(Admission).where(col(Admission.platform_id) == platform_id))
    session.add_all(Admission(platform_id=platform_id, code=str(code), role=role) for code, role in roles)


async def _forget(hub: Hub, platform_id: int, token_c: str, is_new: bool) -> None:
    """Take back what a handshake that the hub began, and that failed, had prepared."""
    async with hub.db.session() as session:
        await parties.touch(session)
        if is_new:
            await session.exec(delete(Platform).where(col(Platform.id) == platform_id))
        else:
            await session.exec(delete(AccessToken).where(col(AccessToken.hash) == hash_token(token_c)))
    await hub.directory.refresh()


async def discover(hub: Hub, versions_url: str, token: str) -> Published:
    """Versions and version details of a platform (hub flow 1, steps 4 and 5), with the token form it understands."""
    form = "base64"
    try:
        versions = await _call(hub, "GET", versions_url, token, form)
    except UnableToUseClientApi:
        form = "raw"  # peers of older versions do not decode (TF-007)
        versions = await _call(hub, "GET", versions_url, token, form)
    listed = versions if isinstance(versions, list) else []
    wanted = [v for v in listed if isinstance(v, dict) and v.get("version") == VERSION]
    if not wanted or not isinstance(wanted[0].get("url"), str):
        raise UnsupportedVersion(f"the platform does not list version {VERSION}")
    details = await _call(hub, "GET", wanted[0]["url"], token, form)
    found = details.get("endpoints") if isinstance(details, dict) else None
    endpoints = {
        (str(e["identifier"]), str(e.get("role", "SENDER"))): str(e["url"])
        for e in found or []
        if isinstance(e, dict) and "identifier" in e and "url" in e
    }
    if not any(module in FUNCTIONAL for module, _ in endpoints):
        raise NoMatchingEndpoints("the platform's version details list no endpoint this hub could use")
    return Published(endpoints, form)


async def _exchange(hub: Hub, access: Access, body: Credentials) -> Credentials:
    check(hub.catalog["credentials"].model, body)
    if not all("!" <= character <= "~" for character in body["token"]):
        raise InvalidParameters("token: printable ASCII without spaces (CRED-038)")
    roles = await _admit(hub, access.platform.id, body)
    published = await discover(hub, body["url"], body["token"])
    token_c = new_token()
    try:
        await _store(hub, access.platform.id, body, roles, published, token_c, access.kind)
    except IntegrityError:  # another platform registered one of the parties a moment ago
        raise InvalidParameters("roles: one of the parties is already connected by another platform") from None
    return own_credentials(hub, token_c)


async def _admit(hub: Hub, platform_id: int, body: Credentials) -> list[Role]:
    """The roles of a Credentials object, each checked against the admission list and against who else holds it."""
    roles = [_role(entry) for entry in body["roles"]]
    async with hub.db.session() as session:
        rows = await session.exec(select(Admission).where(Admission.platform_id == platform_id))
        admitted = {(row.code, row.role) for row in rows}
        for role in roles:
            if (str(role.code), role.role) not in admitted:
                raise InvalidParameters(f"roles: {role.role} {role.code} is not on the invitation of this platform")
            holder = (await session.exec(select(Party).where(Party.code == str(role.code)))).first()
            if holder is not None and holder.platform_id != platform_id:
                raise InvalidParameters(f"roles: {role.code} is already connected by another platform")
    return roles


def _role(entry: dict[str, Any]) -> Role:
    code = PartyId.of(entry["country_code"], entry["party_id"])
    return Role(code, entry["role"], dict(entry["business_details"]))


async def _store(
    hub: Hub,
    platform_id: int,
    body: Credentials,
    roles: list[Role],
    published: Published,
    token_c: str,
    began_with: str,
) -> None:
    """Make what was exchanged lasting. `began_with` is the kind of token that was shown first."""
    async with hub.db.session() as session:
        await parties.touch(session)  # first, so that the operator's orders come before or after, not in between
        platform = await session.get(Platform, platform_id)
        if platform is None:
            raise Unauthorized("the operator of this hub has removed this platform")
        if platform.status == "SUSPENDED" and began_with == "C":
            raise Suspended
        platform.status, platform.versions_url, platform.version = "CONNECTED", body["url"], VERSION
        platform.token_out, platform.token_form = hub.seal.close(body["token"]), published.token_form
        platform.stopped_reason, platform.failures, platform.next_try_at = None, 0, None
        session.add(platform)
        await _retire(session, platform_id, token_c)
        await session.exec(delete(Endpoint).where(col(Endpoint.platform_id) == platform_id))
        session.add_all(
            Endpoint(platform_id=platform_id, module=module, role=role, url=url)
            for (module, role), url in published.endpoints.items()
        )
        await _parties(session, platform_id, roles)
        await session.flush()
        await deliver_all(hub, session, platform_id, backfill.REGISTRATION)
    await hub.directory.refresh()
    hub.bell.ring()
    log.info("platform connected", platform=platform.name, parties=[f"{r.code}:{r.role}" for r in roles])


async def deliver_all(hub: Hub, session: AsyncSession, platform_id: int, reason: str) -> str:
    """Give every party of the platform its lane, at the head of the log, and a backfill of all there is for it (seen as
    this transaction leaves things). The correlation id of the deliveries."""
    correlation_id = headers.new_id()
    picture = await directory.load(session, hub.seal, hub.directory.now.open_policy)
    for code in picture.platform(platform_id).parties:
        await lanes.open_for(session, picture.by_code[code].id, code)
        pairs = audience.everything_for(picture, hub.catalog, code)
        await backfill.start(session, code, pairs, reason, correlation_id)
    return correlation_id


async def _parties(session: AsyncSession, platform_id: int, roles: list[Role]) -> None:
    """The platform's parties as the roles say; those no longer listed are gone from routing (CRED-055)."""
    known = {p.code: p for p in await session.exec(select(Party).where(Party.platform_id == platform_id))}
    for code in {str(role.code) for role in roles}:
        mine = [role for role in roles if str(role.code) == code]
        party = known.pop(code, None) or Party(code=code, platform_id=platform_id, roles=[])
        party.roles = sorted({role.role for role in mine})
        party.business_details = mine[0].business_details
        session.add(party)
    for gone in known.values():
        await session.delete(gone)
    await session.flush()


async def _retire(session: AsyncSession, platform_id: int, newest: str) -> None:
    """The newest token stands, as token C. Token A is void once it has served (CRED-010); an old token C lives on for
    the overlap."""
    until = datetime.now(UTC) + OVERLAP
    for token in await session.exec(select(AccessToken).where(AccessToken.platform_id == platform_id)):
        if token.kind == "A":
            await session.delete(token)
        else:
            token.expires_at = min(token.expires_at or until, until)
            session.add(token)
    await session.flush()
    session.add(AccessToken(hash=hash_token(newest), platform_id=platform_id, kind="C"))


async def _call(hub: Hub, method: str, url: str, token: str, form: str, body: Credentials | None = None) -> Any:
    """One step of a handshake; UnableToUseClientApi (3001) says which step failed and how."""
    shown = {
        "Authorization": headers.encode_token(token, form),
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: headers.new_id(),
    }
    if body is not None:
        shown["Content-Type"] = "application/json"
    try:
        answer = await hub.outbound.call(method, url, shown, json.dumps(body) if body is not None else None)
    except NetworkError as error:
        raise UnableToUseClientApi(f"{method} of {_step(url)} failed: {error}") from None
    code, data = envelope.read(answer.body)
    if answer.status >= 400 or code is None or not 1000 <= code < 2000:
        hint = ": the token is not good there" if answer.status == 401 else ""
        raise UnableToUseClientApi(f"{method} of {_step(url)} answered HTTP {answer.status}, status_code {code}{hint}")
    return data


def _step(url: str) -> str:
    return f"the {url.rstrip('/').rpartition('/')[2][:40] or 'versions'} endpoint"
