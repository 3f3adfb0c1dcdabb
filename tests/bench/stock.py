"""Locations of the CPO that the benches are about, as bodies and as rows of the store."""

from datetime import UTC, datetime, timedelta

import asyncpg

from hub.ocpi import json, patch
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.settings import Settings
from hub.store.objects import EVERYBODY
from modules.catalog import LOCATIONS

OWNER = samples.CPO
LOADED_AT = format_datetime(datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1))
_NUMBER = "000000"
_AT_ONCE = 500
"""Rows in one transaction: each of them counts, and a counter that changes very often in one is slow."""

_LOAD = (
    "INSERT INTO object (owner, module, key, audience, body, times, last_updated)"
    ' SELECT $1, $2, replace($3, $8, n), $4, replace($5, \'"id":"LOC\' || $8, \'"id":"LOC\' || n), $6::jsonb, $7'
    " FROM (SELECT lpad(i::text, length($8), '0') AS n FROM generate_series($9::integer, $10 - 1) AS i) AS numbers"
)


def location_id(number: int | str) -> str:
    """The id of the location with this number, of six digits or a slot of as many characters."""
    return f"LOC{number:06}" if isinstance(number, int) else f"LOC{number}"


def later() -> str:
    """A moment after the loading."""
    return format_datetime(datetime.now(UTC))


def location(number: int | str, at: str) -> bytes:
    """A location of 2 EVSEs."""
    return json.dumps(samples.location(OWNER, location_id(number), at=at))


async def fill(settings: Settings, count: int) -> None:
    """Put locations into the store of a hub."""
    database = await asyncpg.connect(settings.database_url, ssl=False)
    try:
        await load(database, count)
    finally:
        await database.close()


async def load(database: asyncpg.Connection, count: int) -> None:
    """Put `count` locations into the store, number 0 and up, as a broadcast PUT of each would have, an hour ago."""
    body = json.loads(location(_NUMBER, LOADED_AT))
    _, state = patch.put(None, body, LOCATIONS)
    assert state is not None
    for first in range(0, count, _AT_ONCE):
        await database.execute(
            _LOAD,
            OWNER,
            LOCATIONS.name,
            LOCATIONS.key_of(body),
            EVERYBODY,
            json.dumps(state.body).decode(),
            json.dumps(state.times).decode(),
            datetime.fromisoformat(LOADED_AT),
            _NUMBER,
            first,
            min(first + _AT_ONCE, count),
        )
    await database.execute("VACUUM ANALYZE object")
