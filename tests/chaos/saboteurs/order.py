"""Guards of the lanes: one holder, one request at a time for each object, nothing forgotten in between."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from hub.delivery import backfill
from hub.delivery.holder import Holder, Timing
from hub.delivery.lanes import Lane
from hub.delivery.loader import Loader
from hub.delivery.log import SHARD
from hub.delivery.settle import Settler
from hub.exchange import push
from hub.store import lanes, log
from hub.store.db import FAULTS, HUB_ITSELF, Session
from tests.chaos.saboteurs.saboteur import saboteur

_DIRECT = "test_order.py::test_a_direct_push_that_overtakes_a_broadcast_is_what_the_receiver_keeps"

_BY_KEY = text(
    "DELETE FROM owed o USING unnest(CAST(:objects AS text[]), CAST(:receivers AS text[])) AS v(object, receiver)"
    " WHERE o.owner || '/' || o.module || '/' || o.key = v.object AND o.receiver = v.receiver"
)
_MARKED = text("SELECT mark, owner || '/' || module || '/' || key, receiver FROM owed")

LEASE = 1.0
_LEASE = (
    "UPDATE lane SET holder = $2 || '@' || extract(epoch FROM now() + $3 * interval '1 second')"
    " WHERE party_id = ANY($1) AND (holder IS NULL OR starts_with(holder, $2)"
    " OR split_part(holder, '@', 2)::float8 < extract(epoch FROM now())) RETURNING party_id"
)
_RENEW = (
    "UPDATE lane SET holder = $1 || '@' || extract(epoch FROM now() + $2 * interval '1 second')"
    " WHERE starts_with(holder, $1)"
)


@saboteur("test_order.py::test_a_slow_receiver_gets_one_version_after_the_other", breaks="backwards", quick=True)
def two_at_once(off: pytest.MonkeyPatch) -> None:
    """There is one request at a time for each object of a receiver."""
    ordinary = Lane.take

    def take(self: Lane, now: float) -> Any:
        under_way, self.flying = self.flying, {}
        try:
            return ordinary(self, now)
        finally:
            self.flying = under_way | self.flying

    off.setattr(Lane, "take", take)


@saboteur("test_order.py::test_what_is_tried_again_is_the_state_of_now", breaks="lost")
def state_not_read_again(off: pytest.MonkeyPatch) -> None:
    """An object is read when it goes out, each time that it does."""
    ordinary = Loader.state
    first: dict[Any, Any] = {}

    async def state(self: Loader, identity: Any, receiver: str) -> Any:
        if (identity, receiver) not in first:
            first[identity, receiver] = await ordinary(self, identity, receiver)
        return first[identity, receiver]

    off.setattr(Loader, "state", state)


@saboteur(
    "test_order.py::test_who_takes_over_a_lane_waits_for_what_its_holder_may_have_under_way",
    breaks="backwards",
    quick=True,
)
def takeover_at_once(off: pytest.MonkeyPatch) -> None:
    """Who finds a lane that was not let go waits until no request of its former holder can be alive."""
    off.setattr(Timing, "takeover", 0.0)


@saboteur("test_order.py::test_a_worker_that_stood_still_does_not_wake_up_with_old_news", breaks="backwards")
def lease_by_time(off: pytest.MonkeyPatch) -> None:
    """A lane is held by a database session's lock, not by a lease that ends while its holder stands still."""

    async def claim(self: Holder, party_ids: list[int]) -> dict[int, bool]:
        async with self._session() as connection:
            return {row[0]: True for row in await connection.fetch(_LEASE, party_ids, self.name, LEASE)}

    async def check(self: Holder) -> None:
        while True:
            await asyncio.sleep(LEASE / 4)
            with contextlib.suppress(*FAULTS, asyncpg.PostgresError):
                async with self._session() as connection:
                    await connection.execute(_RENEW, self.name, LEASE)

    async def unlock(*_: Any) -> None:
        """There is no lock."""

    off.setattr(Holder, "claim", claim)
    off.setattr(Holder, "_check", check)
    off.setattr(Holder, "_unlock", unlock)


@saboteur("test_order.py::test_a_worker_that_is_killed_before_it_noted_a_failure_leaves_it_to_the_next", breaks="lost")
def cursor_before_what_is_owed(off: pytest.MonkeyPatch) -> None:
    """A cursor passes a failed object in the commit that writes it down as owed."""
    ordinary = Settler._write

    async def write(self: Settler, settlements: Any, facts: Any) -> Any:
        positions = {s.lane.party_id: s.position for s in settlements}
        async with self._db.unit_of_work() as session:
            await lanes.advance(session, SHARD, positions)
        return await ordinary(self, settlements, facts)

    off.setattr(Settler, "_write", write)


@saboteur(_DIRECT, breaks="lost", quick=True)
def direct_push_not_confirmed(off: pytest.MonkeyPatch) -> None:
    """After a direct push of what is broadcast as well, the lane sends the newest state once more."""

    @contextlib.asynccontextmanager
    async def unconfirmed(*_: Any) -> Any:
        yield

    off.setattr(push, "_confirmed_by_lane", unconfirmed)


@saboteur(_DIRECT, breaks="lost")
def debt_cleared_by_its_key(off: pytest.MonkeyPatch) -> None:
    """A lane clears the owed row that it has read, and none that was written since."""
    objects: dict[int, tuple[str, str]] = {}
    owe, due = lanes.owe, lanes.due

    async def noting(session: Any, *given: Any, **named: Any) -> Any:
        found = await (owe if len(given) == 1 else due)(session, *given, **named)
        objects.update({row[0]: (row[1], row[2]) for row in await session.execute(_MARKED)})
        return found

    async def settle(session: Any, marks: Any) -> None:
        known = [objects[mark] for mark in marks if mark in objects]
        names = {"objects": [name for name, _ in known], "receivers": [receiver for _, receiver in known]}
        await session.execute(_BY_KEY, names)

    off.setattr(lanes, "owe", noting)
    off.setattr(lanes, "due", noting)
    off.setattr(lanes, "settle", settle)


@saboteur(
    "test_order.py::test_a_log_that_was_pruned_before_a_lane_had_read_it_makes_a_full_delivery",
    breaks="lost",
    quick=True,
)
def tail_not_moved(off: pytest.MonkeyPatch) -> None:
    """The kept tail moves before rows of the log are deleted, so that a lane can tell that it missed some."""

    async def nothing(*_: Any) -> None:
        """The tail stays."""

    off.setattr(log, "raise_tail", nothing)


@saboteur("test_order.py::test_a_registration_whose_delivery_could_not_begin_is_none", breaks="lost", quick=True)
def full_delivery_begun_later(off: pytest.MonkeyPatch) -> None:
    """A full delivery begins in the commit of its cause."""
    ordinary = backfill.start
    later: set[asyncio.Task[None]] = set()

    async def begin(engine: Any, *given: Any) -> None:
        with contextlib.suppress(*FAULTS):
            async with Session(engine) as session, session.begin():
                await session.execute(text("SELECT set_config('hub.party', :party, true)"), {"party": HUB_ITSELF})
                await ordinary(session, *given)

    async def start(session: Any, *given: Any) -> None:
        later.add(asyncio.create_task(begin(session.bind, *given)))

    off.setattr(backfill, "start", start)
