"""hub.delivery.lanes: whatever happens in which order, nothing that is owed is forgotten.

A model of the database (log, cursor, owed rows, one backfill) runs beside a lane. After every step, each change that the
receiver has not got must be above the committed cursor, in an owed row, or before the backfill: a crash may come now.
"""

import itertools
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hub.delivery import need as needs
from hub.delivery.lanes import Item, Lane, Page, Settlement
from hub.delivery.need import WHOLE, Need
from hub.delivery.policy import Next
from hub.ocpi.types import PartyId
from hub.store.lanes import Debt, Walk

Identity = tuple[str, str, str]
RECEIVER = PartyId("DE", "MSA")
objects = st.sampled_from([("NL*CPA", "locations", key) for key in "ABCD"])
some_needs = st.sampled_from([WHOLE, {"E1": frozenset({"status"})}, {"E2": None}, {"E1": frozenset({"images"})}])
afters = st.builds(Next, st.integers(0, 8), st.sampled_from([0.0, 5.0]), st.booleans())


@dataclass
class Obligation:
    """Something the receiver has not got: from a log row (`position`), the backfill (`number`), or an owed row alone."""

    identity: Identity
    need: Need
    position: int | None = None
    number: int | None = None


@dataclass
class Database:
    """What survives a crash."""

    log: list[tuple[Identity, Need]] = field(default_factory=list)
    cursor: int = 0
    owed: dict[Identity, Debt] = field(default_factory=dict)
    walked: int = 99
    marks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def write(self, settlement: Settlement) -> dict[Identity, int]:
        for identity, debt in list(self.owed.items()):
            if debt.mark in settlement.cleared:
                del self.owed[identity]
        written = {}
        for debt in settlement.debts():
            identity = (debt.owner, debt.module, debt.key)
            written[identity] = self.owe(identity, debt)
        for page in settlement.walked:
            self.walked = 99 if page.final else page.last_id
        self.cursor = max(self.cursor, settlement.position)
        return written

    def owe(self, identity: Identity, debt: Debt) -> int:
        old, mark = self.owed.get(identity), next(self.marks)
        need, parked = debt.need, debt.parked
        if old is not None and old.mark != debt.mark:
            need, parked = (need if old.need == need else needs.to_json(WHOLE)), False
        tries, delay = debt.tries, debt.delay
        self.owed[identity] = Debt("DE*MSA", *identity, need, "c", tries, delay, None, parked, mark)
        return mark


