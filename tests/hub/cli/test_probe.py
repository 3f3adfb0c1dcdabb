from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hub.exchange import handshake
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.recorder import Received

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def cpo(served: Any) -> AsyncIterator[CpoBackend]:
    """NL*CPA, connected, with two Tariffs."""
    async with CpoBackend("NL*CPA") as partner:
        invited = await handshake.invite(served.hub, "CPA", [(partner.parties[0], "CPO")])
        await partner.register(served.hub.versions_url, invited)
        for number in (1, 2):
            at = f"2026-01-0{number}T00:00:00Z"
            partner.tariffs.put(("NL", "CPA", f"T{number}"), samples.tariff(id=f"T{number}", at=at))
        yield partner


def _large(seen: Received) -> bool:
    return seen.query.get("limit") == "100" and "date_to" not in seen.query


async def test_probe_says_what_differs_and_sets_the_quirks(cpo: CpoBackend, knutpunkt: Command) -> None:
    cpo.knobs.http_status, cpo.knobs.applies = 500, _large
    dry = await knutpunkt("probe", "2", "--dry-run")
    assert (dry.status, "WOULD BE" in dry.out, "quirks in force: none" in dry.out) == (0, True, True)
    ended = await knutpunkt("probe", "2")
    assert (ended.status, "TF-028" in ended.out, "quirks in force: limit=10" in ended.out) == (0, True, True)
    cpo.knobs.http_status = None
    well = await knutpunkt("probe", "2", "--all", "--json")
    assert [(row["name"], row["before"], row["after"]) for row in well.value["changed"]] == [("limit", 10, 100)]
    shown = await knutpunkt("probe", "2", "--all")
    assert "Link leads to the next" in " ".join(shown.out.split())
    assert "no quirk changes" in shown.out
    assert (await knutpunkt("probe", "1")).status == 1
