"""Real-time authorise and commands: the right party is asked, its own answer comes back, nothing is made up."""

from typing import Any

import pytest
import structlog

from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import parties
from hub.store.parties import Agreement


async def test_authorise_goes_to_the_emsp_named(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token()
    await emsp.put_token(token, to=emsp.hub)
    answer = await cpo.authorise(token["uid"], {"location_id": "LOC1"}, to="DE*MSA")
    assert answer.data["allowed"] == "ALLOWED"
    assert answer.headers[headers.FROM_PARTY] == "MSA"
    assert not emsp.faults


@pytest.mark.catalogue("TOK-026", "TOK-020")
async def test_without_a_receiver_the_owner_of_the_token_is_asked(
    cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    token = samples.token()
    await emsp.put_token(token, to=emsp.hub)
    answer = await cpo.authorise(token["uid"].lower(), to=None)
    assert answer.data["allowed"] == "ALLOWED"
    assert not [r for r in other_emsp.received if "authorize" in r.path]


@pytest.mark.catalogue("TOK-022", "TOK-026")
async def test_a_token_nobody_pushed_is_asked_of_all_and_never_invented(
    cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    secret = samples.token("FR*MSB", "DEADBEEF01")
    other_emsp.tokens["RFID", "DEADBEEF01"] = secret
    found = await cpo.authorise("DEADBEEF01", to=None)
    assert (found.data["allowed"], found.headers[headers.FROM_PARTY]) == ("ALLOWED", "MSB")
    unknown = await cpo.authorise("CAFE", to=None)
    assert (unknown.http_status, unknown.status_code, unknown.data) == (404, 2004, None)


async def test_an_emsp_whose_agreement_says_so_is_not_asked_about_unknown_tokens(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="FR*MSB", options={"authorise": False}))
        await parties.touch(session)
    await running.hub.directory.refresh()
    other_emsp.tokens["RFID", "DEADBEEF01"] = samples.token("FR*MSB", "DEADBEEF01")
    assert (await cpo.authorise("DEADBEEF01", to=None)).status_code == 2004
    assert (await cpo.authorise("DEADBEEF01", to="FR*MSB")).data["allowed"] == "ALLOWED"


@pytest.mark.catalogue("TOK-027")
async def test_of_several_that_hold_a_token_the_one_with_an_agreement_is_asked(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    for party in (emsp, other_emsp):
        await party.put_token(samples.token(str(party.parties[0]), "CAFE"), to=party.hub)
    newest = await cpo.authorise("CAFE", to=None)
    assert newest.headers[headers.FROM_PARTY] == "MSB"
    async with running.hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="DE*MSA"))
        await parties.touch(session)
    await running.hub.directory.refresh()
    with structlog.testing.capture_logs() as said:
        agreed = await cpo.authorise("CAFE", to=None)
    assert agreed.headers[headers.FROM_PARTY] == "MSA"
    assert [(line["owners"], line["asked"]) for line in said if "owners" in line] == [(["DE*MSA", "FR*MSB"], "DE*MSA")]
    assert len([r for p in (emsp, other_emsp) for r in p.received if "authorize" in r.path]) == 2, "no fan-out"


def asked(*emsps: Emsp) -> list[int]:
    """How often each was asked about a token."""
    return [len([r for r in emsp.received if "authorize" in r.path]) for emsp in emsps]


@pytest.mark.catalogue("TOK-026")
async def test_who_knew_a_token_is_asked_first_and_its_answer_is_its_own(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    token = samples.token("FR*MSB", "DEADBEEF01")
    other_emsp.tokens["RFID", "DEADBEEF01"] = token
    assert (await cpo.authorise("DEADBEEF01", to=None)).data["allowed"] == "ALLOWED"
    assert asked(emsp, other_emsp) == [1, 1]
    other_emsp.tokens["RFID", "DEADBEEF01"] = token | {"valid": False}
    blocked = await cpo.authorise("deadbeef01", to=None)
    assert (blocked.data["allowed"], asked(emsp, other_emsp)) == ("BLOCKED", [1, 2])
    del other_emsp.tokens["RFID", "DEADBEEF01"]
    emsp.tokens["RFID", "DEADBEEF01"] = samples.token(uid="DEADBEEF01")
    moved = await cpo.authorise("DEADBEEF01", to=None)
    assert (moved.headers[headers.FROM_PARTY], asked(emsp, other_emsp)) == ("MSA", [2, 3])
    await cpo.authorise("DEADBEEF01", to=None)
    assert asked(emsp, other_emsp) == [3, 3]
    unlike = await cpo.authorise("DEADBEEF01", to=None, kind="APP_USER")
    assert (unlike.http_status, asked(emsp, other_emsp)) == (404, [4, 4])


async def test_what_is_remembered_gives_no_right(running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    other_emsp.tokens["RFID", "DEADBEEF01"] = samples.token("FR*MSB", "DEADBEEF01")
    await cpo.authorise("DEADBEEF01", to=None)
    async with running.hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="FR*MSB", options={"authorise": False}))
        await parties.touch(session)
    await running.hub.directory.refresh()
    assert (await cpo.authorise("DEADBEEF01", to=None)).status_code == 2004


@pytest.mark.catalogue("TOK-028")
async def test_who_knew_a_token_and_is_silent_now_gives_no_answer(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_emsp.tokens["RFID", "DEADBEEF01"] = samples.token("FR*MSB", "DEADBEEF01")
    await cpo.authorise("DEADBEEF01", to=None)
    monkeypatch.setattr("hub.exchange.ask.AUTHORISE_TIMEOUT", 0.3)
    other_emsp.knobs.delay = 1.0
    silent = await cpo.authorise("DEADBEEF01", to=None)
    assert (silent.http_status, silent.status_code, silent.data) == (200, 4002, None)


@pytest.mark.catalogue("TOK-026")
async def test_nobody_to_ask_is_4001(cpo: CpoBackend) -> None:
    assert (await cpo.authorise("CAFE", to=None)).status_code == 4001


@pytest.mark.catalogue("TOK-028")
async def test_an_emsp_that_is_away_gives_no_answer(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token()
    await emsp.put_token(token, to=emsp.hub)
    await emsp.go_away()
    assert (await cpo.authorise(token["uid"], to=None)).status_code == 4003
    assert (await cpo.authorise("CAFE", to=None)).status_code == 4002


async def test_a_command_and_its_result(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    await cpo.put_tariff(samples.tariff(), to=cpo.hub)
    command = await emsp.start_session(samples.token(), "LOC1", "EVSE1", to="NL*CPA")
    assert command.accepted
    assert await emsp.result(command) == "ACCEPTED"
    seen = next(r for r in cpo.received if "START_SESSION" in r.path)
    assert seen.body["response_url"].startswith(running.url)
    assert len(seen.body["response_url"]) <= 255
    session = await emsp.until(lambda: emsp.sessions.all(), 10, "the Session")
    stop = await emsp.stop_session(session[0]["id"], to="NL*CPA")
    assert await emsp.result(stop) == "ACCEPTED"
    cdr = await emsp.until(lambda: list(emsp.cdrs.values()), 10, "the CDR")
    assert cdr[0]["session_id"] == session[0]["id"]
    assert not (cpo.faults + emsp.faults)


async def test_commands_that_are_refused(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    foreign = samples.token("FR*MSB")
    assert (
        await emsp.command("START_SESSION", {"token": foreign, "location_id": "LOC1"}, "NL*CPA")
    ).answer.status_code == 2001
    body = {"session_id": "S1", "response_url": "http://127.0.0.9:1/elsewhere"}
    elsewhere = await emsp.send("POST", "commands", "STOP_SESSION", to="NL*CPA", body=body)
    assert (elsewhere.status_code, "response_url" in elsewhere.message) == (2001, True)
    unnamed = await emsp.send("POST", "commands", "DANCE", to="NL*CPA", body=body)
    assert unnamed.http_status == 404
    unknown = await cpo.call(
        "POST", f"{running.url}/ocpi/2.2.1/cb/unknown", cpo.registered.token_out, {"result": "FAILED"}
    )
    assert unknown.http_status == 404
    assert (await emsp.stop_session("S9", to="NL*CPA")).answer.data["result"] == "UNKNOWN_SESSION"
