"""Where a call goes. Pure: a directory and a call in, a route or an OCPI error out.

direct (TO names a party), broadcast (TO is the hub, a push), get all (TO is the hub, a list GET on a Sender
interface), open (no TO: broadcast for data meant for all, else `open_routing` finds the target).
Source: transport_and_format.asciidoc > Message Routing; hub flows 2, 3, 4, 5, 9 and 10.
"""

from dataclasses import dataclass

from hub.exchange.call import Call
from hub.ocpi.errors import ConnectionProblem, HubError, InvalidParameters, UnknownReceiver
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId
from hub.store.directory import Directory, PartyView

PUSHES = frozenset({"PUT", "PATCH", "POST", "DELETE"})


@dataclass(frozen=True)
class Direct:
    """To one party."""

    target: PartyView


@dataclass(frozen=True)
class Broadcast:
    """To everyone who wants it; answered by the hub."""


@dataclass(frozen=True)
class GetAll:
    """From the hub's own store."""


@dataclass(frozen=True)
class Open:
    """No receiver named and none that the kind of call implies."""


Route = Direct | Broadcast | GetAll | Open


def decide(directory: Directory, call: Call, module: Module, hub: PartyId) -> Route:
    """The route of a call; raises UnknownReceiver (4001), ConnectionProblem (4003), HubError (4000), 2001."""
    if call.platform.is_hub and call.to in (None, hub):
        raise UnknownReceiver("between hubs every message names its receiver: nothing is broadcast on (TF-176)")
    if call.to is None:
        return Broadcast() if _is_broadcast_push(call, module) else Open()
    if call.to != hub:
        return Direct(reachable(directory, call, call.to))
    if _is_broadcast_push(call, module):
        return Broadcast()
    if call.method == "GET" and call.interface == "SENDER" and not call.tail.strip("/"):
        return GetAll()
    if call.method == "GET":
        raise InvalidParameters("OCPI-to-party-id: this GET needs one party as receiver, not the hub")
    raise InvalidParameters(f"OCPI-to-party-id: {module.name} are for one receiver and are not broadcast")


def reachable(directory: Directory, call: Call, code: PartyId) -> PartyView:
    """The party to forward to, if the caller may and can reach it (hub flow 10)."""
    target = directory.party(code)
    if target is None or _leads_back(call, target) or not _permitted(directory, call, code):
        raise UnknownReceiver(f"{code} is not a receiver this hub can reach for you")
    platform = target.platform
    if target.status != "CONNECTED" and not (target.status == "OFFLINE" and _goes_by_lane(call, target)):
        raise ConnectionProblem(f"{code} is {target.status}: try again when it is CONNECTED")
    if not platform.hosted and platform.endpoint(call.module, call.interface) is None:
        raise HubError(f"{code} does not offer {call.module} as {call.interface}")
    return target


def _leads_back(call: Call, target: PartyView) -> bool:
    """What came from a peer hub goes to a party registered here and nowhere else, so no message goes in a circle; and
    a peer hub itself is no receiver (TF-176)."""
    return (call.platform.is_hub and (target.behind or target.platform.is_hub)) or target.roles <= {"HUB"}


def _goes_by_lane(call: Call, target: PartyView) -> bool:
    """What a hosted party pushes is stored and owed, so its receiver may be away for the moment. Parties behind a peer
    hub have no lane."""
    return call.platform.hosted and call.interface == "RECEIVER" and not target.behind


def _permitted(directory: Directory, call: Call, other: PartyId) -> bool:
    """Data flows from the caller on Receiver interfaces and to the caller on Sender interfaces."""
    if call.interface == "RECEIVER":
        return directory.allows(call.sender, other, call.module)
    return directory.allows(other, call.sender, call.module)


def _is_broadcast_push(call: Call, module: Module) -> bool:
    return module.broadcast and call.method in PUSHES and call.interface == "RECEIVER"
