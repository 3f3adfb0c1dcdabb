"""Pushes: PUT, PATCH and DELETE of client owned objects, from their owner to one receiver or to everyone.

A broadcast is stored and answered by the hub; the lanes deliver it. A direct push is forwarded while the caller
waits, and kept once the receiver has said 1xxx. Hosted parties have no platform of their own: what they push is
stored with its audience and goes by the lane, what is pushed to them is stored.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog

from hub import metrics
from hub.delivery import owed
from hub.exchange import auth, forward, keep, open_routing, routing
from hub.exchange.call import Call, Reply, answer
from hub.exchange.context import Hub
from hub.exchange.keep import Change
from hub.exchange.routing import Broadcast, Direct, Route
from hub.ocpi.errors import InvalidParameters, NotFound, OcpiError, UnknownReceiver
from hub.ocpi.module import Module, Ref
from hub.ocpi.patch import Outcome
from hub.ocpi.types import PartyId, check
from hub.store import messages
from hub.store.directory import PartyView
from hub.store.objects import EVERYBODY

log = structlog.get_logger(__name__)


async def put(hub: Hub, call: Call, module: Module, ref: Ref) -> Reply:
    """A PUT of an object, or of an EVSE or Connector (`ref.part_ids`): 201 when new, 200 when known."""
    return await _push(hub, call, module, ref)


async def patch(hub: Hub, call: Call, module: Module, ref: Ref) -> Reply:
    """A PATCH at the level `ref` names; NotFound (404) when there is nothing to patch."""
    return await _push(hub, call, module, ref)


async def delete(hub: Hub, call: Call, module: Module, ref: Ref) -> Reply:
    """A DELETE (Tariffs): a tombstone here, DELETE to all that hold it; 404 when unknown (TAR-009, TAR-010)."""
    auth.own(ref.owner, call.sender)
    route = _target(routing.decide(hub.directory.now, call, module, hub.code))
    if isinstance(route, Direct) and not _by_lane(call, route.target):
        reply = await forward.forward(hub, call, route.target, about=module.identity(ref))
        if reply.accepted or reply.http_status == 404:
            async with hub.db.unit_of_work(call.sender) as session:
                await keep.bury(session, module, ref, str(route.target.code), call.correlation_id)
            _note_kept(hub, call, module, ref, messages.DELETED)
        return reply
    audience = None if isinstance(route, Broadcast) else str(route.target.code)
    async with hub.db.unit_of_work(call.sender) as session:
        found = await keep.bury(session, module, ref, audience, call.correlation_id)
    if not found:
        raise NotFound(f"this object of {module.name} is not known here")
    hub.bell.ring()
    return _taken(hub, call, module, ref, route, messages.DELETED, 200)


async def _push(hub: Hub, call: Call, module: Module, ref: Ref) -> Reply:
    auth.own(ref.owner, call.sender)
    auth.may_own(hub, call.sender, module)
    body = call.json_object()
    auth.body_matches(body, module, ref)
    search = partial(open_routing.receiver, hub, call, module, ref, body)
    call, decided = await open_routing.settle(hub, call, module, search)
    route = _target(decided)
    if isinstance(route, Direct):
        _check_copy(hub, call, module, body, route.target)
    if isinstance(route, Direct) and not _by_lane(call, route.target):
        return await _forward(hub, call, module, ref, body, route.target)
    validate(module, ref, call.method, body, call.platform.strict)
    audience = EVERYBODY if isinstance(route, Broadcast) else str(route.target.code)
    to_hosted = isinstance(route, Direct) and route.target.platform.hosted
    strict = call.platform.strict
    change = Change(call.method, module, ref, body, audience, call.correlation_id, not to_hosted, strict)
    with metrics.accepts(module.name).time():
        outcome = await hub.keeper.add(call.sender, change)
    hub.bell.ring()
    return _taken(hub, call, module, ref, route, outcome.value, 201 if outcome is Outcome.CREATED else 200)


def _check_copy(hub: Hub, call: Call, module: Module, body: dict[str, Any], target: PartyView) -> None:
    """A Session goes to the owner of its token; to others only by an agreement with its CPO (SES-004)."""
    owner = open_routing.token_owner(body, module)
    if owner in (None, target.code) or owner in target.platform.parties:
        return
    if hub.directory.now.agreed(call.sender, target.code):
        return
    field = f"{module.token_field}.party_id"
    raise UnknownReceiver(f"{field}: not of {target.code}, which would need an agreement with you for a copy")


def validate(module: Module, ref: Ref, method: str, body: dict[str, Any], strict: bool = False) -> None:
    """What is kept must be whole: InvalidParameters (2001) names the field that is missing or mistyped.

    `strict`: the spec to the letter; over-long texts and unknown enum values are refused as well.
    """
    keep.not_from_the_future(body, module, len(ref.part_ids))
    if method == "PUT":
        findings = check(module.level_model(len(ref.part_ids)), body)
        keep.note_oddities(module, ref.owner, findings, strict=strict)
    elif not isinstance(body.get("last_updated"), str):
        raise InvalidParameters("last_updated: field required in a PATCH")


async def _forward(hub: Hub, call: Call, module: Module, ref: Ref, body: dict[str, Any], target: PartyView) -> Reply:
    async with _confirmed_by_lane(hub, call, module, ref, target):
        reply = await forward.forward(hub, call, target, about=module.identity(ref))
    if not reply.accepted:
        return reply
    try:
        validate(module, ref, call.method, body)
        change = Change(call.method, module, ref, body, str(target.code), call.correlation_id, False)
        outcome = await hub.keeper.add(call.sender, change)
        _note_kept(hub, call, module, ref, outcome.value)
    except OcpiError as error:  # the receiver took it, so this is its business; the hub just cannot keep a copy
        log.info("accepted by the receiver, not kept", what=call.what, receiver=str(target.code), reason=str(error))
        _note_kept(hub, call, module, ref, f"not kept: {error}")
    return reply


@asynccontextmanager
async def _confirmed_by_lane(hub: Hub, call: Call, module: Module, ref: Ref, target: PartyView) -> AsyncIterator[None]:
    """A receiver that also gets this object by broadcast is owed its newest state after the direct push.

    The two ways could overtake each other; the lane settles it, at the latest when the push has timed out.
    """
    about = owed.Push(str(target.code), *module.identity(ref), call.correlation_id)
    confirmed = module.broadcast and not target.behind and await hub.confirmations.add(call.sender, about)
    yield
    if confirmed:
        async with hub.db.unit_of_work() as session:
            await owed.due_now(session, *about.place)
        hub.bell.ring()


def _target(route: Route) -> Broadcast | Direct:
    if isinstance(route, Broadcast | Direct):
        return route
    raise UnknownReceiver("name the receiver in OCPI-to-country-code and OCPI-to-party-id")


def _by_lane(call: Call, target: PartyView) -> bool:
    return (call.platform.hosted and not target.behind) or target.platform.hosted


def _answering(hub: Hub, route: Broadcast | Direct) -> PartyId:
    return hub.code if isinstance(route, Broadcast) else route.target.code


def _taken(hub: Hub, call: Call, module: Module, ref: Ref, route: Broadcast | Direct, what: str, status: int) -> Reply:
    """The hub's own answer to what it keeps, noted with what became of the object."""
    decision = messages.BROADCAST if isinstance(route, Broadcast) else messages.KEEP
    reply = answer(call, _answering(hub, route), http_status=status)
    return hub.answered(call, decision, reply, about=module.identity(ref), detail=what)


def _note_kept(hub: Hub, call: Call, module: Module, ref: Ref, what: str) -> None:
    """The receiver has it and answered; the hub keeps its copy."""
    hub.journal.note(call.hop(hub.code, messages.KEEP, about=module.identity(ref), detail=what))
