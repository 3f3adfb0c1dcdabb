"""CDRs: one receiver, once, unaltered; custody when the receiver is away; nothing contradicted."""

import asyncio
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from asyncpg import PostgresError
from sqlalchemy import text

from hub.admin import cdrs
from hub.ocpi import headers, json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import parties
from hub.store.parties import Agreement

Json = dict[str, Any]


def a_cdr(**more: Any) -> Json:
    of = samples.session(of=samples.token()) | {"kwh": Decimal("12.500")}
    return samples.cdr(of, samples.location(), samples.tariff()) | more


async def ledger(running: Any) -> list[Any]:
    sql = "SELECT c.receiver, d.state, c.total_energy FROM cdr c JOIN cdr_delivery d USING (seq)"
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


@pytest.mark.catalogue("CDR-004", "CDR-019", "CDR-020")
async def test_a_cdr_reaches_its_receiver(running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    cdr = a_cdr()
    answer = await cpo.post_cdr(cdr, to="DE*MSA")
    assert answer.http_status == 201
    assert answer.headers["Location"].startswith(running.url)
    assert list(emsp.cdrs.values()) == [cdr]
    assert not other_emsp.cdrs
    assert await ledger(running) == [("DE*MSA", "delivered", Decimal("12.500"))]


@pytest.mark.catalogue("CDR-018", "CDR-022", "TF-096")
async def test_a_cdr_can_be_checked_at_its_receiver(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    cdr = a_cdr()
    answer = await cpo.post_cdr(cdr, to="DE*MSA")
    fetched = await cpo.call("GET", answer.headers["Location"], cpo.registered.token_out)
    assert fetched.data == cdr
    assert [r.method for r in emsp.received if "cdrs" in r.path] == ["POST", "GET"]
    stranger = await other_emsp.call("GET", answer.headers["Location"], other_emsp.registered.token_out)
    assert stranger.http_status == 404


@pytest.mark.catalogue("CDR-023", "CDR-024", "TYP-013")
async def test_the_same_cdr_again_is_answered_as_before_and_another_is_refused(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    cdr = a_cdr()
    first = await cpo.post_cdr(cdr, to="DE*MSA")
    again = await cpo.post_cdr({**cdr, "total_energy": Decimal("12.5")}, to="DE*MSA")
    assert again.ok
    assert again.headers["Location"] == first.headers["Location"]
    other = await cpo.post_cdr({**cdr, "total_energy": Decimal("99")}, to="DE*MSA")
    assert (other.http_status, other.status_code) == (200, 2001)
    assert len([r for r in emsp.received if r.method == "POST" and "cdrs" in r.path]) == 1
    assert len(await ledger(running)) == 1


@pytest.mark.catalogue("CDR-011", "CDR-059", "CDR-021")
async def test_what_goes_out_is_what_came_in_byte_for_byte(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    """At the bare endpoint; signed data, numbers and unknown fields as they were written."""
    signed = {
        "encoding_method": "OCMF",
        "public_key": "MFkwEwYHKoZIzj0=",
        "signed_values": [{"nature": "Start", "plain_data": '{"FV":"1.0"}', "signed_data": "T0NNRnw="}],
    }
    text_ = json.dumps(a_cdr(signed_data=signed, ext_tax={"a": "b"})).replace(b'"volume":12.500', b'"volume": 12.5000')
    assert (await cpo.send("POST", "cdrs", to="DE*MSA", body=text_)).http_status == 201
    seen = [r for r in emsp.received if "cdrs" in r.path]
    assert [(r.method, r.path) for r in seen] == [("POST", urlsplit(emsp.url("cdrs", "RECEIVER")).path)]
    assert seen[0].raw == text_


@pytest.mark.catalogue("CDR-017")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_a_cdr_is_only_posted_and_fetched(cpo: CpoBackend, emsp: Emsp, method: str) -> None:
    location = (await cpo.post_cdr(a_cdr(), to="DE*MSA")).headers["Location"]
    body = None if method == "DELETE" else a_cdr(remark="changed")
    assert (await cpo.call(method, location, cpo.registered.token_out, body)).http_status == 405
    assert (await cpo.send(method, "cdrs", to="DE*MSA", body=body)).http_status == 405
    assert "remark" not in next(iter(emsp.cdrs.values()))


@pytest.mark.catalogue("CDR-016", "CDR-014")
async def test_the_list_of_cdrs_by_date(running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    for day in (1, 2, 3):
        await cpo.post_cdr(a_cdr(id=f"CDR{day}", last_updated=f"2026-05-0{day}T12:00:00Z"), to="DE*MSA")

    async def ids(**query: str) -> list[str]:
        return [cdr["id"] for cdr in await emsp.pull("cdrs", to=emsp.hub, **query)]

    assert await ids(date_from="2026-05-02T12:00:00Z") == ["CDR2", "CDR3"]
    assert await ids(date_from="2026-05-01T00:00:00Z", date_to="2026-05-02T12:00:00Z") == ["CDR1"]
    page = await emsp.send("GET", "cdrs", interface="SENDER", to=emsp.hub, query={"offset": "1", "limit": "1"})
    assert [cdr["id"] for cdr in page.data] == ["CDR2"]
    assert page.headers[headers.TOTAL_COUNT] == "3"
    assert await other_emsp.pull("cdrs", to=emsp.hub) == []


@pytest.mark.catalogue("CDR-041")
async def test_findings_go_to_the_sender_and_the_operator_and_the_cdr_goes_on(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    wrong = a_cdr(total_energy=Decimal(12500), currency="EURO")
    answer = await cpo.post_cdr(wrong, to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert "currency: longer than 3 characters" in answer.message
    assert "total_energy: is not the sum" in answer.message
    assert "12500" not in answer.message
    assert list(emsp.cdrs.values()) == [wrong]
    (row,) = await cdrs.newest(running.hub, cdrs.Filter(None, None, None), 10)
    assert (row.state, len(row.findings)) == ("delivered", 3)


async def test_findings_are_told_in_custody_too(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await emsp.go_away()
    answer = await cpo.post_cdr(a_cdr(total_time=Decimal(60)), to="DE*MSA")
    assert (answer.http_status, answer.message) == (
        201,
        "the hub noticed: total_time: is not the time from start to end, in hours",
    )
    await emsp.come_back()


async def test_a_clean_cdr_is_answered_without_a_word(cpo: CpoBackend, emsp: Emsp) -> None:
    assert not (await cpo.post_cdr(a_cdr(), to="DE*MSA")).message


async def test_strict_refuses_what_is_only_odd(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async with running.hub.db.session() as session:
        await session.execute(text("UPDATE platform SET strict = true WHERE NOT hosted"))
        await parties.touch(session)
    await running.hub.directory.refresh()
    answer = await cpo.post_cdr(a_cdr(credit=True), to="DE*MSA")
    assert (answer.status_code, answer.message) == (2001, "body: credit true and credit_reference_id go together")
    assert not emsp.cdrs


@pytest.mark.catalogue("CDR-009")
async def test_a_credit_for_something_unknown_is_kept_and_flagged(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    credit = a_cdr(id="C1", credit=True, credit_reference_id="LOST")
    answer = await cpo.post_cdr(credit, to="DE*MSA")
    assert answer.http_status == 201
    assert "credit_reference_id: no CDR with this id is known here" in answer.message
    assert list(emsp.cdrs.values()) == [credit]
    (row,) = await cdrs.newest(running.hub, cdrs.Filter(None, None, None), 10)
    assert row.findings == ["credit_reference_id: no CDR with this id is known here"]


@pytest.mark.catalogue("CDR-005", "CDR-008")
async def test_a_correction_is_a_credit_and_a_new_cdr(cpo: CpoBackend, emsp: Emsp) -> None:
    first = a_cdr()
    negative = {name: -amount for name, amount in first["total_cost"].items()}
    credit = first | {"id": "CDR1-C", "credit": True, "credit_reference_id": "CDR1", "total_cost": negative}
    assert (await cpo.post_cdr(first, to="DE*MSA")).ok
    assert (await cpo.post_cdr(credit | {"id": "CDR1"}, to="DE*MSA")).status_code == 2001
    once = await cpo.post_cdr(credit, to="DE*MSA")
    assert (once.http_status, once.message) == (201, "")
    twice = await cpo.post_cdr(credit | {"id": "CDR1-D"}, to="DE*MSA")
    assert twice.message == "the hub noticed: credit_reference_id: this CDR is credited already"
    again = await cpo.post_cdr(first | {"id": "CDR2", "remark": "corrected"}, to="DE*MSA")
    assert (again.http_status, again.message) == (201, "")
    doubled = await cpo.post_cdr(first | {"id": "CDR3"}, to="DE*MSA")
    assert doubled.message == "the hub noticed: session_id: another CDR bills this session already"


@pytest.mark.catalogue("CDR-061", "CDR-052", "CDR-028")
async def test_a_reservation_without_a_session(cpo: CpoBackend, emsp: Emsp) -> None:
    """#NA for what was never assigned, no session_id, and nobody looks at the connector."""
    place = a_cdr()["cdr_location"] | {"evse_uid": "#NA", "evse_id": "#NA", "connector_id": "#NA"}
    cdr = a_cdr(cdr_location=place | {"connector_standard": "NONE_OF_THESE"})
    del cdr["session_id"]
    assert (await cpo.post_cdr(cdr, to="DE*MSA")).http_status == 201
    assert list(emsp.cdrs.values()) == [cdr]


async def test_without_a_receiver_the_token_decides(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    assert (await cpo.post_cdr(a_cdr(), to=None)).ok
    assert len(emsp.cdrs) == 1
    assert (await cpo.post_cdr(a_cdr(id="CDR2"), to=cpo.hub)).status_code == 2001


async def test_custody_when_the_receiver_is_away(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await emsp.go_away()
    cdr = a_cdr()
    answer = await cpo.post_cdr(cdr, to="DE*MSA")
    assert (answer.http_status, answer.status_code) == (201, 1000)
    assert await ledger(running) == [("DE*MSA", "custody", Decimal("12.500"))]
    async with running.hub.db.unit_of_work() as session:
        owed = (await session.execute(text("SELECT receiver, owner, module, key FROM owed"))).all()
    assert [tuple(row) for row in owed] == [("DE*MSA", "NL*CPA", "cdrs", cdr["id"])]
    fetched = await cpo.call("GET", answer.headers["Location"], cpo.registered.token_out)
    assert fetched.data == cdr
    await emsp.come_back()


async def test_no_custody_where_the_agreement_switches_it_off(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a="DE*MSA", b="NL*CPA", options={"custody": False}))
        await parties.touch(session)
    await running.hub.directory.refresh()
    await emsp.go_away()
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).status_code == 4003
    assert await ledger(running) == []
    await emsp.come_back()
    assert (await cpo.post_cdr(a_cdr(remark="tried again"), to="DE*MSA")).http_status == 201
    assert await ledger(running) == [("DE*MSA", "delivered", Decimal("12.500"))]


async def test_a_refused_cdr_may_come_again_corrected(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.knobs.status_code = 2001
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).status_code == 2001
    assert await ledger(running) == []
    emsp.knobs.status_code = None
    assert (await cpo.post_cdr(a_cdr(remark="corrected"), to="DE*MSA")).ok
    assert len(await ledger(running)) == 1


async def test_two_at_once_are_delivered_once(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    cdr = a_cdr()
    answers = await asyncio.gather(*(cpo.post_cdr(cdr, to="DE*MSA") for _ in range(5)))
    assert all(answer.ok for answer in answers)
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len([r for r in emsp.received if r.method == "POST" and "cdrs" in r.path]) == 1


@pytest.mark.catalogue("CDR-025")
@pytest.mark.parametrize("field", ["currency", "cdr_token", "total_cost", "charging_periods"])
async def test_a_cdr_that_is_not_whole_is_refused_by_name(
    running: Any, cpo: CpoBackend, emsp: Emsp, field: str
) -> None:
    cdr = a_cdr()
    del cdr[field]
    answer = await cpo.send("POST", "cdrs", to="DE*MSA", body=cdr)
    assert (answer.http_status, answer.status_code) == (200, 2001)
    assert field in answer.message


async def test_the_application_cannot_change_the_ledger(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await cpo.post_cdr(a_cdr(), to="DE*MSA")
    for statement in ("UPDATE cdr SET receiver = 'X'", "DELETE FROM cdr"):
        with pytest.raises(PostgresError, match="permission denied"):
            async with running.hub.db.unit_of_work() as session:
                await session.execute(text(statement))


@pytest.mark.catalogue("CDR-015")
async def test_get_all_shows_each_emsp_its_own(running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    await cpo.post_cdr(a_cdr(), to="DE*MSA")
    assert [c["id"] for c in await emsp.pull("cdrs", to=emsp.hub)] == ["CDR1"]
    assert await other_emsp.pull("cdrs", to=emsp.hub) == []
