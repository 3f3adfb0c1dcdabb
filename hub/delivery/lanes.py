"""A lane in memory: what one receiver is owed, what is on its way to it, and how far its cursor may move.

Memory is only a cache of what the database knows: the cursor, the `owed` rows and the backfills. Dropping a lane and
reading it again loses nothing. The rules it keeps:

- One request at a time for each object. What changes meanwhile waits, and is folded into one need.
- The cursor stands before the oldest row that is neither sent nor covered by an `owed` row. A failure, and a request
  that takes long, becomes an `owed` row in the same commit as the cursor passes it.
- Live changes go first; one send in ten is kept for a backfill.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hub.delivery import need as needs
from hub.delivery.need import Need
from hub.delivery.policy import Next
from hub.ocpi.types import PartyId
from hub.store import lanes as store
from hub.store.db import Statements
from hub.store.lanes import Debt, Walk
from hub.store.outgoing import Identity

BACKFILL_SHARE = 10
SLOW = 1.0
"""Seconds after which a request under way is covered by an `owed` row, so that the cursor need not wait for it."""

REMEMBERED = 10_000
"""Marks of `owed` rows, paid or rewritten since, that are remembered: a read that began before still shows them."""

COVER = 15.0
"""Seconds until such a row is due: longer than any request can take, so only a crash makes it so."""


async def open_for(session: Statements, party_id: int, receiver: PartyId | str) -> None:
    """Give a party its lane in the transaction that registers it; its cursor stands at the log's head, so what is
    older is for a backfill (hub.delivery.backfill.start)."""
    await store.open_lane(session, party_id, str(receiver))


@dataclass(slots=True, eq=False)
class Page:
    """Some objects of a backfill; it is walked when all of them are sent or owed."""

    walk: Walk
    last_id: int
    left: int
    final: bool


@dataclass(slots=True, eq=False)
class Item:
    """An object to be sent. `since` is the oldest log position in it that no `owed` row covers, `mark` that of the
    `owed` row that covers it."""

    object: Identity
    need: Need
    correlation_id: str
    since: int | None = None
    mark: int | None = None
    tries: int = 0
    pages: tuple[Page, ...] = ()
    live: bool = False
    left_at: float = 0.0
    landed: bool = False


@dataclass(frozen=True, slots=True)
class Owing:
    """A failed item that is to become an `owed` row."""

    item: Item
    next: Next
    reason: str | None


@dataclass(slots=True)
class Settlement:
    """What of a lane one commit makes lasting."""

    lane: "Lane"
    position: int
    owing: list[Owing]
    slow: list[Item]
    cleared: list[int]
    walked: list[Page]

    def debts(self) -> list[Debt]:
        """The `owed` rows to write."""
        receiver = str(self.lane.receiver)
        failed = [_debt(receiver, o.item, o.next, o.reason) for o in self.owing]
        return failed + [_debt(receiver, item, Next(item.tries, COVER, False), None) for item in self.slow]


@dataclass(slots=True, eq=False)
class Lane:
    """One receiver's lane. `read_to` is the last log position folded in, `settled` the cursor as committed.

    `attached` lanes get the rows that the worker reads at the log's tail; the others catch up first. A `closed` lane
    sends nothing more.
    """

    party_id: int
    receiver: PartyId
    read_to: int
    settled: int = 0
    attached: bool = False
    catching_up: bool = False
    closed: bool = False
    waiting: dict[Identity, Item] = field(default_factory=dict)
    flying: dict[Identity, Item] = field(default_factory=dict)
    owing: dict[Identity, Owing] = field(default_factory=dict)
    walks: dict[int, Walk] = field(default_factory=dict)
    page: Page | None = None
    _unsettled: dict[int, None] = field(default_factory=dict)
    _live: deque[Identity] = field(default_factory=deque)
    _back: deque[Identity] = field(default_factory=deque)
    _cleared: list[int] = field(default_factory=list)
    _past: dict[int, None] = field(default_factory=dict)
    _walked: list[Page] = field(default_factory=list)
    _taken: int = 0

    # --- what comes in ---

    def change(self, position: int, identity: Identity, need: Need, correlation_id: str) -> None:
        """A row of the log that concerns this receiver; rows come in order of position."""
        item = self.waiting.get(identity)
        if item is None:
            failed = self.owing.get(identity)
            item = Item(identity, needs.union(failed.item.need, need) if failed else need, correlation_id)
            self.waiting[identity] = item
        else:
            item.need, item.correlation_id = needs.union(item.need, need), correlation_id
        self._queue(item)
        if item.since is None:
            item.since = position
            self._unsettled[position] = None

    def stand(self, debt: Debt) -> None:
        """What was owed already of an object that has just changed: the change is folded into it, a parked one is
        tried again, one that is not due yet goes on waiting."""
        identity = (debt.owner, debt.module, debt.key)
        item = self.waiting.get(identity)
        if item is None or item.mark is not None or self._knows_better(debt):
            return
        item.need, item.mark = needs.union(needs.from_json(debt.need), item.need), debt.mark
        item.tries = 0 if debt.parked else debt.tries
        if not debt.parked and debt.delay > 0:
            del self.waiting[identity]
            self.owing[identity] = Owing(item, Next(item.tries, debt.delay, False), debt.reason)

    def owe(self, debt: Debt) -> None:
        """An `owed` row that is due."""
        if self._knows_better(debt):
            return
        identity = (debt.owner, debt.module, debt.key)
        item = self.waiting.get(identity)
        if item is None:
            item = self.waiting[identity] = Item(identity, needs.from_json(debt.need), debt.correlation_id)
        elif item.mark != debt.mark:
            item.need = needs.union(needs.from_json(debt.need), item.need)
        item.mark, item.tries = debt.mark, debt.tries
        self._queue(item)

    def turn_to(self, page: Page, identities: Iterable[Identity]) -> None:
        """A page of a backfill: each of its objects is owed whole."""
        self.page = page
        for identity in identities:
            item = self.waiting.get(identity)
            if item is None:
                item = self.waiting[identity] = Item(identity, needs.WHOLE, page.walk.correlation_id)
                self._back.append(identity)
            item.need, item.pages = needs.WHOLE, (*item.pages, page)
            page.left += 1
        if page.left == 0:
            self._walked.append(page)

    # --- what goes out ---

    def take(self, now: float) -> Item | None:
        """The next object to send, now under way."""
        self._taken += 1
        queues = (self._live, self._back) if self._taken % BACKFILL_SHARE else (self._back, self._live)
        for queue in queues:
            while queue:
                identity = queue.popleft()
                item = self.waiting.get(identity)
                if item is not None and identity not in self.flying:
                    del self.waiting[identity]
                    self.flying[identity] = item
                    item.left_at = now
                    return item
        return None

    def landed(self, item: Item) -> None:
        """It is with the receiver, or need not be."""
        self._came_back(item)
        failed = self.owing.pop(item.object, None)
        for done in (item, failed.item) if failed else (item,):
            done.landed = True
            self._resolve(done)
            self._clear(done.mark)

    def failed(self, item: Item, after: Next, reason: str | None) -> None:
        """It becomes an `owed` row, together with what has changed meanwhile (which un-parks it)."""
        self._came_back(item)
        newer = self.waiting.pop(item.object, None)
        older = self.owing.get(item.object)
        if newer is not None:
            self._absorb(item, newer)
            after = replace(after, tries=0, parked=False) if after.parked else after
        if older is not None:
            self._absorb(item, older.item)
        self.owing[item.object] = Owing(item, after, reason)

    def put_back(self, item: Item) -> None:
        """It was not tried after all."""
        self._came_back(item)
        newer = self.waiting.get(item.object)
        if newer is not None:
            self._absorb(item, newer)
        self.waiting[item.object] = item
        item.live = False
        self._queue(item)

    # --- what becomes lasting ---

    def settlement(self, now: float) -> Settlement | None:
        """What the next commit makes lasting; None when that is nothing."""
        owing = list(self.owing.values())
        late = [i for i in self.flying.values() if i.since is not None and now - i.left_at > SLOW]
        slow = [item for item in late if item.object not in self.owing]
        position = self._position({item.since for item in (*(o.item for o in owing), *slow)})
        if not (owing or slow or self._cleared or self._walked) and position == self.settled:
            return None
        cleared, self._cleared = self._cleared, []
        walked, self._walked = self._walked, []
        for item in (*(o.item for o in owing), *slow):
            self._remember(item.mark)
        return Settlement(self, position, owing, slow, cleared, walked)

    def commit(self, settlement: Settlement, marks: Mapping[Identity, int]) -> bool:
        """It is lasting; `marks` are those of the rows that were written, without rows that somebody else writes too:
        these stay, whatever lands. True when that leaves more to commit."""
        self.settled = settlement.position
        for owing in settlement.owing:
            self._now_owed(owing, marks.get(owing.item.object))
        for item in settlement.slow:
            self._resolve(item)
            item.mark = marks.get(item.object)
            if item.landed:
                self._clear(item.mark)
        for page in settlement.walked:
            if page.final:
                self.walks.pop(page.walk.id, None)
            else:
                self.walks[page.walk.id] = replace(page.walk, last_id=page.last_id)
            if self.page is page:
                self.page = None
        return bool(self._cleared)

    def undo(self, settlement: Settlement) -> None:
        """The commit failed: the same will be in the next settlement, and the rows are still as they were read."""
        for item in (*(o.item for o in settlement.owing), *settlement.slow):
            self._past.pop(item.mark or 0, None)
        self._cleared += settlement.cleared
        self._walked += settlement.walked

    def shelve(self) -> bool:
        """Forget what waits, so that it is read again later; not while something is under way or unwritten."""
        if self.flying or self.owing or self._cleared or self._walked:
            return False
        self.read_to = self._position(())
        self.attached = False
        self.page = None
        for cache in (self.waiting, self.walks, self._unsettled, self._live, self._back):
            cache.clear()
        return True

    def restart(self, position: int) -> None:
        """Go on from `position`: what was before it is for a backfill."""
        self.read_to = self.settled = position
        self._unsettled.clear()
        for item in (*self.waiting.values(), *self.flying.values(), *(o.item for o in self.owing.values())):
            item.since = None

    # --- within ---

    def _position(self, covered: Iterable[int | None]) -> int:
        """Where the cursor may stand once the rows at `covered` have become `owed` rows."""
        passed = set(covered)
        for position in self._unsettled:
            if position not in passed:
                return position - 1
        return self.read_to

    def _now_owed(self, owing: Owing, mark: int | None) -> None:
        item = owing.item
        standing = self.owing.get(item.object)
        if standing is None:  # it landed meanwhile
            self._clear(mark)
            return
        if standing is not owing:  # it failed again meanwhile: the row is to be written again
            standing.item.mark = mark
            return
        self._resolve(item)
        del self.owing[item.object]
        newer = self.waiting.get(item.object)
        if newer is not None and newer.mark is None:
            newer.mark, newer.tries = mark, owing.next.tries

    def _came_back(self, item: Item) -> None:
        if self.flying.get(item.object) is item:
            del self.flying[item.object]
        newer = self.waiting.get(item.object)
        if newer is not None:  # its turn came while this one was under way
            newer.live = False
            self._queue(newer)

    def _knows_better(self, debt: Debt) -> bool:
        """Whether a row says less than the lane knows: its object is under way or about to be written, or the row was
        read before it was paid or rewritten."""
        identity = (debt.owner, debt.module, debt.key)
        return identity in self.flying or identity in self.owing or debt.mark in self._past

    def _clear(self, mark: int | None) -> None:
        if mark is not None:
            self._cleared.append(mark)
            self._remember(mark)

    def _remember(self, mark: int | None) -> None:
        if mark is not None:
            self._past[mark] = None
            if len(self._past) > REMEMBERED:
                del self._past[next(iter(self._past))]

    def _queue(self, item: Item) -> None:
        if not item.live:
            item.live = True
            self._live.append(item.object)

    def _resolve(self, item: Item) -> None:
        if item.since is not None:
            self._unsettled.pop(item.since, None)
            item.since = None
        for page in item.pages:
            page.left -= 1
            if page.left == 0:
                self._walked.append(page)
        item.pages = ()

    def _absorb(self, item: Item, other: Item) -> None:
        """Fold `other` into `item`; of two positions the older stands."""
        item.need = needs.union(item.need, other.need)
        item.pages = (*item.pages, *(page for page in other.pages if page not in item.pages))
        item.mark = other.mark if item.mark is None else item.mark
        positions = sorted(p for p in (item.since, other.since) if p is not None)
        for later in positions[1:]:
            self._unsettled.pop(later, None)
        item.since = positions[0] if positions else None
        other.since, other.pages = None, ()


def _debt(receiver: str, item: Item, after: Next, reason: str | None) -> Debt:
    return Debt(
        *(receiver, *item.object),
        needs.to_json(item.need),
        item.correlation_id,
        tries=after.tries,
        delay=after.delay,
        reason=reason,
        parked=after.parked,
        mark=item.mark,
    )
