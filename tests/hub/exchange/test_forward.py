"""One hop onward and back: what of a request and its answer the hub changes, and what it leaves alone."""

from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import text

from hub.exchange import membership
from hub.ocpi import headers, json
from hub.sandbox import samples, wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.registration import BASE
from hub.store import parties
from hub.store.parties import Agreement


def at(emsp: Emsp, part: str) -> Any:
    """The one call of a partner whose path holds `part`."""
    [seen] = [seen for seen in emsp.received if part in seen.path]
    return seen


@pytest.fixture
async def pushed(running: Any, cpo: CpoBackend, emsp: Emsp) -> Any:
    """The answer to a Session that was PUT to DE*MSA."""
    return await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")


@pytest.mark.catalogue("TF-086", "TF-087")
async def test_to_and_from_stay_and_come_back_swapped(pushed: Any, emsp: Emsp) -> None:
    seen = at(emsp, "/receiver/sessions/")
    assert (str(seen.to), str(seen.sender)) == ("DE*MSA", "NL*CPA")
    back = [pushed.headers[name] for name in (headers.TO_COUNTRY, headers.TO_PARTY)]
    assert back == ["NL", "CPA"]
    assert [pushed.headers[name] for name in (headers.FROM_COUNTRY, headers.FROM_PARTY)] == ["DE", "MSA"]


@pytest.mark.catalogue("TF-088")
async def test_the_token_is_the_targets_and_nobody_elses(pushed: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    seen = at(emsp, "/receiver/sessions/")
    assert seen.headers["Authorization"] == headers.encode_token(emsp.registered.token_in)
    shown = "\n".join(seen.headers.values())
    for token in (cpo.registered.token_out, cpo.registered.token_in):
        assert headers.encode_token(token).removeprefix("Token ") not in shown
        assert token not in shown
    assert "Authorization" not in pushed.headers


@pytest.mark.catalogue("TF-089")
@pytest.mark.parametrize("interface", ["RECEIVER", "SENDER"])
async def test_the_same_interface_of_the_target_is_called(running: Any, emsp: Emsp, interface: str) -> None:
    class Both(CpoBackend):
        modules = (*CpoBackend.modules, ("tokens", "SENDER"))

        def routes(self) -> Any:
            yield "GET", f"{BASE}/sender/tokens", self._nothing
            yield "GET", f"{BASE}/receiver/tokens/{{a}}/{{b}}/{{c}}", self._nothing
            yield from super().routes()

        async def _nothing(self, request: web.Request) -> web.Response:
            return wire.ok([])

    async with Both("NL*BTH") as both:
        await running.join(both, "CPO")
        path = ("DE", "MSA", "1") if interface == "RECEIVER" else ()
        assert (await emsp.send("GET", "tokens", *path, interface=interface, to="NL*BTH")).ok
        assert both.received[-1].path.startswith(f"{BASE}/{interface.lower()}/tokens")


@pytest.mark.catalogue("TF-133", "TF-134", "TF-135")
async def test_message_ids(pushed: Any, emsp: Emsp) -> None:
    seen = at(emsp, "/receiver/sessions/")
    assert seen.headers[headers.CORRELATION_ID] == pushed.correlation_id
    assert seen.headers[headers.REQUEST_ID] != pushed.headers[headers.REQUEST_ID]
    assert len(seen.headers[headers.REQUEST_ID]) >= 32


@pytest.mark.catalogue("TF-090", "TF-184")
async def test_an_unknown_party_and_a_hidden_one_look_the_same(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a="NL*CPA", b="FR*MSB", modules=["tokens"]))
        await parties.touch(session)
    await running.hub.directory.refresh()
    of = samples.session(of=samples.token("FR*MSB"))
    hidden = await cpo.put_session(of, to="FR*MSB")
    unknown = await cpo.put_session(samples.session(of=samples.token("XX*XXX")), to="XX*XXX")
    assert (hidden.http_status, hidden.status_code) == (unknown.http_status, unknown.status_code) == (200, 4001)
    assert hidden.message.replace("FR*MSB", "?") == unknown.message.replace("XX*XXX", "?")
    assert not [r for r in other_emsp.received if "sessions" in r.path]


