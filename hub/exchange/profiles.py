"""Charging profiles: to the CPO of the Session with a response_url of the hub, changes back to who set one.

GET and DELETE start something at a charge point, as PUT does: none of them is a plain read, none is kept (CHP-015).
"""

from dataclasses import replace
from functools import partial

from hub.exchange import callbacks, forward, open_routing
from hub.exchange.call import Call, Reply, answer
from hub.exchange.callbacks import Asked
from hub.exchange.context import Hub
from hub.exchange.routing import Direct
from hub.ocpi import json, response_url
from hub.ocpi.errors import InvalidParameters, UnknownReceiver
from hub.ocpi.types import check, fold

NOT_SUPPORTED = {"result": "NOT_SUPPORTED", "timeout": 0}
"""The ChargingProfileResponse of hosted CPOs: the bridge sets no profiles."""

_NAME_ONE = "name the receiver in OCPI-to-country-code and OCPI-to-party-id"


async def ask(hub: Hub, call: Call, session_id: str) -> Reply:
    """GET, PUT or DELETE of a charging profile: the CPO's ChargingProfileResponse; the result comes by POST."""
    module = hub.catalog["chargingprofiles"]
    if call.method == "PUT":
        body = call.json_object()
        check(module.model, body)
        url = str(body["response_url"])
    else:
        query = response_url.read(call.query)
        if call.method == "GET" and query.duration is None:
            raise InvalidParameters("duration: required in the query")
        url = query.response_url
    callbacks.check_response_url(hub, call, url)
    search = partial(open_routing.owners, hub, call, "sessions", session_id)
    call, route = await open_routing.settle(hub, call, module, search)
    if not isinstance(route, Direct):
        raise UnknownReceiver(_NAME_ONE)
    target = route.target
    if target.platform.hosted:
        return hub.answered(call, "bridge", answer(call, target.code, NOT_SUPPORTED), detail="NOT_SUPPORTED")

    def rewritten(own: str) -> tuple[Call, bytes | None]:
        if call.method == "PUT":
            return call, json.dumps({**body, "response_url": own})
        return replace(call, query=query.with_url(own)), None

    asked = Asked(callbacks.PROFILE, call.method, url, session_key=fold(session_id))
    return await callbacks.pass_on(hub, call, target, asked, rewritten)


async def tell(hub: Hub, call: Call, session_id: str) -> Reply:
    """PUT of an ActiveChargingProfile, to the party in TO, else to whose profile was last accepted (CHP-042)."""
    call.json_object()
    search = partial(open_routing.profile_setter, hub, call, session_id)
    call, route = await open_routing.settle(hub, call, hub.catalog["chargingprofiles"], search)
    if not isinstance(route, Direct) or route.target.platform.hosted:
        raise UnknownReceiver(_NAME_ONE)
    return await forward.forward(hub, call, route.target)
