"""Questions that somebody waits for: real-time authorise, commands, charging preferences.

They have the tightest budgets, are never queued and never repeated. Who owns a token is looked up; an answer is never
kept and never made up.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from hub.exchange import callbacks, forward, routing
from hub.exchange.call import Call, Reply, answer
from hub.exchange.context import Hub
from hub.exchange.routing import Direct
from hub.ocpi import json
from hub.ocpi.client import Refused
from hub.ocpi.errors import InvalidParameters, OcpiError, RequestTimeout, UnknownReceiver, UnknownToken
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId, check, parse_datetime, same
from hub.store import messages, objects
from hub.store.directory import PartyView

log = structlog.get_logger(__name__)

AUTHORISE_TIMEOUT = 5.0
COMMAND_TIMEOUT = 10.0
WITH_TOKEN = frozenset({"START_SESSION", "RESERVE_NOW"})


async def authorise(hub: Hub, call: Call, uid: str, kind: str) -> Reply:
    """POST tokens/{uid}/authorize: from the eMSP in TO, else from the token's owner, else from those agreed (TOK-026).

    Nobody to ask: 4001. All asked do not know it: HTTP 404 and 2004. No answer: 4002 or 4003, never ALLOWED.
    """
    module = hub.catalog["tokens"]
    if call.body:
        call.json_object()
    if call.to is not None:
        route = routing.decide(hub.directory.now, call, module, hub.code)
        if not isinstance(route, Direct):
            raise UnknownReceiver("name the eMSP in OCPI-to-party-id, or leave the OCPI-to headers out")
        return await forward.forward(hub, call, route.target, timeout=AUTHORISE_TIMEOUT)
    owner = await _owner(hub, module, uid, kind, call.sender)
    if owner is not None:
        return await _ask(hub, call, routing.reachable(hub.directory.now, call, owner))
    return await _ask_all(hub, call, _agreed(hub, call))


async def _ask(hub: Hub, call: Call, target: PartyView) -> Reply:
    """Ask an eMSP that the hub has found, not the caller."""
    found = (f"OCPI-to: {target.code}, found by the hub",)
    asking = replace(call, to=target.code)
    return await forward.forward(hub, asking, target, timeout=AUTHORISE_TIMEOUT, changed=found)


async def command(hub: Hub, call: Call, name: str) -> Reply:
    """POST commands/{name}: forwarded with a response_url of the hub; the result comes back through it (hub flow 7)."""
    body = call.json_object()
    module = hub.catalog["commands"]
    check(module.command_models[name], body)
    _check_token(call, name, body)
    _check_response_url(hub, call, str(body["response_url"]))
    route = routing.decide(hub.directory.now, call, module, hub.code)
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the CPO in OCPI-to-country-code and OCPI-to-party-id")
    if route.target.platform.hosted:
        if hub.hosted_commands is None:
            raise UnknownReceiver(f"{route.target.code} takes no commands here")
        data = await hub.hosted_commands(hub, call, name, body)
        return hub.answered(call, "bridge", answer(call, route.target.code, data), detail=str(data.get("result")))
    return await _forward_command(hub, call, name, body, route.target)


async def charging_preferences(hub: Hub, call: Call) -> Reply:
    """PUT sessions/{session_id}/charging_preferences, the one write on a Sender interface (SES-019)."""
    call.json_object()
    route = routing.decide(hub.directory.now, call, hub.catalog["sessions"], hub.code)
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the CPO in OCPI-to-country-code and OCPI-to-party-id")
    if route.target.platform.hosted:
        # No charger of the bridge takes preferences: the answer the spec gives for an EVSE without it (SES-020).
        refusal = InvalidParameters(_NO_PREFERENCES)
        reply = Reply(404, forward.refused(call, route.target.code, refusal).body)
        return hub.answered(call, "refuse", reply, status_code=refusal.status_code, detail=str(refusal))
    return await forward.forward(hub, call, route.target)


_NO_PREFERENCES = "this EVSE does not take charging preferences"


async def _owner(hub: Hub, module: Module, uid: str, kind: str, asking: PartyId) -> PartyId | None:
    """The one eMSP that holds this token and may be asked; two holders are a clash, decided by the newest push."""
    async with hub.db.unit_of_work() as session:
        rows = await objects.by_key(session, module.name, module.key(uid, kind))
    visible = dict.fromkeys(r.owner for r in rows if r.audience in (objects.EVERYBODY, str(asking)))
    owners = [code for code in visible if hub.directory.now.allows(PartyId.parse(code), asking, module.name)]
    if len(owners) > 1:
        log.warning("several eMSPs hold the same token uid", owners=owners, asked=owners[0])
    return PartyId.parse(owners[0]) if owners else None


def _agreed(hub: Hub, call: Call) -> list[PartyView]:
    directory = hub.directory.now
    return [
        party
        for party in directory.parties
        if "EMSP" in party.roles
        and party.platform.status == "CONNECTED"
        and party.platform.endpoint("tokens", "SENDER") is not None
        and directory.allows(party.code, call.sender, "tokens")
        and directory.option(party.code, call.sender, "authorise")
    ]


async def _ask_all(hub: Hub, call: Call, targets: list[PartyView]) -> Reply:
    """Ask in parallel within one budget. The first ALLOWED wins, then any other eMSP that knows the token."""
    if not targets:
        raise UnknownReceiver("no eMSP is connected that could be asked for this token")
    asks = [asyncio.ensure_future(_ask(hub, call, target)) for target in targets]
    known: Reply | None = None
    silent = 0
    try:
        for finished in asyncio.as_completed(asks, timeout=AUTHORISE_TIMEOUT + 1):
            try:
                reply = await finished
            except OcpiError:
                silent += 1
                continue
            info = reply.data if reply.accepted and isinstance(reply.data, dict) else {}
            if info.get("allowed") == "ALLOWED":
                return reply
            if info.get("allowed") is not None:
                known = known or reply
            elif reply.http_status != 404 and reply.status_code != UnknownToken.status_code:
                silent += 1  # a failure is no answer: the CPO must be able to fall back (TOK-028)
    except TimeoutError:
        silent += 1
    finally:
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
    if known is not None:
        return known
    if silent:
        raise RequestTimeout("not every eMSP answered in time, and none of the others knows the token")
    raise UnknownToken("no eMSP knows this token")


def _check_token(call: Call, name: str, body: dict[str, Any]) -> None:
    """An eMSP starts and reserves with its own tokens only (CMD-042)."""
    if name not in WITH_TOKEN:
        return
    token = body["token"]
    if not same(token["country_code"], call.sender.country_code) or not same(token["party_id"], call.sender.party_id):
        raise InvalidParameters("token: country_code and party_id are not those of the calling party")


def _check_response_url(hub: Hub, call: Call, url: str) -> None:
    """The hub will call this URL: it must be on a host the platform registered, and one the hub may call (CMD-020)."""
    try:
        hub.outbound.check(url)
    except Refused as refused:
        raise InvalidParameters(f"response_url: {refused}") from None
    if not forward.same_host(call.platform, url):
        raise InvalidParameters("response_url: not on a host this platform has registered")


async def _forward_command(hub: Hub, call: Call, name: str, body: dict[str, Any], target: PartyView) -> Reply:
    async with hub.db.unit_of_work() as session:
        url = await callbacks.open_url(
            hub,
            session,
            "command",
            "commands",
            str(body["response_url"]),
            caller=target.code,
            target=call.sender,
            correlation_id=call.correlation_id,
            lifetime=_lifetime(name, body),
        )
    onward = json.dumps({**body, "response_url": url})
    changed = ("response_url is the hub's own",)
    reply = await forward.forward(hub, call, target, body=onward, timeout=COMMAND_TIMEOUT, changed=changed)
    data = reply.data
    if not reply.accepted or not isinstance(data, dict) or data.get("result") != "ACCEPTED":
        async with hub.db.unit_of_work() as session:
            await messages.forget_callback(session, url.rpartition("/")[2])
    return reply


def _lifetime(name: str, body: dict[str, Any]) -> timedelta:
    """RESERVE_NOW may report a cancelled reservation until it has expired (CMD-006)."""
    if name != "RESERVE_NOW":
        return callbacks.COMMAND_LIFETIME
    left = parse_datetime(str(body["expiry_date"])) - datetime.now(UTC)
    return max(left, timedelta(0)) + callbacks.COMMAND_LIFETIME
