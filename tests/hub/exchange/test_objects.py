"""Locations, Tariffs and Tokens at a running hub: as the receiver that keeps them, and as the sender that passes them
on, by lists and by what its lanes deliver."""

from collections.abc import Callable
from typing import Any

import pytest

from hub.delivery.engine import Engine
from hub.exchange import ask, forward
from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.wire import Answer, Json

AT = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]
Eventually = Any


async def put(cpo: CpoBackend, body: Json, *path: str) -> Answer:
    return await cpo.send("PUT", "locations", "NL", "CPA", *(path or (body["id"],)), to=cpo.hub, body=body)


async def patch(cpo: CpoBackend, body: Json, *path: str) -> Answer:
    return await cpo.send("PATCH", "locations", "NL", "CPA", *path, to=cpo.hub, body=body)


async def only_location(emsp: Emsp) -> Json:
    [location] = await emsp.pull("locations", to=emsp.hub)
    return location


def calls(party: CpoBackend | Emsp, module: str) -> list[Received]:
    """What came to a party's Receiver interface."""
    return [request for request in party.received if f"/receiver/{module}/" in request.path]


async def delivered(engine: Engine, eventually: Eventually, condition: Callable[[], object]) -> None:
    engine.wake()
    await eventually(condition)


# Locations at the hub as receiver


@pytest.mark.catalogue("LOC-004")
async def test_a_removed_evse_stays(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location(at=AT[0]))).ok
    assert (await patch(cpo, {"status": "REMOVED", "last_updated": AT[1]}, "LOC1", "EVSE1")).ok
    held = await only_location(emsp)
    assert [(evse["uid"], evse["status"]) for evse in held["evses"]] == [("EVSE1", "REMOVED"), ("EVSE2", "AVAILABLE")]


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("PUT", marks=pytest.mark.catalogue("LOC-013", "LOC-021")),
        pytest.param("PATCH", marks=pytest.mark.catalogue("LOC-013", "LOC-029")),
    ],
)
async def test_a_change_of_a_connector_moves_the_times_above_it(cpo: CpoBackend, emsp: Emsp, method: str) -> None:
    location = samples.location(at=AT[0])
    assert (await put(cpo, location)).ok
    connector = location["evses"][0]["connectors"][0]
    change = {"max_voltage": 400, "last_updated": AT[1]}
    body = change if method == "PATCH" else connector | change
    path = ("NL", "CPA", "LOC1", "EVSE1", connector["id"])
    assert (await cpo.send(method, "locations", *path, to=cpo.hub, body=body)).ok
    held = await only_location(emsp)
    first, second = held["evses"]
    assert first["connectors"] == [connector | change]
    assert (held["last_updated"], first["last_updated"], second["last_updated"]) == (AT[1], AT[1], AT[0])


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("PUT", marks=pytest.mark.catalogue("LOC-013", "LOC-022")),
        pytest.param("PATCH", marks=pytest.mark.catalogue("LOC-013", "LOC-029")),
    ],
)
async def test_a_change_of_an_evse_moves_the_time_of_its_location(cpo: CpoBackend, emsp: Emsp, method: str) -> None:
    location = samples.location(at=AT[0])
    assert (await put(cpo, location)).ok
    change = {"status": "CHARGING", "last_updated": AT[1]}
    body = change if method == "PATCH" else location["evses"][0] | change
    assert (await cpo.send(method, "locations", "NL", "CPA", "LOC1", "EVSE1", to=cpo.hub, body=body)).ok
    held = await only_location(emsp)
    assert (held["last_updated"], held["evses"][0]["last_updated"]) == (AT[1], AT[1])
    assert held["evses"][0]["connectors"][0]["last_updated"] == AT[0]
    since = await emsp.pull("locations", to=emsp.hub, date_from=AT[1])
    assert [found["id"] for found in since] == ["LOC1"]


