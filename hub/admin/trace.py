"""What happened to one message: its hops, and where the objects that it brought are by now."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response

from hub.admin import access
from hub.delivery import fates
from hub.delivery.fates import Fate, Kept
from hub.exchange.context import Hub
from hub.ocpi.errors import NotFound
from hub.store import messages
from modules.calls import CurrentHub

router = access.router("trace")


@dataclass(frozen=True)
class HopRow:
    """One hop: who asked whom for what, what the hub decided and what was answered. `ms` is how long it took; `owner`,
    `module` and `key` name the object it carried (the key of a token is a pseudonym), `changed` what the hub changed
    on the way. Bodies are there if HUB_MESSAGE_BODIES keeps them."""

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
    owner: str | None
    module: str | None
    key: str | None
    changed: list[str] | None
    request_body: str | None
    answer_body: str | None


@dataclass(frozen=True)
class ObjectFate:
    """An object that the message brought (at `at`), and where it is with each receiver."""

    owner: str
    module: str
    key: str
    at: datetime
    receivers: list[Fate]


@dataclass(frozen=True)
class Trace:
    """The life of one message; the first 5,000 of its hops."""

    hops: list[HopRow]
    objects: list[ObjectFate]


async def life(hub: Hub, correlation_id: str) -> dict[str, Any]:
    """The hops in order and what is not done yet; NotFound (404) when there are no hops."""
    await hub.journal.flush()  # of this process; what others note is written within the second
    directory = await hub.directory.refresh()
    async with hub.db.unit_of_work() as session:
        hops = await messages.trace(session, correlation_id)
        if not hops:
            raise NotFound(
                "no message with this correlation id passed here: take it from X-Correlation-ID or from the logs"
            )
        objects = [
            _object(kept, await fates.of_object(session, directory, hub.catalog, hub.seal, kept))
            for kept in fates.kept_in(hops)
        ]
    return {"hops": hops, "objects": objects}


def _object(kept: Kept, receivers: list[Fate]) -> ObjectFate:
    return ObjectFate(*kept.about, kept.at, receivers)


@router.get("/trace/{correlation_id}", response_model=Trace)
async def get(hub: CurrentHub, correlation_id: str) -> Response:
    """The hops of every message with this X-Correlation-ID, in order, and where the objects that it brought are now."""
    return access.respond(await life(hub, correlation_id))
