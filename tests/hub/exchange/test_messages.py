"""What the message log says of each way through the exchange: who, what, decided how, about which object, and what the
hub changed on the way."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text

from hub.ocpi.errors import InvalidParameters
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.wire import Answer
from hub.settings import Settings
from hub.store import messages

LogOf = Callable[[Answer], Awaitable[list[dict[str, Any]]]]
LOC1 = ("NL*CPA", "locations", "LOC1")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A hub that keeps all bodies."""
    return settings.model_copy(update={"message_bodies": "all"})


@pytest.fixture
def log_of(running: Any) -> LogOf:
    """The hops of an answered message."""

    async def find(answer: Answer) -> list[dict[str, Any]]:
        await running.hub.journal.flush()
        async with running.hub.db.unit_of_work() as session:
            return await messages.trace(session, answer.correlation_id)

    return find


def about(hop: dict[str, Any]) -> tuple[str, str, str]:
    return hop["owner"], hop["module"], hop["key"]


def said(hop: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(hop[name] for name in ("sender", "receiver", "decision", "http_status", "status_code", "detail"))


async def test_a_broadcast_is_one_hop_to_the_hub(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    [hop] = await log_of(await cpo.put_location(samples.location(), to=cpo.hub))
    assert said(hop) == ("NL*CPA", "NL*HUB", "broadcast", 201, 1000, "created")
    assert (about(hop), hop["changed"]) == (LOC1, None)
    older = samples.location(at="2025-01-01T00:00:00Z")
    [hop] = await log_of(await cpo.put_location(older, to=cpo.hub))
    assert said(hop) == ("NL*CPA", "NL*HUB", "broadcast", 200, 1000, "older than stored, ignored")


async def test_a_direct_push_is_passed_on_and_kept(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    passed_on, kept = await log_of(await cpo.put_location(samples.location(), to="DE*MSA"))
    assert said(passed_on) == ("NL*CPA", "DE*MSA", "forward", 201, 1000, None)
    assert said(kept) == ("NL*CPA", "DE*MSA", "keep", None, None, "created")
    assert about(passed_on) == about(kept) == LOC1
    assert passed_on["changed"] == [f"X-Request-ID new, was {kept['request_id']}"]
    assert passed_on["request_id"] != kept["request_id"]


async def test_what_the_receiver_took_and_the_hub_cannot_keep(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    evse = {"uid": "E9", "status": "AVAILABLE", "last_updated": "2026-01-01T00:00:00Z"}
    emsp.knobs.status_code = 1000
    answer = await cpo.send("PATCH", "locations", "NL", "CPA", "LOC9", "E9", to="DE*MSA", body=evse)
    assert answer.ok
    assert said((await log_of(answer))[1])[5].startswith("not kept: ")


async def test_a_delete(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    await cpo.put_tariff(samples.tariff(), to=cpo.hub)
    [hop] = await log_of(await cpo.delete_tariff("TARIFF1", to=cpo.hub))
    assert said(hop) == ("NL*CPA", "NL*HUB", "broadcast", 200, 1000, "deleted")
    assert about(hop) == ("NL*CPA", "tariffs", "TARIFF1")


async def test_a_command_has_a_response_url_of_the_hub(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    command = await emsp.start_session(samples.token(), "LOC1", "EVSE1", to="NL*CPA")
    hop = (await log_of(command.answer))[0]
    assert said(hop)[:3] == ("DE*MSA", "NL*CPA", "forward")
    assert hop["changed"][1:] == ["response_url is the hub's own"]


async def test_a_list_of_one_owner_has_links_of_the_hub(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    for number in range(3):
        await cpo.put_location(samples.location(id=f"LOC{number}"), to=cpo.hub)
    first = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA", query={"limit": "2"})
    assert first.next_url is not None
    [hop] = await log_of(first)
    assert hop["changed"][1:] == ["Link is the hub's own"]
    last = await emsp.send("GET", "locations", interface="SENDER", to="NL*CPA")
    assert len((await log_of(last))[0]["changed"]) == 1


async def test_a_list_from_the_store(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    await cpo.put_location(samples.location(), to=cpo.hub)
    [hop] = await log_of(await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub))
    assert said(hop) == ("DE*MSA", "NL*HUB", "from the store", 200, 1000, "1 of 1")


async def test_a_cdr_has_a_location_of_the_hub(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    of = samples.session(of=samples.token())
    cdr = samples.cdr(of, samples.location(), samples.tariff())
    passed_on, kept = await log_of(await cpo.post_cdr(cdr, to="DE*MSA"))
    assert passed_on["changed"][1:] == ["Location is the hub's own"]
    assert said(kept) == ("NL*CPA", "DE*MSA", "keep", None, None, "in the ledger")
    assert about(passed_on) == about(kept) == ("NL*CPA", "cdrs", cdr["id"])
    [again] = await log_of(await cpo.post_cdr(cdr, to="DE*MSA"))
    assert said(again)[2:5] == ("repeat", 201, 1000)


async def test_a_cdr_in_custody(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    await emsp.go_away()
    cdr = samples.cdr(samples.session(of=samples.token()), samples.location(), samples.tariff())
    tried, taken = await log_of(await cpo.post_cdr(cdr, to="DE*MSA"))
    assert (tried["http_status"], tried["changed"][1:]) == (None, [])
    assert "not reachable" in tried["detail"]
    assert said(taken) == ("NL*CPA", "DE*MSA", "custody", 201, 1000, "in the ledger")


async def test_the_emsp_that_the_hub_found(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    token = samples.token()
    await emsp.put_token(token, to=emsp.hub)
    [hop] = await log_of(await cpo.authorise(token["uid"], to=None))
    assert hop["receiver"] == "DE*MSA"
    assert hop["changed"][1:] == ["OCPI-to: DE*MSA, found by the hub"]


async def test_an_answer_that_is_replaced(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    emsp.knobs.http_status = 401
    [hop] = await log_of(await cpo.put_location(samples.location(), to="DE*MSA"))
    assert hop["http_status"] == 401
    assert hop["changed"][1:] == ["the answer is the hub's own"]


async def test_a_refusal_with_its_bodies(cpo: CpoBackend, emsp: Emsp, log_of: LogOf) -> None:
    answer = await cpo.send("PUT", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body={"id": "LOC1"})
    [hop] = await log_of(answer)
    assert said(hop)[:5] == ("NL*CPA", "NL*HUB", "refuse", 200, InvalidParameters.status_code)
    assert hop["request_body"] == '{"id":"LOC1"}'
    assert '"status_code":2001' in hop["answer_body"]


async def test_no_token_is_in_the_message_log(running: Any, cpo: CpoBackend, emsp: Emsp) -> None:
    tokens = [token for party in (cpo, emsp) for token in (party.registered.token_in, party.registered.token_out)]
    await cpo.put_location(samples.location(), to="DE*MSA")
    await emsp.put_token(samples.token(), to="NL*CPA")
    await emsp.leave()
    await running.hub.journal.flush()
    async with running.hub.db.unit_of_work() as session:
        rows = await session.execute(text("SELECT hop::text FROM hop"))
        everything = "\n".join(rows.scalars())
    assert "LOC1" in everything
    assert not [token for token in tokens if token in everything]
