"""Whom a call without OCPI-to headers is for: worked out from what it names and what the hub has kept.

`settle` gives the route of any call. Where the caller named nobody, a search of this file says who is meant, and the
call goes on as if the caller had named that party. Only what the caller may see counts: what is for everybody of its
role or for itself, from owners that an agreement or the hub's default lets it hear of. Nobody found, or several: 4001.
Such a call is never sent around to see who answers.

Source: transport_and_format.asciidoc > Open Routing Request; hub flow 4.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from hub.delivery import audience
from hub.exchange import routing
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.exchange.routing import Direct, Open, Route
from hub.ocpi import json
from hub.ocpi.errors import InvalidParameters, UnknownReceiver
from hub.ocpi.module import Module, Ref
from hub.ocpi.types import PartyId, fold
from hub.store import destinations, objects
from hub.store.directory import Directory

Search = Callable[[], Awaitable[Collection[PartyId]]]
"""Finds the parties that a call may be meant for; asked only for calls without OCPI-to headers."""


async def settle(hub: Hub, call: Call, module: Module, search: Search) -> tuple[Call, Route]:
    """The call and its route; without OCPI-to headers it goes to the one party that `search` finds (TF-116).

    Raises what `routing.decide` raises, and UnknownReceiver (4001) for nobody found and for several (TF-118).
    """
    route = routing.decide(hub.directory.now, call, module, hub.code)
    if not isinstance(route, Open):
        return call, route
    target = only(await search())
    found = replace(call, to=target, found=True)
    return found, Direct(routing.reachable(hub.directory.now, found, target))


def only(found: Iterable[PartyId]) -> PartyId:
    """The one party among those found; UnknownReceiver (4001) when there is none or more than one."""
    parties = set(found)
    if not parties:
        raise UnknownReceiver("the hub cannot tell whom this is for: name the receiver in the OCPI-to headers")
    if len(parties) > 1:
        raise UnknownReceiver("this is known of more than one party: name the receiver in the OCPI-to headers")
    return parties.pop()


def may_see(directory: Directory, module: Module, reader: PartyId, owner: PartyId, audience_of: str) -> bool:
    """Whether a kept object of `owner`, meant for an audience ("*" or a party), is one that `reader` may know of."""
    asking = directory.party(reader)
    if asking is None or directory.party(owner) is None or not directory.allows(owner, reader, module.name):
        return False
    if audience_of == objects.EVERYBODY:
        return owner != reader and bool(asking.roles & audience.readers(module.owner))
    return audience_of == str(reader)


def token_owner(body: Mapping[str, Any], module: Module) -> PartyId | None:
    """The owner of the token in a Session or CDR, who is its receiver (CDR-055); None where there is no token.

    InvalidParameters (2001) when the token does not say whose it is.
    """
    token = body.get(module.token_field) if module.token_field else None
    if not isinstance(token, dict):
        return None
    codes = [token.get(name) for name in ("country_code", "party_id")]
    if not all(isinstance(code, str) for code in codes):
        raise InvalidParameters(f"{module.token_field}: country_code and party_id say whom this is for")
    return PartyId.of(*map(str, codes))


def holder(sent: Iterable[tuple[PartyId, PartyId | None]]) -> set[PartyId]:
    """Of the parties that have an object, each with the owner of its token, the one it is for: others have copies."""
    pairs = set(sent)
    return {code for code, owner in pairs if code == owner} or {code for code, _ in pairs}


async def receiver(hub: Hub, call: Call, module: Module, ref: Ref, body: Mapping[str, Any]) -> Collection[PartyId]:
    """Who is to get a Session: the owner of its token, else whom it went to before (a PATCH; SES-004)."""
    owner = token_owner(body, module)
    if owner is not None:
        return [owner]
    key = module.key(ref.object_id, ref.kind)
    async with hub.db.unit_of_work(call.sender) as session:
        sent = await objects.sent_to(session, str(ref.owner), module.name, key)
    return holder((PartyId.parse(code), token_owner(json.loads(held.encode()), module)) for code, held in sent)


async def owners(hub: Hub, call: Call, module_name: str, object_id: str, kind: str | None = None) -> list[PartyId]:
    """The owners of an object that the caller may see, those with an agreement first, then by newest push."""
    module, directory = hub.catalog[module_name], hub.directory.now
    async with hub.db.unit_of_work(call.sender) as session:
        rows = await objects.seen_by(session, module.name, module.key(object_id, kind), str(call.sender))
    parsed = [(PartyId.parse(owner), audience_of) for owner, audience_of in rows]
    seen = dict.fromkeys(code for code, to in parsed if may_see(directory, module, call.sender, code, to))
    return sorted(seen, key=lambda code: not directory.agreed(code, call.sender))


async def of_command(hub: Hub, call: Call, name: str, body: Mapping[str, Any]) -> Collection[PartyId]:
    """The CPO a command is meant for: by its Location, its Session, or the caller's reservation (CMD-047)."""
    if name == "STOP_SESSION":
        return await owners(hub, call, "sessions", str(body["session_id"]))
    if name != "CANCEL_RESERVATION":
        return await owners(hub, call, "locations", str(body["location_id"]))
    async with hub.db.unit_of_work() as session:
        found = await destinations.holders(session, str(call.sender), fold(str(body["reservation_id"])))
    return [PartyId.parse(code) for code in found]


async def profile_setter(hub: Hub, call: Call, session_id: str) -> Collection[PartyId]:
    """Whose charging profile the calling CPO last accepted for a Session of its own (CHP-042)."""
    async with hub.db.unit_of_work() as session:
        found = await destinations.setter(session, str(call.sender), fold(session_id))
    return [PartyId.parse(found)] if found else []
