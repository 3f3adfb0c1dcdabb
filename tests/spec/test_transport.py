"""Tokens, headers, message ids and URLs, from outside (transport_and_format)."""

import base64
import uuid
from collections.abc import Iterable
from typing import Any

import aiohttp
import pytest
from sqlalchemy import text

from hub.delivery import send
from hub.exchange import handshake
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.recorder import Received
from hub.sandbox.site import Route

HUB_LIST = "ocpi/2.2.1/sender/locations"
ROUTING = (headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY)


async def raw(running: Any, method: str, path: str, **shown: str) -> tuple[int, dict[str, str], bytes]:
    """A request with just these headers; underscores in their names stand for dashes."""
    sent = {name.replace("_", "-"): value for name, value in shown.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{running.url}/{path}", headers=sent) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


async def everything_once(cpo: CpoBackend, emsp: Emsp) -> list[Received]:
    """One call of each kind from the hub to its partners, and all that these received, the handshake included."""
    await emsp.put_token(samples.token(), to="NL*CPA")
    await cpo.put_location(samples.location(), to="DE*MSA")
    await cpo.authorise(samples.token()["uid"], to="DE*MSA")
    await emsp.pull("locations", to="NL*CPA")
    command = await emsp.start_session(samples.token(), "LOC1", "EVSE1", to="NL*CPA")
    assert await emsp.result(command) == "ACCEPTED"
    for charging in cpo.charging.values():
        charging.stop()
    return [*cpo.received, *emsp.received]


# --- who is calling ---


@pytest.mark.catalogue("TF-003", "TF-004", "TF-005")
@pytest.mark.handshake
async def test_every_request_of_the_hub_shows_the_token_it_was_given(cpo: CpoBackend, emsp: Emsp) -> None:
    found = await everything_once(cpo, emsp)
    assert {seen.path.rsplit("/", 1)[-1] for seen in found} >= {"versions", "2.2.1", "authorize", "START_SESSION"}
    assert any("sender/commands" in seen.path for seen in emsp.received)
    for partner in (cpo, emsp):
        expected = "Token " + base64.b64encode(partner.registered.token_in.encode()).decode("ascii")
        assert {seen.headers.get("Authorization") for seen in partner.received} == {expected}


@pytest.mark.catalogue("TF-002", "TF-009")
async def test_the_token_alone_decides(running: Any, cpo: CpoBackend) -> None:
    good = headers.encode_token(cpo.registered.token_out)
    assert (await raw(running, "GET", "ocpi/versions", Authorization=good))[0] == 200
    assert (await raw(running, "GET", "ocpi/versions"))[0] == 401


@pytest.mark.catalogue("TF-010", "TF-005")
@pytest.mark.parametrize("form", ["someone else's", "empty", "half", "urlsafe"])
async def test_a_token_that_is_not_exactly_the_one_issued_is_401(running: Any, cpo: CpoBackend, form: str) -> None:
    token = cpo.registered.token_out
    wrong = {
        "someone else's": headers.encode_token(token + "x"),
        "empty": "Token ",
        "half": headers.encode_token(token[:-1]),
        "urlsafe": "Basic " + base64.b64encode(token.encode()).decode(),
    }
    assert (await raw(running, "GET", HUB_LIST, Authorization=wrong[form]))[0] == 401


@pytest.mark.catalogue("TF-013", "TF-182")
@pytest.mark.parametrize("form", ["token {}", "TOKEN {}", "  Token   {} ", "Token {}"])
@pytest.mark.parametrize("ending", ["", "\n"])
async def test_sloppy_forms_of_a_good_token_are_understood(
    running: Any, cpo: CpoBackend, form: str, ending: str
) -> None:
    encoded = base64.b64encode((cpo.registered.token_out + ending).encode()).decode()
    assert (await raw(running, "GET", "ocpi/versions", Authorization=form.format(encoded)))[0] == 200


@pytest.mark.catalogue("TF-007")
async def test_a_partner_that_does_not_encode_is_understood(running: Any, cpo: CpoBackend) -> None:
    shown = f"Token {cpo.registered.token_out}"
    assert (await raw(running, "GET", "ocpi/versions", Authorization=shown))[0] == 200


@pytest.mark.catalogue("TF-008")
async def test_a_token_stands_for_one_platform(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    assert cpo.registered.token_out != emsp.registered.token_out
    for partner in (cpo, emsp):
        shown = headers.encode_token(partner.registered.token_out)
        _, answer, _ = await raw(running, "GET", HUB_LIST, Authorization=shown)
        assert headers.party(answer, headers.TO_COUNTRY.lower(), headers.TO_PARTY.lower()) == partner.parties[0]


@pytest.mark.catalogue("TF-011", "TF-012")
@pytest.mark.parametrize("module", ["locations", "sessions", "cdrs", "tariffs", "tokens"])
async def test_token_a_opens_no_functional_module(running: Any, module: str) -> None:
    token_a = await handshake.invite(running.hub, "a partner", [(PartyId.parse("NL*NEW"), "CPO")])
    shown = headers.encode_token(token_a)
    assert (await raw(running, "GET", f"ocpi/2.2.1/sender/{module}", Authorization=shown))[0] == 401
    for path in ("versions", "2.2.1", "2.2.1/credentials"):
        assert (await raw(running, "GET", f"ocpi/{path}", Authorization=shown))[0] == 200


# --- what requests look like ---


@pytest.mark.catalogue("TF-017", "TF-018")
async def test_a_body_is_declared_as_json_and_none_is_not_declared(cpo: CpoBackend, emsp: Emsp) -> None:
    for seen in await everything_once(cpo, emsp):
        assert seen.headers.get("Content-Type") == (None if seen.body is None else "application/json"), seen


@pytest.mark.catalogue("TF-075", "TF-084")
async def test_requests_and_answers_of_functional_modules_carry_both_pairs(cpo: CpoBackend, emsp: Emsp) -> None:
    found = await everything_once(cpo, emsp)
    functional = [seen for seen in found if "/sender/" in seen.path or "/receiver/" in seen.path]
    assert functional
    for seen in functional:
        assert [name for name in ROUTING if name not in seen.headers] == [], seen
    for to, answering in (("DE*MSA", PartyId.parse("DE*MSA")), (cpo.hub, cpo.hub)):
        answer = await cpo.put_location(samples.location(), to=to)
        assert headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY) == cpo.parties[0]
        assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == answering


@pytest.mark.catalogue("TF-076")
@pytest.mark.handshake
async def test_the_handshake_knows_no_routing_headers(running: Any, cpo: CpoBackend) -> None:
    assert [seen.path for seen in cpo.received] == ["/ocpi/versions", "/ocpi/2.2.1"]
    token = cpo.registered.token_out
    for seen in cpo.received:
        assert [name for name in ROUTING if name in seen.headers] == []
    for path in ("versions", "2.2.1", "2.2.1/credentials"):
        answer = await cpo.call("GET", f"{running.url}/ocpi/{path}", token)
        assert [name for name in ROUTING if name in answer.headers] == []


@pytest.mark.catalogue("TF-079", "TF-040")
async def test_header_names_count_in_any_case(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to="DE*MSA")
    status, answer, said = await raw(
        running,
        "GET",
        HUB_LIST,
        AUTHORIZATION=headers.encode_token(emsp.registered.token_out),
        ocpi_TO_country_code="NL",
        Ocpi_To_Party_Id="CPA",
        OCPI_FROM_COUNTRY_CODE="DE",
        ocpi_from_party_id="MSA",
        x_REQUEST_id="r-1",
        X_CORRELATION_ID="c-1",
    )
    assert (status, b'"LOC1"' in said) == (200, True)
    echoed = {name.lower(): value for name, value in answer.items()}
    assert (echoed["x-request-id"], echoed["x-correlation-id"]) == ("r-1", "c-1")
    assert (echoed["ocpi-from-party-id"], echoed["ocpi-to-party-id"]) == ("CPA", "MSA")


@pytest.mark.catalogue("TF-081")
async def test_without_from_the_only_party_is_meant_and_of_two_none(running: Any, cpo: CpoBackend) -> None:
    shown = {headers.TO_COUNTRY: "NL", headers.TO_PARTY: "HUB"}
    async with CpoBackend("NL*ONE", "NL*TWO") as several:
        await running.join(several, "CPO")
        for partner, status_code in ((cpo, 1000), (several, 2001)):
            token = partner.registered.token_out
            answer = await partner.call("GET", f"{running.url}/{HUB_LIST}", token, None, shown)
            assert (answer.http_status, answer.status_code) == (200, status_code)


@pytest.mark.catalogue("TF-078", "TF-082")
@pytest.mark.parametrize("half", ROUTING)
async def test_half_a_pair_is_malformed(running: Any, cpo: CpoBackend, half: str) -> None:
    other = headers.routing(cpo.hub, None) if "from" in half else headers.routing(None, cpo.parties[0])
    shown = {**other, half: "NL" if "country" in half else "CPA"}
    answer = await cpo.call("GET", f"{running.url}/{HUB_LIST}", cpo.registered.token_out, None, shown)
    assert (answer.http_status, answer.status_code) == (200, 2001)


@pytest.mark.catalogue("TF-062")
async def test_nobody_speaks_for_a_party_of_another_platform(cpo: CpoBackend, emsp: Emsp) -> None:
    pushed = await emsp.send("PUT", "tariffs", "NL", "CPA", "T1", to=emsp.hub, sender="NL*CPA", body=samples.tariff())
    asked = await emsp.send("GET", "tokens", interface="SENDER", to=emsp.hub, sender="NL*CPA")
    for answer in (pushed, asked):
        assert (answer.http_status, answer.status_code) == (200, 2001)


@pytest.mark.catalogue("TF-130", "TF-131", "TF-132")
async def test_every_request_of_the_hub_has_ids_of_its_own_that_are_uuids(cpo: CpoBackend, emsp: Emsp) -> None:
    found = await everything_once(cpo, emsp)
    for name in (headers.REQUEST_ID, headers.CORRELATION_ID):
        for seen in found:
            assert str(uuid.UUID(seen.headers[name])) == seen.headers[name]
    answers = await cpo.send("GET", "tokens", interface="SENDER", to=cpo.hub)
    assert answers.ok
    assert cpo.faults == emsp.faults == []


# --- where things are ---


class Elsewhere(Emsp):
    """An eMSP whose URLs follow no pattern."""

    def url(self, module: str, interface: str) -> str:
        return f"{self.origin}/{interface[0]}/of-{module}/v"

    def routes(self) -> Iterable[Route]:
        for method, path, handler in super().routes():
            for module, interface in self.modules:
                path = path.replace(f"/ocpi/2.2.1/{interface.lower()}/{module}", f"/{interface[0]}/of-{module}/v")
            yield method, path, handler


@pytest.mark.catalogue("TF-138", "TF-089")
async def test_endpoints_are_those_that_the_partner_published(running: Any, cpo: CpoBackend) -> None:
    async with Elsewhere("DE*MSA") as emsp:
        await running.join(emsp, "EMSP")
        assert (await cpo.put_location(samples.location(), to="DE*MSA")).http_status == 201
        assert (await cpo.authorise("CAFE", to="DE*MSA")).status_code == 2004
        paths = [seen.path for seen in emsp.received]
    assert "/R/of-locations/v/NL/CPA/LOC1" in paths
    assert "/S/of-tokens/v/CAFE/authorize" in paths


@pytest.mark.catalogue("TF-060")
@pytest.mark.parametrize(
    ("endpoint", "tail", "query", "url"),
    [
        ("https://x.example/a", "/NL/CPA/1", "", "https://x.example/a/NL/CPA/1"),
        ("https://x.example/a/", "/NL/CPA/1", "", "https://x.example/a/NL/CPA/1"),
        ("https://x.example/a/", "NL/CPA/1", "type=RFID", "https://x.example/a/NL/CPA/1?type=RFID"),
        ("https://x.example/a/", "", "limit=1", "https://x.example/a/?limit=1"),
        ("https://x.example/a", "", "", "https://x.example/a"),
    ],
)
def test_slashes_are_neither_doubled_nor_lost(endpoint: str, tail: str, query: str, url: str) -> None:
    assert send.join(endpoint, tail, query) == url


@pytest.mark.catalogue("TF-061")
async def test_a_url_with_the_codes_of_another_party_is_404(cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token()
    answer = await emsp.send("PUT", "tokens", "FR", "MSB", token["uid"], to=emsp.hub, body=token)
    assert answer.http_status == 404


@pytest.mark.catalogue("TF-105", "TF-106")
async def test_a_broadcast_is_answered_whatever_its_receivers_do(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await emsp.go_away()
    other_emsp.knobs.http_status = 500
    answer = await cpo.put_location(samples.location(), to=cpo.hub)
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert headers.party(answer.headers, headers.FROM_COUNTRY, headers.FROM_PARTY) == cpo.hub
    assert not [seen for seen in other_emsp.received if "locations" in seen.path]


@pytest.mark.catalogue("TF-140", "TF-142")
async def test_a_direct_push_that_fails_is_told_and_not_queued(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    session = samples.session(of=samples.token())
    emsp.knobs.http_status = 500
    assert (await cpo.put_session(session, to="DE*MSA")).status_code == 3000
    await emsp.go_away()
    assert (await cpo.put_session(session, to="DE*MSA")).status_code == 4003
    async with running.hub.db.unit_of_work() as unit:
        assert (await unit.execute(text("SELECT count(*) FROM owed"))).scalar_one() == 0


@pytest.mark.catalogue("TF-143")
async def test_what_may_have_arrived_is_not_sent_again(cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.knobs.hang_up = True
    emsp.knobs.applies = lambda seen: "authorize" in seen.path
    for _ in range(2):  # the second one finds a connection that was used before
        assert (await cpo.authorise("CAFE", to="DE*MSA")).status_code == 4002
        await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub)
    assert len([seen for seen in emsp.received if "authorize" in seen.path]) == 2


@pytest.mark.catalogue("TF-077")
async def test_a_platform_of_one_party_may_leave_from_out(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    token = cpo.registered.token_out
    to = {headers.TO_COUNTRY: "DE", headers.TO_PARTY: "MSA"}
    session = samples.session(of=samples.token())
    url = f"{running.url}/ocpi/2.2.1/receiver/sessions/NL/CPA/SESSION1"
    assert (await cpo.call("PUT", url, token, session, to)).http_status == 201
    assert emsp.received[-1].sender == cpo.parties[0]
