import json
from collections.abc import Awaitable, Callable
from typing import Any

from hub.store.db import Database

Command = Callable[..., Awaitable[Any]]


async def test_a_hub_that_is_well(knutpunkt: Command, served: Any) -> None:
    ended = await knutpunkt("status")
    assert ended.status == 0
    assert f"NL*HUB at {served.url}" in ended.out
    assert "none yet: `knutpunkt invite` one" in ended.out
    assert json.loads((await knutpunkt("status", "--json")).out)["database"] == "ok"


async def test_a_hub_without_its_database(knutpunkt: Command, served: Any) -> None:
    there = served.hub.db
    served.hub.db = Database("postgresql://nobody:none@127.0.0.1:9/none")
    try:
        ended = await knutpunkt("status")
    finally:
        served.hub.db = there
    assert ended.status == 1
    assert "does not answer" in ended.out
    assert ended.err.startswith("knutpunkt: the hub runs without its database")
