"""The ledger's side of CDRs: what comes again is answered as before, what contradicts is refused and reported, and what
may have arrived is never sent with another content."""

import asyncio
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from hub.exchange import cdr, cdr_content, ledger_check
from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.store import parties
from hub.store.parties import Agreement

Json = dict[str, Any]
SESSION = samples.session(of=samples.token()) | {"kwh": Decimal("12.500")}
CDR = samples.cdr(SESSION, samples.location(), samples.tariff())


def a_cdr(**more: Any) -> Json:
    return CDR | more


def credit(of: Json, **more: Any) -> Json:
    back = {name: -amount for name, amount in of["total_cost"].items()}
    taken = {"id": f"{of['id']}-C", "credit": True, "credit_reference_id": of["id"], "total_cost": back}
    return of | taken | more


async def rows(running: Any, sql: str) -> list[Any]:
    async with running.hub.db.unit_of_work() as session:
        return [tuple(row) for row in await session.execute(text(sql))]


async def without_custody(running: Any) -> None:
    async with running.hub.db.session() as session:
        session.add(Agreement(a="DE*MSA", b="NL*CPA", options={"custody": False}))
        await parties.touch(session)
    await running.hub.directory.refresh()


def posts(emsp: Emsp) -> list[bytes]:
    return [r.raw for r in emsp.received if r.method == "POST" and "cdrs" in r.path]


async def verified(running: Any) -> bool:
    return (await ledger_check.verify(running.hub.db, running.hub.seal)).ok


async def test_a_cdr_again_is_answered_as_the_first_time(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    odd = a_cdr(currency="EURO")
    first, again = [await cpo.post_cdr(odd, to="DE*MSA") for _ in range(2)]
    assert (again.http_status, again.status_code) == (201, 1000)
    assert again.headers["Location"] == first.headers["Location"]
    assert first.message.endswith(again.message)
    assert "currency: longer than 3 characters" in again.message
    assert len(posts(emsp)) == 1
    assert await verified(running)


async def test_what_contradicts_is_refused_and_kept_for_the_operator(
    running: Any, cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp
) -> None:
    await cpo.post_cdr(a_cdr(), to="DE*MSA")
    for _ in range(2):
        assert (await cpo.post_cdr(a_cdr(remark="other"), to="DE*MSA")).status_code == 2001
    assert (await cpo.post_cdr(a_cdr(), to="FR*MSB")).status_code == 2001
    assert not other_emsp.cdrs
    kept = await rows(running, "SELECT owner, key, receiver, times FROM cdr_conflict ORDER BY receiver")
    assert kept == [("NL*CPA", "CDR1", "DE*MSA", 2), ("NL*CPA", "CDR1", "FR*MSB", 1)]


async def test_after_an_unclear_answer_only_the_same_may_come_and_a_refusal_proves_nothing(
    running: Any, cpo: CpoBackend, emsp: Emsp
) -> None:
    await without_custody(running)
    emsp.knobs.hang_up = True
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).status_code == 4002
    emsp.knobs.hang_up = False
    corrected = await cpo.post_cdr(a_cdr(remark="corrected"), to="DE*MSA")
    assert (corrected.status_code, "on its way" in corrected.message) == (2001, True)
    emsp.knobs.status_code = 2001
    refused = await cpo.post_cdr(a_cdr(), to="DE*MSA")
    assert (refused.status_code, cdr.MAY_HAVE_IT in refused.message) == (2001, True)
    assert (await cpo.post_cdr(a_cdr(remark="corrected"), to="DE*MSA")).status_code == 2001
    emsp.knobs.status_code = None
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).http_status == 201
    assert set(posts(emsp)) == {json.dumps(a_cdr())}
    assert await verified(running)


async def test_an_unclear_answer_is_remembered_in_custody(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    emsp.knobs.hang_up = True
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).http_status == 201
    assert await rows(running, "SELECT state, doubtful FROM cdr_intent") == [("done", True)]
    assert await rows(running, "SELECT state FROM cdr_delivery") == [("custody",)]


