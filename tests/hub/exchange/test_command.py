"""Commands through the hub: whole, of the right party, answered by the CPO, and their results back to who gave them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import callbacks
from hub.ocpi import headers
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.emsp import Emsp
from hub.store import parties

TOKEN = samples.token()
WHOLE: dict[str, dict[str, Any]] = {
    "START_SESSION": {"token": TOKEN, "location_id": "LOC1"},
    "STOP_SESSION": {"session_id": "S1"},
    "RESERVE_NOW": {
        "token": TOKEN,
        "location_id": "LOC1",
        "reservation_id": "R1",
        "expiry_date": "2099-01-01T00:00:00Z",
    },
    "CANCEL_RESERVATION": {"reservation_id": "R1"},
    "UNLOCK_CONNECTOR": {"location_id": "LOC1", "evse_uid": "EVSE1", "connector_id": "1"},
}
IDS = {
    "START_SESSION": "CMD-038",
    "STOP_SESSION": "CMD-044",
    "RESERVE_NOW": "CMD-027",
    "CANCEL_RESERVATION": "CMD-023",
    "UNLOCK_CONNECTOR": "CMD-048",
}


async def rows(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.catalogue("CMD-008", "CMD-010", "CMD-017")) for name in WHOLE]
)
async def test_each_command_is_passed_on_with_a_url_of_the_hub(
    running: Any, station: Any, emsp: Emsp, name: str
) -> None:
    command = await emsp.command(name, WHOLE[name], "NL*CPA")
    assert command.accepted
    [seen] = station.asked(f"/receiver/commands/{name}")
    url = seen.body.pop("response_url")
    assert url.startswith(f"{running.url}/ocpi/2.2.1/cb/")
    assert seen.body == WHOLE[name]
    assert (seen.method, str(seen.to), str(seen.sender)) == ("POST", "NL*CPA", "DE*MSA")
    assert not station.faults


@pytest.mark.parametrize(
    ("name", "field"),
    [
        pytest.param(name, field, marks=pytest.mark.catalogue(IDS[name]), id=f"{name}-{field}")
        for name, body in WHOLE.items()
        for field in ("response_url", *body)
    ],
)
async def test_a_command_that_is_not_whole_is_refused_by_name(
    running: Any, station: Any, emsp: Emsp, name: str, field: str
) -> None:
    body = {**WHOLE[name], "response_url": f"{emsp.origin}/results/1"}
    del body[field]
    answer = await emsp.send("POST", "commands", name, to="NL*CPA", body=body)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert field in answer.message
    assert not station.asked("/receiver/commands")


@pytest.mark.catalogue("CMD-039")
async def test_a_connector_is_named_with_its_evse(running: Any, station: Any, emsp: Emsp) -> None:
    body = {"token": TOKEN, "location_id": "LOC1", "connector_id": "1"}
    refused = (await emsp.command("START_SESSION", body, "NL*CPA")).answer
    assert (refused.status_code, "evse_uid" in refused.message) == (2001, True)
    assert (await emsp.command("START_SESSION", {**body, "evse_uid": "EVSE1"}, "NL*CPA")).accepted


@pytest.mark.catalogue("CMD-042", "CMD-032")
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW"])
async def test_only_own_tokens_are_used(running: Any, station: Any, emsp: Emsp, other_emsp: Emsp, name: str) -> None:
    body = {**WHOLE[name], "token": samples.token("FR*MSB")}
    assert (await emsp.command(name, body, "NL*CPA")).answer.status_code == 2001
    assert not station.asked("/receiver/commands")


@pytest.mark.catalogue("CMD-052", "CMD-036")
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW"])
async def test_a_token_that_the_hub_never_saw_will_do(running: Any, station: Any, emsp: Emsp, name: str) -> None:
    body = {**WHOLE[name], "token": samples.token(uid="NEVER-PUSHED", type="APP_USER")}
    assert (await emsp.command(name, body, "NL*CPA")).accepted
    assert station.asked("/receiver/commands")[0].body["token"] == body["token"]


@pytest.mark.catalogue("CMD-020")
@pytest.mark.parametrize("url", ["http://127.0.0.9:1/elsewhere", "ftp://127.0.0.1/x", "http://10.0.0.1/x", "nonsense"])
async def test_a_result_goes_to_hosts_of_its_platform_only(running: Any, station: Any, emsp: Emsp, url: str) -> None:
    body = {"session_id": "S1", "response_url": url}
    answer = await emsp.send("POST", "commands", "STOP_SESSION", to="NL*CPA", body=body)
    assert (answer.status_code, "response_url" in answer.message) == (2001, True)
    assert url not in answer.message
    assert not station.asked("/receiver/commands")


@pytest.mark.catalogue("CMD-020")
async def test_the_operator_may_add_hosts(running: Any, station: Any, emsp: Emsp) -> None:
    body = {"session_id": "S1", "response_url": "http://127.0.0.9:1/push/1"}
    call = ("POST", "commands", "STOP_SESSION")
    assert (await emsp.send(*call, to="NL*CPA", body=body)).status_code == 2001
    async with running.hub.db.session() as session:
        number = running.hub.directory.now.party(emsp.parties[0]).platform.id
        found = await session.get_one(parties.Platform, number)
        found.quirks = {"hosts": "https://x.example, http://127.0.0.9:1"}
        await parties.touch(session)
    await running.hub.directory.refresh()
    assert (await emsp.send(*call, to="NL*CPA", body=body)).data["result"] == "ACCEPTED"


@pytest.mark.catalogue("CMD-015")
async def test_an_emsp_needs_no_endpoint_of_its_own_to_command(running: Any, station: Any) -> None:
    class Quiet(Emsp):
        modules = tuple(pair for pair in Emsp.modules if pair[0] != "commands")

    async with Quiet("SE*QUI") as quiet:
        await running.join(quiet, "EMSP")
        command = await quiet.stop_session("S1", to="NL*CPA")
        [seen] = station.asked("/receiver/commands")
        assert (await station.post_result(seen.body["response_url"], "ACCEPTED", to="SE*QUI")).ok
        assert await quiet.result(command) == "ACCEPTED"


@pytest.mark.catalogue("CMD-005", "CHP-038")
async def test_each_command_and_profile_has_a_url_of_its_own(running: Any, station: Any, smart: Any) -> None:
    for _ in range(2):
        await smart.stop_session("S1", to="NL*CPA")
        await smart.set_profile("S1", to="NL*CPA")
    given = [seen.body["response_url"] for seen in station.received if seen.body and "response_url" in seen.body]
    assert (len(given), len(set(given))) == (4, 4)


@pytest.mark.catalogue("CMD-009")
async def test_an_unknown_command_is_404(running: Any, station: Any, emsp: Emsp) -> None:
    answer = await emsp.send("POST", "commands", "DANCE", to="NL*CPA", body=WHOLE["STOP_SESSION"])
    assert (answer.http_status, answer.status_code is not None) == (404, True)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (await emsp.send(method, "commands", "START_SESSION", to="NL*CPA")).http_status == 405


@pytest.mark.catalogue("CMD-022", "CMD-011")
async def test_the_cpos_first_answer_is_passed_on_as_it_is(running: Any, station: Any, emsp: Emsp) -> None:
    station.said = {"result": "ACCEPTED", "timeout": 4711, "message": [{"language": "en", "text": "soon"}], "x": 1}
    command = await emsp.stop_session("S1", to="NL*CPA")
    assert command.answer.data == station.said
    assert command.answer.message == "as scripted"


@pytest.mark.catalogue("CMD-011", "TF-179")
async def test_data_comes_back_with_a_refusal(running: Any, station: Any, emsp: Emsp) -> None:
    station.said, station.code = {"result": "REJECTED", "timeout": 0}, 2003
    answer = (await emsp.start_session(TOKEN, "NONE", to="NL*CPA")).answer
    assert (answer.status_code, answer.data, answer.message) == (2003, station.said, "as scripted")


@pytest.mark.catalogue("CMD-003")
@pytest.mark.parametrize("result", ["REJECTED", "NOT_SUPPORTED", "UNKNOWN_SESSION"])
async def test_no_result_is_taken_for_what_was_not_accepted(
    running: Any, station: Any, emsp: Emsp, result: str
) -> None:
    station.said = {"result": result, "timeout": 0}
    await emsp.stop_session("S1", to="NL*CPA")
    [seen] = station.asked("/receiver/commands")
    late = await station.post_result(seen.body["response_url"], "ACCEPTED", to="DE*MSA")
    assert (late.http_status, emsp.results) == (404, {})


@pytest.mark.catalogue("CMD-004", "CMD-006")
async def test_a_reservation_may_report_its_end_at_the_same_url(running: Any, station: Any, emsp: Emsp) -> None:
    wish = {**WHOLE["RESERVE_NOW"], "expiry_date": format_datetime(datetime.now(UTC) + timedelta(days=9))}
    reserved = await emsp.command("RESERVE_NOW", wish, "NL*CPA")
    [seen] = station.asked("/receiver/commands")
    for result in ("ACCEPTED", "CANCELED_RESERVATION"):
        assert (await station.post_result(seen.body["response_url"], result, to="DE*MSA")).ok
        assert await emsp.result(reserved) == result
    [(left,)] = await rows(running, "SELECT expires_at - now() FROM callback")
    assert left > timedelta(days=9)
    # A week later the row is still there, and the station cancels.
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE callback SET expires_at = expires_at - interval '8 days'"))
    assert (await station.post_result(seen.body["response_url"], "CANCELED_RESERVATION", to="DE*MSA")).ok


async def test_any_other_command_has_a_day(running: Any, station: Any, emsp: Emsp) -> None:
    await emsp.stop_session("S1", to="NL*CPA")
    [(left,)] = await rows(running, "SELECT expires_at - now() FROM callback")
    assert timedelta(hours=23) < left <= callbacks.COMMAND_LIFETIME


async def test_a_command_that_reached_nobody_leaves_no_url(running: Any, station: Any, emsp: Emsp) -> None:
    await station.go_away()
    answer = (await emsp.stop_session("S1", to="NL*CPA")).answer
    assert (answer.http_status, answer.status_code, answer.data) == (200, 4003, None)
    assert await rows(running, "SELECT 1 FROM callback") == []


async def test_a_cpo_is_named_or_found(running: Any, station: Any, emsp: Emsp) -> None:
    assert (await emsp.stop_session("S1", to=emsp.hub)).answer.status_code == 2001
    assert (await emsp.stop_session("S1", to="XX*XXX")).answer.status_code == 4001
    assert (await emsp.stop_session("S1", to="NL*CPA")).answer.headers[headers.FROM_PARTY] == "CPA"
