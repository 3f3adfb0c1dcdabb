"""CDRs: one receiver, once, unaltered; custody when the receiver is away; nothing contradicted."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from asyncpg import PostgresError
from sqlalchemy import text

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


@pytest.mark.catalogue("CDR-004", "CDR-019", "CDR-020", "CDR-022", "TF-096")
async def test_a_cdr_reaches_its_receiver_and_can_be_checked_there(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    cdr = a_cdr()
    answer = await cpo.post_cdr(cdr, to="DE*MSA")
    assert answer.http_status == 201
    assert answer.headers["Location"].startswith(running.url)
    assert list(emsp.cdrs.values()) == [cdr]
    assert not other_emsp.cdrs
    assert await ledger(running) == [("DE*MSA", "delivered", Decimal("12.500"))]
    fetched = await cpo.call("GET", answer.headers["Location"], cpo.registered.token_out)
    assert fetched.data == cdr
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