class Lanes(RuleBasedStateMachine):
    """A lane against the model."""

    @initialize()
    def begin(self) -> None:
        self.db = Database()
        self.lane = Lane(1, RECEIVER, 0, 0)
        self.owing: list[Obligation] = []
        self.flights: list[tuple[Item, Need, list[Obligation]]] = []
        self.pending: Settlement | None = None
        self.now = 0.0

    @rule(identity=objects, need=some_needs)
    def accept(self, identity: Identity, need: Need) -> None:
        self.db.log.append((identity, need))
        self.owing.append(Obligation(identity, need, position=len(self.db.log)))

    @rule(identity=objects)
    def push_directly(self, identity: Identity) -> None:
        """The API owes the object outright, whatever is owed already."""
        self.db.owe(identity, Debt("DE*MSA", *identity, needs.to_json(WHOLE), "c", mark=-1))
        self.owing.append(Obligation(identity, WHOLE))

    @precondition(lambda self: self.db.walked == 99)
    @rule()
    def begin_backfill(self) -> None:
        self.db.walked = 0
        self.lane.page = None
        for number, key in enumerate("ABCD", 1):
            self.owing.append(Obligation(("NL*CPA", "locations", key), WHOLE, number=number))

    @rule()
    def read(self) -> None:
        rows = list(enumerate(self.db.log, 1))[self.lane.read_to :]
        standing = [self.db.owed[identity] for _, (identity, _) in rows if identity in self.db.owed]
        for position, (identity, need) in rows:
            self.lane.change(position, identity, need, "c")
        for debt in standing:
            self.lane.stand(debt)
        self.lane.read_to = len(self.db.log)

    @rule()
    def take_up(self) -> None:
        for debt in self.db.owed.values():
            if not debt.parked:
                self.lane.owe(debt)

    @precondition(lambda self: self.db.walked < 99 and self.lane.page is None and self.pending is None)
    @rule()
    def walk(self) -> None:
        numbers = [number for number in range(1, 5) if number > self.db.walked][:2]
        last = numbers[-1] if numbers else self.db.walked
        page = Page(Walk(1, "DE*MSA", "NL*CPA", "locations", last, "r", "c"), last, 0, len(numbers) < 2)
        self.lane.turn_to(page, [("NL*CPA", "locations", "ABCD"[number - 1]) for number in numbers])

    @rule()
    def take(self) -> None:
        item = self.lane.take(self.now)
        if item is not None:
            assert all(item.object != other.object for other, _, _ in self.flights)
            met = [o for o in self.owing if o.identity == item.object]
            self.flights.append((item, item.need, met))

    @precondition(lambda self: self.flights)
    @rule(data=st.data())
    def land(self, data: st.DataObject) -> None:
        item, need, met = self.flights.pop(data.draw(st.integers(0, len(self.flights) - 1)))
        self.lane.landed(item)
        self._got(need, met)

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), after=afters)
    def fail(self, data: st.DataObject, after: Next) -> None:
        item, _, _ = self.flights.pop(data.draw(st.integers(0, len(self.flights) - 1)))
        self.lane.failed(item, after, "no")

    @precondition(lambda self: self.flights)
    @rule()
    def put_back(self) -> None:
        item, _, _ = self.flights.pop()
        self.lane.put_back(item)

    @rule(seconds=st.sampled_from([0.1, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.pending is None)
    @rule()
    def begin_commit(self) -> None:
        self.pending = self.lane.settlement(self.now)

    @precondition(lambda self: self.pending is not None)
    @rule(outcome=st.sampled_from(["committed", "failed", "lost"]))
    def end_commit(self, outcome: str) -> None:
        """Lost: the commit took place, but the worker does not learn of it and tries again."""
        settlement, self.pending = self.pending, None
        assert settlement is not None
        marks = self.db.write(settlement) if outcome != "failed" else {}
        if outcome == "committed":
            self.lane.commit(settlement, marks)
        else:
            self.lane.undo(settlement)

    @rule(landed=st.booleans())
    def crash(self, landed: bool) -> None:
        if landed:
            for _, need, met in self.flights:
                self._got(need, met)
        self.flights, self.pending = [], None
        self.lane = Lane(1, RECEIVER, self.db.cursor, self.db.cursor)

    @precondition(lambda self: self.pending is None)
    @rule()
    def shelve(self) -> None:
        if self.lane.shelve():
            assert self.lane.read_to >= self.db.cursor

    @invariant()
    def nothing_is_forgotten(self) -> None:
        for debt in getattr(self, "owing", []):
            above = debt.position is not None and debt.position > self.db.cursor
            before = debt.number is not None and debt.number > self.db.walked
            row = self.db.owed.get(debt.identity)
            covered = row is not None and _covers(needs.from_json(row.need), debt.need)
            assert above or before or covered, debt

    def teardown(self) -> None:
        """Everything is delivered in the end, and nothing is owed any more."""
        if not hasattr(self, "db"):
            return
        if self.pending is not None:
            self.lane.undo(self.pending)
        for item, _, _ in self.flights:
            self.lane.put_back(item)
        self.flights = []
        for _ in range(30):
            self._work_off()
            if not self.owing and not self.db.owed and self.db.walked == 99 and self.db.cursor == len(self.db.log):
                return
        raise AssertionError((self.owing, self.db))

    def _work_off(self) -> None:
        """The receiver takes everything, and the operator replays what is parked."""
        for identity, debt in self.db.owed.items():
            self.db.owed[identity] = replace(debt, parked=False, delay=0.0)
        self.read()
        self.take_up()
        if self.db.walked < 99 and self.lane.page is None:
            self.walk()
        while (item := self.lane.take(self.now)) is not None:
            self._got(item.need, [o for o in self.owing if o.identity == item.object])
            self.lane.landed(item)
        settlement = self.lane.settlement(self.now)
        if settlement is not None:
            self.lane.commit(settlement, self.db.write(settlement))

    def _got(self, need: Need, met: list[Obligation]) -> None:
        """The receiver has the state that these obligations are about, as far as it was sent."""
        self.owing = [o for o in self.owing if not (any(o is m for m in met) and _covers(need, o.need))]


def _covers(need: Need, other: Need) -> bool:
    return needs.union(need, other) == need


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
