from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from hub.cli import reconcile
from hub.exchange.reconciler import Reconciler
from hub.sandbox.emsp import Emsp

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def partner(knutpunkt: Command) -> AsyncIterator[Emsp]:
    """DE*MSA, registered."""
    async with Emsp("DE*MSA") as emsp:
        token_a, url = emsp.invite()
        assert (await knutpunkt("register", url, "--token", token_a)).status == 0
        yield emsp


@pytest.fixture
async def worker(served: Any) -> AsyncIterator[None]:
    """What makes the runs."""
    async with Reconciler.running(served.hub, sweep=0.05):
        yield


async def lose(served: Any, number: int = 1) -> None:
    """Write down a gap that the last run found."""
    async with served.hub.db.unit_of_work() as session:
        await session.execute(
            text("INSERT INTO gap (partner, owner, module, key, kind, detail, day, run) SELECT 'DE*MSA', 'NL*CPA',"
                 " 'tariffs', 'T' || n, 'missing', 'it was acknowledged', now(), (SELECT max(id) FROM reconciliation)"
                 " FROM generate_series(1, :number) AS n"), {"number": number},
        )  # fmt: skip


@pytest.mark.usefixtures("partner", "worker")
async def test_nothing_is_missing(knutpunkt: Command) -> None:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    ended = await knutpunkt("reconcile", "--partner", "DE*MSA", "--day", today, "--sample", "5")
    assert ended.status == 0
    assert f"DE*MSA, {today} (UTC)" in ended.out
    assert "nothing was acknowledged that day" in ended.out
    assert "nothing is missing" in ended.out
    found = await knutpunkt("reconcile", "--json")
    assert (found.status, found.value["partner"], found.value["sample"]) == (0, None, 100)


@pytest.mark.usefixtures("partner", "worker")
async def test_what_the_last_one_found_is_shown_and_is_status_1(knutpunkt: Command, served: Any) -> None:
    nothing = await knutpunkt("reconcile", "--last")
    assert (nothing.status, "nothing has been reconciled yet" in nothing.err) == (1, True)
    assert (await knutpunkt("reconcile")).status == 0
    await lose(served)
    ended = await knutpunkt("reconcile", "--last")
    assert ended.status == 1
    assert "tariffs NL*CPA T1" in " ".join(ended.out.split())
    assert ended.err == "knutpunkt: 1 object is not where acknowledged: `knutpunkt reconcile --repair` sends it anew\n"


@pytest.mark.usefixtures("partner", "worker")
async def test_what_cannot_be_asked(knutpunkt: Command) -> None:
    assert (await knutpunkt("reconcile", "--last", "--repair")).status == 2
    assert (await knutpunkt("reconcile", "--day", "yesterday")).status == 2
    ended = await knutpunkt("reconcile", "--partner", "XX*OUT")
    assert (ended.status, "there is nothing to ask XX*OUT for" in ended.err) == (1, True)


@pytest.mark.usefixtures("partner")
async def test_without_a_worker_it_says_so(knutpunkt: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PATIENCE", 0.0)
    ended = await knutpunkt("reconcile")
    assert (ended.status, ended.err.startswith("knutpunkt: no worker takes it up")) == (1, True)


@pytest.mark.usefixtures("partner")
async def test_one_that_broke_off_says_so(knutpunkt: Command, served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "PATIENCE", 0.0)
    await knutpunkt("reconcile")
    async with served.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE reconciliation SET ended_at = now(), error = 'a fault'"))
    ended = await knutpunkt("reconcile", "--last")
    assert (ended.status, "broke off: a fault" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("repair", "sent", "advice"),
    [
        (False, None, "sends it anew"),
        (True, "2026-01-01T00:00:00Z", "tells whether it arrived"),
        (True, None, "must be settled between the two parties"),
    ],
)
def test_the_advice_says_what_is_next(repair: bool, sent: str | None, advice: str) -> None:
    assert advice in reconcile._advice({"repair": repair, "gaps": [{"sent_at": sent}]})
