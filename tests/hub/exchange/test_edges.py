"""Bad input and edges: what is malformed is refused by name, what is merely unusual is taken, nothing is echoed."""

import gzip
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from hub import metrics
from hub.ocpi import headers, json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer, Json

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-02T00:00:00Z"


async def listed(emsp: Emsp, **query: str) -> Answer:
    return await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub, query=query)


async def stored(running: Any) -> list[Json]:
    async with running.hub.db.unit_of_work() as session:
        rows = await session.execute(text("SELECT body FROM object ORDER BY id"))
    return [json.loads(row[0].encode()) for row in rows]


async def put(cpo: CpoBackend, body: Any, *path: str) -> Answer:
    return await cpo.send("PUT", "locations", "NL", "CPA", *(path or ("LOC1",)), to=cpo.hub, body=body)


async def patch(cpo: CpoBackend, body: Any, *path: str) -> Answer:
    return await cpo.send("PATCH", "locations", "NL", "CPA", *(path or ("LOC1",)), to=cpo.hub, body=body)


# Lists


MALFORMED = {
    "limit": ("0", "-1", str(2**63), "1e3", "ten"),
    "offset": ("-1", str(2**63), "0x10", "٣"),
    "date_from": ("yesterday", "2026-13-01T00:00:00Z", "2026-01-01"),
    "date_to": ("1767225600", "2026-01-01 00:00:00", "\u0000"),
}


@pytest.mark.catalogue("TF-030")
@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_query_is_refused_by_name(emsp: Emsp, name: str) -> None:
    for value in MALFORMED[name]:
        answer = await listed(emsp, **{name: value})
        assert (answer.http_status, answer.status_code, answer.data) == (200, 2001, None), value
        assert answer.message.startswith(f"{name}: "), value
        assert len(value) < 2 or value not in answer.message


@pytest.mark.catalogue("TF-028", "TF-041")
async def test_a_limit_above_ours_is_ours(cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.ocpi.paging.MAX_LIMIT", 2)
    for name in ("L1", "L2", "L3"):
        assert (await put(cpo, samples.location(id=name), name)).ok
    answer = await listed(emsp, limit="1000000000")
    assert len(answer.data) == 2
    assert answer.headers[headers.LIMIT] == "2"
    assert answer.next_url is not None
    assert "limit=2&" in answer.next_url


@pytest.mark.catalogue("TF-074")
async def test_an_offset_past_the_end_is_an_empty_list(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location())).ok
    for offset, count in (("0", 1), ("1", 0), ("9999999", 0)):
        answer = await listed(emsp, offset=offset)
        assert (answer.status_code, len(answer.data), answer.next_url) == (1000, count, None)
        assert answer.headers[headers.TOTAL_COUNT] == "1"


@pytest.mark.catalogue("TF-074")
async def test_a_window_that_ends_before_it_begins_is_empty(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location(at=AT))).ok
    answer = await listed(emsp, date_from=LATER, date_to=AT)
    assert (answer.status_code, answer.data) == (1000, [])
    assert answer.headers[headers.TOTAL_COUNT] == "0"


@pytest.mark.catalogue("TF-029", "TYP-005", "TYP-008")
async def test_a_date_without_a_zone_is_utc(cpo: CpoBackend, emsp: Emsp) -> None:
    at = "2026-01-01T12:00:00"
    assert (await put(cpo, samples.location(at=at))).ok
    for date_from, count in (
        (at, 1),
        (f"{at}Z", 1),
        (f"{at}.000", 1),
        (f"{at}.001", 0),
        ("2026-01-01T11:59:59.999", 1),
    ):
        answer = await listed(emsp, date_from=date_from)
        assert len(answer.data) == count, date_from
    assert (await listed(emsp)).data[0]["last_updated"] == at, "as it came"


# PUT and PATCH


@pytest.mark.catalogue("LOC-028")
@pytest.mark.parametrize("level", [(), ("EVSE1",), ("EVSE1", "1")])
async def test_a_patch_without_last_updated_is_refused(running: Any, cpo: CpoBackend, level: tuple[str, ...]) -> None:
    assert (await put(cpo, samples.location(at=AT))).ok
    for body in ({"floor_level": "1"}, {"last_updated": None}, {"last_updated": 1767225600}, {"last_updated": ""}):
        answer = await patch(cpo, body, "LOC1", *level)
        assert (answer.http_status, answer.status_code) == (200, 2001)
        assert answer.message.startswith("last_updated: ")
    assert await stored(running) == [samples.location(at=AT)]


