"""hub.delivery.lanes: whatever happens in which order, nothing that is owed is forgotten.

A model of the database (log, cursor, owed rows, one backfill) runs beside a lane, which is driven by random steps.
After every step, each change that the receiver has not got must be above the committed cursor, in an owed row, or
before the backfill: a crash may come now. Steps are drawn from a plain seed, because that is fast enough to meet the
rare orders in which two writers of one row cross.
"""

import itertools
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub.delivery import need as needs
from hub.delivery.lanes import Item, Lane, Page, Settlement
from hub.delivery.need import WHOLE, Need
from hub.delivery.policy import Next
from hub.ocpi.types import PartyId
from hub.store.lanes import Debt, Walk

Identity = tuple[str, str, str]
RECEIVER = PartyId("DE", "MSA")
OBJECTS = [("NL*CPA", "locations", key) for key in "AB"]
NEEDS: list[Need] = [WHOLE, {"E1": frozenset({"status"})}, {"E2": None}, {"E1": frozenset({"images"})}]
DONE = 99


@dataclass
class Obligation:
    """Something the receiver has not got: of a log row (`position`), the backfill (`number`), or an owed row alone."""

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
    walked: int = DONE
    marks: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def write(self, settlement: Settlement) -> dict[Identity, int]:
        for identity, debt in list(self.owed.items()):
            if debt.mark in settlement.cleared:
                del self.owed[identity]
        written = {}
        for debt in settlement.debts():
            identity = (debt.owner, debt.module, debt.key)
            old = self.owed.get(identity)
            mark = self.owe(identity, debt)
            if old is None or old.mark == debt.mark:
                written[identity] = mark
        for page in settlement.walked:
            self.walked = DONE if page.final else page.last_id
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


