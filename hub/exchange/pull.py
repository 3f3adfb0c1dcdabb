"""Pulls: lists and single objects, from the hub's store (GET ALL, hosted parties) or from their owner (direct)."""

from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl

from hub.delivery import audience, view
from hub.exchange import auth, callbacks, forward, keep, open_routing, routing
from hub.exchange.call import Call, Reply, answer, answer_bytes
from hub.exchange.context import Hub
from hub.exchange.routing import Direct, GetAll
from hub.ocpi import json, paging, patch
from hub.ocpi.errors import InvalidParameters, NotFound, UnknownReceiver
from hub.ocpi.module import Module, Ref
from hub.ocpi.types import PartyId
from hub.store import pages
from hub.store.pages import Page

STORED = "from the store"


async def page(hub: Hub, call: Call, module: Module) -> Reply:
    """A list GET on the Sender interface: GET ALL when TO is the hub, else from the one owner TO names. A further page
    of the hub's own needs no TO: its URL tells whose list it is (TF-115)."""
    if call.to is None and not call.platform.is_hub:
        call = replace(call, to=paging.addressee(dict(parse_qsl(call.query))))
    route = routing.decide(hub.directory.now, call, module, hub.code)
    if isinstance(route, GetAll):
        return await _from_store(hub, call, module, _visible_owners(hub, call, module), hub.code)
    if not isinstance(route, Direct):
        raise InvalidParameters("OCPI-to-party-id: a list GET names its owner, or the hub for the lists of all")
    if route.target.platform.hosted:
        return await _from_store(hub, call, module, [route.target.code], route.target.code)
    return await callbacks.page_from(hub, call, route.target, module.name, forward.url_at(call, route.target))


async def one(hub: Hub, call: Call, module: Module, object_id: str, part_ids: tuple[str, ...] = ()) -> Reply:
    """GET of a single object on the Sender interface, from the party that owns it; without OCPI-to headers from the
    only one that has this id (LOC-018)."""
    search = partial(open_routing.owners, hub, call, module.name, object_id)
    call, route = await open_routing.settle(hub, call, module, search)
    if not isinstance(route, Direct):
        raise UnknownReceiver("ids are unique per owner only: name the owner in OCPI-to-party-id")
    if not route.target.platform.hosted:
        return await forward.forward(hub, call, route.target)
    ref = Ref(route.target.code, object_id, part_ids)
    return await _stored(hub, call, module, ref, reader=call.sender, answering=route.target.code)


async def receiver_copy(hub: Hub, call: Call, module: Module, ref: Ref) -> Reply:
    """GET on the Receiver interface: the owner, and nobody else, looks at what the receiver holds (LOC-020)."""
    auth.own(ref.owner, call.sender)
    route = routing.decide(hub.directory.now, call, module, hub.code)
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the party whose copy is wanted in OCPI-to-party-id")
    if not route.target.platform.hosted:
        return await forward.forward(hub, call, route.target)
    return await _stored(hub, call, module, ref, reader=route.target.code, answering=route.target.code)


async def _stored(hub: Hub, call: Call, module: Module, ref: Ref, *, reader: PartyId, answering: PartyId) -> Reply:
    async with hub.db.unit_of_work(reader) as session:
        body = await keep.visible(session, module, ref, reader)
    found = patch.find_part(body, module, ref.part_ids) if body is not None else None
    if found is None:
        raise NotFound(f"this object of {module.name} is not known here")
    return hub.answered(call, STORED, answer(call, answering, found), about=module.identity(ref))


async def _from_store(hub: Hub, call: Call, module: Module, owners: list[PartyId], answering: PartyId) -> Reply:
    query = dict(parse_qsl(call.query))
    asked = paging.parse(query)
    if module.name == "sessions" and asked.date_from is None:
        raise InvalidParameters("date_from: required for sessions")
    names = [str(owner) for owner in owners]
    if module.immutable:
        found = await pages.cdrs(hub.db, str(call.sender), names, asked)
    else:
        found = await pages.objects(hub.db, module.name, str(call.sender), names, asked)
    url = f"{hub.base_url}/sender/{module.name}"
    extra = paging.answer_headers(
        url, query, asked, found.count, found.total, found.last_id, more=found.more, answering=answering
    )
    reply = answer_bytes(call, answering, _array(found, module), extra)
    return hub.answered(call, STORED, reply, detail=f"{found.count} of {found.total}")


def _array(found: Page, module: Module) -> bytes:
    """A JSON array of the bodies as they are kept; only an object with two rows has to be put together."""
    bodies = [item if isinstance(item, bytes) else json.dumps(view.view(*item, module)) for item in found.items]
    return b"[" + b",".join(bodies) + b"]"


def _visible_owners(hub: Hub, call: Call, module: Module) -> list[PartyId]:
    """The owners whose objects the caller may see: by role and by agreement (TF-123)."""
    directory = hub.directory.now
    caller = directory.party(call.sender)
    if caller is None or (module.broadcast and not caller.roles & audience.readers(module.owner)):
        return []
    owning = audience.owners(module.owner)
    return [
        party.code
        for party in directory.parties
        if party.roles & owning
        and party.platform.status != "SUSPENDED"
        and party.code != call.sender
        and directory.allows(party.code, call.sender, module.name)
    ]
