"""How a hosted party speaks: in its own name, to one party, to everybody, or leaving the hub to find who is meant."""

from typing import TYPE_CHECKING, Any

import pytest

from hub.bridge import party
from hub.exchange.call import Call
from hub.ocpi import headers, json
from hub.ocpi.errors import UnknownReceiver
from hub.ocpi.types import PartyId
from hub.sandbox import samples

if TYPE_CHECKING:
    from tests.hub.bridge.conftest import Stage

OWNER, MSA = PartyId.parse("NL*LOC"), PartyId.parse("DE*MSA")


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls of hosted parties from here on."""
    calls: list[Call] = []
    ordinary = party.call

    async def noted(*given: Any, **more: Any) -> Call:
        calls.append(await ordinary(*given, **more))
        return calls[-1]

    monkeypatch.setattr(party, "call", noted)
    return calls


@pytest.mark.catalogue("TF-097")
async def test_a_broadcast_is_addressed_to_the_hub(stage: "Stage", spoken: list[Call]) -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Charging")
        await stage.until(stage.evse_status, lambda status: status == "CHARGING")
    pushes = [call for call in spoken if call.module == "locations"]
    assert pushes
    assert {(call.sender, call.to) for call in pushes} == {(OWNER, stage.hub.code)}


@pytest.mark.catalogue("TF-113", "TF-085")
async def test_who_owns_a_card_is_for_the_hub_to_find_and_the_emsp_sees_who_asks(
    stage: "Stage", spoken: list[Call]
) -> None:
    async with stage.charger() as charger:
        assert await charger.authorize("CARD1") == "Accepted"
    assert [(call.sender, call.to) for call in spoken if call.module == "tokens"] == [(OWNER, None)]
    asked = await stage.emsp.wait_for(lambda seen: "authorize" in seen.path)
    assert (asked.sender, asked.to) == (OWNER, MSA)


@pytest.mark.catalogue("TF-084", "TF-085", "CMD-002")
async def test_answers_and_results_of_a_hosted_party_name_it_and_who_asked(stage: "Stage") -> None:
    async with stage.charger() as charger:
        await charger.status(2, "Preparing")
        command = await stage.emsp.start_session(samples.token("DE*MSA", "CARD1"), "SQUARE", "EVSE2", to="NL*LOC")
        assert await stage.emsp.result(command) == "ACCEPTED"
    said = command.answer.headers
    assert headers.party(said, headers.FROM_COUNTRY, headers.FROM_PARTY) == OWNER
    assert headers.party(said, headers.TO_COUNTRY, headers.TO_PARTY) == MSA
    result = await stage.emsp.wait_for(lambda seen: "sender/commands" in seen.path)
    assert (result.sender, result.to) == (OWNER, MSA)


@pytest.mark.catalogue("TF-129")
async def test_what_the_bridge_writes_leaves_nothing_open_that_is_known(stage: "Stage") -> None:
    async with stage.charger() as charger:
        await charger.status(1, "Available")
        await charger.start(1, "CARD1", 0)
        await charger.meter(1_000)
        await charger.stop(2_000)
    found = await stage.until(stage.cdrs, lambda cdrs: cdrs)
    found += await stage.sessions()
    assert len(found) == 2
    assert b"#NA" not in json.dumps(found)


async def test_a_party_that_is_not_hosted_has_no_voice_here(stage: "Stage") -> None:
    with pytest.raises(UnknownReceiver):
        await party.call(stage.hub, MSA, "GET", "locations", "SENDER")
