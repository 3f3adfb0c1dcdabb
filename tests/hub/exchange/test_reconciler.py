"""Which runs are made, and by whom."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import reconcile, reconciler
from hub.exchange.context import Hub
from hub.exchange.reconciler import Reconciler
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.settings import Settings
from hub.store import reconciliations as store
from hub.store.reconciliations import Job, Order

NIGHT = datetime(2026, 11, 21, 3, 59, tzinfo=UTC)


async def run(hub: Hub, statement: str) -> Any:
    async with hub.db.unit_of_work() as session:
        return (await session.execute(text(statement))).all()


async def ask(hub: Hub) -> int:
    async with hub.db.unit_of_work() as session:
        number = await store.ask(session, Order(NIGHT.date(), None, 10, False, "c"))
    assert number is not None
    return number


def test_each_hub_begins_at_its_own_time_within_the_hour() -> None:
    found = {reconciler.splay(PartyId("NL", f"{name:03}")) for name in range(50)}
    assert len(found) > 30
    assert all(timedelta() <= after < timedelta(hours=1) for after in found)


async def test_the_run_of_a_night_is_asked_for_once_and_not_before_there_is_anything(
    running: Any, cpo: CpoBackend
) -> None:
    hub = running.hub
    first, second = Reconciler(hub), Reconciler(hub)
    await first._arrange(NIGHT)
    assert await run(hub, "SELECT count(*) FROM reconciliation") == [(0,)]
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok
    await run(hub, "UPDATE object SET stored_at = '2026-11-20T12:00:00Z'")
    await second._arrange(NIGHT - timedelta(hours=2))
    assert await run(hub, "SELECT count(*) FROM reconciliation") == [(0,)]
    for worker in (second, second, Reconciler(hub)):
        await worker._arrange(NIGHT)
    assert await run(hub, "SELECT day, partner, sample, repair, nightly FROM reconciliation") == [
        (date(2026, 11, 20), None, 100, False, True)
    ]
    await second._arrange(NIGHT + timedelta(days=1))
    assert await run(hub, "SELECT count(*) FROM reconciliation WHERE nightly") == [(2,)]


async def test_the_night_may_be_off(settings: Settings, running: Any) -> None:
    hub = running.hub
    hub.settings = settings.model_copy(update={"reconcile": "off"})
    await Reconciler(hub)._arrange(NIGHT)
    assert await run(hub, "SELECT count(*) FROM reconciliation") == [(0,)]


async def test_one_worker_makes_a_run_and_one_that_is_cut_off_is_begun_anew(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = running.hub
    await ask(hub)
    begun = asyncio.Event()

    async def hang(hub: Hub, job: Job) -> None:
        begun.set()
        await asyncio.sleep(60)

    whole = reconcile.run
    monkeypatch.setattr(reconcile, "run", hang)
    async with Reconciler.running(hub, sweep=0.01):
        await asyncio.wait_for(begun.wait(), 20)
        assert await run(hub, "SELECT count(*) FROM reconciliation WHERE held_until > now()") == [(1,)]
        async with hub.db.unit_of_work() as session:
            assert await store.claim(session, "another", 10) is None
    assert await run(hub, "SELECT claim, ended_at FROM reconciliation") == [(None, None)]
    monkeypatch.setattr(reconcile, "run", whole)
    await Reconciler(hub).turn()
    assert await run(hub, "SELECT error, ended_at IS NOT NULL FROM reconciliation") == [(None, True)]


async def test_who_lost_its_claim_writes_nothing(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = running.hub
    await ask(hub)
    whole = reconcile.run

    async def late(hub: Hub, job: Job) -> None:
        await run(hub, "UPDATE reconciliation SET claim = 'another'")
        await whole(hub, job)

    monkeypatch.setattr(reconcile, "run", late)
    await Reconciler(hub).turn()
    assert await run(hub, "SELECT claim, ended_at FROM reconciliation") == [("another", None)]


async def test_a_fault_of_the_hubs_own_ends_the_run_and_says_so(running: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = running.hub
    await ask(hub)

    async def stumble(hub: Hub, job: Job) -> None:
        raise RuntimeError

    monkeypatch.setattr(reconcile, "run", stumble)
    await Reconciler(hub).turn()
    assert await run(hub, "SELECT error FROM reconciliation") == [("a fault of the hub's own: see the worker's log",)]


async def test_what_is_old_is_forgotten(running: Any) -> None:
    hub = running.hub
    await ask(hub)
    await run(hub, "UPDATE reconciliation SET asked_at = now() - interval '91 days', ended_at = now()")
    await run(hub, "INSERT INTO gap (partner, owner, module, key, kind, detail, day, run, cleared_at) SELECT 'XX*OUT',"
                   " 'NL*CPA', 'tariffs', 'T', 'missing', '', now(), 1, t"
                   " FROM unnest(ARRAY[now() - interval '91 days', NULL]) AS t")  # fmt: skip
    await run(hub, "INSERT INTO discard (receiver, owner, module, key, why, who, tries, correlation_id) VALUES"
                   " ('DE*MSA', 'NL*CPA', 'cdrs', 'C', '', '', 8, 'c'),"
                   " ('DE*MSA', 'NL*CPA', 'tariffs', 'T', '', '', 8, 'c')")  # fmt: skip
    async with hub.db.unit_of_work() as session:
        await store.tidy(session, ["DE*MSA"], "cdrs")
    assert await run(hub, "SELECT count(*) FROM reconciliation") == [(0,)]
    assert await run(hub, "SELECT partner, cleared_at IS NULL FROM gap") == [("XX*OUT", False)]
    assert await run(hub, "SELECT module FROM discard") == [("cdrs",)]
