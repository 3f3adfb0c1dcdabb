"""Charging profiles through the hub: the request to the CPO of the Session, its result and later changes back."""

from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import text
from yarl import URL

from hub.ocpi import headers
from hub.sandbox import samples
from hub.store import parties
from hub.store.parties import Agreement

ACTIVE = {"start_date_time": "2026-01-01T12:00:00Z", "charging_profile": {"charging_rate_unit": "A"}}


async def a_session(station: Any, id: str = "SESSION1", to: str = "DE*MSA") -> None:
    await station.put_session(samples.session(str(station.parties[0]), id, samples.token(to)), to=to)


async def answer_to(station: Any, seen: Any, body: Any, to: str | None = "DE*MSA") -> Any:
    """The CPO's result for a call that it has seen, at the URL it was given."""
    url = seen.body["response_url"] if seen.body else seen.query["response_url"]
    return await station.call_back(url, body, to)


@pytest.mark.catalogue("CHP-011", "CHP-005")
@pytest.mark.parametrize("to", ["NL*CPA", pytest.param(None, marks=pytest.mark.catalogue("CHP-042"))])
async def test_a_profile_is_set(running: Any, station: Any, smart: Any, to: str | None) -> None:
    await a_session(station)
    answer = await smart.set_profile("SESSION1", to=to)
    assert (answer.http_status, answer.data) == (200, {"result": "ACCEPTED", "timeout": 30})
    assert answer.headers[headers.FROM_PARTY] == "CPA"
    [seen] = station.asked("/receiver/chargingprofiles/SESSION1")
    assert (seen.method, str(seen.to), str(seen.sender)) == ("PUT", "NL*CPA", "DE*MSA")
    assert seen.body["charging_profile"]["charging_profile_period"] == [{"start_period": 0, "limit": 11000}]
    assert seen.body["response_url"].startswith(f"{running.url}/ocpi/2.2.1/profile/")
    assert not station.faults


@pytest.mark.catalogue("CHP-010", "CHP-008", "CHP-009")
async def test_the_url_in_the_query_of_a_get_is_the_hubs(running: Any, station: Any, smart: Any) -> None:
    await a_session(station)
    query = {"duration": "900", "response_url": smart.result_url("7") + "?a=1&b=2"}
    answer = await smart.send("GET", "chargingprofiles", "SESSION1", to=None, query=query)
    assert answer.data["result"] == "ACCEPTED"
    [seen] = station.asked("/receiver/chargingprofiles/SESSION1")
    assert seen.query["duration"] == "900"
    own = seen.query["response_url"]
    assert own.startswith(f"{running.url}/ocpi/2.2.1/profile/")
    assert len(own) <= 255
    assert (await answer_to(station, seen, {"result": "ACCEPTED", "profile": ACTIVE})).ok
    [told] = smart.told("/results/7")
    assert (told.method, dict(told.query)) == ("POST", {"a": "1", "b": "2"})


@pytest.mark.catalogue("CHP-010", "CHP-013")
async def test_the_url_in_the_query_of_a_delete_is_the_hubs(running: Any, station: Any, smart: Any) -> None:
    await a_session(station)
    query = {"response_url": smart.result_url("8")}
    assert (await smart.send("DELETE", "chargingprofiles", "SESSION1", to="NL*CPA", query=query)).ok
    [seen] = station.asked("/receiver/chargingprofiles/SESSION1")
    assert seen.method == "DELETE"
    assert seen.query["response_url"].startswith(running.url)


@pytest.mark.catalogue("CHP-041", "CHP-009")
async def test_a_url_that_is_not_encoded_is_understood_and_goes_on_encoded(
    running: Any, station: Any, smart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_session(station)
    sent: list[str] = []
    ordinary = running.hub.outbound.send

    async def send(method: str, url: str, *more: Any, **options: Any) -> Any:
        sent.append(url)
        return await ordinary(method, url, *more, **options)

    monkeypatch.setattr(running.hub.outbound, "send", send)
    printed = f"duration=900&response_url={smart.result_url('9')}?request_id=5678&more=1"
    url = URL(f"{running.url}/ocpi/2.2.1/receiver/chargingprofiles/SESSION1?{printed}", encoded=True)
    shown = {"Authorization": headers.encode_token(smart.registered.token_out)}
    async with ClientSession() as session, session.get(url, headers=shown) as answer:
        assert answer.status == 200
    [seen] = station.asked("/receiver/chargingprofiles/SESSION1")
    assert "response_url=http%3A%2F%2F127.0.0.1" in sent[-1]
    assert set(seen.query) == {"duration", "response_url"}
    await answer_to(station, seen, {"result": "REJECTED"})
    [told] = smart.told("/results/9")
    assert dict(told.query) == {"request_id": "5678", "more": "1"}


@pytest.mark.catalogue("CHP-015")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_get_or_delete_starts_something_each_time(running: Any, station: Any, smart: Any, method: str) -> None:
    await a_session(station)
    query = {"response_url": smart.result_url("1"), **({"duration": "60"} if method == "GET" else {})}
    for _ in range(2):
        assert (await smart.send(method, "chargingprofiles", "SESSION1", to=None, query=query)).ok
    first, second = station.asked("/receiver/chargingprofiles/SESSION1")
    assert first.query["response_url"] != second.query["response_url"]


@pytest.mark.catalogue("CHP-016", "CHP-017", "CHP-018")
@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("GET", {"result": "ACCEPTED", "profile": ACTIVE}),
        ("PUT", {"result": "UNKNOWN", "x_more": 1}),
        ("DELETE", {"result": "REJECTED"}),
    ],
)
async def test_a_result_comes_back_as_it_is(
    running: Any, station: Any, smart: Any, method: str, result: dict[str, Any]
) -> None:
    await a_session(station)
    if method == "PUT":
        await smart.set_profile("SESSION1", to=None)
    else:
        query = {"response_url": smart.result_url("1"), **({"duration": "60"} if method == "GET" else {})}
        await smart.send(method, "chargingprofiles", "SESSION1", to=None, query=query)
    [seen] = station.asked("/receiver/chargingprofiles")
    answer = await answer_to(station, seen, result)
    assert (answer.http_status, answer.status_code, answer.data) == (200, 1000, None)
    [told] = smart.told("/results/1")
    assert (told.method, told.body) == ("POST", result)
    assert (str(told.to), str(told.sender)) == ("DE*MSA", "NL*CPA")
    assert not (station.faults + smart.faults)


