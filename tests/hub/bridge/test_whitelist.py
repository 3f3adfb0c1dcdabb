"""The whitelist type of a token at a charger: who is asked, who is let in when nobody answers."""

from typing import Any

import pytest

from hub.sandbox import samples

Json = dict[str, Any]


def asked(stage: Any) -> int:
    """How often the eMSP was asked live."""
    return len([each for each in stage.emsp.received if each.path.endswith("/authorize")])


async def pushed(stage: Any, **fields: Any) -> None:
    """CARD1 as its eMSP pushes it."""
    assert (await stage.emsp.put_token(samples.token("DE*MSA", "CARD1", **fields), to=stage.emsp.hub)).ok


async def shown(stage: Any, times: int = 1) -> list[str]:
    """CARD1 is held to the charger, each time for a session of its own."""
    verdicts = []
    async with stage.charger() as charger:
        for _ in range(times):
            verdicts.append(await charger.authorize("CARD1"))
            if verdicts[-1] == "Accepted":
                await charger.start(1, "CARD1", 0)
                await charger.stop(0)
    return verdicts


@pytest.mark.catalogue("TOK-042")
async def test_always_is_accepted_and_nobody_asked(stage: Any) -> None:
    await pushed(stage, whitelist="ALWAYS")
    assert await shown(stage) == ["Accepted"]
    (row,) = await stage.transactions()
    assert (asked(stage), row.auth_method) == (0, "WHITELIST")


@pytest.mark.catalogue("TOK-046")
async def test_always_but_not_valid_is_refused_and_nobody_asked(stage: Any) -> None:
    await pushed(stage, whitelist="ALWAYS", valid=False)
    assert (await shown(stage))[0] != "Accepted"
    assert asked(stage) == 0


@pytest.mark.catalogue("TOK-043")
async def test_allowed_is_taken_from_the_whitelist(stage: Any) -> None:
    await pushed(stage, whitelist="ALLOWED")
    assert await shown(stage) == ["Accepted"]
    assert asked(stage) == 0


@pytest.mark.catalogue("TOK-044")
async def test_allowed_offline_is_asked_and_accepted_when_the_emsp_is_away(stage: Any) -> None:
    await pushed(stage, whitelist="ALLOWED_OFFLINE")
    assert await shown(stage) == ["Accepted"]
    assert asked(stage) == 1
    await stage.emsp.go_away()
    assert await shown(stage) == ["Accepted"]
    assert [row.auth_method for row in await stage.transactions()] == ["AUTH_REQUEST", "WHITELIST"]
    await stage.emsp.come_back()


@pytest.mark.catalogue("TOK-044")
async def test_allowed_offline_heeds_the_answer_there_is(stage: Any) -> None:
    await pushed(stage, whitelist="ALLOWED_OFFLINE")
    stage.emsp.decide = lambda token, place: "BLOCKED"
    assert await shown(stage) == ["Blocked"]


@pytest.mark.catalogue("TOK-045")
async def test_never_is_asked_at_every_use(stage: Any) -> None:
    await pushed(stage, whitelist="NEVER")
    assert await shown(stage, times=2) == ["Accepted", "Accepted"]
    assert asked(stage) == 2
    await stage.emsp.go_away()
    assert await shown(stage) == ["Invalid"]
    await stage.emsp.come_back()


@pytest.mark.catalogue("TOK-047")
@pytest.mark.parametrize("whitelist", ["NEVER", "ALLOWED_OFFLINE", "ALLOWED"])
async def test_a_token_that_was_not_valid_is_asked_again(stage: Any, whitelist: str) -> None:
    """Its state may have changed."""
    await pushed(stage, whitelist=whitelist, valid=False)
    stage.emsp.decide = lambda token, place: "ALLOWED"
    assert await shown(stage) == ["Accepted"]
    assert asked(stage) == 1


@pytest.mark.catalogue("TOK-006")
async def test_a_card_that_nobody_pushed_is_asked(stage: Any) -> None:
    stage.emsp.tokens["RFID", "CARD9"] = samples.token("DE*MSA", "CARD9")
    async with stage.charger() as charger:
        assert await charger.authorize("CARD9") == "Accepted"
        assert await charger.authorize("NOBODY") == "Invalid"
    assert asked(stage) == 2
