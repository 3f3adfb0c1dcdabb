"""Who is calling, and may they say what they say: token to platform, FROM to party, owner codes to FROM."""

import time
from datetime import UTC, datetime

from hub.delivery import audience
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, NotFound, Suspended, Unauthorized
from hub.ocpi.module import Module, Ref
from hub.ocpi.types import PartyId, same
from hub.store.directory import Access, PlatformView

_RELOAD_EVERY = 0.2
_last_reload = 0.0


async def identify(hub: Hub, authorization: str | None) -> Access:
    """The platform behind an Authorization header; Unauthorized (401) when there is none (TF-009, TF-010).

    Suspended (403) while the operator has it suspended; a token A is let in, since that is a new invitation."""
    tokens = headers.candidates(authorization)
    access = _lookup(hub, tokens)
    if access is None and tokens and _may_reload():
        await hub.directory.refresh()  # another process may have issued the token a moment ago
        access = _lookup(hub, tokens)
    if access is None:
        raise Unauthorized("the Authorization header shows no token that this hub has issued")
    hub.presence.heard(access.platform.id)
    if access.kind == "C" and access.platform.status == "SUSPENDED":
        raise Suspended
    return access


def _lookup(hub: Hub, tokens: list[str]) -> Access | None:
    now = datetime.now(UTC)
    found = (hub.directory.now.by_token(token, now) for token in tokens)
    return next((access for access in found if access is not None), None)


def _may_reload() -> bool:
    """Guessing tokens must not become a load on the database."""
    global _last_reload
    now = time.monotonic()
    if now - _last_reload < _RELOAD_EVERY:
        return False
    _last_reload = now
    return True


def sender(platform: PlatformView, named: PartyId | None) -> PartyId:
    """The calling party: the one FROM names, if it is of this platform, or an admitted one behind this peer hub, else
    the platform's only one (TF-062, TF-081, CRED-055)."""
    if named is None:
        if len(platform.parties) != 1:
            raise InvalidParameters("OCPI-from-country-code, OCPI-from-party-id: required, this platform has several")
        return platform.parties[0]
    if named not in platform.parties and named not in platform.behind:
        raise InvalidParameters("OCPI-from-party-id: not a party of the platform this token belongs to")
    return named


def own(owner: PartyId, calling: PartyId) -> None:
    """A client owned URL must carry the caller's codes (TF-061): NotFound (404) otherwise."""
    if owner != calling:
        raise NotFound("the country_code and party_id in the URL are not those of the calling party")


def may_own(hub: Hub, calling: PartyId, module: Module) -> None:
    """Only parties of a fitting role have such data to push: InvalidParameters otherwise."""
    party = hub.directory.now.party(calling)
    if party is None or not party.roles & audience.owners(module.owner):
        raise InvalidParameters(f"OCPI-from-party-id: a party in this role has no {module.name} of its own")


def body_matches(body: dict[str, object], module: Module, ref: Ref) -> None:
    """Owner codes and ids in a body must be those of the URL (TF-063, TF-064), compared without regard to case."""
    if not ref.part_ids:
        expected = {"country_code": ref.owner.country_code, "party_id": ref.owner.party_id}
        expected[module.id_field] = ref.object_id
    else:
        expected = {module.parts[len(ref.part_ids) - 1].id_field: ref.part_ids[-1]}
    if module.key_field and ref.kind:
        expected[module.key_field] = ref.kind
    for name, value in expected.items():
        given = body.get(name, value)
        if not isinstance(given, str) or not same(given, value):
            raise InvalidParameters(f"{name}: differs from the URL")