async def test_a_credit_does_not_overtake_its_original(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    """The receiver is back, and the hub still owes it the CDR."""
    await emsp.go_away()
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).http_status == 201
    await emsp.come_back()
    assert (await cpo.post_cdr(credit(a_cdr()), to="DE*MSA")).http_status == 201
    assert posts(emsp) == []
    assert await rows(running, "SELECT key FROM owed ORDER BY key") == [("CDR1",), ("CDR1-C",)]


async def test_a_credit_to_another_receiver_is_told(cpo: CpoBackend, emsp: Emsp, other_emsp: Emsp) -> None:
    await cpo.post_cdr(a_cdr(), to="DE*MSA")
    answer = await cpo.post_cdr(credit(a_cdr()), to="FR*MSB")
    assert answer.message == "the hub noticed: credit_reference_id: the CDR that is credited went to another receiver"


async def test_an_attempt_that_was_overtaken_is_answered_like_the_one_that_overtook_it(
    running: Any, cpo: CpoBackend, emsp: Emsp, eventually: Any
) -> None:
    """A process that hung longer than an attempt may take: another took over, and then both were answered."""
    emsp.knobs.delay = 0.5
    slow = asyncio.create_task(cpo.post_cdr(a_cdr(), to="DE*MSA"))
    await eventually(lambda: posts(emsp))
    await rows(running, "UPDATE cdr_intent SET at = now() - interval '1 minute' RETURNING 1")
    answers = [await cpo.post_cdr(a_cdr(), to="DE*MSA"), await slow]
    assert [answer.http_status for answer in answers] == [201, 201]
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert posts(emsp) == [json.dumps(a_cdr())] * 2
    assert await rows(running, "SELECT count(*) FROM cdr") == [(1,)]
    assert await verified(running)


async def test_an_erased_cdr_stays_what_it_was(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    first = await cpo.post_cdr(a_cdr(), to="DE*MSA")
    await rows(running, "DELETE FROM cdr_body RETURNING 1")
    await rows(running, "UPDATE cdr_delivery SET location = NULL RETURNING 1")
    again = await cpo.post_cdr(a_cdr(), to="DE*MSA")
    assert (again.http_status, again.headers["Location"]) == (201, first.headers["Location"])
    assert (await cpo.call("GET", first.headers["Location"], cpo.registered.token_out)).http_status == 404
    assert (await cpo.post_cdr(credit(a_cdr()), to="DE*MSA")).message == ""
    assert await verified(running)


async def test_what_the_release_before_wrote_is_known_again(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    """Its hashes were over the plain form: of entries and of attempts that had no clear answer."""
    await without_custody(running)
    emsp.knobs.hang_up = True
    await cpo.post_cdr(a_cdr(), to="DE*MSA")
    async with running.hub.db.unit_of_work() as session:
        plain = cdr_content.content(running.hub.seal, a_cdr()).plain
        await session.execute(text("UPDATE cdr_intent SET hash = :plain"), {"plain": plain})
    emsp.knobs.hang_up = False
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).http_status == 201
    assert (await cpo.post_cdr(a_cdr(), to="DE*MSA")).http_status == 201
    assert len(posts(emsp)) == 2


async def test_the_owner_sees_what_keeps_its_cdr_from_its_receiver(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    await emsp.go_away()
    location = (await cpo.post_cdr(a_cdr(), to="DE*MSA")).headers["Location"]
    await rows(running, "UPDATE cdr_delivery SET detail = 'refused: 2001 unknown token' RETURNING 1")
    fetched = await cpo.call("GET", location, cpo.registered.token_out)
    assert fetched.data == a_cdr()
    assert fetched.message == "the hub noticed: DE*MSA has not taken it yet: refused: 2001 unknown token"
    await emsp.come_back()
