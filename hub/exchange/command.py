"""Commands: to the CPO they are meant for, once, with a response_url of the hub (hub flow 7)."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from hub.exchange import callbacks, open_routing, repeats
from hub.exchange.call import Call, Reply, answer
from hub.exchange.callbacks import Asked
from hub.exchange.context import Hub
from hub.exchange.routing import Direct
from hub.ocpi import json
from hub.ocpi.errors import InvalidParameters, RequestTimeout, UnknownReceiver
from hub.ocpi.types import PartyId, check, fold, parse_datetime, same
from hub.store import destinations
from hub.store.directory import PartyView

WITH_TOKEN = frozenset({"START_SESSION", "RESERVE_NOW"})


async def give(hub: Hub, call: Call, name: str) -> Reply:
    """POST commands/{name}: forwarded with a response_url of the hub; the result comes back through it."""
    body = call.json_object()
    check(hub.catalog["commands"].command_models[name], body)
    _check_token(call, name, body)
    _check_place(body)
    callbacks.check_response_url(hub, call, str(body["response_url"]))
    content = {"command": name, "to": str(call.to), "body": body}
    return await repeats.once(hub, call, content, partial(_carry_out, hub, call, name, body))


async def _carry_out(hub: Hub, call: Call, name: str, body: dict[str, Any]) -> Reply:
    search = partial(open_routing.of_command, hub, call, name, body)
    call, route = await open_routing.settle(hub, call, hub.catalog["commands"], search)
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the CPO in OCPI-to-country-code and OCPI-to-party-id")
    target = route.target
    try:
        reply = await _pass_on(hub, call, name, body, target)
    except RequestTimeout:  # the CPO may have taken it, so it can be cancelled
        await _note_reservation(hub, call, name, body, target.code)
        raise
    if callbacks.taken_on(reply):
        await _note_reservation(hub, call, name, body, target.code)
    return reply


async def _pass_on(hub: Hub, call: Call, name: str, body: dict[str, Any], target: PartyView) -> Reply:
    if target.platform.hosted:
        if hub.hosted_commands is None:
            raise UnknownReceiver(f"{target.code} takes no commands here")
        data = await hub.hosted_commands(hub, call, name, body)
        return hub.answered(call, "bridge", answer(call, target.code, data), detail=str(data.get("result")))
    asked = Asked(callbacks.COMMAND, name, str(body["response_url"]), _lifetime(name, body))
    return await callbacks.pass_on(
        hub, call, target, asked, lambda url: (call, json.dumps({**body, "response_url": url}))
    )


async def _note_reservation(hub: Hub, call: Call, name: str, body: dict[str, Any], receiver: PartyId) -> None:
    """Remember which CPO has a reservation, for the CANCEL_RESERVATION that may follow."""
    if name == "RESERVE_NOW":
        key = fold(str(body["reservation_id"]))
        async with hub.db.unit_of_work() as session:
            await destinations.reserved(session, str(call.sender), key, str(receiver), _lifetime(name, body))


def _check_token(call: Call, name: str, body: dict[str, Any]) -> None:
    """An eMSP starts and reserves with its own tokens only (CMD-042)."""
    if name not in WITH_TOKEN:
        return
    token = body["token"]
    if not same(token["country_code"], call.sender.country_code) or not same(token["party_id"], call.sender.party_id):
        raise InvalidParameters("token: country_code and party_id are not those of the calling party")


def _check_place(body: dict[str, Any]) -> None:
    """A connector id says nothing without its EVSE (CMD-039)."""
    if body.get("connector_id") is not None and body.get("evse_uid") is None:
        raise InvalidParameters("evse_uid: required with connector_id")


def _lifetime(name: str, body: dict[str, Any]) -> timedelta:
    """RESERVE_NOW may report a cancelled reservation until it has expired (CMD-006)."""
    if name != "RESERVE_NOW":
        return callbacks.COMMAND_LIFETIME
    left = parse_datetime(str(body["expiry_date"])) - datetime.now(UTC)
    return max(left, timedelta(0)) + callbacks.COMMAND_LIFETIME
