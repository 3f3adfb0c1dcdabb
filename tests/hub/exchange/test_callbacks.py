"""URLs that the hub gives out, for results of commands and pages of lists: whose they are and how long they last."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hub.delivery.chores import Chores
from hub.exchange import callbacks
from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Command, Emsp
from hub.store import messages


async def stopped(emsp: Emsp, station: Any) -> tuple[Command, str]:
    """A STOP_SESSION that the CPO has taken on, and the URL it was given for its result."""
    command = await emsp.stop_session("S1", to=str(station.parties[0]))
    assert command.accepted
    return command, station.asked("/receiver/commands")[-1].body["response_url"]


async def run(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


@pytest.mark.catalogue("CMD-001", "CMD-017", "CMD-018")
async def test_a_result_finds_its_way_back(running: Any, station: Any, emsp: Emsp) -> None:
    command, url = await stopped(emsp, station)
    answer = await station.post_result(url, "EVSE_OCCUPIED", to="DE*MSA")
    assert (answer.http_status, answer.status_code, answer.data) == (200, 1000, None)
    assert await emsp.result(command) == "EVSE_OCCUPIED"
    seen = emsp.received[-1]
    assert seen.path.endswith(command.id)
    assert (str(seen.to), str(seen.sender)) == ("DE*MSA", "NL*CPA")
    assert seen.headers["Authorization"] == headers.encode_token(emsp.registered.token_in)
    assert seen.headers[headers.REQUEST_ID] != answer.headers[headers.REQUEST_ID]
    assert not (station.faults + emsp.faults)


@pytest.mark.catalogue("CMD-012", "CMD-013", "CMD-016")
async def test_a_result_goes_to_the_very_url_that_was_given(running: Any, station: Any, emsp: Emsp) -> None:
    path = "/ocpi/2.2.1/sender/commands/X%20Y/1?a=%2Fb%3D&c=d+e%2Bf&a"
    body = {"session_id": "S1", "response_url": emsp.origin + path}
    assert (await emsp.send("POST", "commands", "STOP_SESSION", to="NL*CPA", body=body)).ok
    [asked] = station.asked("/receiver/commands")
    raw: list[str] = []
    ordinary = emsp._take_result

    async def take(request: Any) -> Any:
        raw.append(request.raw_path)
        return await ordinary(request)

    emsp._take_result = take  # type: ignore[method-assign]
    await emsp.go_away()
    await emsp.come_back()
    assert (await station.post_result(asked.body["response_url"], "ACCEPTED", to="DE*MSA")).ok
    assert raw == [path]
    seen = emsp.received[-1]
    assert seen.headers["Authorization"] == headers.encode_token(emsp.registered.token_in)
    assert (str(seen.to), str(seen.sender)) == ("DE*MSA", "NL*CPA")


@pytest.mark.catalogue("CMD-014")
async def test_a_result_is_passed_on_as_it_is(running: Any, station: Any, emsp: Emsp) -> None:
    command, url = await stopped(emsp, station)
    result = {"result": "FAILED", "message": [{"language": "en", "text": "no"}], "x_more": {"of": 1}}
    assert (await station.call_back(url, result, "DE*MSA")).ok
    assert emsp.results[command.id] == result


@pytest.mark.catalogue("TF-137")
async def test_a_result_has_ids_of_its_own(running: Any, station: Any, emsp: Emsp) -> None:
    command, url = await stopped(emsp, station)
    answer = await station.post_result(url, "ACCEPTED", to="DE*MSA")
    assert emsp.received[-1].correlation_id == answer.correlation_id
    assert answer.correlation_id != command.answer.correlation_id
    await running.hub.journal.flush()
    async with running.hub.db.unit_of_work() as session:
        hops = await messages.trace(session, command.answer.correlation_id)
    assert f"continues as {answer.correlation_id}" in hops[-1]["detail"]


@pytest.mark.catalogue("CMD-019")
async def test_a_result_is_taken_from_the_cpo_that_was_asked_only(
    running: Any, station: Any, other_station: Any, emsp: Emsp
) -> None:
    _, url = await stopped(emsp, station)
    foreign = await other_station.post_result(url, "ACCEPTED", to="DE*MSA")
    assert (foreign.http_status, foreign.status_code is not None) == (404, True)
    assert (await emsp.call("POST", url, emsp.registered.token_out, {"result": "ACCEPTED"})).http_status == 404
    unknown = await station.post_result(url[:-4] + "AAAA", "ACCEPTED", to="DE*MSA")
    assert unknown.http_status == 404
    assert not emsp.results
    await run(running, "UPDATE callback SET expires_at = now()")
    assert (await station.post_result(url, "ACCEPTED", to="DE*MSA")).http_status == 404


async def test_a_result_without_routing_headers_gets_them(running: Any, station: Any, emsp: Emsp) -> None:
    command, url = await stopped(emsp, station)
    assert (await station.call("POST", url, station.registered.token_out, {"result": "REJECTED"})).ok
    assert await emsp.result(command) == "REJECTED"
    assert (str(emsp.received[-1].to), str(emsp.received[-1].sender)) == ("DE*MSA", "NL*CPA")


async def test_a_platform_of_several_parties_need_not_say_whose_the_result_is(running: Any, emsp: Emsp) -> None:
    async with CpoBackend("NL*CPA", "NL*CPB") as twins:
        await running.join(twins, "CPO")
        await twins.put_location(samples.location("NL*CPB"), to=twins.hub)
        command = await emsp.start_session(samples.token(), "LOC1", "EVSE1", to="NL*CPB")
        assert await emsp.result(command) == "ACCEPTED"
        url = next(r for r in twins.received if "START_SESSION" in r.path).body["response_url"]
        bare = await twins.call("POST", url, twins.registered.token_out, {"result": "FAILED"})
        assert bare.ok
        assert str(emsp.received[-1].sender) == "NL*CPB"
        wrong = await twins.call_back(url, {"result": "FAILED"}, "DE*MSA", sender="NL*CPA")
        assert wrong.http_status == 404


@pytest.mark.catalogue("CMD-056")
async def test_a_result_that_cannot_be_delivered_is_not_tried_again(
    running: Any, station: Any, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = await stopped(emsp, station)
    ordinary = running.hub.outbound.send
    tries = 0

    async def send(*call: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        return await ordinary(*call[:4], timeout=0.3)

    monkeypatch.setattr(running.hub.outbound, "send", send)
    emsp.knobs.delay = 1.0
    slow = await station.post_result(url, "ACCEPTED", to="DE*MSA")
    assert (slow.http_status, slow.status_code, tries) == (200, 4002, 1)
    await emsp.go_away()
    away = await station.post_result(url, "ACCEPTED", to="DE*MSA")
    assert (away.http_status, away.status_code, tries) == (200, 4003, 2)


@pytest.mark.catalogue("TYP-020")
async def test_urls_of_the_hub_are_short_whatever_they_stand_for(running: Any, station: Any, emsp: Emsp) -> None:
    long = f"{emsp.origin}/ocpi/2.2.1/sender/commands/X/{'x' * 190}"
    body = {"session_id": "S1", "response_url": long}
    assert (await emsp.send("POST", "commands", "STOP_SESSION", to="NL*CPA", body=body)).ok
    [seen] = station.asked("/receiver/commands")
    assert len(seen.body["response_url"]) < 100
    for number in range(60):
        station.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    query = {"date_from": "2026-01-01T00:00:00Z", "x": "y" * 200}
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA", query=query)
    assert first.next_url is not None
    assert len(first.next_url) < 100
    cdr = samples.cdr(samples.session(of=samples.token()), samples.location(), samples.tariff(), id="C" * 36)
    assert len((await station.post_cdr(cdr, to="DE*MSA")).headers["Location"]) < 100


@pytest.mark.catalogue("CMD-021")
async def test_a_result_that_does_not_come_is_recorded(running: Any, station: Any, emsp: Emsp) -> None:
    station.said = {"result": "ACCEPTED", "timeout": 20}
    lost, _ = await stopped(emsp, station)
    come, url = await stopped(emsp, station)
    await station.post_result(url, "ACCEPTED", to="DE*MSA")
    [(due,), _] = await run(running, "SELECT due_at - now() FROM callback")
    assert timedelta(seconds=10) < due <= timedelta(seconds=20)
    await run(running, "UPDATE callback SET due_at = now() - interval '1 second'")
    for _ in range(2):
        await Chores(running.hub.db, 14).expire()
    missing = await run(running, "SELECT correlation_id, sender, receiver, what FROM hop WHERE decision = 'missing'")
    assert missing == [(lost.answer.correlation_id, "NL*CPA", "DE*MSA", "result of commands STOP_SESSION")]
    assert come.answer.correlation_id != lost.answer.correlation_id
    assert list(emsp.results) == [come.id], "the hub makes up no TIMEOUT"


# Pages


@pytest.mark.catalogue("TF-044")
async def test_a_page_can_be_followed_again_with_and_without_a_receiver(running: Any, station: Any, emsp: Emsp) -> None:
    for number in range(60):
        station.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert first.next_url is not None
    routing = {headers.TO_COUNTRY: "NL", headers.TO_PARTY: "CPA"}
    pages = [
        await emsp.call("GET", first.next_url, emsp.registered.token_out, None, extra)
        for extra in ({}, routing, {}, routing)
    ]
    assert [len(page.data) for page in pages] == [10] * 4
    assert all(page.headers[headers.FROM_PARTY] == "CPA" for page in pages)
    assert not station.faults


async def test_a_page_ends_and_is_nobody_elses(running: Any, station: Any, emsp: Emsp, other_emsp: Emsp) -> None:
    for number in range(60):
        station.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert first.next_url is not None
    foreign = await other_emsp.call("GET", first.next_url, other_emsp.registered.token_out)
    assert (foreign.http_status, foreign.data) == (404, None)
    result = await station.call("POST", first.next_url.replace("/page/", "/cb/"), station.registered.token_out, {})
    assert result.http_status == 404, "a page is no place for results"
    [(left,)] = await run(running, "SELECT expires_at - now() FROM callback")
    assert timedelta(hours=23) < left <= callbacks.PAGE_LIFETIME
    await run(running, "UPDATE callback SET expires_at = now()")
    assert (await emsp.call("GET", first.next_url, emsp.registered.token_out)).http_status == 404
