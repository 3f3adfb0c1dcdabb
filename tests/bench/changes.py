"""Changes for the lanes: made as an accept makes them, in this process, so that no API takes part."""

import asyncio
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from hub.delivery.bell import Bell
from hub.exchange import keep
from hub.exchange.keep import Change
from hub.ocpi import headers, json
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId
from hub.settings import Settings
from hub.store.db import Database
from hub.store.objects import EVERYBODY
from modules.catalog import LOCATIONS
from tests.bench import stock


class Changes:
    """Writes to the store of a hub and rings its bell. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._db = Database(settings.database_url, pool_size=1)
        self._bell = Bell(settings.broker)

    async def __aenter__(self) -> Self:
        self._bell.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._bell.stop)
        await self._db.close()

    async def make(self, numbers: Iterable[int], at: str) -> float:
        """A broadcast PUT of these locations, in one transaction: the moment (of the monotonic clock) of the commit."""
        async with self._db.unit_of_work(stock.OWNER) as session:
            await keep.apply_all(session, [put(number, at) for number in numbers])
        committed = time.monotonic()
        self._bell.ring()
        return committed


def put(number: int, at: str) -> Change:
    """A broadcast PUT of a location."""
    body = json.loads(stock.location(number, at))
    ref = Ref(PartyId.parse(stock.OWNER), stock.location_id(number))
    return Change("PUT", LOCATIONS, ref, body, EVERYBODY, headers.new_id(), True)
