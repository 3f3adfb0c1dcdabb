"""What is loaded by SQL must be what the hub writes itself."""

import asyncpg
import pytest

from hub.exchange import keep
from hub.ocpi import json
from hub.store.db import Database
from tests.bench import changes, stock

ROW = "SELECT owner, module, key, audience, body, times, last_updated, deleted FROM object WHERE key = 'LOC000011'"


async def test_a_loaded_row_is_the_row_that_a_push_leaves(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, ssl=False)
    db = Database(database_url, pool_size=1)
    try:
        await stock.load(connection, 12)
        loaded = await connection.fetchrow(ROW)
        await connection.execute("TRUNCATE object")
        async with db.unit_of_work(stock.OWNER) as session:
            await keep.apply(session, changes.put(11, stock.LOADED_AT))
        pushed = await connection.fetchrow(ROW)
    finally:
        await db.close()
        await connection.close()
    assert loaded is not None
    assert loaded == pushed


@pytest.mark.parametrize("number", [0, 99_999])
def test_a_location_has_two_evses_and_an_id_of_one_length(number: int) -> None:
    body = json.loads(stock.location(number, stock.LOADED_AT))
    assert len(body["evses"]) == 2
    assert body["id"] == f"LOC{number:06}"
    assert {body["last_updated"], *(evse["last_updated"] for evse in body["evses"])} == {stock.LOADED_AT}