@pytest.mark.catalogue("LOC-024", "LOC-025")
async def test_a_part_that_is_not_whole_or_hangs_in_the_air_is_refused(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(at=AT[0])
    evse = samples.evse(number=3, at=AT[1])
    assert (await put(cpo, evse, "LOC1", "EVSE3")).http_status == 404
    assert (await put(cpo, location)).ok
    assert (await put(cpo, evse["connectors"][0], "LOC1", "EVSE3", "1")).http_status == 404
    refused = await put(cpo, {"uid": "EVSE3", "status": "AVAILABLE", "last_updated": AT[1]}, "LOC1", "EVSE3")
    assert (refused.status_code, refused.message) == (2001, "connectors: field required")
    assert await only_location(emsp) == location
    assert (await put(cpo, evse, "LOC1", "EVSE3")).http_status == 201
    assert (await only_location(emsp))["evses"] == [*location["evses"], evse]


async def test_a_put_without_an_evse_takes_it_from_the_location(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(at=AT[0])
    assert (await put(cpo, location)).ok
    less = samples.location(at=AT[1])
    less["evses"] = less["evses"][:1]
    assert (await put(cpo, less)).ok
    assert await only_location(emsp) == less


@pytest.mark.catalogue("LOC-031")
async def test_a_list_in_a_patch_replaces_the_list(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location(at=AT[0]))).ok
    assert (await patch(cpo, {"capabilities": ["RESERVABLE"], "last_updated": AT[1]}, "LOC1", "EVSE1")).ok
    assert (await patch(cpo, {"tariff_ids": ["A", "B"], "last_updated": AT[2]}, "LOC1", "EVSE1", "1")).ok
    evse = (await only_location(emsp))["evses"][0]
    assert (evse["capabilities"], evse["connectors"][0]["tariff_ids"]) == (["RESERVABLE"], ["A", "B"])


@pytest.mark.parametrize(
    ("level", "field"),
    [
        pytest.param((), "id", marks=pytest.mark.catalogue("LOC-035")),
        ((), "party_id"),
        pytest.param(("EVSE1",), "uid", marks=pytest.mark.catalogue("LOC-050")),
        (("EVSE1", "1"), "id"),
    ],
)
async def test_an_id_never_changes(cpo: CpoBackend, emsp: Emsp, level: tuple[str, ...], field: str) -> None:
    location = samples.location(at=AT[0])
    assert (await put(cpo, location)).ok
    refused = await patch(cpo, {field: "OTHER", "last_updated": AT[1]}, "LOC1", *level)
    assert (refused.status_code, refused.message) == (2001, f"{field}: differs from the URL")
    assert await only_location(emsp) == location


@pytest.mark.catalogue("LOC-017")
async def test_a_connector_is_found_by_its_evse_only(cpo: CpoBackend, emsp: Emsp) -> None:
    cpo.locations.put(("NL", "CPA", "LOC1"), samples.location())
    found = await emsp.send("GET", "locations", "LOC1", "EVSE1", "1", interface="SENDER", to="NL*CPA")
    assert found.data["standard"] == "IEC_62196_T2"
    for path in (("LOC1", "", "1"), ("LOC1", "1"), ("LOC1", "", "")):
        answer = await emsp.send("GET", "locations", *path, interface="SENDER", to="NL*CPA")
        assert (answer.http_status, answer.data) == (404, None), path


# The hub as sender: what its lanes deliver


@pytest.mark.catalogue("LOC-001", "LOC-023", "LOC-027")
async def test_locations_go_out_under_their_owner_and_each_change_with_its_time(
    delivering: Engine, cpo: CpoBackend, emsp: Emsp, eventually: Eventually
) -> None:
    assert (await put(cpo, samples.location(at=AT[0]))).ok
    await delivered(delivering, eventually, lambda: len(emsp.locations) == 1)
    assert (await patch(cpo, {"status": "CHARGING", "last_updated": AT[1]}, "LOC1", "EVSE1")).ok
    await delivered(delivering, eventually, lambda: emsp.locations.all()[0]["last_updated"] == AT[1])
    first, *_, second = calls(emsp, "locations")
    owner = tuple(first.body[name] for name in ("country_code", "party_id", "id"))
    assert (first.method, tuple(first.path.split("/")[-3:])) == ("PUT", owner)
    assert (second.method, second.path.split("/")[-2:]) == ("PATCH", ["LOC1", "EVSE1"])
    assert second.body == {"status": "CHARGING", "last_updated": AT[1]}
    assert not emsp.faults


@pytest.mark.catalogue("LOC-030", "TF-055")
async def test_what_is_taken_back_goes_out_as_a_put(
    delivering: Engine, cpo: CpoBackend, emsp: Emsp, eventually: Eventually
) -> None:
    location = samples.location(at=AT[0])
    location["evses"][0] |= {"floor_level": "-1"}
    assert (await put(cpo, location)).ok
    await delivered(delivering, eventually, lambda: len(emsp.locations) == 1)
    assert (await put(cpo, samples.evse(at=AT[1]), "LOC1", "EVSE1")).ok
    await delivered(delivering, eventually, lambda: emsp.locations.all()[0]["last_updated"] == AT[1])
    sent = calls(emsp, "locations")[-1]
    assert (sent.method, "floor_level" in sent.body) == ("PUT", False)
    held = emsp.locations.get("NL", "CPA", "LOC1", "EVSE1")
    assert held == samples.evse(at=AT[1])


@pytest.mark.catalogue("TAR-001", "TAR-007")
async def test_tariffs_go_out_by_put_when_new_and_when_changed(
    delivering: Engine, cpo: CpoBackend, emsp: Emsp, eventually: Eventually
) -> None:
    first = samples.tariff(at=AT[0])
    changed = samples.tariff(at=AT[1]) | {"currency": "SEK"}
    assert (await cpo.put_tariff(first, to=cpo.hub)).ok
    await delivered(delivering, eventually, lambda: emsp.tariffs.all() == [first])
    assert (await cpo.put_tariff(changed, to=cpo.hub)).ok
    await delivered(delivering, eventually, lambda: emsp.tariffs.all() == [changed])
    sent = calls(emsp, "tariffs")
    assert {request.method for request in sent} == {"PUT"}
    for request in sent:
        assert request.path.split("/")[-3:] == [request.body[name] for name in ("country_code", "party_id", "id")]


@pytest.mark.catalogue("TOK-001", "TOK-002", "TOK-015")
async def test_tokens_go_out_and_are_made_invalid_not_deleted(
    delivering: Engine, cpo: CpoBackend, emsp: Emsp, eventually: Eventually
) -> None:
    token = samples.token(at=AT[0], type="APP_USER")
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    await delivered(delivering, eventually, lambda: len(cpo.tokens) == 1)
    assert (await emsp.patch_token(token["uid"], {"valid": False, "last_updated": AT[1]}, emsp.hub, "APP_USER")).ok
    await delivered(delivering, eventually, lambda: cpo.tokens.all()[0]["last_updated"] == AT[1])
    first, *_, second = calls(cpo, "tokens")
    assert (first.method, first.body) == ("PUT", token)
    assert first.path.split("/")[-3:] == ["DE", "MSA", token["uid"]]
    assert first.query == second.query == {"type": "APP_USER"}
    assert second.body | {"valid": False} == second.body
    assert cpo.tokens.get("DE", "MSA", token["uid"], kind="APP_USER") == token | {"valid": False, "last_updated": AT[1]}
    gone = await emsp.send("DELETE", "tokens", "DE", "MSA", token["uid"], to=emsp.hub)
    assert gone.http_status == 405


# Tokens at the hub as receiver


@pytest.mark.catalogue("TOK-012", "TOK-011")
async def test_one_uid_is_a_token_for_each_type(cpo: CpoBackend, emsp: Emsp) -> None:
    card, app = samples.token(at=AT[0]), samples.token(at=AT[0], type="APP_USER", contract_id="DEMSAC000APP")
    assert [(await emsp.put_token(token, to=emsp.hub)).http_status for token in (card, app)] == [201, 201]
    assert await cpo.pull("tokens", to=cpo.hub) == [card, app]
    change = {"valid": False, "last_updated": AT[1]}
    changed = await emsp.send("PATCH", "tokens", "DE", "MSA", card["uid"], to=emsp.hub, body=change)
    assert changed.ok, "without a type it is the RFID card"
    assert await cpo.pull("tokens", to=cpo.hub) == [card | change, app]


@pytest.mark.catalogue("TOK-032")
async def test_a_uid_in_other_case_is_the_same_token(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token(at=AT[0], uid="04aBcD")
    same = token | {"uid": "04ABCD", "last_updated": AT[1]}
    assert [(await emsp.put_token(one, to=emsp.hub)).http_status for one in (token, same)] == [201, 200]
    assert await cpo.pull("tokens", to=cpo.hub) == [same]


@pytest.mark.catalogue("TOK-013")
async def test_a_type_in_the_body_that_is_not_the_urls_is_refused(cpo: CpoBackend, emsp: Emsp) -> None:
    app = samples.token(type="APP_USER")
    path = ("DE", "MSA", app["uid"])
    for query in ({}, {"type": "RFID"}, {"type": "OTHER"}):
        refused = await emsp.send("PUT", "tokens", *path, to=emsp.hub, body=app, query=query)
        assert (refused.status_code, refused.message) == (2001, "type: differs from the URL")
    assert (await emsp.send("PUT", "tokens", *path, to=emsp.hub, body=app, query={"type": "APP_USER"})).ok
    assert await cpo.pull("tokens", to=cpo.hub) == [app]


@pytest.mark.catalogue("TOK-014")
async def test_the_query_is_kept_on_the_way(cpo: CpoBackend, emsp: Emsp) -> None:
    app = samples.token(type="APP_USER")
    emsp.tokens["APP_USER", app["uid"]] = app
    assert (await emsp.put_token(app, to="NL*CPA")).ok
    assert calls(cpo, "tokens")[0].query == {"type": "APP_USER"}
    assert (await cpo.authorise(app["uid"], to="DE*MSA", kind="APP_USER")).ok
    assert emsp.received[-1].query == {"type": "APP_USER"}
    asked = {"date_from": AT[0], "date_to": AT[3], "offset": "0", "limit": "7", "x_own": "a b&c"}
    assert (await emsp.send("GET", "tariffs", interface="SENDER", to="NL*CPA", query=asked)).ok
    assert cpo.received[-1].query == asked


@pytest.mark.catalogue("TOK-017")
async def test_tokens_are_listed_by_time_and_page(cpo: CpoBackend, emsp: Emsp) -> None:
    for number, at in enumerate(AT):
        assert (await emsp.put_token(samples.token(uid=f"0{number}", at=at), to=emsp.hub)).ok
    query = {"date_from": AT[1], "date_to": AT[3], "offset": "1", "limit": "5"}
    answer = await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub, query=query)
    assert [token["uid"] for token in answer.data] == ["02"]
    assert answer.headers[headers.TOTAL_COUNT] == "2"
    first = await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub, query={"limit": "3"})
    assert ([token["uid"] for token in first.data], first.next_url is None) == (["00", "01", "02"], False)


