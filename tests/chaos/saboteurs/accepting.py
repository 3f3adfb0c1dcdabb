"""Guards of what is taken: an answer comes after the commit, a change is told in the transaction that makes it, and
positions are given in an order that no reader can miss."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from hub.delivery import engine, log
from hub.ocpi import patch
from hub.store import log as store
from hub.store.db import HUB_ITSELF, Database, Unit
from tests.chaos.saboteurs.saboteur import saboteur

_DIES = "test_accepting.py::test_a_database_that_dies_at_the_commit_loses_nothing_that_was_answered"
_OVERTAKEN = "test_accepting.py::test_a_change_whose_commit_took_long_arrives_after_those_that_overtook_it"

_POSITIONS = text("UPDATE change_log SET position = id WHERE position IS NULL RETURNING id")
_HEAD = text("UPDATE log_head SET position = GREATEST(position, CAST(:newest AS bigint)) RETURNING position")


@saboteur(_DIES, breaks="lost", quick=True)
def answer_before_commit(off: pytest.MonkeyPatch) -> None:
    """The answer to a push comes after the commit."""
    ordinary = Database.unit_of_work
    committing: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def unit_of_work(self: Database, party: Any = HUB_ITSELF) -> AsyncIterator[Unit]:
        if str(party) == HUB_ITSELF:
            async with ordinary(self, party) as unit:
                yield unit
            return
        stack = contextlib.AsyncExitStack()
        unit = await stack.enter_async_context(ordinary(self, party))
        try:
            yield unit
        except BaseException:
            await stack.__aexit__(*sys.exc_info())
            raise
        committing.add(asyncio.create_task(_commit(stack)))

    off.setattr(Database, "unit_of_work", unit_of_work)


async def _commit(stack: contextlib.AsyncExitStack) -> None:
    with contextlib.suppress(Exception):
        await stack.aclose()


@saboteur(_DIES, breaks="lost", quick=True)
def change_told_in_a_transaction_of_its_own(off: pytest.MonkeyPatch) -> None:
    """The row of the change log is written in the transaction that stores the object."""
    begin, tell = Database.unit_of_work, log.append
    untold: list[Any] = []

    @contextlib.asynccontextmanager
    async def unit_of_work(self: Database, party: Any = HUB_ITSELF) -> AsyncIterator[Unit]:
        async with begin(self, party) as unit:
            yield unit
        while untold:
            entries = untold.pop()
            async with begin(self) as unit:
                await tell(unit, entries)

    async def append(_: Any, entries: Any) -> None:
        untold.append(entries)

    off.setattr(Database, "unit_of_work", unit_of_work)
    off.setattr(log, "append", append)


@saboteur(_OVERTAKEN, breaks="lost", quick=True)
def position_taken_in_the_transaction(off: pytest.MonkeyPatch) -> None:
    """Positions of the change log are given after the commit, in its order."""

    async def stamp(session: Any, shard: int, full: bool, *_: Any) -> tuple[int, int]:
        ids = list((await session.execute(_POSITIONS)).scalars())
        head = (await session.execute(_HEAD, {"newest": max(ids, default=0)})).scalar_one()
        return len(ids), int(head)

    off.setattr(store, "stamp", stamp)


@saboteur(_OVERTAKEN, breaks="lost")
def late_commits_overlooked(off: pytest.MonkeyPatch) -> None:
    """Each second the whole log is searched for rows without a position, not only its end."""
    ordinary = store.stamp

    async def stamp(session: Any, shard: int, full: bool, *more: Any) -> tuple[int, int]:
        return await ordinary(session, shard, False, *more)

    off.setattr(store, "stamp", stamp)


@saboteur("test_accepting.py::test_an_old_message_that_comes_late_takes_nobody_back", breaks="backwards", quick=True)
def older_wins(off: pytest.MonkeyPatch) -> None:
    """What is older than what is kept changes nothing."""
    ordinary = patch._judge

    def judge(*given: Any) -> patch.Outcome:
        outcome = ordinary(*given)
        return patch.Outcome.APPLIED if outcome is patch.Outcome.OLDER else outcome

    off.setattr(patch, "_judge", judge)


@saboteur("test_accepting.py::test_with_redis_gone_the_workers_find_what_is_new_by_themselves", breaks="lost")
def no_sweep(off: pytest.MonkeyPatch) -> None:
    """Workers look for what is new once a second, rung for or not."""
    off.setattr(engine, "SWEEP", 3600.0)
