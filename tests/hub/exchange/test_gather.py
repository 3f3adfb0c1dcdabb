"""Pulls, from partners on real ports into the hub's own tables, and what others then see of it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select
from structlog.testing import capture_logs

from hub.exchange import gather, plans
from hub.exchange.context import Hub
from hub.exchange.crawl import Page
from hub.ocpi import headers
from hub.ocpi.types import PartyId, format_datetime, parse_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.wire import Json
from hub.store import objects
from hub.store.lanes import Owed
from hub.store.ledger import Cdr
from hub.store.log import Change
from hub.store.pulls import Job, Pull, Pulled, PullFinding

Pulling = Callable[..., Awaitable[Pull]]

OLD = "2026-01-01T00:00:00Z"


def _offer(partner: CpoBackend, module: str, *bodies: Json) -> None:
    """Let a CPO own objects without telling anybody, good or bad."""
    shelf = {"locations": partner.locations, "tariffs": partner.tariffs, "sessions": partner.sessions}
    shelf["cdrs"] = partner.cdrs
    for body in bodies:
        ref = tuple(str(body.get(name)) for name in ("country_code", "party_id", "id"))
        shelf[module]._objects[ref] = body


def _lists(partner: Any, module: str) -> list[Received]:
    """The list requests that came in."""
    return [seen for seen in partner.received if seen.method == "GET" and seen.path.endswith(f"/sender/{module}")]


async def _kept(hub: Hub, module: str) -> dict[tuple[str, str], str]:
    """What is kept: the audience by (owner, key)."""
    async with hub.db.unit_of_work() as session:
        rows = await session.execute(
            text("SELECT owner, key, audience FROM object WHERE module = :module AND NOT deleted"), {"module": module}
        )
    return {(row[0], row[1]): row[2] for row in rows}


async def _missing(hub: Hub, module: str) -> set[str]:
    async with hub.db.session() as session:
        found = await session.exec(select(Pulled).where(Pulled.module == module))
        return {row.key for row in found if row.missing_since is not None}


async def _findings(hub: Hub) -> dict[str, str]:
    async with hub.db.session() as session:
        return {row.object: row.reason for row in await session.exec(select(PullFinding))}


# --- what is kept ---


@pytest.mark.catalogue("TF-124")
async def test_what_was_pulled_is_in_the_lists_of_all_while_its_owner_is_away(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    _offer(cpo, "locations", *(samples.location(id=f"LOC{n}") for n in range(3)))
    row = await pull("NL*CPA", "locations")
    assert (row.objects, row.changed, row.invalid, row.aside, row.error) == (3, 3, 0, 0, None)
    await cpo.go_away()
    assert [found["id"] for found in await emsp.pull("locations", to=emsp.hub)] == ["LOC0", "LOC1", "LOC2"]


async def test_lanes_are_told_of_what_is_new_and_of_nothing_else(running: Any, cpo: CpoBackend, pull: Pulling) -> None:
    _offer(cpo, "tariffs", samples.tariff(id="T1", at=OLD), samples.tariff(id="T2", at=OLD))
    first = await pull("NL*CPA", "tariffs")
    async with running.hub.db.session() as session:
        log = list(await session.exec(select(Change)))
    assert {(row.owner, row.key, row.audience, row.correlation_id) for row in log} == {
        ("NL*CPA", key, "*", first.correlation_id) for key in ("T1", "T2")
    }
    _offer(cpo, "tariffs", samples.tariff(id="T2"))
    again = await pull("NL*CPA", "tariffs", full=True)
    assert (again.objects, again.changed) == (2, 1)


@pytest.mark.catalogue("TF-185")
async def test_what_is_older_than_what_is_kept_changes_nothing(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    await cpo.put_location(samples.location() | {"name": "new"}, to=cpo.hub)
    _offer(cpo, "locations", samples.location(at=OLD) | {"name": "old"})
    assert (await pull("NL*CPA", "locations", full=True)).changed == 0
    assert [found["name"] for found in await emsp.pull("locations", to=emsp.hub)] == ["new"]


@pytest.mark.catalogue("TF-020", "TF-021")
async def test_what_is_invalid_is_shown_and_the_rest_is_kept(running: Any, cpo: CpoBackend, pull: Pulling) -> None:
    no_city = {name: value for name, value in samples.location(id="BAD").items() if name != "city"}
    nameless = {name: value for name, value in samples.location().items() if name != "id"}
    _offer(cpo, "locations", samples.location(id="LOC1"), no_city, nameless, samples.location(id="LOC2"))
    with capture_logs() as logs:
        row = await pull("NL*CPA", "locations")
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["party"], line["objects"], line["first"][0]) == ("NL*CPA", 2, "BAD: city: field required")
    assert (row.objects, row.changed, row.invalid) == (4, 2, 2)
    assert set(await _kept(running.hub, "locations")) == {("NL*CPA", "LOC1"), ("NL*CPA", "LOC2")}
    assert await _findings(running.hub) == {"BAD": "city: field required", "(no id)": "id: field required"}


async def test_only_so_many_findings_are_kept_and_a_full_crawl_forgets_those_before(
    running: Any, cpo: CpoBackend, pull: Pulling
) -> None:
    bad = [samples.tariff(id=f"T{number}") | {"currency": None} for number in range(130)]
    _offer(cpo, "tariffs", *bad)
    assert (await pull("NL*CPA", "tariffs")).invalid == 130
    assert len(await _findings(running.hub)) == 100
    cpo.tariffs._objects.clear()
    await pull("NL*CPA", "tariffs", full=True)
    assert await _findings(running.hub) == {}


@pytest.mark.catalogue("TF-065", "TF-066")
async def test_the_owner_is_who_the_object_says_and_of_this_platform(running: Any, emsp: Emsp, pull: Pulling) -> None:
    async with CpoBackend("NL*CPA", "NL*CPB") as both, CpoBackend("BE*CPC") as other:
        await running.join(both, "CPO")
        await running.join(other, "CPO")
        both.owned = lambda request, objects: list(objects)  # type: ignore[method-assign]  # whoever is asked, all are told
        _offer(both, "tariffs", *(samples.tariff(party, id="T1") for party in ("NL*CPA", "NL*CPB", "BE*CPC", "DE*MSA")))
        row = await pull("NL*CPA", "tariffs")
    assert await _kept(running.hub, "tariffs") == {("NL*CPA", "T1"): "*", ("NL*CPB", "T1"): "*"}
    assert (row.changed, row.aside) == (2, 2)
    assert "is not a party of this platform" in (await _findings(running.hub))["T1"]


@pytest.mark.catalogue("TF-186")
async def test_the_hub_asks_in_its_own_name_with_ids_of_its_own(running: Any, cpo: CpoBackend, pull: Pulling) -> None:
    _offer(cpo, "tariffs", *(samples.tariff(id=f"T{number}") for number in range(60)))
    row = await pull("NL*CPA", "tariffs")
    asked = _lists(cpo, "tariffs")
    assert len(asked) == 2
    assert {(seen.sender, seen.to) for seen in asked} == {(running.hub.code, PartyId.parse("NL*CPA"))}
    assert len({seen.headers[headers.REQUEST_ID] for seen in asked}) == 2
    assert {seen.headers[headers.CORRELATION_ID] for seen in asked} == {row.correlation_id}
    assert cpo.faults == []
    await running.hub.journal.flush()
    async with running.hub.db.unit_of_work() as session:
        hops = await session.execute(text("SELECT sender, receiver FROM hop WHERE decision = 'pull'"))
        assert {tuple(hop) for hop in hops} == {("NL*HUB", "NL*CPA")}


async def test_a_strict_platform_is_held_to_the_letter(running: Any, cpo: CpoBackend, pull: Pulling) -> None:
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE platform SET strict = true"))
        await session.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'directory'"))
    _offer(cpo, "locations", samples.location() | {"city": "x" * 46})
    assert (await pull("NL*CPA", "locations")).invalid == 1


# --- tokens ---


@pytest.mark.catalogue("TOK-003")
async def test_a_pull_updates_tokens_and_adds_new_ones(running: Any, emsp: Emsp, pull: Pulling) -> None:
    emsp.tokens = {("RFID", "A1"): samples.token(uid="A1", at=OLD)}
    await pull("DE*MSA", "tokens")
    emsp.tokens = {("RFID", "A1"): samples.token(uid="A1", valid=False), ("RFID", "B2"): samples.token(uid="B2")}
    assert (await pull("DE*MSA", "tokens", full=True)).changed == 2
    async with running.hub.db.unit_of_work() as session:
        rows = {row.key: row for row in await session.execute(text("SELECT key, body FROM object"))}
    assert set(rows) == {"RFID:A1", "RFID:B2"}
    assert '"valid":false' in rows["RFID:A1"].body


@pytest.mark.catalogue("TOK-048")
async def test_a_token_that_its_emsp_no_longer_lists_says_no_longer_whose_it_is(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp, pull: Pulling
) -> None:
    emsp.tokens = {("RFID", "A1"): samples.token(uid="A1", at=OLD)}
    await pull("DE*MSA", "tokens")
    async with running.hub.db.unit_of_work() as session:
        assert [row.owner for row in await objects.by_key(session, "tokens", "RFID:A1")] == ["DE*MSA"]
    kept = emsp.tokens
    emsp.tokens = {}
    await pull("DE*MSA", "tokens", full=True)
    assert await _missing(running.hub, "tokens") == {"RFID:A1"}
    async with running.hub.db.unit_of_work() as session:
        assert await objects.by_key(session, "tokens", "RFID:A1") == []
        assert await objects.seen_by(session, "tokens", "RFID:A1", "NL*CPA") == []
    assert set(await _kept(running.hub, "tokens")) == {("DE*MSA", "RFID:A1")}  # marked, not deleted
    emsp.tokens = kept
    await pull("DE*MSA", "tokens", full=True)
    assert await _missing(running.hub, "tokens") == set()
    async with running.hub.db.unit_of_work() as session:
        assert await objects.by_key(session, "tokens", "RFID:A1")


# --- what has vanished ---


@pytest.mark.catalogue("LOC-014")
async def test_what_a_complete_list_no_longer_has_is_marked_until_it_is_there_again(
    running: Any, cpo: CpoBackend, pull: Pulling
) -> None:
    _offer(cpo, "locations", samples.location(id="STAYS", at=OLD), samples.location(id="GOES", at=OLD))
    await pull("NL*CPA", "locations")
    gone = cpo.locations._objects.pop(("NL", "CPA", "GOES"))
    await pull("NL*CPA", "locations", full=True)
    assert await _missing(running.hub, "locations") == {"GOES"}
    cpo.locations._objects["NL", "CPA", "GOES"] = gone
    await pull("NL*CPA", "locations", full=True)
    assert await _missing(running.hub, "locations") == set()


@pytest.mark.catalogue("TAR-003")
async def test_a_complete_pull_is_the_new_list_of_tariffs(running: Any, cpo: CpoBackend, pull: Pulling) -> None:
    await cpo.put_tariff(samples.tariff(id="PUSHED", at=OLD), to=cpo.hub)
    cpo.tariffs._objects.clear()
    _offer(cpo, "tariffs", samples.tariff(id="LISTED"))
    await pull("NL*CPA", "tariffs", full=True)
    assert await _missing(running.hub, "tariffs") == {"PUSHED"}
    assert set(await _kept(running.hub, "tariffs")) == {("NL*CPA", "PUSHED"), ("NL*CPA", "LISTED")}


@pytest.mark.catalogue("LOC-015")
async def test_a_pull_of_changes_says_nothing_of_what_is_not_in_it(
    running: Any, cpo: CpoBackend, pull: Pulling
) -> None:
    _offer(cpo, "locations", samples.location(id="LOC1", at=OLD), samples.location(id="LOC2"))
    await pull("NL*CPA", "locations")
    row = await pull("NL*CPA", "locations")
    assert row.delta_at is not None
    assert row.objects == 1
    assert "date_from" in _lists(cpo, "locations")[-1].query
    assert await _missing(running.hub, "locations") == set()


async def test_a_list_that_was_not_read_to_its_end_says_nothing_either(
    running: Any, cpo: CpoBackend, pull: Pulling
) -> None:
    _offer(cpo, "locations", *(samples.location(id=f"LOC{number:02}", at=OLD) for number in range(60)))
    await pull("NL*CPA", "locations")
    cpo.locations._objects.pop(("NL", "CPA", "LOC00"))
    cpo.knobs.http_status = 500
    cpo.knobs.applies = lambda seen: seen.query.get("offset", "0") != "0"
    row = await pull("NL*CPA", "locations", full=True)
    assert row.failures == 1
    assert row.error is not None
    assert "HTTP 500" in row.error
    assert await _missing(running.hub, "locations") == set()


async def test_what_its_owner_pushes_while_the_list_is_read_has_not_vanished(
    running: Any, cpo: CpoBackend, pull: Pulling
) -> None:
    await pull("NL*CPA", "tariffs", full=True)
    await cpo.put_tariff(samples.tariff(id="NEW"), to=cpo.hub)
    cpo.tariffs._objects.clear()
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE object SET stored_at = now() + interval '1 hour'"))
    await pull("NL*CPA", "tariffs", full=True)
    assert await _missing(running.hub, "tariffs") == set()


# --- sessions and CDRs ---


def _session(id: str, of: str = "DE*MSA", at: str | None = None) -> Json:
    return samples.session(id=id, of=samples.token(of), at=at)


@pytest.mark.catalogue("TF-187")
async def test_a_session_is_for_the_driver_s_emsp_alone(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp, pull: Pulling
) -> None:
    _offer(cpo, "sessions", _session("S1"), _session("S2", "FR*MSB"), _session("S3", "SE*XXX"))
    row = await pull("NL*CPA", "sessions")
    assert await _kept(running.hub, "sessions") == {("NL*CPA", "S1"): "DE*MSA", ("NL*CPA", "S2"): "FR*MSB"}
    assert row.aside == 1
    for party, seen in ((emsp, ["S1"]), (other_emsp, ["S2"])):
        assert [found["id"] for found in await party.pull("sessions", to=party.hub, date_from=OLD)] == seen


@pytest.mark.catalogue("SES-015")
async def test_the_first_request_for_sessions_has_a_date_from(cpo: CpoBackend, pull: Pulling) -> None:
    await pull("NL*CPA", "sessions", full=True)
    assert [bool(seen.query.get("date_from")) for seen in _lists(cpo, "sessions")] == [True]


@pytest.mark.catalogue("SES-047")
async def test_a_session_vanishes_only_from_the_window_that_was_asked_for(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    before = format_datetime(parse_datetime(samples.now()) - plans.BACK - timedelta(days=1))
    for body in (_session("RECENT"), _session("LONG_AGO", at=before)):
        assert (await cpo.put_session(body, to="DE*MSA")).ok
    cpo.sessions._objects.clear()
    await pull("NL*CPA", "sessions", full=True)
    assert await _missing(running.hub, "sessions") == {"RECENT"}


def _cdr(id: str, of: str = "DE*MSA", at: str | None = None) -> Json:
    session = _session("S" + id, of, at) | {"kwh": 7}
    return samples.cdr(session, samples.location(), samples.tariff(), id=id, at=at)


async def _ledger(hub: Hub) -> tuple[dict[str, str], set[tuple[str, str]]]:
    async with hub.db.session() as session:
        entries = {row.key: row.receiver for row in await session.exec(select(Cdr))}
        return entries, {(row.receiver, row.key) for row in await session.exec(select(Owed))}


async def test_a_cdr_enters_the_ledger_and_is_owed_to_the_driver_s_emsp(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    _offer(cpo, "cdrs", _cdr("C1"), _cdr("C2", "SE*XXX"))
    row = await pull("NL*CPA", "cdrs")
    assert (row.changed, row.aside) == (1, 1)
    assert await _ledger(running.hub) == ({"C1": "DE*MSA"}, {("DE*MSA", "C1")})
    assert (await pull("NL*CPA", "cdrs", full=True)).changed == 0
    _offer(cpo, "cdrs", _cdr("C1") | {"remark": "another content"})
    again = await pull("NL*CPA", "cdrs", full=True)
    assert (again.changed, again.invalid) == (0, 1)
    assert "a different CDR with this id" in (await _findings(running.hub))["C1"]


async def test_a_cdr_that_was_pushed_is_not_delivered_again(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    assert (await cpo.post_cdr(_cdr("C1"), to="DE*MSA")).ok
    row = await pull("NL*CPA", "cdrs", full=True)
    assert (row.objects, row.changed, row.invalid) == (1, 0, 0)
    assert await _ledger(running.hub) == ({"C1": "DE*MSA"}, set())


@pytest.mark.catalogue("CDR-062")
async def test_a_cdr_never_vanishes(running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling) -> None:
    _offer(cpo, "cdrs", _cdr("C1"))
    await pull("NL*CPA", "cdrs", full=True)
    cpo.cdrs._objects.clear()
    await pull("NL*CPA", "cdrs", full=True)
    job = Job("NL*CPA", "cdrs", 2, "me", None, False, None, None, 0, "full", 1, None, None, None, None)
    ended = Page([], 0, None, whole=True)
    assert not gather.concludes(job, running.hub.catalog["cdrs"], ended)
    assert gather.concludes(job, running.hub.catalog["locations"], ended)
    assert await _missing(running.hub, "cdrs") == set()
    assert (await _ledger(running.hub))[0] == {"C1": "DE*MSA"}


async def test_where_the_agreement_allows_no_custody_cdrs_must_be_pushed(
    running: Any, cpo: CpoBackend, emsp: Emsp, pull: Pulling
) -> None:
    async with running.hub.db.unit_of_work() as session:
        await session.execute(
            text("INSERT INTO agreement (a, b, direction, options) VALUES (:a, :b, 'both', '{\"custody\": false}')"),
            {"a": "DE*MSA", "b": "NL*CPA"},
        )
        await session.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'directory'"))
    _offer(cpo, "cdrs", _cdr("C1"))
    _offer(cpo, "sessions", _session("S1"))
    assert (await pull("NL*CPA", "cdrs")).aside == 1
    assert (await pull("NL*CPA", "sessions")).changed == 1
    assert (await _ledger(running.hub))[0] == {}
