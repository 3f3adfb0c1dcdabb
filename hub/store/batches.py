"""One transaction for many callers. Who comes while a batch is in the database joins the next one, so a busy process
pays one commit for dozens of messages, and in an idle one nobody waits for anything.

A batch is in the name of one party, like every unit of work, and so under its row-level security. Nobody is answered
before the commit. What is wrong with one item concerns only who brought it; a fault of the database is everybody's.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hub.ocpi.types import PartyId
from hub.store.db import Database, DatabaseUnable, Unit

AT_ONCE = 64
"""Items of a batch: as many bodies of 1 MiB are in one statement at the most."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[Unit, Sequence[Item]], Awaitable[Sequence[Answer | Exception]]]
"""Does all items in one transaction: for each, in their order, its answer or what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Batches(Generic[Item, Answer]):
    """Gathers items for `work`. Two with the same `key` come one after the other, never in one batch."""

    def __init__(self, db: Database, work: Work[Item, Answer], key: Callable[[Item], Hashable]) -> None:
        self._db, self._work, self._key = db, work, key
        self._waiting: dict[str, list[_Waiting[Item, Answer]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, party: PartyId | str, item: Item) -> Answer:
        """Have an item done in the name of `party`; its answer, once that is lasting. Raises what is wrong with the
        item, and DatabaseUnable. One whose caller is gone before its turn is not done."""
        name, answer = str(party), asyncio.get_running_loop().create_future()
        self._waiting.setdefault(name, []).append(_Waiting(item, answer))
        if name not in self._tasks:  # in a context of its own, for it outlives the caller that it begins with
            task = asyncio.create_task(self._serve(name), name=f"batches of {name}", context=contextvars.Context())
            self._tasks[name] = task
        found: Answer = await answer
        return found

    async def _serve(self, party: str) -> None:
        try:
            while self._waiting[party]:
                await self._do(party, self._next(party))
        finally:
            del self._waiting[party], self._tasks[party]

    def _next(self, party: str) -> list[_Waiting[Item, Answer]]:
        """The next batch: first come, first served, but each key once."""
        batch: dict[Hashable, _Waiting[Item, Answer]] = {}
        later = []
        for one in self._waiting[party]:
            if one.answer.done():  # its caller is gone
                continue
            if len(batch) == AT_ONCE or batch.setdefault(self._key(one.item), one) is not one:
                later.append(one)
        self._waiting[party] = later
        return list(batch.values())

    async def _do(self, party: str, batch: list[_Waiting[Item, Answer]]) -> None:
        if not batch:
            return
        try:
            async with self._db.unit_of_work(party) as unit:
                found = await self._work(unit, [one.item for one in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, DatabaseUnable):  # the database refuses what one of them brings
                for one in batch:
                    await self._do(party, [one])
                return
            found = [error] * len(batch)
        for one, answer in zip(batch, found, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
