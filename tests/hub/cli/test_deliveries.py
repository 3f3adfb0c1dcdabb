from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlmodel import col, update

from hub.delivery import owed
from hub.store.lanes import Owed

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def debts(served: Any) -> None:
    """One object owed to DE*MSA, one parked for FR*MSB."""
    async with served.hub.db.session() as session:
        for receiver, key in (("DE*MSA", "LOC1"), ("FR*MSB", "LOC2")):
            await owed.add(session, receiver=receiver, owner="NL*CPA", module="locations", key=key, correlation_id="c")
        refused = {"parked": True, "tries": 8, "reason": "PUT answered HTTP 400"}
        await session.exec(update(Owed).where(col(Owed.key) == "LOC2").values(**refused))


@pytest.mark.usefixtures("debts")
async def test_what_is_owed_and_why(knutpunkt: Command) -> None:
    ended = await knutpunkt("deliveries", "list")
    assert ended.status == 0
    assert "PUT answered" in ended.out
    assert ended.out.index("LOC2") < ended.out.index("LOC1")
    assert "LOC1" not in (await knutpunkt("deliveries", "list", "--parked")).out
    assert "LOC2" not in (await knutpunkt("deliveries", "list", "--owed")).out
    found = (await knutpunkt("deliveries", "list", "--receiver", "DE*MSA", "--json")).value
    assert [item["key"] for item in found["items"]] == ["LOC1"]
    assert "there are more" in (await knutpunkt("deliveries", "list", "--limit", "1")).out


async def test_nothing_is_owed(knutpunkt: Command) -> None:
    ended = await knutpunkt("deliveries", "list")
    assert (ended.status, "nothing is owed" in ended.out, "no lane" in ended.out) == (0, True, True)


async def test_what_cannot_be_asked(knutpunkt: Command) -> None:
    assert (await knutpunkt("deliveries", "list", "--owed", "--parked")).status == 2
    ended = await knutpunkt("deliveries", "list", "--receiver", "DEMSA")
    assert (ended.status, ended.err.startswith("knutpunkt: A party is written like NL*CPA")) == (1, True)


@pytest.mark.usefixtures("debts")
async def test_a_parked_object_is_looked_at_tried_again_and_given_up(knutpunkt: Command) -> None:
    parked = (await knutpunkt("deliveries", "list", "--parked", "--json")).value["items"][0]
    shown = await knutpunkt("deliveries", "show", str(parked["number"]))
    assert (shown.status, "PUT answered HTTP 400" in shown.out) == (0, True)
    assert f"`knutpunkt deliveries replay --number {parked['number']}`" in shown.out
    for wrong in ([], ["FR*MSB", "--all"], ["--owner", "NL*CPA"]):
        assert (await knutpunkt("deliveries", "replay", *wrong)).status == 2
    nobody = await knutpunkt("deliveries", "replay", "DE*MSA")
    assert (nobody.status, "nothing of that is parked" in nobody.err) == (1, True)
    ended = await knutpunkt("deliveries", "replay", "FR*MSB", "--owner", "NL*CPA", "--module", "locations")
    assert (ended.status, "1 object will be tried again" in ended.out) == (0, True)
    assert (await knutpunkt("deliveries", "discard", "--all")).status == 2
    gone = await knutpunkt("deliveries", "discard", "--all", "--reason", "sold")
    assert (gone.status, "nothing of that is parked" in gone.err) == (1, True)


@pytest.mark.usefixtures("debts")
async def test_given_up_with_a_reason(knutpunkt: Command) -> None:
    ended = await knutpunkt("deliveries", "discard", "FR*MSB", "--reason", "site is sold")
    assert (ended.status, "1 object given up by operator: site is sold" in ended.out) == (0, True)
    assert (await knutpunkt("deliveries", "list", "--parked", "--json")).value["items"] == []
