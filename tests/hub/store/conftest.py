"""The store with one charger."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.store import stations
from hub.store.db import Database

LOCATION: dict[str, Any] = {
    "id": "SQUARE",
    "evses": [
        {"uid": "E1", "connectors": [{"id": "1"}, {"id": "2"}]},
        {"uid": "E2", "connectors": [{"id": "1"}]},
    ],
}


@pytest.fixture
def location() -> dict[str, Any]:
    """SQUARE: two EVSEs, three connectors."""
    return LOCATION


@pytest.fixture
async def enrolled(database_url: str) -> AsyncIterator[Database]:
    """Cp-1 of NL*LOC stands at SQUARE."""
    database = Database(database_url)
    async with database.session() as session:
        await stations.enrol(session, "NL*LOC", "Cp-1", LOCATION)
    yield database
    await database.close()
