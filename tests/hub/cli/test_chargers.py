import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hub.ocpi import json as ocpi_json
from hub.sandbox import samples
from hub.store import stations
from hub.store.chargers import Station

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def square(knutpunkt: Command, host: str, tmp_path: Path) -> list[str]:
    """The options that name a Location of two EVSEs."""
    file = tmp_path / "square.json"
    file.write_bytes(ocpi_json.dumps(samples.location(host, "SQUARE")))
    assert (await knutpunkt("location", "put", str(file))).status == 0
    return ["--party", host, "--location", "SQUARE"]


async def test_a_charger_for_scripts(knutpunkt: Command, square: list[str]) -> None:
    ended = await knutpunkt("charger", "add", "CS-1", *square, "--evse", "EVSE2", "--json")
    assert (ended.status, ended.err) == (0, "")
    given = json.loads(ended.out)
    assert list(given) == ["station_id", "password", "url"]
    assert given["url"] == "ws://127.0.0.1:9000/ocpp/CS-1"


async def test_a_charger_for_people(knutpunkt: Command, square: list[str]) -> None:
    ended = await knutpunkt("charger", "add", "CS-1", *square)
    assert ended.status == 0
    assert "URL       ws://127.0.0.1:9000/ocpp/CS-1" in ended.out
    listed = await knutpunkt("charger", "list")
    assert "1: EVSE1/1" in listed.out
    assert "2: EVSE2/1" in listed.out
    assert max(map(len, listed.out.splitlines())) <= 100
    assert (await knutpunkt("charger", "remove", "CS-1")).status == 0
    assert "no charger" in (await knutpunkt("charger", "list")).out


async def test_what_cannot_be_installed(knutpunkt: Command, square: list[str]) -> None:
    missing = await knutpunkt("charger", "add", "CS-1", *square, "--evse", "EVSE9")
    assert (missing.status, missing.err) == (1, "knutpunkt: evse_uids[0]: the location has no such EVSE\n")
    await knutpunkt("charger", "add", "CS-1", *square)
    twice = await knutpunkt("charger", "add", "CS-1", *square)
    assert (twice.status, "exists already" in twice.err) == (1, True)
    for order in ("remove", "password"):
        unknown = await knutpunkt("charger", order, "CS-2")
        assert (unknown.status, "`knutpunkt charger list` shows them" in unknown.err) == (1, True)


async def test_a_lost_password_is_renewed(knutpunkt: Command, square: list[str], served: Any) -> None:
    first = (await knutpunkt("charger", "add", "CS-1", *square, "--json")).value
    renewed = (await knutpunkt("charger", "password", "cs-1", "--json")).value
    assert renewed["url"] == first["url"]
    async with served.hub.db.session() as session:
        stored = (await session.get_one(Station, "CS-1")).password_hash
    assert stations.password_fits(stored, renewed["password"].encode())
    assert not stations.password_fits(stored, first["password"].encode())
    assert "password" in (await knutpunkt("charger", "password", "CS-1")).out
