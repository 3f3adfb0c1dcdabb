"""The same command twice: carried out once, answered twice; another one under its X-Request-ID is refused."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from hub.exchange import callbacks, repeats
from hub.ocpi import headers
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer


async def give(emsp: Emsp, request_id: str, session_id: str = "S1", to: str = "NL*CPA", name: str = "A") -> Answer:
    """STOP_SESSION under an X-Request-ID of our choice."""
    body = {"session_id": session_id, "response_url": f"{emsp.origin}/ocpi/2.2.1/sender/commands/X/{name}"}
    url = f"{emsp.registered.endpoint('commands', 'RECEIVER')}/STOP_SESSION"
    country, party = to.split("*")
    extra = {headers.REQUEST_ID: request_id, headers.TO_COUNTRY: country, headers.TO_PARTY: party}
    answer = await emsp.call("POST", url, emsp.registered.token_out, body, extra)
    emsp.faults.clear()  # the sandbox compares with an id that it made itself
    return answer


async def test_a_repeated_command_is_answered_and_not_passed_on(running: Any, station: Any, emsp: Emsp) -> None:
    station.said = {"result": "ACCEPTED", "timeout": 12}
    first = await give(emsp, "r-1")
    station.said = {"result": "REJECTED", "timeout": 0}
    again = await give(emsp, "r-1")
    assert (again.http_status, again.status_code, again.data) == (200, 1000, {"result": "ACCEPTED", "timeout": 12})
    assert again.body == first.body
    assert again.headers[headers.FROM_PARTY] == "CPA"
    assert len(station.asked("/receiver/commands")) == 1
    assert (await give(emsp, "r-2")).data["result"] == "REJECTED"


async def test_another_command_under_the_same_id_is_refused(
    running: Any, station: Any, other_station: Any, emsp: Emsp, other_emsp: Emsp
) -> None:
    assert (await give(emsp, "r-1")).ok
    for other in ({"session_id": "S2"}, {"to": "NL*CPB"}, {"name": "B"}):
        refused = await give(emsp, "r-1", **other)
        assert (refused.http_status, refused.status_code) == (200, 2001)
        assert headers.REQUEST_ID in refused.message
    assert len(station.asked("/receiver/commands")) == 1
    assert (await give(other_emsp, "r-1")).ok, "another party's ids are its own"


async def test_two_at_once_are_carried_out_once(running: Any, station: Any, emsp: Emsp) -> None:
    station.knobs.delay = 0.3
    answers = await asyncio.gather(*(give(emsp, "r-1") for _ in range(4)))
    assert [answer.data["result"] for answer in answers] == ["ACCEPTED"] * 4
    assert len(station.asked("/receiver/commands")) == 1


async def test_what_reached_nobody_may_be_given_again(running: Any, station: Any, emsp: Emsp) -> None:
    await station.go_away()
    assert (await give(emsp, "r-1")).status_code == 4003
    await station.come_back()
    assert (await give(emsp, "r-1")).data["result"] == "ACCEPTED"


async def test_an_unknown_outcome_stays_unknown(
    running: Any, station: Any, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.exchange.callbacks.COMMAND_TIMEOUT", 0.3)
    station.knobs.delay = 1.0
    assert (await give(emsp, "r-1")).status_code == 4002
    station.knobs.delay = 0.0
    assert (await give(emsp, "r-1")).status_code == 4002
    assert len(station.asked("/receiver/commands")) == 1


async def test_a_command_whose_process_died_is_not_passed_on_again(running: Any, station: Any, emsp: Emsp) -> None:
    assert (await give(emsp, "r-1")).ok
    lost = "UPDATE given_command SET answer = NULL, at = now() - interval '1 minute'"
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text(lost))
    assert (await give(emsp, "r-1")).status_code == 4002
    assert len(station.asked("/receiver/commands")) == 1


async def test_after_a_day_an_id_is_free_again(running: Any, station: Any, emsp: Emsp) -> None:
    assert (await give(emsp, "r-1")).ok
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE given_command SET at = now() - interval '25 hours'"))
    assert (await give(emsp, "r-1", "S2")).ok
    assert len(station.asked("/receiver/commands")) == 2


def test_the_wait_covers_the_way_to_the_cpo() -> None:
    assert repeats.PATIENCE.total_seconds() > callbacks.COMMAND_TIMEOUT
