"""What a hub does with a database that was restored: its past ends earlier than the world's.

What was accepted after the copy was made is gone from here, and parties may hold newer objects than the hub. So:

- Lists that their owners offer are read whole first, and only then delivered to all, whether the reading succeeded or
  not: a receiver is not sent an older version than it holds, where the hub can know the newer one.
- Of owners who offer no list, receivers get what they were owed when the copy was made, and nothing else: whatever else
  the hub could send them they have, as old or newer. A receiver that compares last_updated keeps its newer version.
- CDRs in custody are owed as before. One that was delivered meanwhile is sent once more, byte for byte the same, and
  counts as doubtful: a refusal of it proves nothing. One that was lost comes again from its owner, by list or by POST.

`resume` makes the database ready while no hub runs on it; the worker does the rest (`turn`).
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog
from cryptography.fernet import InvalidToken

from hub.delivery import audience, backfill, background
from hub.exchange import plans
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.module import Catalog
from hub.ocpi.types import PartyId
from hub.settings import OperatorError, Settings
from hub.store import backups, lanes, pull_plan, pulls
from hub.store import log as change_log
from hub.store.db import Database, Statements
from hub.store.directory import Directory, DirectoryCache
from hub.store.lanes import Debt
from hub.store.seal import Seal

log = structlog.get_logger(__name__)

REASON = "restored from a backup"
PATIENCE = 600.0
"""Seconds that a delivery waits for the list of its owner."""

SWEEP = 2.0
AT_ONCE = 1000
_ROWS_AT_ONCE = 2000
Pair = tuple[str, str]
"""An owner (or the party of a list) and a module."""


@dataclass(frozen=True)
class Restored:
    """What was found. Whatever was accepted from `since` to `now` may be missing. `read` are the lists that are read
    first, `not_read` what owners have that offer no list: they must push again. `owed` objects and `custody` CDRs are
    on their way again, as far as they were then."""

    since: datetime | None
    now: datetime
    read: list[Pair]
    not_read: list[Pair]
    owed: int
    custody: int


async def resume(db: Database, seal: Seal, catalog: Catalog, settings: Settings) -> Restored:
    """Make a restored database ready for its hub. May be repeated. OperatorError under another HUB_SECRET_KEY."""
    directory = DirectoryCache(db, seal, open_policy=settings.default_agreement == "open")
    try:
        picture = await directory.refresh()
    except InvalidToken:
        raise OperatorError(
            "HUB_SECRET_KEY is not the key of this database: set the one that was kept beside the backup, and run "
            "`knutpunkt restore --after`"
        ) from None
    offered = plans.lists(picture, catalog)
    wanted = {(party, module) for party, module, _ in offered}
    shown = {pair for pair in wanted if catalog[pair[1]].broadcast}
    async with db.unit_of_work() as session:
        since, now = await backups.last_sign(session)
    await _stamp(db)
    async with db.unit_of_work() as session:
        owed = 0
        for party_id, receiver in (await lanes.every(session)).items():
            owed += await _owe_what_was_owed(session, picture, catalog, party_id, receiver, shown)
        await backups.withdraw(session, shown)
        await backups.let_go(session)
        await pull_plan.arrange(session, offered, 0.0)
        for party, module in sorted(wanted):
            await pull_plan.now(session, party, module, pulls.FULL)
        await backups.ask(session, wanted)
        custody = await backups.in_custody(session)
    return Restored(since, now, sorted(wanted), _not_read(picture, catalog, wanted), owed, custody)


@asynccontextmanager
async def resuming(hub: Hub) -> AsyncIterator[None]:
    """Deliver what has been read because of a restore, until the block ends."""

    async def work() -> None:
        await turn(hub)

    async with background.repeating("delivering what was restored", work, SWEEP):
        yield


async def turn(hub: Hub) -> int:
    """Begin to deliver the objects of the lists that have been read since the restore; how many lists."""
    async with hub.db.unit_of_work() as session:
        lists = await backups.read(session, PATIENCE)
        correlation_id = headers.new_id()
        for receiver, pairs in _receivers(hub.directory.now, hub.catalog, lists).items():
            await backfill.start(session, receiver, pairs, REASON, correlation_id)
    if lists:
        log.info("lists read after the restore are delivered", lists=len(lists), correlation_id=correlation_id)
        hub.bell.ring()
    return len(lists)


async def _stamp(db: Database) -> None:
    """Give every change of the log its position: what the hub before had no time for."""
    for shard in await _shards(db):
        stamped = _ROWS_AT_ONCE
        while stamped:
            async with db.unit_of_work() as session:
                stamped, _ = await change_log.stamp(session, shard, full=True, limit=_ROWS_AT_ONCE)


async def _shards(db: Database) -> list[int]:
    async with db.unit_of_work() as session:
        return await backups.shards(session)


async def _owe_what_was_owed(
    session: Statements, picture: Directory, catalog: Catalog, party_id: int, receiver: str, shown: set[Pair]
) -> int:
    """Put a lane at the head of the log; what it had not come to becomes owed, without what is read anew first."""
    party = picture.party(PartyId.parse(receiver))
    broadcasts = audience.broadcasts_to(picture, catalog, party.code) if party else []
    pairs = [pair for pair in broadcasts if pair not in shown]
    correlation_id = headers.new_id()
    count = 0
    for shard in await backups.shards(session):
        position = (await lanes.cursors(session, shard, [party_id])).get(party_id, 0)
        head = await change_log.head(session, shard)
        if position < head.tail:  # what it had not come to is not in the log any more
            await backfill.start(session, receiver, pairs, backfill.FELL_BEHIND, correlation_id)
            continue
        rows = await change_log.folded(session, shard, position, head.position, receiver, pairs)
        objects = sorted({(row.owner, row.module, row.key) for row in rows})
        for at in range(0, len(objects), AT_ONCE):
            debts = [_debt(receiver, one, correlation_id) for one in objects[at : at + AT_ONCE]]
            await lanes.owe(session, debts)
        count += len(objects)
    await lanes.to_head(session, [party_id])
    return count


def _debt(receiver: str, one: tuple[str, str, str], correlation_id: str) -> Debt:
    owner, module, key = one
    return Debt(receiver, owner, module, key, {"": None}, correlation_id, reason=REASON)


def _receivers(picture: Directory, catalog: Catalog, lists: Iterable[Pair]) -> dict[str, list[Pair]]:
    """Who is sent what, of the lists that have been read."""
    found: dict[str, list[Pair]] = {}
    for owner, module in lists:
        for party in picture.parties:
            if audience.wants(picture, catalog, PartyId.parse(owner), module, party.code):
                found.setdefault(str(party.code), []).append((owner, module))
    return found


def _not_read(picture: Directory, catalog: Catalog, wanted: set[Pair]) -> list[Pair]:
    """What parties own, and offer no list of."""
    owned = {
        (str(party.code), module.name)
        for party in picture.parties
        for module in catalog.values()
        if module.owner and not party.platform.hosted and party.roles & audience.owners(module.owner)
    }
    return sorted(owned - wanted)
