"""PUT, PATCH and DELETE through a real hub: broadcast, direct, and what is refused."""

from typing import Any

import pytest
from sqlalchemy import text

from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp

Json = dict[str, Any]


async def rows(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return list(await session.execute(text(sql)))


@pytest.mark.catalogue("TF-104", "TF-147", "TF-148")
async def test_a_broadcast_is_kept_logged_and_answered_by_the_hub(running: Any, cpo: CpoBackend) -> None:
    location = samples.location()
    first = await cpo.put_location(location, to=cpo.hub)
    again = await cpo.put_location(location, to=cpo.hub)
    assert (first.http_status, first.status_code) == (201, 1000)
    assert (again.http_status, again.status_code) == (200, 1000)
    assert first.headers["OCPI-from-party-id"] == "HUB"
    kept = await rows(running, "SELECT owner, key, audience, body FROM object")
    assert [tuple(row[:3]) for row in kept] == [("NL*CPA", "LOC1", "*")]
    assert json.loads(kept[0][3].encode()) == location
    logged = await rows(running, "SELECT owner, module, key, audience, correlation_id FROM change_log")
    assert [tuple(row) for row in logged] == [("NL*CPA", "locations", "LOC1", "*", first.correlation_id)]


@pytest.mark.catalogue("TF-127", "TYP-013", "VER-030")
async def test_unknown_fields_and_the_form_of_numbers_survive(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    tariff = samples.tariff() | {"x_note": {"of": ["ours", None]}}
    raw = json.dumps(tariff).replace(b'"x_note"', b'"x_price":2.00,"x_note"')
    answer = await cpo.send("PUT", "tariffs", "NL", "CPA", tariff["id"], to=cpo.hub, body=raw)
    assert answer.ok
    held = await emsp.send("GET", "tariffs", interface="SENDER", to=emsp.hub)
    assert b'"x_price":2.00' in held.body
    assert held.data[0]["x_note"] == {"of": ["ours", None]}


async def test_a_direct_push_brings_the_receivers_own_answer_and_is_kept_for_it(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    session = samples.session(of=samples.token())
    answer = await cpo.put_session(session, to="DE*MSA")
    assert answer.http_status == 201
    assert answer.headers["OCPI-from-party-id"] == "MSA"
    received = await emsp.wait_for(lambda r: r.method == "PUT")
    assert (str(received.to), str(received.sender)) == ("DE*MSA", "NL*CPA")
    assert received.correlation_id == answer.correlation_id
    assert received.body == session
    kept = await rows(running, "SELECT audience FROM object WHERE module = 'sessions'")
    assert [row[0] for row in kept] == ["DE*MSA"]
    assert not [r for r in other_emsp.received if "sessions" in r.path]
    assert not cpo.faults
    assert not emsp.faults


@pytest.mark.catalogue("TF-090", "TF-110", "TF-062")
async def test_receivers_and_senders_that_are_refused(cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token())
    assert (await cpo.put_session(session, to="XX*XXX")).status_code == 4001
    assert (await cpo.put_session(session, to=cpo.hub)).status_code == 2001
    emsp_location = samples.location("DE*MSA")
    foreign = await emsp.send("PUT", "locations", "NL", "CPA", "LOC1", to=emsp.hub, body=emsp_location)
    assert foreign.http_status == 404
    spoofed = await emsp.send(
        "PUT", "locations", "NL", "CPA", "LOC1", to=emsp.hub, sender="NL*CPA", body=samples.location()
    )
    assert (spoofed.http_status, spoofed.status_code) == (200, 2001)


@pytest.mark.catalogue("TF-091", "TF-092", "TOK-028")
async def test_a_receiver_that_is_away_or_slow_is_told_honestly(
    running: Any, cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = samples.session(of=samples.token())
    ordinary = running.hub.outbound.send
    monkeypatch.setattr(running.hub.outbound, "send", lambda *call: ordinary(*call[:4], timeout=0.3))
    emsp.knobs.delay = 1.0
    slow = await cpo.put_session(session, to="DE*MSA")
    assert (slow.http_status, slow.status_code, slow.data) == (200, 4002, None)
    await emsp.go_away()
    away = await cpo.put_session(session, to="DE*MSA")
    assert (away.http_status, away.status_code, away.data) == (200, 4003, None)
    assert await rows(running, "SELECT 1 FROM object") == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"last_updated": None}, "last_updated"),
        ({"city": None}, "city"),
        ({"publish": "yes"}, "publish"),
        ({"coordinates": {"latitude": "1"}}, "coordinates.longitude"),
        ({"last_updated": "2099-01-01T00:00:00Z"}, "last_updated"),
        ({"id": "OTHER"}, "id"),
        ({"country_code": "DE"}, "country_code"),
    ],
)
async def test_a_kept_object_that_is_not_whole_is_refused_by_name(
    running: Any, cpo: CpoBackend, change: Json, field: str
) -> None:
    body = {k: v for k, v in (samples.location() | change).items() if v is not None}
    answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=body)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert field in answer.message
    assert "yes" not in answer.message
    assert await rows(running, "SELECT 1 FROM object UNION ALL SELECT 1 FROM change_log") == []