@pytest.mark.catalogue("TOK-016")
async def test_a_token_patch_without_last_updated_is_refused(running: Any, emsp: Emsp) -> None:
    assert (await emsp.put_token(samples.token(at=AT), to=emsp.hub)).ok
    path = ("DE", "MSA", samples.token()["uid"])
    answer = await emsp.send("PATCH", "tokens", *path, to=emsp.hub, body={"valid": False})
    assert (answer.status_code, answer.message) == (2001, "last_updated: field required in a PATCH")
    assert [token["valid"] for token in await stored(running)] == [True]


@pytest.mark.catalogue("LOC-033")
async def test_what_is_older_is_accepted_and_changes_nothing(running: Any, cpo: CpoBackend) -> None:
    assert (await put(cpo, samples.location(at=LATER))).ok
    ignored = metrics.outcomes("locations", "older")._value.get()
    for answer in (
        await patch(cpo, {"name": "Old", "last_updated": AT}),
        await patch(cpo, {"status": "REMOVED", "last_updated": AT}, "LOC1", "EVSE1"),
        await patch(cpo, {"max_voltage": 1, "last_updated": AT}, "LOC1", "EVSE1", "1"),
        await put(cpo, samples.location(at=AT) | {"name": "Old"}),
    ):
        assert (answer.http_status, answer.status_code) == (200, 1000)
    assert await stored(running) == [samples.location(at=LATER)]
    assert metrics.outcomes("locations", "older")._value.get() == ignored + 4


@pytest.mark.catalogue("TYP-001", "TYP-003", "TF-064")
async def test_an_id_in_other_case_is_the_same_object(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location(at=AT) | {"id": "Loc1"}, "Loc1")).http_status == 201
    answer = await cpo.send("PUT", "locations", "nl", "cpa", "LOC1", to=cpo.hub, body=samples.location(at=LATER))
    assert (answer.http_status, answer.status_code) == (200, 1000)
    changed = {"status": "CHARGING", "last_updated": "2026-01-03T00:00:00Z"}
    assert (await patch(cpo, changed, "lOC1", "evse2")).ok
    assert len(await stored(running)) == 1
    [seen] = (await listed(emsp)).data
    assert [(evse["uid"], evse["status"]) for evse in seen["evses"]] == [("EVSE1", "AVAILABLE"), ("EVSE2", "CHARGING")]


@pytest.mark.catalogue("TYP-002")
async def test_an_id_goes_out_in_the_case_its_owner_gave_it(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await put(cpo, samples.location(id="MixedCase"), "MixedCase")).ok
    assert [location["id"] for location in (await listed(emsp)).data] == ["MixedCase"]


