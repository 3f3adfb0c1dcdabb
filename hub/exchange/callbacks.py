"""Opaque hub URLs: response_url of commands and charging profiles and Link of pages, each bound to who may use it.

A partner holds no token for the platform behind the hub, so it is never shown that platform's URLs. A callback stays
valid until it expires; using it does not use it up (a cancelled reservation reports to the same URL much later).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urljoin

import structlog

from hub.delivery import send as delivery
from hub.exchange import forward
from hub.exchange.call import Call, Reply, answer
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers, json, paging
from hub.ocpi.client import NetworkError, Refused, Use
from hub.ocpi.errors import ConnectionProblem, HubError, InvalidParameters, NotFound, UnknownReceiver
from hub.ocpi.types import PartyId
from hub.store import destinations, messages
from hub.store.db import Statements
from hub.store.directory import PartyView, PlatformView
from hub.store.journal import Hop
from hub.store.messages import Callback

log = structlog.get_logger(__name__)

_UNKNOWN = "this URL is not known here, or has expired"

PAGE_LIFETIME = timedelta(hours=24)
COMMAND_LIFETIME = timedelta(hours=24)

COMMAND_TIMEOUT = 10.0

COMMAND, PROFILE, PAGE = "command", "profile", "page"
PATHS = {COMMAND: "cb", PROFILE: "profile", PAGE: "page"}


@dataclass(frozen=True)
class Asked:
    """A call whose result comes later, to `response_url`: a command's name, or the method of a charging profile call
    (then `session_key` names its Session). `lifetime`: how long a result may come."""

    kind: str
    name: str
    response_url: str
    lifetime: timedelta = COMMAND_LIFETIME
    session_key: str | None = None


async def open_url(
    hub: Hub, session: Statements, kind: str, module: str, url: str, *, caller: PartyId, target: PartyId,
    correlation_id: str, lifetime: timedelta, asked: str = "", session_key: str | None = None,
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
        asked=asked,
        session_key=session_key,
    )
    return f"{hub.base_url}/{PATHS[kind]}/{opaque}"


def check_response_url(hub: Hub, call: Call, url: str) -> None:
    """The hub will call this URL: it must be on a host the platform registered, and one the hub may call (CMD-020)."""
    try:
        hub.outbound.check(url)
    except Refused as refused:
        raise InvalidParameters(f"response_url: {refused}") from None
    if not forward.same_host(call.platform, url):
        raise InvalidParameters("response_url: not on a host this platform has registered")


async def pass_on(
    hub: Hub, call: Call, target: PartyView, asked: Asked, rewritten: Callable[[str], tuple[Call, bytes | None]]
) -> Reply:
    """Pass on a call whose result comes later; `rewritten` gives it with another response_url (CMD-017, CHP-010).

    The hub's URL is forgotten where no result can come: not reached, or not ACCEPTED (CMD-003, CHP-037).
    """
    async with hub.db.unit_of_work() as session:
        url = await open_url(
            hub,
            session,
            asked.kind,
            call.module,
            asked.response_url,
            caller=target.code,
            target=call.sender,
            correlation_id=call.correlation_id,
            lifetime=asked.lifetime,
            asked=asked.name,
            session_key=asked.session_key,
        )
    callback_id = url.rpartition("/")[2]
    onward, body = rewritten(url)
    changed = ("response_url is the hub's own",)
    try:
        reply = await forward.forward(hub, onward, target, body=body, timeout=COMMAND_TIMEOUT, changed=changed)
    except ConnectionProblem:
        await _close(hub, callback_id)
        raise
    if taken_on(reply):
        await _expect(hub, callback_id, reply.data.get("timeout"))
    else:
        await _close(hub, callback_id)
    return reply


def taken_on(reply: Reply) -> bool:
    """Whether a CPO's first answer says ACCEPTED, so that a result will follow."""
    data = reply.data
    return reply.accepted and isinstance(data, dict) and data.get("result") == "ACCEPTED"