@pytest.mark.catalogue("TF-178")
@pytest.mark.parametrize("field", ["city", "coordinates", "last_updated"])
async def test_what_the_hub_cannot_take_is_refused_and_not_distributed(
    running: Any, cpo: CpoBackend, field: str
) -> None:
    body = {name: value for name, value in samples.location().items() if name != field}
    answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=body)
    assert (answer.http_status, answer.status_code, field in answer.message) == (200, 2001, True)
    assert await rows(running, "SELECT 1 FROM object UNION ALL SELECT 1 FROM change_log") == []


@pytest.mark.parametrize("body", [b"{", b"", b"[1", b"\xff\xfe", b'{"a": NaN}', b"\xef\xbb\xbf{}"])
async def test_what_is_no_json_is_400(cpo: CpoBackend, body: bytes) -> None:
    answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=body)
    assert (answer.http_status, answer.status_code) == (400, 2001)


async def test_oddities_that_harm_nobody_pass(cpo: CpoBackend) -> None:
    location = samples.location()
    location["evses"][0]["status"] = "DREAMING"
    location["evses"][0]["floor_level"] = "far too long a level"
    location["parking_type"] = 7
    assert (await cpo.put_location(location, to=cpo.hub)).ok


async def test_evse_and_connector_levels(running: Any, cpo: CpoBackend) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    evse = samples.location()["evses"][0]
    unknown = await cpo.send("PUT", "locations", "NL", "CPA", "NONE", evse["uid"], to=cpo.hub, body=evse)
    assert unknown.http_status == 404
    done = await cpo.patch_evse("LOC1", evse["uid"].lower(), {"status": "CHARGING"}, to=cpo.hub)
    assert (done.http_status, done.status_code) == (200, 1000)
    logged = await rows(running, "SELECT part_ids, fields FROM change_log ORDER BY id DESC LIMIT 1")
    assert logged[0] == ([evse["uid"].lower()], ["last_updated", "status"])
    body = json.loads((await rows(running, "SELECT body FROM object"))[0][0].encode())
    assert body["evses"][0]["status"] == "CHARGING"
    assert body["last_updated"] == body["evses"][0]["last_updated"]


@pytest.mark.catalogue("TAR-006", "TAR-009", "TAR-010")
async def test_a_tariff_is_deleted_and_comes_back(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    tariff = samples.tariff()
    unknown = await cpo.send("DELETE", "tariffs", "NL", "CPA", "TARIFF1", to=cpo.hub)
    assert unknown.http_status == 404
    await cpo.put_tariff(tariff, to=cpo.hub)
    assert (await cpo.delete_tariff("TARIFF1", to=cpo.hub)).ok
    assert (await emsp.pull("tariffs", to=emsp.hub)) == []
    assert (await cpo.put_tariff(tariff, to=cpo.hub)).http_status == 201
    assert [t["id"] for t in await emsp.pull("tariffs", to=emsp.hub)] == ["TARIFF1"]
    patched = await cpo.send("PATCH", "tariffs", "NL", "CPA", "TARIFF1", to=cpo.hub, body={"currency": "EUR"})
    assert patched.http_status == 405
