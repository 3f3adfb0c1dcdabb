"""Reconciliation against simulated partners: what is compared, what explains a difference, and when nobody is asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.admin import reconciliations as admin
from hub.admin.reconciliations import RunDetail
from hub.delivery.engine import Engine
from hub.exchange.context import Hub
from hub.exchange.reconciler import Reconciler
from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import reconciliations as store
from hub.store.reconciliations import Order

OLD = "2026-01-01T00:00:00Z"
Pull = Callable[..., Awaitable[Any]]


async def run(hub: Hub, statement: str) -> Any:
    """Run SQL; its rows."""
    async with hub.db.unit_of_work() as session:
        return (await session.execute(text(statement))).all()


async def settled(hub: Hub) -> None:
    """Wait until everything is delivered and written down."""
    left = ("SELECT 1 FROM backfill UNION ALL SELECT 1 FROM owed WHERE NOT parked UNION ALL SELECT 1 FROM change_log"
            " WHERE position IS NULL OR position > (SELECT min(c.position) FROM lane_cursor c)")  # fmt: skip
    for _ in range(400):
        if not await run(hub, left):
            return
        await asyncio.sleep(0.05)
    raise AssertionError


async def reconcile(hub: Hub, partner: str | None = None, *, repair: bool = False, sample: int = 100) -> RunDetail:
    """Make a run over today."""
    order = Order(datetime.now(UTC).date(), partner, sample, repair, headers.new_id())
    async with hub.db.unit_of_work() as session:
        number = await store.ask(session, order)
    assert number is not None
    await Reconciler(hub).turn()
    found = await admin.one(hub, number)
    assert (found.state, found.error) == ("ended", None)
    return found


def gaps(found: RunDetail) -> set[tuple[str, str, str]]:
    return {(gap.module, gap.key, gap.kind) for gap in found.gaps}


def counted(found: RunDetail, module: str) -> Any:
    return next(row for row in found.counted if row.module == module and row.partner == "DE*MSA")


@pytest.fixture
async def hub(running: Any, cpo: CpoBackend, emsp: Emsp, delivering: Engine) -> AsyncIterator[Hub]:
    """The hub, with three Locations of NL*CPA delivered to DE*MSA."""
    for number in (1, 2, 3):
        assert (await cpo.put_location(samples.location(id=f"LOC{number}", at=OLD), to=cpo.hub)).ok
    await emsp.until(lambda: len(emsp.locations) == 3, 20, "the Locations")
    await settled(running.hub)
    yield running.hub
    await delivering.drain(limit=2)


async def test_what_is_there_is_counted_and_nothing_is_missing(hub: Hub, emsp: Emsp) -> None:
    found = await reconcile(hub)
    row = counted(found, "locations")
    assert (row.acknowledged, row.delivered, row.owed, row.checked, row.missing, row.note) == (3, 3, 0, 3, 0, None)
    assert not found.gaps
    assert counted(await reconcile(hub, "DE*MSA", sample=2), "locations").checked == 2
    asked = [seen for seen in emsp.received if seen.method == "GET" and "/receiver/locations/" in seen.path]
    assert len(asked) == 5
    assert {str(seen.sender) for seen in asked} == {str(hub.code)}


async def test_a_gap_stays_open_until_a_later_run_finds_it_closed(hub: Hub, emsp: Emsp) -> None:
    emsp.locations.delete(("NL", "CPA", "LOC1"))
    assert gaps(await reconcile(hub)) == {("locations", "LOC1", "missing")}
    assert gaps(await reconcile(hub)) == {("locations", "LOC1", "missing")}
    assert await run(hub, "SELECT count(*) FROM gap") == [(1,)]
    repaired = await reconcile(hub, repair=True)
    assert repaired.gaps[0].sent_at is not None
    await emsp.until(lambda: len(emsp.locations) == 3, 20, "LOC1")
    await settled(hub)
    assert not (await reconcile(hub)).gaps
    assert await run(hub, "SELECT count(*) FROM gap WHERE cleared_at IS NULL") == [(0,)]


async def test_a_newer_version_under_way_explains_what_is_older_there(hub: Hub, cpo: CpoBackend, emsp: Emsp) -> None:
    serve = emsp.locations.get
    pushed: list[Any] = []

    def get(*ref: str, kind: str = "") -> Any:
        """The partner shows an old version; a newer one comes in at the hub at this very moment."""
        pushed.append(asyncio.get_running_loop().create_task(cpo.put_location(samples.location(), to=cpo.hub)))
        held = serve(*ref, kind=kind)
        return held and held | {"last_updated": "2025-01-01T00:00:00Z", "evses": []}

    emsp.locations.get = get  # type: ignore[method-assign]
    emsp.knobs.delay = 0.3
    emsp.knobs.applies = lambda seen: seen.method == "GET"
    found = await reconcile(hub, "DE*MSA")
    emsp.locations.get = serve  # type: ignore[method-assign]
    await asyncio.gather(*pushed)
    assert gaps(found) == {("locations", "LOC2", "older"), ("locations", "LOC3", "older")}


async def test_what_is_owed_parked_or_given_up_is_no_gap(hub: Hub, emsp: Emsp) -> None:
    for name in ("LOC1", "LOC2", "LOC3"):
        emsp.locations.delete(("NL", "CPA", name))
    await run(hub, "INSERT INTO owed (receiver, owner, module, key, need, correlation_id, next_at, parked)"
                   " SELECT 'DE*MSA', 'NL*CPA', 'locations', n, '{\"\": null}', 'c', now() + interval '1 h', n = 'LOC2'"
                   " FROM unnest(ARRAY['LOC1', 'LOC2']) AS n")  # fmt: skip
    await run(hub, "INSERT INTO discard (receiver, owner, module, key, why, who, tries, correlation_id)"
                   " VALUES ('DE*MSA', 'NL*CPA', 'locations', 'LOC3', 'sold', 'operator', 8, 'c')")  # fmt: skip
    found = await reconcile(hub)
    row = counted(found, "locations")
    assert (row.acknowledged, row.delivered, row.owed, row.parked, row.discarded, row.checked) == (3, 0, 1, 1, 1, 0)
    assert not found.gaps


async def test_a_partner_that_is_away_is_not_asked_again(hub: Hub, emsp: Emsp) -> None:
    emsp.knobs.http_status = 503
    asked = len(emsp.received)
    found = await reconcile(hub)
    row = counted(found, "locations")
    assert (row.checked, row.note) == (0, "not all asked for: it answered HTTP 503, status_code 3000")
    assert not found.gaps
    assert len(emsp.received) - asked <= 4


async def test_a_partner_without_get_says_nothing(hub: Hub, emsp: Emsp) -> None:
    emsp.knobs.http_status, emsp.knobs.applies = 405, lambda seen: seen.method == "GET"
    found = await reconcile(hub)
    row = counted(found, "locations")
    assert (row.checked, row.note) == (0, "it offers no GET: answered HTTP 405, status_code 3000")
    assert not found.gaps


async def test_cdrs_are_asked_for_where_they_are_and_brought_back(hub: Hub, cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token("DE*MSA")
    for name in ("CDR1", "CDR2", "CDR3"):
        session = samples.session(of=token, id=f"S{name}") | {"kwh": 7, "status": "COMPLETED"}
        assert (await cpo.post_cdr(samples.cdr(session, samples.location(), samples.tariff(), id=name), to="DE*MSA")).ok
    assert counted(await reconcile(hub), "cdrs").checked == 3
    del emsp.cdrs["NL", "CPA", "CDR1"]
    emsp.cdrs["NL", "CPA", "CDR2"] = emsp.cdrs["NL", "CPA", "CDR2"] | {"total_cost": {"excl_vat": 0}}
    found = await reconcile(hub, repair=True)
    assert gaps(found) == {("cdrs", "CDR1", "missing"), ("cdrs", "CDR2", "different")}
    assert {gap.key: gap.sent_at is not None for gap in found.gaps} == {"CDR1": True, "CDR2": False}
    await emsp.until(lambda: ("NL", "CPA", "CDR1") in emsp.cdrs, 20, "CDR1")
    posts = [seen.body["id"] for seen in emsp.received if seen.method == "POST" and seen.path.endswith("/cdrs")]
    assert sorted(posts) == ["CDR1", "CDR1", "CDR2", "CDR3"]


async def test_a_cdr_in_custody_that_nobody_brings_is_found_and_brought(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    hub = running.hub
    token = samples.token("DE*MSA")
    session = samples.session(of=token) | {"kwh": 7, "status": "COMPLETED"}
    await emsp.go_away()
    assert (await cpo.post_cdr(samples.cdr(session, samples.location(), samples.tariff()), to="DE*MSA")).ok
    await run(hub, "DELETE FROM owed WHERE module = 'cdrs'")
    found = await reconcile(hub, repair=True)
    assert gaps(found) == {("cdrs", "CDR1", "missing")}
    assert counted(found, "cdrs").owed == 1
    assert await run(hub, "SELECT count(*) FROM owed WHERE module = 'cdrs'") == [(1,)]


async def test_a_list_that_is_pulled_is_held_against_what_is_kept(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pull
) -> None:
    hub, now = running.hub, samples.now()
    for name in ("LOC1", "LOC2", "LOC3"):
        cpo.locations.put(("NL", "CPA", name), samples.location(id=name, at=now))
    await asyncio.sleep(0.01)
    await pull("NL*CPA", "locations")
    found = await reconcile(hub, "NL*CPA")
    (row,) = [row for row in found.counted if row.module == "locations"]
    assert (row.checked, row.missing, row.older) == (3, 0, 0)
    await run(hub, "DELETE FROM object WHERE key = 'LOC1'")
    older = "replace(body, 'Utrecht', 'Trajectum'), times = jsonb_build_object('', '2026-01-01T00:00:00Z')"
    await run(hub, f"UPDATE object SET body = {older}, last_updated = '2026-01-01' WHERE key = 'LOC2'")  # noqa: S608
    found = await reconcile(hub, "NL*CPA", repair=True)
    assert gaps(found) == {("locations", "LOC1", "missing here"), ("locations", "LOC2", "older here")}
    assert await run(hub, "SELECT wanted FROM pull WHERE module = 'locations'") == [("full",)]
    await pull("NL*CPA", "locations", full=True)
    assert not (await reconcile(hub, "NL*CPA")).gaps
    assert await run(hub, "SELECT count(*) FROM gap WHERE cleared_at IS NULL") == [(0,)]


async def test_what_a_partner_may_not_have_any_more_is_no_loss(hub: Hub, cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.locations.delete(("NL", "CPA", "LOC1"))
    assert (await reconcile(hub)).gaps
    await run(hub, "INSERT INTO agreement (a, b, modules, direction, options)"
                   " VALUES ('DE*MSA', 'NL*CPA', '{}', 'both', '{}')")  # fmt: skip
    await run(hub, "UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    assert not (await reconcile(hub)).gaps
    assert await run(hub, "SELECT count(*) FROM gap WHERE cleared_at IS NULL") == [(0,)]


async def test_a_session_that_goes_on_is_left_to_its_owner(hub: Hub, cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token("DE*MSA"))
    assert (await cpo.put_session(session, to="DE*MSA")).ok
    emsp.sessions.delete(("NL", "CPA", "SESSION1"))
    found = await reconcile(hub)
    assert (counted(found, "sessions").checked, found.gaps) == (0, [])
    await run(hub, "UPDATE object SET stored_at = stored_at - interval '11 min' WHERE module = 'sessions'")
    if (datetime.now(UTC) - timedelta(minutes=11)).date() == datetime.now(UTC).date():
        assert gaps(await reconcile(hub)) == {("sessions", "SESSION1", "missing")}


async def test_a_partner_whose_get_says_nothing_of_worth_is_not_asked(hub: Hub, emsp: Emsp) -> None:
    emsp.locations.delete(("NL", "CPA", "LOC1"))
    assert (await reconcile(hub)).gaps
    await run(hub, "UPDATE platform SET quirks = '{\"gets\": false}' WHERE name = 'DE*MSA'")
    await run(hub, "UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    asked = len(emsp.received)
    found = await reconcile(hub)
    row = counted(found, "locations")
    assert (row.delivered, row.checked, row.note, found.gaps) == (3, 0, "not asked (quirk gets=no)", [])
    assert len(emsp.received) == asked
    assert await run(hub, "SELECT count(*) FROM gap WHERE cleared_at IS NULL") == [(0,)]