async def _expect(hub: Hub, callback_id: str, timeout: object) -> None:
    """Remember until when the CPO has promised a result (CMD-021)."""
    if isinstance(timeout, int) and 0 < timeout <= COMMAND_LIFETIME.total_seconds():
        async with hub.db.unit_of_work() as session:
            await messages.promise(session, callback_id, timedelta(seconds=timeout))


async def _close(hub: Hub, callback_id: str) -> None:
    async with hub.db.unit_of_work() as session:
        await messages.forget_callback(session, callback_id)


async def holder(hub: Hub, callback_id: str, platform: PlatformView) -> PartyId:
    """The party on a platform that was given a callback: it may leave out who it is. NotFound (404) when none was."""
    async with hub.db.unit_of_work() as session:
        caller = await messages.callback_caller(session, callback_id)
    found = next((party for party in (*platform.parties, *platform.behind) if str(party) == caller), None)
    if found is None:
        raise NotFound(_UNKNOWN)
    return found


async def find(hub: Hub, kind: str, callback_id: str, caller: PartyId) -> Callback:
    """The callback behind an id; the same NotFound (404) for unknown, expired and foreign ones (CMD-019)."""
    async with hub.db.unit_of_work() as session:
        callback = await messages.find_callback(session, callback_id, kind)
    if callback is None or callback.caller != str(caller):
        raise NotFound(_UNKNOWN)
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
    if target.status != "CONNECTED":
        raise ConnectionProblem(f"{code} is {target.status}: try again when it is CONNECTED")
    if not forward.same_host(target.platform, callback.url):
        raise NotFound("what was at this URL has moved")
    return target


async def result(hub: Hub, call: Call, kind: str, callback_id: str) -> Reply:
    """A result from a CPO, on its way to the response_url that its eMSP gave (hub flow 7, steps 5 to 7).

    One attempt: what goes wrong on the way is told to the CPO (CMD-056).
    """
    result = call.json_object()
    callback = await find(hub, kind, callback_id, call.sender)
    await _note_result(hub, callback, result.get("result"))
    target = leads_to(hub, callback)
    hub.journal.note(
        Hop(
            correlation_id=callback.correlation_id,
            request_id=call.request_id,
            sender=str(call.sender),
            receiver=callback.target,
            method="POST",
            what=f"result of {callback.module} {callback.asked}",
            decision="callback",
            detail=f"{str(result.get('result', ''))[:40]}, continues as {call.correlation_id}",
        )
    )
    sent = await forward.send(hub, call, target, callback.url, call.body)
    if sent.status < 300 and envelope.read(sent.body)[0] is None:
        return answer(call, target.code)  # taken, but not said so as OCPI does
    return forward.reply(call, target.code, sent)


async def _note_result(hub: Hub, callback: Callback, said: object) -> None:
    """A result has come; one that accepts a charging profile says whose the Session's profile is now (CHP-042)."""
    async with hub.db.unit_of_work() as session:
        await messages.callback_answered(session, callback.id)
        if callback.kind == PROFILE and callback.asked == "PUT" and said == "ACCEPTED" and callback.session_key:
            await destinations.profile_set(session, callback.caller, callback.session_key, callback.target)


async def page(hub: Hub, call: Call, callback_id: str) -> Reply:
    """The next page of a list whose owner's Link the hub replaced (hub flow 6)."""
    callback = await find(hub, PAGE, callback_id, call.sender)
    call = replace(call, module=callback.module)
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
                PAGE,
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
    if party is None or not allowed or party.status != "CONNECTED" or not forward.same_host(party.platform, url):
        log.warning("CommandResult not sent: its eMSP cannot be reached there any more", receiver=str(target))
        return False
    onward = delivery.onward(party.platform, correlation_id, target, sender, with_body=True)
    started, sent, detail = time.monotonic(), None, None
    body = json.dumps(result)
    try:
        sent = await hub.outbound.send("POST", url, onward, body, use=Use.INTERACTIVE)
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
