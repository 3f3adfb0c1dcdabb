"""A CPO back end and an eMSP that talk to each other directly: every method each of them serves or sends."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform

CARD = samples.token()
TICK = 0.01


@pytest.fixture
async def cpo() -> AsyncIterator[CpoBackend]:
    async with CpoBackend("NL*CPA") as platform:
        yield platform
        assert platform.faults == []


@pytest.fixture
async def emsp(cpo: CpoBackend) -> AsyncIterator[Emsp]:
    async with Emsp("DE*MSA") as platform:
        token_a, versions_url = cpo.invite()
        await platform.register(versions_url, token_a)
        yield platform
        assert platform.faults == []
        assert platform.backwards == []


@pytest.fixture
async def published(cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await cpo.put_tariff(samples.tariff(), to=cpo.hub)).http_status == 201
    assert (await cpo.put_location(samples.location(), to=cpo.hub)).http_status == 201
    assert (await emsp.put_token(CARD, to=emsp.hub)).http_status == 201


async def test_objects_arrive_and_can_be_read_back(cpo: CpoBackend, emsp: Emsp, published: None) -> None:
    assert emsp.locations.all() == cpo.locations.all() == [samples.location(at=_at(emsp))]
    answer = await cpo.send("GET", "locations", "NL", "CPA", "LOC1", "EVSE2", to="DE*MSA")
    assert answer.data["uid"] == "EVSE2"
    answer = await emsp.send("GET", "locations", "LOC1", "EVSE1", "1", interface="SENDER", to="NL*CPA")
    assert answer.data["standard"] == "IEC_62196_T2"
    assert (await emsp.send("GET", "locations", "LOC9", interface="SENDER", to="NL*CPA")).http_status == 404
    answer = await emsp.send("GET", "tokens", "DE", "MSA", CARD["uid"], to="NL*CPA")
    assert answer.data == CARD
    assert (await emsp.patch_token(CARD["uid"], {"valid": False}, to="NL*CPA")).ok
    assert cpo.tokens.all()[0]["valid"] is False
    assert (await cpo.delete_tariff("TARIFF1", to="DE*MSA")).ok
    assert len(emsp.tariffs) == 0


async def test_lists_come_in_pages_and_windows(cpo: CpoBackend, emsp: Emsp) -> None:
    assert await emsp.pull("tariffs", to="NL*CPA") == []
    for number in range(7):
        at = f"2026-01-0{number + 1}T00:00:00Z"
        await cpo.put_tariff(samples.tariff(id=f"T{number}", at=at), to="DE*MSA")
    answer = await emsp.send("GET", "tariffs", interface="SENDER", to="NL*CPA", query={"limit": "3"})
    assert [t["id"] for t in answer.data] == ["T0", "T1", "T2"]
    assert (answer.headers["X-Total-Count"], answer.headers["X-Limit"]) == ("7", "50")
    assert answer.next_url is not None
    whole = await emsp.pull("tariffs", to="NL*CPA", limit="3")
    assert [t["id"] for t in whole] == [f"T{n}" for n in range(7)]
    window = {"date_from": "2026-01-02T00:00:00Z", "date_to": "2026-01-04T00:00:00Z"}
    assert [t["id"] for t in await emsp.pull("tariffs", to="NL*CPA", **window)] == ["T1", "T2"]


async def test_authorise(cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.tokens["RFID", CARD["uid"]] = CARD
    answer = await cpo.authorise(CARD["uid"].lower(), {"location_id": "LOC1"}, to="DE*MSA")
    assert answer.data["allowed"] == "ALLOWED"
    assert answer.data["token"] == CARD
    assert answer.data["location"] == {"location_id": "LOC1"}
    assert answer.data["authorization_reference"] == emsp.references[CARD["uid"]]
    emsp.tokens["RFID", CARD["uid"]] = {**CARD, "valid": False}
    assert (await cpo.authorise(CARD["uid"], to="DE*MSA")).data["allowed"] == "BLOCKED"
    for answer in (
        await cpo.authorise("04FFFFFF", to="DE*MSA"),
        await cpo.authorise(CARD["uid"], to="DE*MSA", kind="APP_USER"),
    ):
        assert (answer.http_status, answer.status_code, answer.data) == (404, 2004, None)


async def test_a_session_from_plug_to_bill(cpo: CpoBackend, emsp: Emsp, published: None) -> None:
    charging = await cpo.charge(CARD, authorization_reference="R1", full=Decimal("1.0"), tick=TICK)
    await emsp.until(lambda: emsp.cdrs)
    [cdr], [session] = emsp.cdrs.values(), emsp.sessions.all()
    assert (session["status"], session["kwh"]) == ("COMPLETED", Decimal("1.0"))
    assert (cdr["session_id"], cdr["total_energy"]) == (session["id"], Decimal("1.0"))
    assert cdr["authorization_reference"] == "R1"
    assert cdr["total_cost"] == {"excl_vat": Decimal("0.85"), "incl_vat": Decimal("1.0285")}
    assert all(answer.ok for answer in charging.answers)
    statuses = [r.body["status"] for r in emsp.received if r.method == "PATCH"]
    assert statuses[0] == "CHARGING"
    await emsp.until(lambda: _status(emsp) == "AVAILABLE")


async def test_start_and_stop_by_command(cpo: CpoBackend, emsp: Emsp, published: None) -> None:
    start = await emsp.start_session(CARD, "LOC1", to="NL*CPA")
    assert start.accepted
    assert await emsp.result(start) == "ACCEPTED"
    [session] = await emsp.until(emsp.sessions.all)
    assert (session["evse_uid"], session["auth_method"]) == ("EVSE1", "COMMAND")
    stop = await emsp.stop_session(session["id"], to="NL*CPA")
    assert await emsp.result(stop) == "ACCEPTED"
    await emsp.until(lambda: emsp.cdrs)
    await emsp.until(lambda: _status(emsp) == "AVAILABLE")


async def test_commands_that_cannot_be_done(cpo: CpoBackend, emsp: Emsp, published: None) -> None:
    assert (await emsp.start_session(CARD, "LOC9", to="NL*CPA")).answer.status_code == 2003
    assert (await emsp.start_session(CARD, "LOC1", "EVSE9", to="NL*CPA")).answer.data["result"] == "REJECTED"
    assert (await emsp.stop_session("S9", to="NL*CPA")).answer.data["result"] == "UNKNOWN_SESSION"
    unlock = await emsp.command("UNLOCK_CONNECTOR", {}, to="NL*CPA")
    assert unlock.answer.data == {"result": "NOT_SUPPORTED", "timeout": 0}
    assert not unlock.accepted
    assert (await emsp.command("DANCE", {}, to="NL*CPA")).answer.http_status == 404
    charging = await cpo.charge(samples.token("FR*MSB"), tick=60)
    stop = await emsp.stop_session(charging.session["id"], to="NL*CPA")
    assert stop.answer.data["result"] == "REJECTED"


async def test_a_cdr_is_kept_once(cpo: CpoBackend, emsp: Emsp) -> None:
    place, tariff = samples.location(), samples.tariff()
    cdr = samples.cdr({**samples.session(), "kwh": Decimal("2.5")}, place, tariff)
    first, again = await cpo.post_cdr(cdr, to="DE*MSA"), await cpo.post_cdr(cdr, to="DE*MSA")
    assert (first.http_status, again.http_status) == (201, 201)
    assert first.headers["Location"] == again.headers["Location"]
    assert (await cpo.post_cdr({**cdr, "remark": "x"}, to="DE*MSA")).status_code == 2001
    assert len(emsp.cdrs) == 1
    answer = await cpo.call("GET", first.headers["Location"], cpo.registered.token_out)
    assert answer.data == cdr


async def test_background_work_that_fails_is_a_fault() -> None:
    async with Platform("NL*XXX") as platform:

        async def work() -> None:
            raise ValueError("out of tea")

        platform.spawn(work())
        await platform.until(lambda: platform.faults)
        assert platform.faults == ["background work failed, ValueError: out of tea"]


def _status(emsp: Emsp) -> Any:
    return (emsp.locations.get("NL", "CPA", "LOC1", "EVSE1") or {})["status"]


def _at(emsp: Emsp) -> str:
    return str(emsp.locations.all()[0]["last_updated"])
