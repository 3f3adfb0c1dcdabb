"""Questions that somebody waits for: real-time authorise and charging preferences.

They have the tightest budgets, are never queued and never repeated. Who owns a token is looked up or remembered; an
answer is never kept and never made up.
"""

import asyncio
import time
from dataclasses import replace
from functools import partial

import structlog

from hub.exchange import forward, open_routing, routing
from hub.exchange.call import Call, Reply
from hub.exchange.context import Hub
from hub.exchange.routing import Direct
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, OcpiError, RequestTimeout, UnknownReceiver, UnknownToken
from hub.store.directory import PartyView

log = structlog.get_logger(__name__)

AUTHORISE_TIMEOUT = 5.0


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
    owners = await open_routing.owners(hub, call, module.name, uid, kind)
    if len(owners) > 1:  # TOK-027: one with an agreement before others, then the newest push
        log.warning("several eMSPs hold the same token uid", owners=list(map(str, owners)), asked=str(owners[0]))
    if owners:
        return await _ask(hub, call, routing.reachable(hub.directory.now, call, owners[0]), AUTHORISE_TIMEOUT)
    return await _ask_those_agreed(hub, call, uid, kind)


async def charging_preferences(hub: Hub, call: Call, session_id: str) -> Reply:
    """PUT sessions/{session_id}/charging_preferences, the one write on a Sender interface (SES-019)."""
    call.json_object()
    search = partial(open_routing.owners, hub, call, "sessions", session_id)
    call, route = await open_routing.settle(hub, call, hub.catalog["sessions"], search)
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the CPO in OCPI-to-country-code and OCPI-to-party-id")
    if route.target.platform.hosted:
        # No charger of the bridge takes preferences: the answer the spec gives for an EVSE without it (SES-020).
        refusal = InvalidParameters(_NO_PREFERENCES)
        reply = Reply(404, forward.refused(call, route.target.code, refusal).body)
        return hub.answered(call, "refuse", reply, status_code=refusal.status_code, detail=str(refusal))
    return await forward.forward(hub, call, route.target)


_NO_PREFERENCES = "this EVSE does not take charging preferences"


async def _ask(hub: Hub, call: Call, target: PartyView, timeout: float) -> Reply:
    """Ask an eMSP that the hub has found, not the caller."""
    return await forward.forward(hub, replace(call, to=target.code, found=True), target, timeout=timeout)


async def _ask_those_agreed(hub: Hub, call: Call, uid: str, kind: str) -> Reply:
    """Nobody has pushed this token: ask the eMSP that knew it last time, and if it does not any more all the others."""
    began, targets = time.monotonic(), _agreed(hub, call)
    remembered = hub.token_owners.get(kind, uid)
    last = next((target for target in targets if target.code == remembered), None)
    if last is not None:
        reply = await _ask(hub, call, last, AUTHORISE_TIMEOUT)
        if not _is_unknown(reply) or len(targets) == 1:
            return reply
        hub.token_owners.forget(kind, uid)
        targets.remove(last)
    reply, certain = await _ask_all(hub, call, targets, AUTHORISE_TIMEOUT - (time.monotonic() - began))
    answering = headers.party(reply.headers, headers.FROM_COUNTRY, headers.FROM_PARTY)
    if certain and answering is not None:
        hub.token_owners.learn(kind, uid, answering)
    return reply


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


async def _ask_all(hub: Hub, call: Call, targets: list[PartyView], budget: float) -> tuple[Reply, bool]:
    """Ask in parallel within one budget (seconds). The first ALLOWED wins, then any other eMSP that knows the token.

    With it: whether that eMSP is certain to own the token, by an ALLOWED or because all others said they do not know.
    """
    if not targets:
        raise UnknownReceiver("no eMSP is connected that could be asked for this token")
    asks = [asyncio.ensure_future(_ask(hub, call, target, max(budget, 0.1))) for target in targets]
    known: list[Reply] = []
    silent = 0
    try:
        for finished in asyncio.as_completed(asks, timeout=budget + 1):
            try:
                reply = await finished
            except OcpiError:
                silent += 1
                continue
            info = reply.data if reply.accepted and isinstance(reply.data, dict) else {}
            if info.get("allowed") == "ALLOWED":
                return reply, True
            if info.get("allowed") is not None:
                known.append(reply)
            elif not _is_unknown(reply):
                silent += 1  # a failure is no answer: the CPO must be able to fall back (TOK-028)
    except TimeoutError:
        silent += 1
    finally:
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
    if known:
        return known[0], len(known) == 1 and not silent
    if silent:
        raise RequestTimeout("not every eMSP answered in time, and none of the others knows the token")
    raise UnknownToken("no eMSP knows this token")


def _is_unknown(reply: Reply) -> bool:
    return reply.http_status == 404 or reply.status_code == UnknownToken.status_code