@pytest.mark.catalogue("LOC-043")
async def test_a_token_that_may_see_a_location_may_not_be_used_by_another_emsp(
    cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    foreign = samples.token("FR*MSB", "04BB")
    shown_to = {"publish": False, "publish_allowed_to": [{"uid": foreign["uid"], "type": "RFID"}]}
    location = samples.location(at=AT[0]) | shown_to
    assert (await cpo.put_location(location, to=cpo.hub)).ok
    assert await only_location(emsp) == location
    body = {"token": foreign, "location_id": "LOC1", "response_url": emsp.url("commands", "SENDER")}
    refused = await emsp.send("POST", "commands", "START_SESSION", to="NL*CPA", body=body)
    assert (refused.http_status, refused.status_code) == (200, 2001)
    assert not [request for request in cpo.received if "START_SESSION" in request.path]


# Real-time authorisation through the hub


@pytest.mark.catalogue("TOK-004", "TOK-019")
async def test_authorise_is_offered_with_a_place_or_without(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token()
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    for place in (None, {"location_id": "LOC1"}, {"location_id": "LOC1", "evse_uids": ["EVSE1"]}):
        answer = await cpo.authorise(token["uid"], place, to=None)
        assert answer.data["allowed"] == "ALLOWED"
        assert emsp.received[-1].body == place
    odd = await cpo.send("POST", "tokens", token["uid"], "authorize", interface="SENDER", to=None, body=[])
    assert odd.status_code == 2001


@pytest.mark.catalogue("TOK-021")
async def test_an_emsp_that_needs_the_place_is_heard(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token()
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    emsp.knobs.status_code, emsp.knobs.http_status = 2002, 200
    for to in (None, "DE*MSA"):
        answer = await cpo.authorise(token["uid"], to=to)
        assert (answer.http_status, answer.status_code) == (200, 2002)


@pytest.mark.catalogue("TOK-024")
async def test_a_known_token_that_may_not_charge_is_an_answer(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = samples.token()
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    for allowed in ("BLOCKED", "EXPIRED", "NO_CREDIT", "NOT_ALLOWED"):
        monkeypatch.setattr(emsp, "decide", lambda *_, allowed=allowed: allowed)
        for to in (None, "DE*MSA"):
            answer = await cpo.authorise(token["uid"], to=to)
            assert (answer.http_status, answer.status_code) == (200, 1000)
            assert answer.data == {"allowed": allowed, "token": token}


@pytest.mark.catalogue("TOK-025")
async def test_the_evses_that_may_be_used_come_back_as_the_emsp_says(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = samples.token()
    assert (await emsp.put_token(token, to=emsp.hub)).ok

    def only_the_second(_: Json, place: Json) -> str:
        place["evse_uids"] = ["EVSE2"]
        return "ALLOWED"

    monkeypatch.setattr(emsp, "decide", only_the_second)
    answer = await cpo.authorise(token["uid"], {"location_id": "LOC1", "evse_uids": ["EVSE1", "EVSE2"]}, to=None)
    assert answer.data["location"] == {"location_id": "LOC1", "evse_uids": ["EVSE2"]}


@pytest.mark.catalogue("TOK-023")
async def test_every_way_to_say_unknown_is_understood(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    emsp.knobs.applies = lambda received: "authorize" in received.path
    for emsp.knobs.http_status, emsp.knobs.status_code in ((200, 2004), (404, 2004), (404, None)):
        answer = await cpo.authorise("CAFE", to=None)
        assert (answer.http_status, answer.status_code, answer.data) == (404, 2004, None)
    other_emsp.tokens["RFID", "CAFE"] = samples.token("FR*MSB", "CAFE")
    assert (await cpo.authorise("CAFE", to=None)).data["allowed"] == "ALLOWED"


@pytest.mark.catalogue("TOK-027")
async def test_of_two_holders_of_a_uid_one_is_asked(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    for holder, code in ((emsp, "DE*MSA"), (other_emsp, "FR*MSB")):
        assert (await holder.put_token(samples.token(code, "04AA"), to=holder.hub)).ok
    assert (await cpo.authorise("04AA", to=None)).data["allowed"] == "ALLOWED"
    asked = [holder.name for holder in (emsp, other_emsp) for r in holder.received if "authorize" in r.path]
    assert asked == [other_emsp.name], "the newest push, as there is no agreement"


@pytest.mark.catalogue("TOK-009")
async def test_authorise_has_the_tightest_budget(
    running: Any, cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: dict[str, float] = {}
    ordinary = running.hub.outbound.send

    async def noted(*call: Any) -> Any:
        budgets["authorize" if "authorize" in str(call[1]) else "list"] = call[4]
        return await ordinary(*call)

    monkeypatch.setattr(running.hub.outbound, "send", noted)
    token = samples.token()
    assert (await emsp.put_token(token, to=emsp.hub)).ok
    assert (await cpo.authorise(token["uid"], to=None)).ok
    assert (await emsp.send("GET", "tariffs", interface="SENDER", to="NL*CPA")).ok
    assert budgets["authorize"] <= ask.AUTHORISE_TIMEOUT < budgets["list"] == forward.FORWARD_TIMEOUT