@pytest.mark.catalogue("TF-091", "TF-184")
@pytest.mark.parametrize("status", ["OFFLINE", "PLANNED", "SUSPENDED"])
async def test_a_party_that_is_listed_but_away_is_4003(running: Any, cpo: CpoBackend, emsp: Emsp, status: str) -> None:
    async with running.hub.db.session() as session:
        found = await session.get_one(parties.Platform, running.hub.directory.now.party(emsp.parties[0]).platform.id)
        found.status = status
        await parties.touch(session)
    await running.hub.directory.refresh()
    answer = await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    assert (answer.http_status, answer.status_code, answer.data) == (200, 4003, None)
    assert not [r for r in emsp.received if "sessions" in r.path]


@pytest.mark.catalogue("TF-092")
async def test_no_answer_in_time_is_4002(
    running: Any, cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = running.hub.outbound.send
    monkeypatch.setattr(running.hub.outbound, "send", lambda *call: ordinary(*call[:4], timeout=0.3))
    emsp.knobs.delay = 1.0
    answer = await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    assert (answer.http_status, answer.status_code, answer.data) == (200, 4002, None)


@pytest.mark.catalogue("TF-093")
async def test_a_module_that_the_target_has_not_is_4000_by_name(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    answer = await emsp.send("GET", "chargingprofiles", "S1", to="NL*CPA", query={
        "duration": "60", "response_url": f"{emsp.origin}/x",
    })  # fmt: skip
    assert (answer.http_status, answer.status_code) == (200, 4000)
    assert "chargingprofiles" in answer.message


@pytest.mark.parametrize(
    ("http_status", "status_code"),
    [
        pytest.param(200, 2001, marks=pytest.mark.catalogue("TF-094")),
        pytest.param(404, 2003, marks=pytest.mark.catalogue("TF-095")),
        pytest.param(200, 3000, marks=pytest.mark.catalogue("TF-094")),
        pytest.param(500, 3000, marks=pytest.mark.catalogue("TF-095")),
        pytest.param(409, 2000, marks=pytest.mark.catalogue("TF-095")),
    ],
)
async def test_the_targets_refusals_come_back_as_they_are(
    running: Any, cpo: CpoBackend, emsp: Emsp, http_status: int, status_code: int
) -> None:
    emsp.knobs.http_status, emsp.knobs.status_code = http_status, status_code
    answer = await cpo.put_session(samples.session(of=samples.token()), to="DE*MSA")
    assert (answer.http_status, answer.status_code, answer.message) == (http_status, status_code, "Refused on purpose.")


@pytest.mark.catalogue("TF-095")
async def test_created_and_known_come_back_as_they_are(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token())
    statuses = [(await cpo.put_session(session, to="DE*MSA")).http_status for _ in range(2)]
    assert statuses == [201, 200]


class Bare(Emsp):
    """An eMSP whose answers carry `extra` headers and no ids, or wrong ones."""

    extra: Any = None
    body: Any = None

    def routes(self) -> Any:
        yield "PUT", f"{BASE}/receiver/sessions/{{a}}/{{b}}/{{c}}", self._odd
        yield from super().routes()

    async def _odd(self, request: web.Request) -> web.Response:
        body = self.body or {"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"}
        return web.json_response(body, headers=self.extra)


@pytest.mark.catalogue("TF-180", "TF-087", "TF-135")
@pytest.mark.parametrize(
    "extra",
    [None, {headers.TO_COUNTRY: "XX", headers.TO_PARTY: "XXX", headers.FROM_COUNTRY: "YY", headers.FROM_PARTY: "YYY"}],
    ids=["none", "wrong"],
)
async def test_headers_of_an_answer_that_are_missing_or_wrong_are_set_right(
    running: Any, cpo: CpoBackend, extra: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {headers.REQUEST_ID: "wrong", headers.CORRELATION_ID: "wrong"}
    monkeypatch.setattr("hub.sandbox.site._echo", lambda seen: {**extra, **wrong} if extra else {})
    async with Bare("SE*BAR") as bare:
        await running.join(bare, "EMSP")
        answer = await cpo.put_session(samples.session(of=samples.token("SE*BAR")), to="SE*BAR")
    names = (headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY)
    assert (answer.ok, [answer.headers[name] for name in names]) == (True, ["NL", "CPA", "SE", "BAR"])
    assert not cpo.faults


@pytest.mark.catalogue("TF-179")
@pytest.mark.parametrize("status_code", [2001, 3000])
async def test_data_and_message_of_a_refusal_are_passed_on(running: Any, cpo: CpoBackend, status_code: int) -> None:
    async with Bare("SE*BAR") as bare:
        await running.join(bare, "EMSP")
        bare.body = {
            "status_code": status_code,
            "status_message": "see data",
            "data": {"fields": ["kwh"]},
            "timestamp": "2026-01-01T00:00:00Z",
        }
        answer = await cpo.put_session(samples.session(of=samples.token("SE*BAR")), to="SE*BAR")
    assert (answer.status_code, answer.message, answer.data) == (status_code, "see data", {"fields": ["kwh"]})


@pytest.mark.catalogue("TF-096")
async def test_the_location_of_a_cdr_is_the_hubs_and_leads_to_it(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    cdr = samples.cdr(samples.session(of=samples.token()), samples.location(), samples.tariff())
    posted = await cpo.post_cdr(cdr, to="DE*MSA")
    assert posted.headers["Location"].startswith(f"{running.url}/ocpi/2.2.1/receiver/cdrs/")
    assert emsp.origin not in posted.headers["Location"]
    assert (await cpo.call("GET", posted.headers["Location"], cpo.registered.token_out)).data == cdr


@pytest.mark.catalogue("TF-136")
async def test_a_request_without_ids_is_served_under_new_ones(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token())
    url = f"{running.url}/ocpi/2.2.1/receiver/sessions/NL/CPA/{session['id']}"
    shown = {"Authorization": headers.encode_token(cpo.registered.token_out), headers.TO_COUNTRY: "DE"}
    shown[headers.TO_PARTY] = "MSA"
    body = json.dumps(session)
    async with ClientSession() as client, client.put(url, data=body, headers=shown) as answer:
        assert answer.status == 201
        made = answer.headers[headers.CORRELATION_ID]
        assert answer.headers[headers.REQUEST_ID]
    assert at(emsp, "/receiver/sessions/").correlation_id == made


@pytest.mark.catalogue("TF-082", "TF-090")
@pytest.mark.parametrize("half", [headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY])
async def test_half_a_pair_is_refused_and_both_of_a_stranger_lead_nowhere(
    running: Any, cpo: CpoBackend, emsp: Emsp, half: str
) -> None:
    url = f"{running.url}/ocpi/2.2.1/sender/tokens"
    pairs = {headers.TO_COUNTRY: "DE", headers.TO_PARTY: "MSA", headers.FROM_COUNTRY: "NL", headers.FROM_PARTY: "CPA"}
    without = {name: value for name, value in pairs.items() if name != half}
    answer = await cpo.call("GET", url, cpo.registered.token_out, None, without)
    assert (answer.http_status, answer.status_code, "together" in answer.message) == (200, 2001, True)
    stranger = {**pairs, headers.TO_COUNTRY: "XX", headers.TO_PARTY: "XXX"}
    answer = await cpo.call("GET", url, cpo.registered.token_out, None, stranger)
    assert (answer.http_status, answer.status_code) == (200, 4001)


async def test_a_target_that_wants_a_slash_at_the_end_gets_it(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    number = running.hub.directory.now.party(emsp.parties[0]).platform.id
    await membership.treat(running.hub, number, None, {"slash": True})
    await cpo.put_session(samples.session(), to="DE*MSA")
    assert emsp.received[-1].path.endswith("/receiver/sessions/NL/CPA/SESSION1/")


async def test_a_target_that_is_known_to_answer_soon_is_not_waited_for_longer(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    number = running.hub.directory.now.party(emsp.parties[0]).platform.id
    await membership.treat(running.hub, number, None, {"timeout": 1})
    emsp.knobs.delay = 5
    assert (await cpo.put_session(samples.session(), to="DE*MSA")).status_code == 4002
    await running.hub.journal.flush()
    async with running.hub.db.unit_of_work() as session:
        details = [row[0] for row in await session.execute(text("SELECT detail FROM hop WHERE decision = 'forward'"))]
    assert [str(detail).endswith("did not answer within 1 s") for detail in details] == [True]
