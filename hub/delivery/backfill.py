"""Full deliveries: walking the kept objects of an owner's module for a receiver that is new to them.

A backfill begins in the commit of its cause and walks by object, in the order of first arrival. What changes while it
walks comes by the log as well; sending an object twice does no harm, missing one would.
"""

from collections.abc import Iterable
from dataclasses import replace

from hub.delivery.lanes import Lane, Page
from hub.ocpi.types import PartyId
from hub.store import lanes as store
from hub.store import outgoing
from hub.store.db import Statements
from hub.store.lanes import Walk

REGISTRATION = "registration"
AGREEMENT = "new agreement"
RESYNC = "resync"
RESUMED = "end of suspension"
FELL_BEHIND = "too far behind the log"

HOLDS_NOTHING = frozenset({REGISTRATION, AGREEMENT})
"""After these the receiver cannot hold what was deleted, so it is sent no tombstones."""

PAGE_SIZE = 200


async def start(
    session: Statements,
    receiver: PartyId | str,
    pairs: Iterable[tuple[PartyId | str, str]],
    reason: str,
    correlation_id: str,
) -> None:
    """Begin, or begin again, the full delivery of these (owner, module) pairs, in the transaction of its cause.

    `pairs` for a new receiver: `audience.everything_for`.
    """
    found = [(str(owner), module) for owner, module in pairs]
    if found:
        await store.start_backfill(session, str(receiver), found, reason, correlation_id)


async def next_page(session: Statements, lane: Lane, walk: Walk) -> None:
    """Put the next objects of a backfill before its lane."""
    tombstones = walk.reason not in HOLDS_NOTHING
    rows = await outgoing.page(session, walk.owner, walk.module, walk.receiver, walk.last_id, PAGE_SIZE, tombstones)
    last_id = rows[-1][0] if rows else walk.last_id
    page = Page(replace(walk, last_id=last_id), last_id, 0, final=len(rows) < PAGE_SIZE)
    lane.turn_to(page, [(walk.owner, walk.module, key) for _, key in rows])