class World:
    """A lane against the model."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.db = Database()
        self.lane = Lane(1, RECEIVER, 0, 0)
        self.owing: list[Obligation] = []
        self.flights: list[tuple[Item, Need, list[Obligation]]] = []
        self.pending: Settlement | None = None
        self.now = 0.0
        self.steps: list[str] = []

    def step(self) -> None:
        """One random step, and the promise that must hold after it."""
        name = self.random.choice(STEPS)
        self.steps.append(name)
        getattr(self, name)()
        for owed in self.owing:
            above = owed.position is not None and owed.position > self.db.cursor
            before = owed.number is not None and owed.number > self.db.walked
            row = self.db.owed.get(owed.identity)
            covered = row is not None and _covers(needs.from_json(row.need), owed.need)
            assert above or before or covered, (owed, self.steps)

    def accept(self) -> None:
        identity, need = self.random.choice(OBJECTS), self.random.choice(NEEDS)
        self.db.log.append((identity, need))
        self.owing.append(Obligation(identity, need, position=len(self.db.log)))

    def push_directly(self) -> None:
        """The API owes the object outright, whatever is owed already."""
        identity = self.random.choice(OBJECTS)
        self.db.owe(identity, Debt("DE*MSA", *identity, needs.to_json(WHOLE), "c", mark=-1))
        self.owing.append(Obligation(identity, WHOLE))

    def begin_backfill(self) -> None:
        if self.db.walked == DONE and self.lane.page is None:
            self.db.walked = 0
            for number, identity in enumerate(OBJECTS, 1):
                self.owing.append(Obligation(identity, WHOLE, number=number))

    def read(self) -> None:
        rows = list(enumerate(self.db.log, 1))[self.lane.read_to :]
        standing = [self.db.owed[identity] for _, (identity, _) in rows if identity in self.db.owed]
        for position, (identity, need) in rows:
            self.lane.change(position, identity, need, "c")
        for debt in standing:
            self.lane.stand(debt)
        self.lane.read_to = len(self.db.log)

    def take_up(self) -> None:
        for debt in self.db.owed.values():
            if not debt.parked:
                self.lane.owe(debt)

    def walk(self) -> None:
        if self.db.walked == DONE or self.lane.page is not None or self.pending is not None:
            return
        numbers = range(self.db.walked + 1, len(OBJECTS) + 1)[:1]
        last = numbers[-1] if numbers else self.db.walked
        page = Page(Walk(1, "DE*MSA", "NL*CPA", "locations", last, "r", "c"), last, 0, not numbers)
        self.lane.turn_to(page, [OBJECTS[number - 1] for number in numbers])

    def take(self) -> None:
        item = self.lane.take(self.now)
        if item is not None:
            assert all(item.object != other.object for other, _, _ in self.flights), self.steps
            self.flights.append((item, item.need, [o for o in self.owing if o.identity == item.object]))

    def land(self) -> None:
        if self.flights:
            item, need, met = self._arrival()
            self.lane.landed(item)
            self._got(need, met)

    def fail(self) -> None:
        if self.flights:
            item, _, _ = self._arrival()
            after = Next(self.random.randrange(9), self.random.choice([0.0, 5.0]), self.random.random() < 0.3)
            self.lane.failed(item, after, "no")

    def put_back(self) -> None:
        if self.flights:
            self.lane.put_back(self._arrival()[0])

    def wait(self) -> None:
        self.now += 2.0

    def begin_commit(self) -> None:
        if self.pending is None:
            self.pending = self.lane.settlement(self.now)

    def end_commit(self) -> None:
        """Sometimes the commit fails, sometimes it takes place and the worker does not learn of it."""
        settlement, self.pending = self.pending, None
        if settlement is None:
            return
        chance = self.random.random()
        marks = self.db.write(settlement) if chance < 0.8 else {}
        if chance < 0.6:
            self.lane.commit(settlement, marks)
        else:
            self.lane.undo(settlement)

    def crash(self) -> None:
        if self.random.random() < 0.2:
            for _, need, met in self.flights:
                if self.random.random() < 0.5:
                    self._got(need, met)
            self.flights, self.pending = [], None
            self.lane = Lane(1, RECEIVER, self.db.cursor, self.db.cursor)

    def shelve(self) -> None:
        if self.pending is None:
            self.lane.shelve()

    def work_off(self) -> bool:
        """Let the receiver take everything and the operator replay what is parked; True when nothing is left."""
        if self.pending is not None:
            self.lane.undo(self.pending)
            self.pending = None
        while self.flights:
            self.put_back()
        for identity, debt in self.db.owed.items():
            self.db.owed[identity] = replace(debt, parked=False, delay=0.0)
        self.read()
        self.take_up()
        self.walk()
        while (item := self.lane.take(self.now)) is not None:
            self._got(item.need, [o for o in self.owing if o.identity == item.object])
            self.lane.landed(item)
        settlement = self.lane.settlement(self.now)
        if settlement is not None:
            self.lane.commit(settlement, self.db.write(settlement))
        return not (self.owing or self.db.owed or self.db.walked != DONE or self.db.cursor != len(self.db.log))

    def _arrival(self) -> tuple[Item, Need, list[Obligation]]:
        return self.flights.pop(self.random.randrange(len(self.flights)))

    def _got(self, need: Need, met: list[Obligation]) -> None:
        """The receiver has the state that these obligations are about, as far as it was sent."""
        self.owing = [o for o in self.owing if not (any(o is m for m in met) and _covers(need, o.need))]


STEPS = [
    name
    for name, share in {
        "accept": 3,
        "push_directly": 1,
        "begin_backfill": 1,
        "read": 3,
        "take_up": 3,
        "walk": 2,
        "take": 5,
        "land": 3,
        "fail": 3,
        "put_back": 1,
        "wait": 1,
        "begin_commit": 4,
        "end_commit": 4,
        "crash": 1,
        "shelve": 1,
    }.items()
    for _ in range(share)
]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_forgotten_and_everything_ends(seed: int) -> None:
    for episode in range(100):
        world = World(1000 * seed + episode)
        for _ in range(80):
            world.step()
        assert any(world.work_off() for _ in range(30)), (world.owing, world.db, world.steps)


def _covers(need: Need, other: Need) -> bool:
    return needs.union(need, other) == need


A, B = OBJECTS
STATUS = NEEDS[1]


def _lane(*changes: tuple[Identity, Need]) -> Lane:
    lane = Lane(1, RECEIVER, 0)
    for position, (identity, need) in enumerate(changes, 1):
        lane.change(position, identity, need, "c")
        lane.read_to = position
    return lane


def _settled(lane: Lane, now: float = 0.0) -> Settlement:
    settlement = lane.settlement(now)
    assert settlement is not None
    return settlement


def _taken(lane: Lane, now: float = 0.0) -> Item:
    item = lane.take(now)
    assert item is not None
    return item


def _row(identity: Identity, need: Need, **values: Any) -> Debt:
    return Debt("DE*MSA", *identity, needs.to_json(need), "c", **{"mark": 1} | values)


def test_the_cursor_passes_a_failure_in_the_commit_that_owes_it() -> None:
    lane = _lane((A, STATUS), (B, STATUS))
    lane.failed(_taken(lane), Next(1, 5.0, False), "no")
    assert _settled(lane).position == 1
    lane.landed(_taken(lane))
    settlement = _settled(lane)
    assert settlement.position == 2
    assert [(debt.key, debt.need, debt.delay, debt.reason) for debt in settlement.debts()] == [
        ("A", {"E1": ["status"]}, 5.0, "no")
    ]


def test_a_slow_request_is_owed_so_that_the_cursor_goes_on_and_is_cleared_when_it_lands() -> None:
    lane = _lane((A, STATUS), (B, STATUS))
    slow = _taken(lane)
    lane.landed(_taken(lane))
    assert lane.settlement(0.5) is None
    settlement = _settled(lane, 2.0)
    assert (settlement.position, [debt.key for debt in settlement.debts()]) == (2, ["A"])
    lane.landed(slow)
    assert lane.commit(settlement, {A: 7})
    assert _settled(lane).cleared == [7]


def test_a_slow_request_beside_an_unwritten_failure_of_its_object_keeps_the_cursor() -> None:
    lane = _lane((A, STATUS))
    lane.failed(_taken(lane), Next(1, 0.0, False), "no")
    lane.change(2, A, {"E2": None}, "c")
    lane.read_to = 2
    _taken(lane)
    settlement = _settled(lane, 5.0)
    assert (settlement.position, settlement.slow) == (1, [])


def test_a_newer_version_unparks_what_was_refused() -> None:
    lane = _lane((A, STATUS))
    item = _taken(lane)
    lane.change(2, A, STATUS, "c")
    lane.failed(item, Next(8, 60.0, True), "no")
    (debt,) = _settled(lane).debts()
    assert (debt.parked, debt.tries) == (False, 0)
    parked = _lane((A, STATUS))
    parked.stand(_row(A, WHOLE, tries=8, parked=True, delay=50.0))
    item = _taken(parked)
    assert (item.need, item.tries, item.mark) == (WHOLE, 0, 1)


def test_what_is_not_due_yet_goes_on_waiting_with_the_change_folded_in() -> None:
    lane = _lane((A, STATUS))
    lane.stand(_row(A, {"E2": None}, tries=3, delay=20.0, reason="HTTP 500"))
    assert lane.take(0) is None
    (debt,) = _settled(lane).debts()
    assert (debt.need, debt.tries, debt.delay, debt.reason) == ({"E2": None, "E1": ["status"]}, 3, 20.0, "HTTP 500")


def test_nothing_stays_owed_of_a_failure_whose_newer_version_landed_meanwhile() -> None:
    lane = _lane((A, STATUS))
    lane.failed(_taken(lane), Next(8, 60.0, True), "no")
    settlement = _settled(lane)
    lane.change(2, A, STATUS, "c")
    lane.landed(_taken(lane))
    assert lane.commit(settlement, {A: 3})
    assert (_settled(lane).cleared, lane.owing) == ([3], {})


def test_one_send_in_ten_is_kept_for_a_backfill() -> None:
    lane = _lane(*((("NL*CPA", "locations", f"LIVE{n}"), WHOLE) for n in range(30)))
    page = Page(Walk(1, "DE*MSA", "NL*CPA", "locations", 3, "r", "c"), 3, 0, True)
    lane.turn_to(page, [("NL*CPA", "locations", f"OLD{n}") for n in range(3)])
    order = [_taken(lane).object[2] for _ in range(33)]
    assert [index for index, key in enumerate(order, 1) if key.startswith("OLD")] == [10, 20, 30]


def test_memory_does_not_grow_with_the_changes_of_one_object() -> None:
    lane = _lane(*((A, STATUS) for _ in range(1000)))
    _taken(lane)
    assert lane.take(0) is None
    assert not lane.waiting


def test_a_paid_debt_that_a_late_read_still_shows_is_not_paid_twice() -> None:
    lane, debt = Lane(1, RECEIVER, 0), _row(A, WHOLE)
    lane.owe(debt)
    lane.landed(_taken(lane))
    lane.owe(debt)  # read before the row was taken away
    assert lane.take(0.0) is None
    lane.owe(replace(debt, mark=2))  # owed anew meanwhile
    assert lane.take(0.0) is not None


def test_a_row_that_was_read_before_it_was_rewritten_does_not_cut_its_wait_short() -> None:
    lane = _lane()
    row = _row(A, WHOLE, mark=5)
    lane.owe(row)
    lane.failed(_taken(lane), Next(1, 30.0, False), "no")
    lane.commit(_settled(lane), {A: 6})
    lane.owe(row)
    assert lane.take(0) is None
