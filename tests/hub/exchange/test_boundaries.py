"""What must not get through: ways to reach what is another party's, and odd answers that must not break or mislead."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import text
from yarl import URL

from hub.ocpi import headers
from hub.ocpi.types import format_datetime
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import parties
from hub.store.parties import Agreement


def later() -> str:
    """A last_updated after everything that was pushed so far."""
    return format_datetime(datetime.now(UTC) + timedelta(minutes=1))


async def directly(running: Any, emsp: Emsp, path: str) -> tuple[int, bytes]:
    """A GET of DE*MSA for NL*CPA whose path goes over the wire as it stands."""
    shown = {
        "Authorization": headers.encode_token(emsp.registered.token_out),
        headers.TO_COUNTRY: "NL",
        headers.TO_PARTY: "CPA",
    }
    url = URL(f"{running.url}/ocpi/2.2.1/{path}", encoded=True)
    async with aiohttp.ClientSession() as session, session.get(url, headers=shown) as answer:
        return answer.status, await answer.read()


@pytest.mark.catalogue("TF-059")
async def test_dot_segments_lead_nowhere(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    for path in ("%2E%2E/%2E%2E/credentials", "..%2f..%2fcredentials", "%2e/credentials"):
        status, said = await directly(running, emsp, f"sender/locations/{path}")
        assert status == 404
        assert cpo.registered.token_in.encode() not in said
    assert not [r for r in cpo.received if "sender/locations" in r.path or r.path.endswith("/credentials")]


@pytest.mark.catalogue("LOC-020")
async def test_nobody_but_the_owner_looks_at_a_receivers_copy(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    token = samples.token()
    assert (await emsp.put_token(token, to="NL*CPA")).ok
    assert (await emsp.send("GET", "tokens", "DE", "MSA", token["uid"], to="NL*CPA")).ok
    foreign = await other_emsp.send("GET", "tokens", "DE", "MSA", token["uid"], to="NL*CPA")
    assert foreign.http_status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"evses": "x"},
        {"evses": [{"uid": "EVSE1"}]},
        {"coordinates": 5},
        {"city": None},
        {"country_code": None},
        {"id": None},
    ],
    ids=str,
)
async def test_a_patch_leaves_no_object_without_what_it_needs(running: Any, cpo: CpoBackend, change: Any) -> None:
    location = samples.location()
    await cpo.put_location(location, to=cpo.hub)
    body = {**change, "last_updated": later()}
    answer = await cpo.send("PATCH", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=body)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert next(iter(change)).rstrip("s") in answer.message or "last_updated" in answer.message


async def test_a_receivers_yes_stands_though_the_hub_can_keep_no_copy(
    cpo: CpoBackend, emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = samples.session(of=samples.token())
    await cpo.put_session(session, to="DE*MSA")
    monkeypatch.setattr(emsp.sessions, "patch", lambda *_: None)
    odd = {"charging_periods": "none yet", "last_updated": later()}
    answer = await cpo.send("PATCH", "sessions", "NL", "CPA", session["id"], to="DE*MSA", body=odd)
    assert (answer.http_status, answer.status_code) == (200, 1000)


async def test_a_bad_clock_below_the_top_silences_nothing(cpo: CpoBackend, emsp: Emsp) -> None:
    location = samples.location()
    location["evses"][0]["last_updated"] = "2099-01-01T00:00:00Z"
    answer = await cpo.put_location(location, to=cpo.hub)
    assert (answer.status_code, "last_updated" in answer.message) == (2001, True)


async def test_only_parties_of_the_owning_role_push(cpo: CpoBackend, emsp: Emsp) -> None:
    wrong = await emsp.send("PUT", "locations", "DE", "MSA", "LOC1", to=emsp.hub, body=samples.location("DE*MSA"))
    assert wrong.status_code == 2001
    token = samples.token("NL*CPA")
    assert (await cpo.send("PUT", "tokens", "NL", "CPA", token["uid"], to=cpo.hub, body=token)).status_code == 2001


class Odd(Emsp):
    """An eMSP whose answer to authorise is scripted."""

    said: Any = None
    status = 200

    async def _authorize(self, request: web.Request) -> web.Response:
        body = {"status_code": 1000, "data": self.said, "timestamp": "2026-01-01T00:00:00Z"}
        return web.json_response(body, status=self.status)


@pytest.mark.catalogue("TOK-026", "TOK-028")
async def test_an_odd_or_failing_emsp_neither_breaks_nor_answers_an_authorise(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    async with Odd("SE*ODD") as odd:
        await running.join(odd, "EMSP")
        odd.said = ["x"]
        assert (await cpo.authorise("CAFE", to=None)).status_code == 4002
        odd.status = 500
        assert (await cpo.authorise("CAFE", to=None)).status_code == 4002
        emsp.tokens["RFID", "CAFE"] = samples.token(uid="CAFE")
        assert (await cpo.authorise("CAFE", to=None)).data["allowed"] == "ALLOWED"


async def agree(running: Any, a: str, b: str, modules: list[str]) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a=a, b=b, modules=modules))
        await session.flush()
        await parties.touch(session)
    await running.hub.directory.refresh()


async def test_a_token_claimed_without_agreement_diverts_no_authorise(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await agree(running, "NL*CPA", "FR*MSB", ["locations"])
    await emsp.put_token(samples.token(uid="CAFE"), to=emsp.hub)
    await other_emsp.put_token(samples.token("FR*MSB", "CAFE"), to=emsp.hub)
    answer = await cpo.authorise("CAFE", to=None)
    assert (answer.data["allowed"], answer.headers[headers.FROM_PARTY]) == ("ALLOWED", "MSA")


def a_cdr(**more: Any) -> dict[str, Any]:
    of = samples.session(of=samples.token()) | {"kwh": Decimal("1.5")}
    return samples.cdr(of, samples.location(), samples.tariff()) | more


@pytest.mark.catalogue("CDR-024")
async def test_after_an_unclear_answer_only_the_same_cdr_is_taken(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unclear(request: web.Request) -> web.Response:
        return web.Response(status=502, text="<html>bad gateway</html>")

    ordinary = emsp._post_cdr
    await emsp.go_away()
    monkeypatch.setattr(emsp, "_post_cdr", unclear)
    await emsp.come_back()
    assert not (await cpo.post_cdr(a_cdr(), to="DE*MSA")).ok
    other = a_cdr(remark="another one")
    assert (await cpo.post_cdr(other, to="FR*MSB")).status_code == 2001
    await emsp.go_away()
    monkeypatch.setattr(emsp, "_post_cdr", ordinary)
    await emsp.come_back()
    emsp.knobs.status_code = 2001  # a clear refusal does not lift the doubt
    first = {**a_cdr(), "id": "CDR9"}
    await cpo.post_cdr(first, to="DE*MSA")
    emsp.knobs.status_code = None
    assert (await cpo.post_cdr({**first, "remark": "corrected"}, to="DE*MSA")).ok


@pytest.mark.parametrize(
    "change",
    [{"session_id": 5}, {"credit_reference_id": ["a"]}, {"total_cost": {"excl_vat": 1, "incl_vat": "x"}}],
    ids=str,
)
async def test_what_cannot_be_entered_in_the_ledger_is_not_delivered(
    running: Any, cpo: CpoBackend, emsp: Emsp, change: Any
) -> None:
    answer = await cpo.send("POST", "cdrs", to="DE*MSA", body=a_cdr(**change))
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert not emsp.cdrs


async def test_a_page_link_outlives_no_agreement(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    for number in range(60):
        cpo.locations.put(("NL", "CPA", f"L{number}"), samples.location(id=f"L{number}"))
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert first.next_url is not None
    await agree(running, "NL*CPA", "DE*MSA", ["tokens"])
    after = await emsp.call("GET", first.next_url, emsp.registered.token_out)
    assert (after.status_code, after.data) == (4001, None)


@pytest.mark.parametrize(
    ("link", "status_code"),
    [
        ('<?offset=1,2>; rel="next"', 1000),
        ('<http://127.0.0.1:1/elsewhere>; rel="next"', 4000),
        ('<http://[x>; rel="next"', 4000),
        ('<http://ignored>; rel="prev"', 1000),
    ],
)
@pytest.mark.catalogue("TF-047")
async def test_links_of_owners_are_followed_or_refused_aloud(
    running: Any, emsp: Emsp, link: str, status_code: int
) -> None:
    class Linking(CpoBackend):
        def _lister(self, module: str, shelf: Any) -> Any:
            async def get(request: web.Request) -> web.Response:
                body = {"status_code": 1000, "data": [], "timestamp": "2026-01-01T00:00:00Z"}
                return web.json_response(body, headers={"Link": link})

            return get

    async with Linking("NL*LNK") as owner:
        await running.join(owner, "CPO")
        answer = await emsp.send("GET", "locations", interface="SENDER", to="NL*LNK")
    assert answer.status_code == status_code
    assert (answer.next_url is not None) == ("offset" in link)


async def test_the_emsps_no_to_a_result_reaches_the_cpo(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    await emsp.start_session(samples.token(), "LOC1", "EVSE1", to="NL*CPA")
    url = next(r for r in cpo.received if "START_SESSION" in r.path).body["response_url"]
    emsp.knobs.status_code = 2001
    answer = await cpo.call("POST", url, cpo.registered.token_out, {"result": "FAILED"})
    assert answer.status_code == 2001


async def test_what_left_or_was_withdrawn_is_in_no_list(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    await cpo.put_tariff(samples.tariff(), to=cpo.hub)
    assert (await cpo.delete_tariff("TARIFF1", to="DE*MSA")).http_status in (200, 404)
    assert await emsp.pull("tariffs", to=emsp.hub) == []
    assert len(await other_emsp.pull("tariffs", to=emsp.hub)) == 1
    await cpo.leave()
    assert await emsp.pull("locations", to=emsp.hub) == []


async def test_card_numbers_are_not_kept_in_the_journal(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    token = samples.token(uid="0123456789ABCDEF")
    await emsp.put_token(token, to=emsp.hub)
    await cpo.authorise(token["uid"], to="DE*MSA")
    await running.hub.journal.flush()
    async with running.hub.db.session() as session:
        hops = list((await session.execute(text("SELECT what FROM hop"))).scalars())
    assert any("…EF" in what for what in hops)
    assert not any("0123456789" in what for what in hops)
