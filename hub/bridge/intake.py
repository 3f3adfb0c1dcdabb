"""Meter values into the database, many stations per commit.

Whoever adds readings waits until the transaction that holds them is committed; while one commit is under way, the
next batch gathers. So a busy bridge pays one statement and one commit for hundreds of messages, and an idle one does
not wait for anything.
"""

import asyncio

import asyncpg
import structlog

from hub.store import charging
from hub.store.charging import Metered
from hub.store.db import Database

log = structlog.get_logger(__name__)

BATCH = 500


class Intake:
    """The one writer of meter values in a process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[tuple[list[Metered], asyncio.Future[None]]] = []
        self._work = asyncio.Event()

    async def add(self, readings: list[Metered]) -> None:
        """Returns when the readings are committed; raises what went wrong with them."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((readings, done))
        self._work.set()
        await done

    async def run(self) -> None:
        """Write, for ever. What waits when it is cancelled is not written, and its stations will send it again."""
        try:
            while True:
                await self._take_up()
        finally:
            for _, done in self._waiting:
                done.cancel()

    async def _take_up(self) -> None:
        await self._work.wait()
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if not self._waiting:
            self._work.clear()
        try:
            await self._write([reading for readings, _ in batch for reading in readings])
            _settle(batch, None)
        except asyncpg.PostgresError as failure:
            if len(batch) == 1:
                _settle(batch, failure)
            else:
                await self._one_by_one(batch)
        except Exception as failure:  # the database is away: it would be so for each of them
            _settle(batch, failure)

    async def _one_by_one(self, batch: list[tuple[list[Metered], asyncio.Future[None]]]) -> None:
        """One bad message must not cost the others their answer."""
        log.warning("batch of meter values refused, writing them one by one", messages=len(batch))
        for message in batch:
            try:
                await self._write(message[0])
                _settle([message], None)
            except Exception as failure:
                _settle([message], failure)

    async def _write(self, readings: list[Metered]) -> None:
        async with self._db.unit_of_work() as session:
            await charging.metered(session, readings)


def _settle(batch: list[tuple[list[Metered], asyncio.Future[None]]], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
