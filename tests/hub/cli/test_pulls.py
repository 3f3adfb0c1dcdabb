from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import handshake
from hub.exchange.puller import Puller
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def cpo(served: Any) -> Any:
    """NL*CPA, connected, with a good and a bad Tariff that it pushes to nobody."""
    async with CpoBackend("NL*CPA") as partner:
        invited = await handshake.invite(served.hub, "CPA", [(partner.parties[0], "CPO")])
        await partner.register(served.hub.versions_url, invited)
        partner.tariffs._objects["NL", "CPA", "T1"] = samples.tariff(id="T1", at="2026-01-01T00:00:00Z")
        partner.tariffs._objects["NL", "CPA", "T2"] = samples.tariff(id="T2") | {"currency": 5}
        yield partner


async def _read(hub: Any) -> None:
    reader = Puller(hub)
    while await reader.turn():
        await reader.settle()


async def test_pull_list_show_now_and_forget(served: Any, cpo: CpoBackend, knutpunkt: Command) -> None:
    assert "nothing is pulled" in (await knutpunkt("pull", "list")).out
    await _read(served.hub)
    assert (await knutpunkt("pull", "now", "NL*CPA", "tokens")).status == 1
    said = await knutpunkt("pull", "now", "NL*CPA", "tariffs")
    assert (said.status, "NL*CPA: tariffs will be read at once" in said.out) == (0, True)
    await _read(served.hub)
    (row,) = [row for row in (await knutpunkt("pull", "list", "--json")).value if row["module"] == "tariffs"]
    assert (row["objects"], row["changed"], row["invalid"], row["state"]) == (2, 1, 1, "waiting")
    shown = await knutpunkt("pull", "show", "NL*CPA", "tariffs")
    assert "currency" in shown.out
    assert "nothing has vanished" in shown.out
    cpo.tariffs._objects.clear()
    await knutpunkt("pull", "now", "NL*CPA", "tariffs", "--full")
    await _read(served.hub)
    assert "T1" in (await knutpunkt("pull", "show", "NL*CPA", "tariffs")).out
    forgotten = await knutpunkt("pull", "forget", "NL*CPA", "tariffs")
    assert "1 tariffs of NL*CPA are taken for deleted" in forgotten.out
    async with served.hub.db.unit_of_work() as session:
        assert (await session.execute(text("SELECT count(*) FROM object WHERE NOT deleted"))).scalar_one() == 0


async def test_what_is_pulled_and_how_a_platform_is_can_be_set(cpo: CpoBackend, knutpunkt: Command) -> None:
    given = ["--pull", "tariffs,locations", "--quirk", "links=query", "--quirk", "limit=25"]
    ended = await knutpunkt("platform", "set", "2", *given)
    assert (ended.status, ended.err) == (0, "")
    assert "pull locations, tariffs, quirks limit=25 links=query" in ended.out
    assert "limit=25 links=query" in (await knutpunkt("platform", "show", "2")).out
    assert "pull off" in (await knutpunkt("platform", "set", "2", "--pull", "off")).out
    assert "pull auto" in (await knutpunkt("platform", "set", "2", "--pull", "auto")).out
    assert (await knutpunkt("platform", "set", "2", "--quirk", "links")).status == 2
    refused = await knutpunkt("platform", "set", "2", "--quirk", "links=up")
    assert (refused.status, "links is one of follow, query, none" in refused.err) == (1, True)
    assert (await knutpunkt("platform", "set", "2", "--pull", "parking")).status == 1
