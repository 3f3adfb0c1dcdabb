"""Answers: the envelope, status codes and HTTP statuses, from outside (transport_and_format, status_codes)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from hub.exchange import ask
from hub.ocpi import envelope, errors, headers, json
from hub.ocpi.errors import OcpiError
from hub.ocpi.types import check, format_datetime, parse_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer
from modules.locations.schemas import Location

LOC1 = ("NL", "CPA", "LOC1")


def whole(answer: Answer) -> dict[str, Any]:
    """The envelope of an answer."""
    found: dict[str, Any] = json.loads(answer.body)
    return found


@pytest.mark.catalogue("TF-068", "TF-170")
async def test_every_answer_is_an_envelope_of_json(running: Any, cpo: CpoBackend) -> None:
    url = f"{running.url}/ocpi/2.2.1"
    location = samples.location()
    token = cpo.registered.token_out
    for answer in (
        await cpo.call("GET", f"{running.url}/ocpi/versions", token),
        await cpo.put_location(location, to=cpo.hub),
        await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub),
        await cpo.send("PUT", "locations", *LOC1, to=cpo.hub, body=b"{"),
        await cpo.send("PUT", "locations", *LOC1, to="XX*XXX", body=location),
        await cpo.call("GET", f"{url}/nothing", token),
        await cpo.call("POST", f"{url}/sender/locations", token),
        await cpo.call("GET", f"{url}/sender/locations", "nobody's"),
    ):
        said = whole(answer)
        assert answer.headers["Content-Type"].partition(";")[0] == "application/json"
        assert type(said["status_code"]) is int
        assert 1000 <= said["status_code"] <= 4999
        assert set(said) <= {"status_code", "status_message", "timestamp", "data"}


@pytest.mark.catalogue("TF-070")
async def test_the_timestamp_is_the_moment_of_the_answer_in_utc(cpo: CpoBackend) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    answer = await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub)
    told = whole(answer)["timestamp"]
    assert told.endswith("Z")
    assert before <= parse_datetime(told) <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.catalogue("TF-069", "TF-074")
async def test_a_list_is_an_array_even_when_it_is_empty_and_one_object_is_an_object(
    cpo: CpoBackend, emsp: Emsp
) -> None:
    empty = await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub)
    assert (empty.http_status, empty.status_code, empty.data) == (200, 1000, [])
    assert empty.headers[headers.TOTAL_COUNT] == "0"
    await cpo.put_location(samples.location(), to=cpo.hub)
    several = await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub)
    assert [found["id"] for found in several.data] == ["LOC1"]
    own = await cpo.call("GET", cpo.registered.endpoints["credentials", "SENDER"], cpo.registered.token_out)
    assert isinstance(own.data, dict)


@pytest.mark.catalogue("TF-071", "TF-159")
async def test_a_fault_of_the_hub_is_3000_in_an_envelope(
    running: Any, cpo: CpoBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("an inner secret")

    monkeypatch.setattr(running.hub.db, "unit_of_work", broken)
    answer = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (answer.http_status, answer.status_code) == (500, 3000)


@pytest.mark.catalogue("TF-072", "TF-151", "TF-153")
async def test_a_push_is_answered_1000_without_data(cpo: CpoBackend) -> None:
    answer = await cpo.put_location(samples.location(), to=cpo.hub)
    assert whole(answer)["status_code"] == 1000
    assert "data" not in whole(answer)


class Chatty(Emsp):
    """An eMSP that answers a push as it is told."""

    said: Any = None

    def _shelf_routes(self, module: str, shelf: Any) -> Iterator[Any]:
        async def put(request: web.Request) -> web.Response:
            await request.read()
            return web.json_response(self.said, headers={"Server": "partner"})

        yield "PUT", f"/ocpi/2.2.1/receiver/{module}/{{country_code}}/{{party_id}}/{{id}}", put


@pytest.mark.catalogue("TF-073")
@pytest.mark.parametrize("data", [None, "", [], {}, {"anything": 1}, "fine"], ids=str)
async def test_data_that_the_spec_does_not_name_disturbs_nobody(running: Any, cpo: CpoBackend, data: Any) -> None:
    async with Chatty("BE*CHT") as chatty:
        await running.join(chatty, "EMSP")
        chatty.said = {"status_code": 1000, "data": data, "timestamp": samples.now()}
        answer = await cpo.put_session(samples.session(of=samples.token("BE*CHT")), to="BE*CHT")
    assert (answer.http_status, answer.status_code, answer.data) == (200, 1000, data)


@pytest.mark.catalogue("TF-152")
@pytest.mark.parametrize(("status_code", "kept"), [(1001, True), (1987, True), (2042, False), (3999, False)])
async def test_a_status_code_nobody_knows_counts_by_its_thousands(
    running: Any, cpo: CpoBackend, status_code: int, kept: bool
) -> None:
    async with Chatty("BE*CHT") as chatty:
        await running.join(chatty, "EMSP")
        chatty.said = {"status_code": status_code, "timestamp": samples.now()}
        session = samples.session(of=samples.token("BE*CHT"))
        answer = await cpo.put_session(session, to="BE*CHT")
        assert answer.status_code == status_code
        since = {"date_from": "2020-01-01T00:00:00Z"}
        found = await chatty.send("GET", "sessions", interface="SENDER", to=chatty.hub, query=since)
    assert [one["id"] for one in found.data] == ([session["id"]] if kept else [])


@pytest.mark.catalogue("TF-057", "TF-181")
@pytest.mark.parametrize("module", ["locations", "sessions", "tariffs", "tokens"])
async def test_post_is_not_offered_for_client_owned_objects(cpo: CpoBackend, module: str) -> None:
    answer = await cpo.send("POST", module, "NL", "CPA", "X1", to=cpo.hub, body={"id": "X1"})
    assert (answer.http_status, answer.status_code) == (405, 2000)


@pytest.mark.catalogue("TF-181")
@pytest.mark.parametrize(
    ("method", "module", "interface", "path"),
    [
        ("DELETE", "locations", "RECEIVER", LOC1),
        ("DELETE", "tokens", "RECEIVER", LOC1),
        ("PATCH", "tariffs", "RECEIVER", LOC1),
        ("PUT", "cdrs", "RECEIVER", ()),
        ("PUT", "locations", "SENDER", ("LOC1",)),
        ("GET", "commands", "RECEIVER", ("START_SESSION",)),
    ],
)
async def test_a_method_that_an_interface_does_not_have_is_405(
    cpo: CpoBackend, method: str, module: str, interface: str, path: tuple[str, ...]
) -> None:
    answer = await cpo.send(method, module, *path, interface=interface, to=cpo.hub, body={})
    assert (answer.http_status, answer.status_code) == (405, 2000)


@pytest.mark.catalogue("TF-144")
async def test_what_is_no_json_is_http_400(cpo: CpoBackend) -> None:
    answer = await cpo.send("PUT", "locations", *LOC1, to=cpo.hub, body=b'{"id": "LOC1",')
    assert (answer.http_status, answer.status_code) == (400, 2001)


@pytest.mark.catalogue("TF-145", "TF-155")
@pytest.mark.parametrize("body", [{}, {"last_updated": None}, [], "text", {"last_updated": "yesterday"}], ids=str)
async def test_json_that_cannot_be_used_is_told_in_the_status_code(cpo: CpoBackend, body: Any) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    for method in ("PUT", "PATCH"):
        answer = await cpo.send(method, "locations", *LOC1, to=cpo.hub, body=body)
        assert (answer.http_status, answer.status_code) == (200, 2001), method


@pytest.mark.catalogue("TF-155")
async def test_a_patch_without_last_updated_is_2001(cpo: CpoBackend) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    answer = await cpo.send("PATCH", "locations", *LOC1, to=cpo.hub, body={"name": "New"})
    assert (answer.http_status, answer.status_code, "last_updated" in answer.message) == (200, 2001, True)


@pytest.mark.catalogue("TF-146", "TF-054")
async def test_what_is_not_there_is_404_to_get_and_to_patch(cpo: CpoBackend, emsp: Emsp) -> None:
    missing = await emsp.send("GET", "locations", "NONE", interface="SENDER", to="NL*CPA")
    assert missing.http_status == 404
    changes = {"name": "New", "last_updated": samples.now()}
    patched = await cpo.send("PATCH", "locations", *LOC1, to=cpo.hub, body=changes)
    assert patched.http_status == 404
    assert 2000 <= (patched.status_code or 0) < 3000
    assert await emsp.pull("locations", to=emsp.hub) == []


def refusals(base: type[OcpiError] = OcpiError) -> Iterator[type[OcpiError]]:
    """Every way to say no."""
    yield base
    for more in base.__subclasses__():
        yield from refusals(more)


@pytest.mark.catalogue("TF-149", "TF-150", "TF-154")
def test_status_codes_are_those_of_the_spec_and_in_the_range_of_who_is_at_fault() -> None:
    assert {refusal.status_code for refusal in refusals()} == {
        *(2000, 2001, 2002, 2003, 2004),
        *(3000, 3001, 3002, 3003),
        *(4000, 4001, 4002, 4003),
    }
    for base, thousand in ((errors.ClientError, 2), (errors.ServerError, 3), (errors.HubError, 4)):
        assert base.status_code == thousand * 1000
        assert {refusal.status_code // 1000 for refusal in refusals(base)} == {thousand}
    assert envelope.SUCCESS == 1000


@pytest.mark.catalogue("TF-156")
@pytest.mark.parametrize("status_code", [2002, 2003])
async def test_what_an_emsp_or_cpo_lacks_reaches_the_asker_as_its_own_code(
    cpo: CpoBackend, emsp: Emsp, status_code: int
) -> None:
    await emsp.put_token(samples.token(), to=emsp.hub)
    emsp.knobs.status_code = cpo.knobs.status_code = status_code
    asked = await cpo.authorise(samples.token()["uid"], to="DE*MSA")
    assert (asked.http_status, asked.status_code) == (200, status_code)
    started = await emsp.start_session(samples.token(), "NOWHERE", to="NL*CPA")
    assert (started.answer.http_status, started.answer.status_code) == (200, status_code)


@pytest.mark.catalogue("TF-158")
async def test_a_token_nobody_knows_is_2004(cpo: CpoBackend, emsp: Emsp) -> None:
    for to in ("DE*MSA", None):
        asked = await cpo.authorise("CAFE", to=to)
        assert (asked.http_status, asked.status_code) == (404, 2004)


@pytest.mark.catalogue("TF-164", "TF-167", "TF-169")
async def test_an_unknown_receiver_is_4001_from_the_hub(cpo: CpoBackend) -> None:
    answer = await cpo.put_session(samples.session(of=samples.token()), to="XX*XXX")
    assert (answer.http_status, answer.status_code) == (200, 4001)
    assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == cpo.hub
    assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == cpo.parties[0]


@pytest.mark.catalogue("TF-165", "TF-167", "TF-169")
async def test_a_receiver_that_is_silent_is_4002_from_the_hub(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "AUTHORISE_TIMEOUT", 0.3)
    emsp.knobs.delay = 2.0
    answer = await cpo.authorise("CAFE", to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (200, 4002)
    assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == cpo.hub
    assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == cpo.parties[0]


@pytest.mark.catalogue("TF-166", "TF-167", "TF-169")
async def test_a_receiver_that_is_away_is_4003_from_the_hub(cpo: CpoBackend, emsp: Emsp) -> None:
    await emsp.go_away()
    answer = await cpo.authorise("CAFE", to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (200, 4003)
    assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == cpo.hub
    assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == cpo.parties[0]


@pytest.mark.catalogue("TF-163", "TF-167")
async def test_a_receiver_without_the_module_is_4000(cpo: CpoBackend, emsp: Emsp) -> None:
    asked = await cpo.send("GET", "locations", interface="SENDER", to="DE*MSA")
    assert (asked.http_status, asked.status_code, "locations" in asked.message) == (200, 4000, True)


@pytest.mark.catalogue("TF-168")
async def test_a_page_of_html_never_reaches_the_caller(running: Any, cpo: CpoBackend) -> None:
    class Broken(Chatty):
        def _shelf_routes(self, module: str, shelf: Any) -> Iterator[Any]:
            async def put(request: web.Request) -> web.Response:
                return web.Response(status=502, text="<html>Bad gateway</html>", content_type="text/html")

            yield "PUT", f"/ocpi/2.2.1/receiver/{module}/{{country_code}}/{{party_id}}/{{id}}", put

    async with Broken("BE*BRK") as broken:
        await running.join(broken, "EMSP")
        answer = await cpo.put_session(samples.session(of=samples.token("BE*BRK")), to="BE*BRK")
    assert answer.status_code == 4000
    assert b"html" not in answer.body


@pytest.mark.catalogue("TF-171")
async def test_every_object_of_a_list_is_whole(cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    later = format_datetime(datetime.now(UTC) + timedelta(minutes=1))
    await cpo.patch_evse("LOC1", "EVSE1", {"status": "CHARGING", "last_updated": later}, to=cpo.hub)
    for found in await emsp.pull("locations", to=emsp.hub):
        assert check(Location, found) == []
