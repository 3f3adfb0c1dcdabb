"""`knutpunkt peer` and `knutpunkt clients`."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from hub.store import peers as store
from hub.store.peers import Info

Command = Callable[..., Awaitable[Any]]


async def invite_a_hub(knutpunkt: Command, *more: str) -> int:
    invited = await knutpunkt("invite", "--party", "DE*HB2:HUB", *more)
    assert invited.status == 0, invited.err
    listed = json.loads((await knutpunkt("platform", "list", "--json")).out)
    return int(next(p["id"] for p in listed if p["invited"]))


async def test_who_is_behind_a_hub_is_admitted(knutpunkt: Command, served: Any) -> None:
    number = await invite_a_hub(knutpunkt, "--behind", "DE*MSA:EMSP")
    info = Info("DE*MSA", "EMSP", "CONNECTED", datetime(2026, 1, 1, tzinfo=UTC), "{}")
    async with served.hub.db.unit_of_work() as session:
        await store.take(session, number, [info])
    listed = await knutpunkt("peer", "list", "--json")
    assert [(row["code"], row["admitted"]) for row in json.loads(listed.out)] == [("DE*MSA", True)]
    nobody = await knutpunkt("peer", "admit", str(number))
    assert (nobody.status, "nobody yet" in nobody.out) == (0, True)
    named = await knutpunkt("peer", "admit", str(number), "de*msa:emsp")
    assert "DE*MSA:EMSP CONNECTED" in named.out
    every = await knutpunkt("peer", "admit", str(number), "any")
    assert "DE*MSA:EMSP CONNECTED" in every.out
    assert "DE*MSA" in (await knutpunkt("peer", "list")).out
    wrong = await knutpunkt("peer", "admit", str(number), "DE*MSA")
    assert (wrong.status, "NL*CPA:CPO" in wrong.err) == (2, True)


async def test_nothing_is_announced_or_shown_yet(knutpunkt: Command) -> None:
    assert "no hub has announced a party" in (await knutpunkt("peer", "list")).out
    assert "no platform has been shown another one" in (await knutpunkt("clients")).out
    assert json.loads((await knutpunkt("clients", "1", "--json")).out) == []
