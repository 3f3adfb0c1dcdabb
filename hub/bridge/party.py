"""The voice of a hosted party: calls into the exchange of this process, as if its own back end had made them."""

import structlog

from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.ocpi.errors import UnknownReceiver
from hub.ocpi.types import PartyId


async def call(
    hub: Hub,
    owner: PartyId,
    method: str,
    module: str,
    interface: str,
    *,
    to: PartyId | None = None,
    tail: str = "",
    query: str = "",
    body: bytes = b"",
) -> Call:
    """A call of `owner`; what this task logs from here on is about it. Raises UnknownReceiver when that party is no
    longer hosted here."""
    view = hub.directory.now.party(owner) or (await hub.directory.refresh()).party(owner)
    if view is None or not view.platform.hosted:
        raise UnknownReceiver(f"{owner} is not a hosted party of this hub")
    made = Call(
        sender=owner,
        to=to,
        platform=view.platform,
        method=method,
        module=module,
        interface=interface,
        tail=tail,
        query=query,
        body=body,
    )
    structlog.contextvars.bind_contextvars(correlation_id=made.correlation_id)
    return made
