"""hub.delivery.owed: CDRs in custody, and the check after a direct push."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from hub.delivery import owed
from hub.store import ledger

Eventually = Callable[[Callable[[], object]], Awaitable[None]]
Location = Callable[..., dict[str, Any]]
DAY = datetime(2026, 1, 1, tzinfo=UTC)
DELIVERIES = "SELECT key, state, location, http_status FROM cdr_delivery JOIN cdr USING (seq) ORDER BY seq"


async def _custody(small_hub: Any, key: str, receiver: str = "DE*MSA", credit_of: str | None = None) -> str:
    """A CDR that the hub took into custody; its text."""
    text = f'{{"country_code": "NL", "party_id": "CPA", "id": "{key}", "total_energy": 12.500}}'
    entry = {
        "owner": "NL*CPA",
        "key": key,
        "receiver": receiver,
        "hash": key.encode(),
        "session_key": None,
        "credit_of": credit_of,
        "currency": "EUR",
        "total_energy": Decimal("12.500"),
        "total_excl_vat": None,
        "total_incl_vat": None,
        "start_date_time": DAY,
        "end_date_time": DAY,
        "last_updated": DAY,
    }
    async with small_hub.db.unit_of_work() as session:
        await ledger.record(session, entry, text, "custody", None)
        names = {"receiver": receiver, "owner": "NL*CPA", "module": "cdrs", "key": key}
        await owed.add(session, **names, correlation_id=f"c-{key}", due_in=0.0)
    return text


@pytest.mark.catalogue("CDR-011")
async def test_a_cdr_in_custody_is_posted_as_it_is_and_leaves_custody(small_hub: Any, eventually: Eventually) -> None:
    msa = await small_hub.receiver("DE*MSA")
    msa.answer = lambda call: (201, 1000)
    await _custody(small_hub, "CDR1")
    async with small_hub.engine():
        await small_hub.becomes(DELIVERIES, [("CDR1", "delivered", f"{msa.url}/cdrs/1", 201)])
    (call,) = msa.calls
    assert (call.method, call.path, call.body["id"]) == ("POST", "/cdrs/", "CDR1")
    assert call.headers["OCPI-from-party-id"] == "CPA"
    assert call.headers["X-Correlation-ID"] == "c-CDR1"
    await small_hub.owed([])


async def test_a_credit_waits_for_its_original_even_a_parked_one(small_hub: Any, eventually: Eventually) -> None:
    msa = await small_hub.receiver("DE*MSA")
    refuse = True
    msa.answer = lambda call: (200, 2001) if refuse and call.body["id"] == "CDR1" else (201, 1000)
    await _custody(small_hub, "CDR1")
    await _custody(small_hub, "CREDIT", credit_of="CDR1")
    async with small_hub.engine() as engine:
        for tries in range(1, 9):
            await small_hub.becomes("SELECT tries FROM owed WHERE key = 'CDR1'", [(tries,)])
            await small_hub.run("UPDATE owed SET next_at = now() WHERE NOT parked")
            engine.wake()
        await small_hub.becomes("SELECT parked FROM owed WHERE key = 'CDR1'", [(True,)])
        assert {call.body["id"] for call in msa.calls} == {"CDR1"}
        refuse = False
        await small_hub.run("UPDATE owed SET parked = false, tries = 0, next_at = now() WHERE key = 'CDR1'")
        await small_hub.owed([])
    assert [call.body["id"] for call in msa.calls[-2:]] == ["CDR1", "CREDIT"]


async def test_a_cdr_of_parties_without_an_agreement_stays_in_custody(small_hub: Any) -> None:
    msa = await small_hub.receiver("DE*MSA")
    none = "INSERT INTO agreement (a, b, modules, direction, options) VALUES ('DE*MSA', 'NL*CPA', '{}', 'both', '{}')"
    await small_hub.run(none)
    await small_hub.run("UPDATE counter SET value = value + 1 WHERE name = 'directory'")
    await small_hub.directory.refresh()
    await _custody(small_hub, "CDR1")
    async with small_hub.engine():
        await small_hub.becomes("SELECT next_at > now() + interval '30 s' FROM owed", [(True,)])
    assert not msa.calls


async def test_a_direct_push_is_confirmed_at_its_answer_and_not_before(
    small_hub: Any, location: Location, eventually: Eventually
) -> None:
    msa = await small_hub.receiver("DE*MSA")
    names = {"receiver": "DE*MSA", "owner": "NL*CPA", "module": "locations", "key": "LOC 1"}
    async with small_hub.db.unit_of_work() as session:
        await owed.add(session, **names, correlation_id="c", due_in=30)
    async with small_hub.engine() as engine:
        await small_hub.accept(location(1, "broadcast meanwhile"))
        engine.wake()
        await small_hub.becomes("SELECT position FROM lane_cursor ORDER BY position DESC LIMIT 1", [(1,)])
        assert not msa.calls
        async with small_hub.db.unit_of_work() as session:
            await owed.due_now(session, **names)
        engine.wake()
        await eventually(lambda: msa.state)
        await small_hub.owed([])
        async with small_hub.db.unit_of_work() as session:
            await owed.due_now(session, **names)
        await eventually(lambda: len(msa.calls) == 2)
