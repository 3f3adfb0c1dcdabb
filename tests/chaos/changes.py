"""Changes of many Locations, accepted as a broadcast push is, in this process: thousands a second, for the runs that
are about what comes after the accept."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hub.exchange import keep
from hub.exchange.keep import Change
from hub.ocpi import headers
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId, format_datetime
from hub.sandbox import samples
from hub.store.db import Database
from hub.store.objects import EVERYBODY
from modules.catalog import LOCATIONS
from tests.chaos import marks
from tests.chaos.rig import CPO, World

AT_ONCE = 200
"""Changes in one transaction."""


def location_id(number: int) -> str:
    """The id of one of them."""
    return f"MANY{number:06}"


def path(number: int) -> str:
    """Where it arrives, as the receivers write it down."""
    owner = PartyId.parse(CPO)
    return f"locations/{owner.country_code}/{owner.party_id}/{location_id(number)}"


async def make(world: World, count: int, versions: Iterable[int]) -> None:
    """Bring `count` Locations from version to version; the checker knows of it."""
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    db = Database(world.hub.settings.database_url, pool_size=1)
    try:
        for version in versions:
            at = format_datetime(since + timedelta(seconds=version))
            for first in range(0, count, AT_ONCE):
                numbers = range(first, min(first + AT_ONCE, count))
                async with db.unit_of_work(CPO) as session:
                    await keep.apply_all(session, [_put(number, version, at) for number in numbers])
                for number in numbers:
                    part = {f"locations/{location_id(number)}": version}
                    line = {"outcome": "ok", "kind": "location put", "to": EVERYBODY, "parts": part}
                    world.checker.feed(line | {"t": time.monotonic()})
    finally:
        await db.close()


def _put(number: int, version: int, at: str) -> Change:
    body = samples.location(CPO, location_id(number), at=at) | marks.mark("locations", version)
    ref = Ref(PartyId.parse(CPO), location_id(number))
    return Change("PUT", LOCATIONS, ref, body, EVERYBODY, headers.new_id(), True)
