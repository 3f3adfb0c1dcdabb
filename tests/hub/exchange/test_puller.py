"""The puller: which lists are read and when, one reader each, going on after a crash, and after an outage."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from hub.exchange import crawl, gather, puller
from hub.exchange.context import Hub
from hub.exchange.puller import Puller
from hub.ocpi.client import Answer
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import health, heartbeats, pulls
from hub.store.pulls import Pull

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

OLD = "2026-01-01T00:00:00Z"
LOCATIONS = ("NL*CPA", "locations")


async def _run(hub: Hub, statement: str) -> None:
    async with hub.db.unit_of_work() as session:
        await session.execute(text(statement))


async def _row(hub: Hub, party: str = "NL*CPA", module: str = "locations") -> Pull:
    async with hub.db.session() as session:
        return await session.get_one(Pull, (party, module))


async def _until_idle(reader: Puller) -> None:
    while await reader.turn():
        await reader.settle()


def _own(partner: CpoBackend, *ids: str, at: str | None = None) -> None:
    for number in ids:
        partner.locations._objects["NL", "CPA", number] = samples.location(id=number, at=at)


def _asked(partner: CpoBackend) -> list[dict[str, str]]:
    """The queries of its locations list, in the order in which they came."""
    return [dict(seen.query) for seen in partner.received if seen.path.endswith("/sender/locations")]


# --- which, and when ---


@pytest.mark.catalogue("LOC-008")
async def test_who_has_pushed_nothing_after_a_while_is_pulled_from_and_again_hours_later(
    running: Any, cpo: CpoBackend
) -> None:
    _own(cpo, "LOC1")
    reader = Puller(running.hub)
    await _until_idle(reader)
    assert _asked(cpo) == []  # it has ten minutes to begin
    first = await _row(running.hub)
    assert first.next_at is not None
    assert first.created_at is not None
    assert 600 <= (first.next_at - first.created_at).total_seconds() <= 1200
    await _run(running.hub, "UPDATE pull SET next_at = now()")
    await _until_idle(reader)
    assert len(_asked(cpo)) == 1
    after = await _row(running.hub)
    assert after.next_at is not None
    assert after.full_at is not None
    assert (after.next_at - after.full_at).total_seconds() > 3 * 3600
    await _until_idle(reader)
    assert len(_asked(cpo)) == 1


@pytest.mark.catalogue("TF-183")
async def test_who_pushes_is_not_pulled_from_unless_the_operator_wants_it(running: Any, cpo: CpoBackend) -> None:
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).ok
    reader = Puller(running.hub)
    await _until_idle(reader)
    await _run(running.hub, "UPDATE pull SET next_at = now()")
    await _until_idle(reader)
    row = await _row(running.hub)
    assert (row.pushes, row.next_at) == (True, None)
    assert _asked(cpo) == []
    await _run(running.hub, "UPDATE platform SET pull = '{locations}' WHERE NOT hosted")
    await _run(running.hub, "UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await running.hub.directory.refresh()
    await _until_idle(reader)
    assert (await _row(running.hub)).next_at is not None  # soon
    await _run(running.hub, "UPDATE pull SET next_at = now()")
    await _until_idle(reader)
    assert len(_asked(cpo)) == 1


async def test_what_is_no_longer_to_be_pulled_has_no_row(running: Any, cpo: CpoBackend) -> None:
    reader = Puller(running.hub)
    await reader.turn()
    await _run(running.hub, "UPDATE platform SET pull = '{}' WHERE NOT hosted")
    await _run(running.hub, "UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await running.hub.directory.refresh()
    await reader.turn()
    async with running.hub.db.session() as session:
        assert list(await session.exec(select(Pull))) == []


# --- one reader, and going on ---


async def test_a_list_has_one_reader_and_a_platform_is_asked_for_one_list_at_a_time(
    running: Any, cpo: CpoBackend
) -> None:
    await Puller(running.hub).turn()
    await _run(running.hub, "UPDATE pull SET next_at = now()")
    platforms = list(running.hub.directory.now.platforms)
    async with running.hub.db.unit_of_work() as session:
        mine = await pulls.claim(session, "one", platforms, 60)
        assert mine is not None
        assert await pulls.claim(session, "two", platforms, 60) is None
        assert await pulls.claim(session, "two", [], 60) is None
        await pulls.let_go(session, mine)
        assert await pulls.claim(session, "two", platforms, 60) is not None


async def test_two_lists_of_different_platforms_are_read_at_the_same_time_and_no_more(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    for partner in (cpo, emsp, other_emsp):
        partner.knobs.delay = 0.3
    reader = Puller(running.hub)
    await reader.turn()
    await _run(running.hub, "UPDATE pull SET next_at = now()")
    assert [await reader.turn() for _ in range(3)] == [True, True, False]
    await reader.settle()


async def test_a_pull_goes_on_where_its_dead_reader_stood(
    running: Any, cpo: CpoBackend, eventually: Eventually
) -> None:
    names = [f"LOC{number:03}" for number in range(120)]
    _own(cpo, *names)
    reader = Puller(running.hub)
    await reader.turn()
    await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
    cpo.knobs.applies = lambda seen: seen.query.get("offset") == "50"
    cpo.knobs.delay = 60  # the second page never comes
    assert await reader.turn()
    await eventually(lambda: len(_asked(cpo)) == 2)
    for task in list(reader._tasks):
        task.cancel()
    await asyncio.gather(*reader._tasks, return_exceptions=True)
    stood = await _row(running.hub)
    assert stood.place is not None
    assert (stood.kind, stood.objects, stood.claim) == ("full", 50, None)
    cpo.knobs.delay = 0
    await _until_idle(Puller(running.hub))
    assert [query["offset"] for query in _asked(cpo)] == ["0", "50", "50", "100"]
    ended = await _row(running.hub)
    assert (ended.objects, ended.changed, ended.full_at is not None) == (120, 120, True)


async def test_who_has_lost_his_claim_commits_nothing_more(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a process that was stopped for longer than its claim lasted."""
    _own(cpo, "LOC1")
    real = gather._ask

    async def slow(hub: Hub, *rest: Any) -> Answer:
        answer = await real(hub, *rest)
        await _run(hub, "UPDATE pull SET claim = 'somebody else'")
        return answer

    monkeypatch.setattr(gather, "_ask", slow)
    reader = Puller(running.hub)
    await reader.turn()
    await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
    await reader.turn()
    await reader.settle()
    row = await _row(running.hub)
    assert (row.objects, row.claim) == (0, "somebody else")
    async with running.hub.db.unit_of_work() as session:
        assert (await session.execute(text("SELECT count(*) FROM object"))).scalar_one() == 0