@pytest.mark.catalogue("CHP-037")
@pytest.mark.parametrize("result", ["NOT_SUPPORTED", "REJECTED", "TOO_OFTEN", "UNKNOWN_SESSION"])
async def test_no_result_is_expected_of_what_was_not_accepted(
    running: Any, station: Any, smart: Any, result: str
) -> None:
    station.said = {"result": result, "timeout": 0}
    answer = await smart.set_profile("SESSION1", to="NL*CPA")
    assert (answer.status_code, answer.data["result"]) == (1000, result)
    [seen] = station.asked("/receiver/chargingprofiles")
    assert (await answer_to(station, seen, {"result": "ACCEPTED"})).http_status == 404
    assert not smart.told("/results/")


async def changed(station: Any) -> Any:
    """The CPO tells of a change in the profile of SESSION1, and leaves it to the hub to know whom."""
    return await station.send("PUT", "chargingprofiles", "SESSION1", interface="SENDER", to=None, body=ACTIVE)


@pytest.mark.catalogue("CHP-020")
async def test_nobody_is_told_of_changes_who_never_set_a_profile(running: Any, station: Any, smart: Any) -> None:
    await a_session(station)
    assert (await changed(station)).status_code == 4001
    await smart.set_profile("SESSION1", to=None)
    assert (await changed(station)).status_code == 4001, "no result yet"
    await answer_to(station, station.asked("/receiver/chargingprofiles")[0], {"result": "REJECTED"})
    assert (await changed(station)).status_code == 4001, "refused"
    await smart.send("GET", "chargingprofiles", "SESSION1", to=None, query={
        "duration": "60", "response_url": smart.result_url("1"),
    })  # fmt: skip
    await answer_to(station, station.asked("/receiver/chargingprofiles")[1], {"result": "ACCEPTED", "profile": ACTIVE})
    assert (await changed(station)).status_code == 4001, "only asked"
    assert not smart.told("/sender/chargingprofiles/SESSION1")


@pytest.mark.catalogue("CHP-012", "CHP-042", "CHP-003")
async def test_a_newer_profile_takes_the_place_of_an_older(running: Any, station: Any, smart: Any) -> None:
    async with type(smart)("SE*SCS") as scsp:
        await running.join(scsp, "EMSP")
        for party in (smart, scsp):
            await party.set_profile("SESSION1", to="NL*CPA")
            seen = station.asked("/receiver/chargingprofiles")[-1]
            await answer_to(station, seen, {"result": "ACCEPTED"}, str(party.parties[0]))
        assert (await changed(station)).headers[headers.FROM_PARTY] == "SCS"
        assert (smart.told("/chargingprofiles/SESSION1"), len(scsp.told("/chargingprofiles/SESSION1"))) == ([], 1)


@pytest.mark.catalogue("CHP-001", "CHP-002")
async def test_profiles_need_an_agreement_and_a_session_that_is_shared(
    running: Any, station: Any, smart: Any, other_emsp: Any
) -> None:
    await a_session(station, to="FR*MSB")
    assert (await smart.set_profile("SESSION1", to=None)).status_code == 4001, "not shared with it"
    async with running.hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="DE*MSA", modules=["sessions", "commands"]))
        await parties.touch(session)
    await running.hub.directory.refresh()
    assert (await smart.set_profile("SESSION1", to="NL*CPA")).status_code == 4001, "no contract for profiles"
    assert not station.asked("/receiver/chargingprofiles")


