"""A command that comes twice moves things at a charger once: the second is told what the first was (24 hours).

Same X-Request-ID and same content: the stored answer, and nothing is passed on. Another content: 2001. Two at once:
the second waits for the first. Where the outcome of the first is not known, the second is told 4002.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from hub.exchange import cdr_content, forward
from hub.exchange.call import Call, Reply
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, OcpiError, RequestTimeout
from hub.ocpi.types import PartyId
from hub.store import messages, repeats
from hub.store.repeats import Given

PATIENCE = timedelta(seconds=15)
"""How long a command may be under way: the deadline of forwarding and a margin."""
_POLL = 0.05


async def once(hub: Hub, call: Call, content: Any, work: Callable[[], Awaitable[Reply]]) -> Reply:
    """The answer of `work`, or the stored one where the caller gave the same command before.

    What reached nobody (4001, 4003, a refusal of the hub) may be given again; a time-out (4002) stays the answer.
    """
    digest = hashlib.sha256(cdr_content.canonical(content)).digest()
    known = await _claim(hub, call, digest)
    if known is not None:
        return hub.answered(call, messages.REPEAT, known, status_code=known.status_code or 0)
    try:
        reply = await work()
    except RequestTimeout as error:
        await _settle(hub, call, forward.refused(call, hub.code, error))
        raise
    except OcpiError:
        async with hub.db.unit_of_work() as session:
            await repeats.release(session, str(call.sender), call.request_id)
        raise
    await _settle(hub, call, reply)
    return reply


async def _claim(hub: Hub, call: Call, digest: bytes) -> Reply | None:
    """Take the right to carry out a command, or return the answer that it already has."""
    sender = str(call.sender)
    for _ in range(int(PATIENCE.total_seconds() / _POLL)):
        async with hub.db.unit_of_work() as session:
            if await repeats.claim(session, sender, call.request_id, digest):
                return None
            given = await repeats.find(session, sender, call.request_id)
        if given is not None and given.hash != digest:
            raise InvalidParameters(f"{headers.REQUEST_ID}: used before, for another command")
        if given is not None and given.answer is not None:
            return _stored(call, given)
        if given is not None and given.age > PATIENCE:
            break
        await asyncio.sleep(_POLL)
    raise RequestTimeout("this command was given before and its outcome is not known: it is not passed on again")


def _stored(call: Call, given: Given) -> Reply:
    answering = PartyId.parse(given.answering) if given.answering else None
    return Reply(given.http_status or 200, (given.answer or "").encode(), headers.routing(call.sender, answering))


async def _settle(hub: Hub, call: Call, reply: Reply) -> None:
    answering = headers.party(reply.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) or hub.code
    names = (str(call.sender), call.request_id)
    async with hub.db.unit_of_work() as session:
        await repeats.settle(session, *names, reply.http_status, reply.body.decode(), str(answering))