async def test_a_failure_is_noted_and_tried_again_later_then_from_the_start(running: Any, cpo: CpoBackend) -> None:
    _own(cpo, *(f"LOC{number:03}" for number in range(60)))
    reader = Puller(running.hub)
    await reader.turn()
    cpo.knobs.http_status = 401
    cpo.knobs.applies = lambda seen: seen.query.get("offset") == "50"
    for failures, keeps_place in ((1, True), (2, True), (3, False)):
        await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
        await _until_idle(reader)
        row = await _row(running.hub)
        assert (row.failures, row.place is not None) == (failures, keeps_place)
        assert row.error is not None
        assert "refuses the hub's token" in row.error
    cpo.knobs.http_status = None
    await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
    await _until_idle(reader)
    done = await _row(running.hub)
    assert (done.failures, done.error, done.objects) == (0, None, 60)
    assert _asked(cpo)[-2]["offset"] == "0"


async def test_a_fault_of_our_own_ends_one_pull_and_not_the_puller(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Puller(running.hub)
    await reader.turn()
    monkeypatch.setattr(crawl, "judge", lambda *_: 1 / 0)
    await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
    await _until_idle(reader)
    row = await _row(running.hub)
    assert row.error == "a fault of the hub's own: see the worker's log"


async def test_it_runs_by_itself_until_it_is_ended(running: Any, cpo: CpoBackend) -> None:
    _own(cpo, "LOC1")
    async with Puller.running(running.hub, sweep=0.02):
        await _wait_for(running.hub, lambda row: True)
        await _run(running.hub, "UPDATE pull SET next_at = now()")
        await _wait_for(running.hub, lambda row: row.full_at is not None)
    assert (await _row(running.hub)).changed == 1


async def _wait_for(hub: Hub, condition: Callable[[Pull], bool]) -> None:
    """Wait until the row of the locations list is there and as it should be."""
    for _ in range(1000):
        async with hub.db.session() as session:
            row = await session.get(Pull, LOCATIONS)
        if row is not None and condition(row):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


# --- after an outage ---


@pytest.mark.catalogue("TF-141")
async def test_what_a_partner_changed_while_it_was_away_is_fetched_from_the_last_known_update_on(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "SOON", 0.0)
    known = samples.location(id="KNOWN", at="2026-03-01T12:00:00Z")
    assert (await cpo.put_location(known, to=cpo.hub)).ok
    reader = Puller(running.hub)
    await reader.turn()
    await _run(running.hub, "UPDATE pull SET next_at = NULL, pushes = true")
    for status in ("OFFLINE", "CONNECTED"):
        async with running.hub.db.unit_of_work() as session:
            assert await health.set_status(session, 2, status)
        await running.hub.directory.refresh()
        if status == "CONNECTED":
            _own(cpo, "MISSED")
        await _until_idle(reader)
    assert [query.get("date_from") for query in _asked(cpo)] == ["2026-03-01T11:00:00Z"]
    row = await _row(running.hub)
    assert (row.kind, row.changed, row.full_at) == (None, 1, None)
    await _run(running.hub, "UPDATE pull SET next_at = now() WHERE module = 'locations'")
    await _until_idle(reader)  # it pushes again: nothing is pulled by the clock
    assert (await _row(running.hub)).next_at is None
    assert len(_asked(cpo)) == 1


async def test_after_an_outage_of_the_hub_itself_everybody_s_changes_are_fetched(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "SOON", 0.0)
    await Puller(running.hub).turn()
    async with running.hub.db.unit_of_work() as session:
        await heartbeats.shown(session, "beat")
    await _run(running.hub, "UPDATE heartbeat SET at = now() - interval '2 hours' WHERE process = 'beat'")
    _own(cpo, "MISSED")
    async with Puller.running(running.hub, sweep=0.02):
        await _wait_for(running.hub, lambda row: row.delta_at is not None)
    (query,) = _asked(cpo)
    assert query["date_from"]
    assert (await _row(running.hub)).changed == 1


async def test_a_restart_of_the_hub_is_no_outage(running: Any, cpo: CpoBackend) -> None:
    await Puller(running.hub).turn()
    async with running.hub.db.unit_of_work() as session:
        await heartbeats.shown(session, "beat")
    reader = Puller(running.hub)
    await reader._notice_outage()
    await _until_idle(reader)
    assert _asked(cpo) == []
    assert (await _row(running.hub)).away_since is None


@pytest.mark.catalogue("TF-014")
async def test_a_client_that_was_away_gets_back_in_sync_from_the_hub_s_lists(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    await cpo.put_location(samples.location(id="BEFORE", at="2026-03-01T11:59:59Z"), to=cpo.hub)
    await emsp.go_away()
    await cpo.put_location(samples.location(id="MISSED", at="2026-03-01T12:00:01Z"), to=cpo.hub)
    await emsp.come_back()
    found = await emsp.pull("locations", to=emsp.hub, date_from="2026-03-01T12:00:00Z")
    assert [location["id"] for location in found] == ["MISSED"]