@pytest.mark.catalogue("CHP-042", "CHP-019", "CHP-023")
async def test_a_change_goes_to_whose_profile_was_last_accepted(
    running: Any, station: Any, smart: Any, other_emsp: Any
) -> None:
    await a_session(station)
    await smart.set_profile("SESSION1", to=None)
    await answer_to(station, station.asked("/receiver/chargingprofiles")[0], {"result": "ACCEPTED"})
    answer = await changed(station)
    assert (answer.status_code, answer.data, answer.headers[headers.FROM_PARTY]) == (1000, None, "MSA")
    [told] = smart.told("/sender/chargingprofiles/SESSION1")
    assert (told.method, told.body, str(told.to), str(told.sender)) == ("PUT", ACTIVE, "DE*MSA", "NL*CPA")


@pytest.mark.catalogue("CHP-024")
async def test_session_ids_are_those_of_their_cpo(running: Any, station: Any, other_station: Any, smart: Any) -> None:
    await a_session(station)
    await smart.set_profile("SESSION1", to=None)
    await answer_to(station, station.asked("/receiver/chargingprofiles")[0], {"result": "ACCEPTED"})
    foreign = await other_station.send("PUT", "chargingprofiles", "SESSION1", interface="SENDER", to=None, body=ACTIVE)
    assert foreign.status_code == 4001
    direct = await other_station.send(
        "PUT", "chargingprofiles", "SESSION1", interface="SENDER", to="DE*MSA", body=ACTIVE
    )
    assert direct.ok
    assert str(smart.told("/sender/chargingprofiles/SESSION1")[-1].sender) == "NL*CPB"


@pytest.mark.catalogue("CHP-040")
async def test_a_session_of_two_cpos_needs_a_name(running: Any, station: Any, other_station: Any, smart: Any) -> None:
    for owner in (station, other_station):
        await a_session(owner)
    assert (await smart.set_profile("SESSION1", to=None)).status_code == 4001
    assert (await smart.set_profile("SESSION1", to="NL*CPB")).ok
    assert not station.asked("/receiver/chargingprofiles")


@pytest.mark.catalogue("CHP-008", "CHP-043")
async def test_what_a_request_must_have(running: Any, station: Any, smart: Any) -> None:
    url = smart.result_url("1")
    profile = {"charging_rate_unit": "W"}
    for method, query, body, field in [
        ("GET", {"response_url": url}, None, "duration"),
        ("GET", {"duration": "60"}, None, "response_url"),
        ("GET", {"duration": "-1", "response_url": url}, None, "duration"),
        ("DELETE", {}, None, "response_url"),
        ("DELETE", {"response_url": "http://127.0.0.9:1/elsewhere"}, None, "response_url"),
        ("PUT", {}, {"charging_profile": profile}, "response_url"),
        ("PUT", {}, {"response_url": url}, "charging_profile"),
    ]:
        answer = await smart.send(method, "chargingprofiles", "S1", to="NL*CPA", query=query, body=body)
        assert (answer.http_status, answer.status_code) == (200, 2001)
        assert field in answer.message
    assert not station.asked("/receiver/chargingprofiles")


async def test_a_hosted_cpo_sets_no_profiles(running: Any, smart: Any) -> None:
    async with running.hub.db.session() as session:
        await session.execute(
            text(
                "INSERT INTO party (code, platform_id, roles, business_details)"
                " SELECT 'NL*LOC', id, '{CPO}', '{}' FROM platform WHERE hosted"
            )
        )
        await session.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'directory'"))
    await running.hub.directory.refresh()
    answer = await smart.set_profile("S1", to="NL*LOC")
    assert (answer.status_code, answer.data) == (1000, {"result": "NOT_SUPPORTED", "timeout": 0})
    assert (await smart.send("PUT", "chargingprofiles", "S1", to=smart.hub, body=ACTIVE)).status_code == 2001


@pytest.mark.catalogue("CHP-006")
async def test_every_change_of_a_profile_is_told(running: Any, station: Any, smart: Any) -> None:
    await a_session(station)
    await smart.set_profile("SESSION1", to=None)
    await answer_to(station, station.asked("/receiver/chargingprofiles")[0], {"result": "ACCEPTED"})
    for _ in range(3):
        assert (await changed(station)).ok
    assert len(smart.told("/sender/chargingprofiles/SESSION1")) == 3


@pytest.mark.catalogue("CHP-014")
async def test_a_delete_takes_away_nobody_elses_profile(running: Any, station: Any, smart: Any) -> None:
    await smart.set_profile("SESSION1", to="NL*CPA")
    await answer_to(station, station.asked("/receiver/chargingprofiles")[0], {"result": "ACCEPTED"})
    async with type(smart)("SE*SCS") as scsp:
        await running.join(scsp, "EMSP")
        query = {"response_url": scsp.result_url("1")}
        assert (await scsp.send("DELETE", "chargingprofiles", "SESSION1", to="NL*CPA", query=query)).ok
        seen = station.asked("/receiver/chargingprofiles")[-1]
        assert (seen.method, str(seen.sender)) == ("DELETE", "SE*SCS")
        await answer_to(station, seen, {"result": "ACCEPTED"}, "SE*SCS")
        assert (await changed(station)).headers[headers.FROM_PARTY] == "MSA"
        assert not scsp.told("/chargingprofiles/SESSION1")