@pytest.mark.catalogue("LOC-066")
async def test_an_enum_value_of_a_newer_version_is_kept_and_counted(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location(at=AT)
    location["evses"][0]["connectors"][0]["standard"] = "MCS"
    before = metrics.oddities("locations", "NL*CPA")._value.get()
    assert (await put(cpo, location)).ok
    assert (await listed(emsp)).data == [location]
    assert metrics.oddities("locations", "NL*CPA")._value.get() == before + 1
    assert (await patch(cpo, {"status": "DOZING", "last_updated": LATER}, "LOC1", "EVSE1")).ok
    assert metrics.oddities("locations", "NL*CPA")._value.get() == before + 2, "not what was odd before"


async def test_a_strict_platform_is_held_to_the_letter(running: Any, cpo: CpoBackend) -> None:
    async with running.hub.db.unit_of_work() as session:
        await session.execute(text("UPDATE platform SET strict = true WHERE NOT hosted"))
        await session.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'directory'"))
    await running.hub.directory.refresh()
    location = samples.location(at=AT)
    assert (await put(cpo, location)).ok
    odd = samples.location(at=LATER)
    odd["evses"][0]["connectors"][0]["standard"] = "MCS"
    answer = await put(cpo, odd)
    assert (answer.status_code, answer.message) == (2001, "evses[0].connectors[0].standard: unknown value")
    answer = await patch(cpo, {"status": "DOZING", "last_updated": LATER}, "LOC1", "EVSE1")
    assert (answer.status_code, answer.message) == (2001, "status: unknown value")
    assert await stored(running) == [location]


# Bodies


async def test_a_number_beyond_a_machine_word_travels_whole(cpo: CpoBackend, emsp: Emsp) -> None:
    numbers = [2**63, -(2**63) - 1, 2**64, 10**30, Decimal("9.007199254740993E+15"), Decimal("1E-30")]
    location = samples.location() | {"x_numbers": numbers}
    location["evses"][0]["connectors"][0]["max_voltage"] = 2**63
    assert (await put(cpo, location)).ok
    assert (await listed(emsp)).data == [location]


def malformed() -> Iterator[tuple[str, bytes, str]]:
    """What it is, the body, and what the answer has to say."""
    sound = json.dumps(samples.location())
    yield "empty", b"", "not valid JSON"
    yield "cut off", sound[:-1], "ends too early"
    yield "NaN", sound.replace(b"230", b"NaN"), "not valid JSON"
    yield "Infinity", sound.replace(b"230", b"-Infinity"), "not valid JSON"
    yield "1e400", sound.replace(b"230", b"1e400"), "number"
    yield "1e-400", sound.replace(b"230", b"1e-400"), "number"
    yield "a long number", sound.replace(b"230", b"9" * 5_000), "number"
    yield "half a surrogate pair", sound.replace(b"Utrecht", rb"\ud83d"), "not valid JSON"
    yield "the other half", sound.replace(b"Utrecht", rb"\ude00 "), "not valid JSON"
    yield "NUL", sound.replace(b"Utrecht", rb"\u0000"), "NUL"
    yield "a raw line break", sound.replace(b"Utrecht", b"Ut\nrecht"), "not valid JSON"
    yield "deep lists", sound.replace(b"230", b"[" * 100 + b"]" * 100), "nested"
    yield "very deep objects", b'{"a":' * 60_000, "nested"
    yield "Latin-1", sound.replace(b"Utrecht", "Örebro".encode("latin-1")), "not UTF-8"
    yield "an overlong form", sound.replace(b"Utrecht", b"\xc0\xaf"), "not UTF-8"
    yield "a surrogate in UTF-8", sound.replace(b"Utrecht", b"\xed\xa0\x80"), "not UTF-8"
    yield "UTF-16", samples.location()["city"].encode("utf-16"), "not UTF-8"
    yield "a byte order mark", b"\xef\xbb\xbf" + sound, "byte order mark"
    yield "gzip undeclared", gzip.compress(sound), "not UTF-8"
    yield "two values", sound + sound, "not valid JSON"
    yield "a form", b"id=LOC1&city=Utrecht", "not valid JSON"


@pytest.mark.catalogue("TF-071")
async def test_what_is_no_json_is_refused_with_its_place_and_no_content(running: Any, cpo: CpoBackend) -> None:
    for name, body, said in malformed():
        for answer in (await put(cpo, body), await patch(cpo, body)):
            assert (answer.http_status, answer.status_code, answer.data) == (400, 2001, None), name
            assert said in answer.message, name
            assert not re.search(r"recht|rebro|9999|\ud83d", answer.message), name
    assert await stored(running) == []


async def test_a_body_that_is_no_object_is_refused(cpo: CpoBackend) -> None:
    for body in (b"[]", b"null", b"true", b"17", b'"text"', b"[{}]"):
        for answer in (await put(cpo, body), await patch(cpo, body)):
            assert (answer.http_status, answer.status_code) == (200, 2001)
            assert answer.message == "body: must be a JSON object"


DOUBLED = {
    "party_id": b'{"party_id":"CPB",',
    "publish": b'{"publish" : false,',
    "evses": b'{"evses":[],',
    "uid": b'{"x":[{"uid":"A","uid":"A"}],',
    "a field": b'{"X-Secret":1,"X-Secret":2,',
}


async def test_a_field_that_stands_twice_is_refused_by_name(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    for name, doubled in DOUBLED.items():
        body = doubled + json.dumps(samples.location())[1:]
        for to in (cpo.hub, "DE*MSA"):  # a receiver might take the other of the two
            answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=to, body=body)
            assert (answer.http_status, answer.status_code) == (200, 2001)
            assert answer.message == f"{name}: stands twice in one object"
    assert await stored(running) == []
    assert not [request for request in emsp.received if request.method == "PUT"]


async def test_text_that_looks_like_a_field_is_text(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location() | {"name": '"city":"city" :', "x": {"city": {"city": 1}}}
    assert (await put(cpo, location)).ok
    assert (await listed(emsp)).data == [location]


async def test_a_refusal_names_five_fields_and_repeats_none_of_their_content(cpo: CpoBackend) -> None:
    secret = "04A1B2C3D4E5F6"
    ids = {"id": "LOC1", "country_code": "NL", "party_id": "CPA", "last_updated": AT}
    body: Json = dict.fromkeys(samples.location(), secret) | ids
    answer = await put(cpo, body)
    assert answer.status_code == 2001
    assert secret not in answer.body.decode()
    assert answer.message == ("publish: must be true or false; coordinates: must be an object; evses: must be a list")


async def test_a_path_that_can_be_no_address_is_404(running: Any, cpo: CpoBackend) -> None:
    for path in (("LOC1", "EVSE1", "1", "more"), ("..", "CPB", "LOC1"), ("x" * 65,), ("LOC\u00e9",), ("LOC\t1\n",)):
        answer = await put(cpo, samples.location(), *path)
        assert (answer.http_status, answer.data) == (404, None), path
        assert answer.status_code is not None
        assert 2000 <= answer.status_code < 3000
    assert await stored(running) == []
