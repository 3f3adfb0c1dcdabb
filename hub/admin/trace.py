"""What happened to one message, hop by hop."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response

from hub.admin import access
from hub.exchange.context import Hub
from hub.ocpi.errors import NotFound
from hub.store import messages
from modules.calls import CurrentHub

router = access.router("trace")


@dataclass(frozen=True)
class HopRow:
    """One hop: who asked whom for what, what the hub decided and what was answered. `ms` is how long it took."""

    at: datetime
    correlation_id: str
    request_id: str
    sender: str
    receiver: str
    method: str
    what: str
    decision: str
    http_status: int | None
    status_code: int | None
    ms: int | None
    detail: str | None


async def hops(hub: Hub, correlation_id: str) -> list[dict[str, Any]]:
    """The hops in order; NotFound (404) when there are none."""
    await hub.journal.flush()  # of this process; what others note is written within the second
    async with hub.db.unit_of_work() as session:
        found = await messages.trace(session, correlation_id)
    if not found:
        raise NotFound(
            "no message with this correlation id passed here: take it from X-Correlation-ID or from the logs"
        )
    return found


@router.get("/trace/{correlation_id}", response_model=list[HopRow])
async def get(hub: CurrentHub, correlation_id: str) -> Response:
    """The hops of every message with this X-Correlation-ID, in order."""
    return access.respond(await hops(hub, correlation_id))
