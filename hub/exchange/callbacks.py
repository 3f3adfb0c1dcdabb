"""Opaque hub URLs: response_url of commands and Link of pages, each bound to who may use it.

A partner holds no token for the platform behind the hub, so it is never shown that platform's URLs. A callback stays
valid until it expires; using it does not use it up (a cancelled reservation reports to the same URL much later).
"""

import time
from datetime import timedelta
from urllib.parse import urljoin

import structlog

from hub.delivery import send as delivery
from hub.exchange import forward
from hub.exchange.call import Call, Reply, answer
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers, json, paging
from hub.ocpi.client import NetworkError
from hub.ocpi.errors import ConnectionProblem, HubError, NotFound, UnknownReceiver
from hub.ocpi.types import PartyId
from hub.store import messages
from hub.store.db import Statements
from hub.store.directory import PartyView
from hub.store.journal import Hop
from hub.store.messages import Callback

log = structlog.get_logger(__name__)

PAGE_LIFETIME = timedelta(hours=24)
COMMAND_LIFETIME = timedelta(hours=24)

PATHS = {"command": "cb", "page": "page"}


async def open_url(
    hub: Hub, session: Statements, kind: str, module: str, url: str, *, caller: PartyId, target: PartyId,
    correlation_id: str, lifetime: timedelta,
) -> str:  # fmt: skip
    """A hub URL that stands for `url` at `target` and that only `caller` may use."""
    opaque = await messages.open_callback(
        session,
        kind=kind,
        module=module,
        url=url,
        caller=str(caller),
        target=str(target),
        correlation_id=correlation_id,
        lifetime=lifetime,
    )
    return f"{hub.base_url}/{PATHS[kind]}/{opaque}"


async def find(hub: Hub, kind: str, callback_id: str, caller: PartyId) -> Callback:
    """The callback behind an id; the same NotFound (404) for unknown, expired and foreign ones (CMD-019)."""
    async with hub.db.unit_of_work() as session:
        callback = await messages.find_callback(session, callback_id, kind)
    if callback is None or callback.caller != str(caller):
        raise NotFound("this URL is not known here, or has expired")
    return callback


def leads_to(hub: Hub, callback: Callback) -> PartyView:
    """The party behind a callback, if it may and can still be reached there: a callback outlives no right.

    UnknownReceiver (4001) without agreement, ConnectionProblem (4003) while not CONNECTED, NotFound (404) when the
    platform has moved to another host.
    """
    directory = hub.directory.now
    code, caller = PartyId.parse(callback.target), PartyId.parse(callback.caller)
    target = directory.party(code)
    if target is None or not directory.allows(code, caller, callback.module):
        raise UnknownReceiver(f"{code} is not a receiver this hub can reach for you")
    if target.platform.status != "CONNECTED":
        raise ConnectionProblem(f"{code} is {target.platform.status}: try again when it is CONNECTED")
    if not forward.same_host(target.platform, callback.url):
        raise NotFound("what was at this URL has moved")
    return target


async def command_result(hub: Hub, call: Call, callback_id: str) -> Reply:
    """A CommandResult from a CPO, on its way to the response_url the eMSP gave (hub flow 7, steps 5 to 7)."""
    result = call.json_object()
    callback = await find(hub, "command", callback_id, call.sender)
    target = leads_to(hub, callback)
    hub.journal.note(
        Hop(
            correlation_id=callback.correlation_id,
            request_id=call.request_id,
            sender=str(call.sender),
            receiver=callback.target,
            method="POST",
            what="CommandResult",
            decision="callback",
            detail=f"{str(result.get('result', ''))[:40]}, continues as {call.correlation_id}",
        )
    )
    sent = await forward.send(hub, call, target, callback.url, call.body)
    if sent.status < 300 and envelope.read(sent.body)[0] is None:
        return answer(call, target.code)  # taken, but not said so as OCPI does
    return forward.reply(call, target.code, sent)


async def page(hub: Hub, call: Call, callback_id: str) -> Reply:
    """The next page of a list whose owner's Link the hub replaced (hub flow 6)."""
    callback = await find(hub, "page", callback_id, call.sender)
    return await page_from(hub, call, leads_to(hub, callback), callback.module, callback.url)


async def page_from(hub: Hub, call: Call, target: PartyView, module: str, url: str) -> Reply:
    """A page of `module` from the platform of `target`, its Link replaced by one of the hub."""
    sent = await forward.send(hub, call, target, url, None)
    extra = {}
    following = _own_link(target, url, sent.headers.get("Link"))
    if following is not None:
        async with hub.db.unit_of_work() as session:
            link = await open_url(
                hub,
                session,
                "page",
                module,
                following,
                caller=call.sender,
                target=target.code,
                correlation_id=call.correlation_id,
                lifetime=PAGE_LIFETIME,
            )
        extra["Link"] = f'<{link}>; rel="next"'
    return forward.reply(call, target.code, sent, extra)


async def post_result(
    hub: Hub, sender: PartyId, target: PartyId, url: str, result: dict[str, object], correlation_id: str
) -> bool:
    """POST a CommandResult of a hosted CPO to the eMSP's response_url; one attempt (CMD-056), True if it was taken."""
    party = hub.directory.now.party(target)
    allowed = hub.directory.now.allows(target, sender, "commands")
    if (
        party is None
        or not allowed
        or party.platform.status != "CONNECTED"
        or not forward.same_host(party.platform, url)
    ):
        log.warning("CommandResult not sent: its eMSP cannot be reached there any more", receiver=str(target))
        return False
    onward = delivery.onward(party.platform, correlation_id, target, sender, with_body=True)
    started, sent, detail = time.monotonic(), None, None
    body = json.dumps(result)
    try:
        sent = await hub.outbound.send("POST", url, onward, body)
    except NetworkError as error:
        detail = str(error)
    hub.journal.note(
        Hop(
            correlation_id=correlation_id,
            request_id=onward[headers.REQUEST_ID],
            sender=str(sender),
            receiver=str(target),
            method="POST",
            what=f"CommandResult {result.get('result')}",
            decision="callback",
            http_status=sent.status if sent else None,
            status_code=envelope.read(sent.body)[0] if sent else None,
            ms=round((time.monotonic() - started) * 1000),
            detail=detail,
        ),
        body,
        sent.body if sent else None,
    )
    return sent is not None and sent.status < 400


def _own_link(target: PartyView, asked: str, value: str | None) -> str | None:
    """The next URL in an owner's Link; HubError when it leaves the owner's own hosts (TF-047).

    Leaving the Link out would make the page look like the last one, and the rest of the list like deleted.
    """
    following = paging.next_link(value)
    if following is None:
        return None
    try:
        url = urljoin(asked, following)
    except ValueError:
        url = ""
    if not forward.same_host(target.platform, url):
        log.warning("Link to a foreign host refused", owner=str(target.code))
        raise HubError(f"{target.code} continues its list at a host that is not its own")
    return url
