"""Who may charge: the table, and what an eMSP's answer means."""

import asyncio
from typing import Any

import pytest

from hub.bridge import authorise
from hub.bridge.authorise import Authoriser, Plan, Verdict
from hub.exchange import ask
from hub.ocpi.types import PartyId
from hub.sandbox import samples

CARD = samples.token("DE*MSA", "CARD1")
OWNER = PartyId.parse("NL*LOC")


@pytest.mark.parametrize(
    ("whitelist", "valid", "online", "offline"),
    [
        ("ALWAYS", True, Plan.ACCEPT, Plan.ACCEPT),
        ("ALWAYS", False, Plan.REFUSE, Plan.REFUSE),
        ("ALLOWED", True, Plan.ACCEPT, Plan.ACCEPT),
        ("ALLOWED", False, Plan.ASK, Plan.REFUSE),
        ("ALLOWED_OFFLINE", True, Plan.ASK_OR_ACCEPT, Plan.ACCEPT),
        ("ALLOWED_OFFLINE", False, Plan.ASK, Plan.REFUSE),
        ("NEVER", True, Plan.ASK, Plan.REFUSE),
        ("NEVER", False, Plan.ASK, Plan.REFUSE),
        ("A_LATER_VALUE", True, Plan.ASK, Plan.REFUSE),
    ],
)
def test_the_table(whitelist: str, valid: bool, online: Plan, offline: Plan) -> None:
    token = {**CARD, "whitelist": whitelist, "valid": valid}
    assert authorise.plan(token, offline=False) is online
    assert authorise.plan(token, offline=True) is offline


def test_a_card_nobody_knows() -> None:
    assert authorise.plan(None, offline=False) is Plan.ASK
    assert authorise.plan(None, offline=True) is Plan.REFUSE


@pytest.mark.parametrize(
    ("allowed", "status"),
    [
        ("ALLOWED", "Accepted"),
        ("BLOCKED", "Blocked"),
        ("EXPIRED", "Expired"),
        ("NO_CREDIT", "Blocked"),
        ("NOT_ALLOWED", "Invalid"),
        ("SOMETHING", "Invalid"),
        (None, "Invalid"),
    ],
)
def test_answers(allowed: str | None, status: str) -> None:
    verdict = authorise.read_answer({"allowed": allowed, "token": CARD}, None)
    assert verdict.status == status
    assert verdict.token is not None
    assert verdict.token["contract_id"] == CARD["contract_id"]
    assert "last_updated" not in verdict.token


def test_what_an_answer_says_besides() -> None:
    place = {"location_id": "L", "evse_uids": ["E1"]}
    info = {"allowed": "ALLOWED", "token": CARD, "location": place, "authorization_reference": "ref"}
    verdict = authorise.read_answer(info, None)
    assert (verdict.evse_uids, verdict.authorization_reference) == (("E1",), "ref")
    assert verdict.cacheable
    assert not authorise.read_answer({"allowed": "ALLOWED", "token": {**CARD, "whitelist": "NEVER"}}, None).cacheable


def test_an_answer_without_a_token_counts_with_the_kept_one_or_not_at_all() -> None:
    assert authorise.read_answer({"allowed": "ALLOWED"}, CARD).accepted
    assert not authorise.read_answer({"allowed": "ALLOWED"}, None).accepted
    assert not authorise.read_answer(["ALLOWED"], CARD).accepted


async def test_an_emsp_that_is_silent(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALLOWED_OFFLINE is what it is for; NEVER is refused."""

    async def silence(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(ask, "authorise", silence)
    authoriser = Authoriser(stage.hub, budget=0.05)
    verdict = await authoriser.decide(OWNER, "card1", "SQUARE", ["EVSE1"])
    assert (verdict.status, verdict.auth_method) == ("Accepted", "WHITELIST")
    await stage.emsp.patch_token("CARD1", {"whitelist": "NEVER"}, to=stage.emsp.hub)
    assert (await authoriser.decide(OWNER, "card1", "SQUARE", ["EVSE1"])).status == "Invalid"


async def test_many_who_wait_for_one_answer_ask_once(stage: Any) -> None:
    authoriser = Authoriser(stage.hub)
    asked = [authoriser.decide(OWNER, "CARD1", "SQUARE", ["EVSE1"]) for _ in range(5)]
    verdicts = await asyncio.gather(*asked)
    assert len({verdict.authorization_reference for verdict in verdicts}) == 1
    assert all(map(_is_accepted, verdicts))
    (seen,) = [r for r in stage.emsp.received if r.path.endswith("/authorize")]
    assert seen.body == {"location_id": "SQUARE", "evse_uids": ["EVSE1"]}


async def test_an_emsp_that_speaks_for_a_card_of_somebody_else(stage: Any) -> None:
    """Who answers gets the bill."""
    stage.emsp.tokens["RFID", "CARD1"] = samples.token("FR*MSB", "CARD1")
    verdict = await Authoriser(stage.hub).decide(OWNER, "CARD1", "SQUARE", ["EVSE1"])
    assert verdict == authorise.UNKNOWN


def _is_accepted(verdict: Verdict) -> bool:
    return verdict.accepted


async def test_a_card_that_may_not_charge_at_this_evse(stage: Any) -> None:
    """The eMSP's answer names the EVSEs; the start at another one is refused (mapping 3.1)."""

    def only_the_second(token: object, place: Any) -> str:
        place["evse_uids"] = ["EVSE2"]
        return "ALLOWED"

    stage.emsp.decide = only_the_second
    async with stage.charger() as charger:
        assert await charger.authorize("CARD1") == "Accepted"
        assert (await charger.start(1, "CARD1", 0)).id_tag_status == "Invalid"
        await charger.stop(0)
        (invalid,) = await stage.until(stage.sessions, lambda found: found)
        assert invalid["status"] == "INVALID"
        assert await charger.authorize("CARD1") == "Accepted"
        assert (await charger.start(2, "CARD1", 0)).id_tag_status == "Accepted"
    assert await stage.cdrs() == []
