"""hub.delivery.platforms: a platform that says nothing is asked whether it is alive, whether or not it has a lane."""

from typing import Any

import pytest

from hub.delivery import clientinfo, health
from hub.delivery.clientinfo import Pace
from hub.store import parties
from hub.store.parties import Party

SILENCE = 300.0
STATUS = "SELECT status FROM platform WHERE name = 'DE*MSA'"


async def last_heard(small_hub: Any, ago: float, code: str = "DE*MSA") -> None:
    statement = (
        "UPDATE platform SET last_seen_at = now() - :ago * interval '1 second',"
        " created_at = now() - interval '1 day' WHERE name = :code"
    )
    await small_hub.run(statement, ago=ago, code=code)


def asked(receiver: Any) -> list[tuple[str, str]]:
    return [call for call in receiver.methods() if call == ("GET", "/versions")]


@pytest.mark.catalogue("HCI-014", "HCI-027")
async def test_who_is_silent_is_asked_for_its_versions_and_who_is_not_is_left_alone(
    small_hub: Any, eventually: Any
) -> None:
    silent, other = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    await small_hub.run("DELETE FROM lane WHERE receiver = 'DE*MSA'")
    await last_heard(small_hub, SILENCE + 1)
    await last_heard(small_hub, SILENCE / 2, "FR*MSB")
    async with small_hub.engine(silence=SILENCE) as engine:
        await eventually(lambda: asked(silent))
        turns = engine.turns
        await eventually(lambda: engine.turns > turns + 2)
    assert asked(silent) == [("GET", "/versions")]  # and not again for a while
    assert asked(other) == []
    assert await small_hub.run(STATUS) == [("CONNECTED",)]


@pytest.mark.catalogue("HCI-015", "HCI-027")
@pytest.mark.parametrize("with_lane", [True, False])
async def test_who_does_not_answer_is_offline_with_all_its_parties_until_it_is_heard_again(
    small_hub: Any, monkeypatch: pytest.MonkeyPatch, with_lane: bool
) -> None:
    monkeypatch.setattr(health, "SIGN_OF_LIFE_PAUSE", 0.0)
    receiver, viewer = await small_hub.receiver("DE*MSA"), await small_hub.receiver("FR*MSB")
    async with small_hub.db.session() as session:
        session.add(Party(code="DE*MSX", platform_id=receiver.platform_id, roles=["EMSP"]))
        await parties.touch(session)
    if not with_lane:
        await small_hub.run("DELETE FROM lane WHERE receiver = 'DE*MSA'")
    receiver.answer = lambda call: (503, 3000)
    await last_heard(small_hub, SILENCE + 1)

    async def shown() -> list[Any]:
        await clientinfo.bring_up_to_date(small_hub.db, small_hub.directory, viewer.platform_id, False, Pace())
        query = "SELECT code, status FROM client_info WHERE platform_id = :id AND code LIKE 'DE*%' ORDER BY code"
        return list(await small_hub.run(query, id=viewer.platform_id))

    assert await shown() == [("DE*MSA", "CONNECTED"), ("DE*MSX", "CONNECTED")]
    async with small_hub.engine(silence=SILENCE):
        await small_hub.becomes(STATUS, [("OFFLINE",)])
        assert await shown() == [("DE*MSA", "OFFLINE"), ("DE*MSX", "OFFLINE")]
        receiver.answer = lambda call: (200, 1000)
        await last_heard(small_hub, 0)
        await small_hub.becomes(STATUS, [("CONNECTED",)])
        assert await shown() == [("DE*MSA", "CONNECTED"), ("DE*MSX", "CONNECTED")]


async def test_several_workers_ask_once(small_hub: Any, eventually: Any) -> None:
    silent = await small_hub.receiver("DE*MSA")
    await last_heard(small_hub, SILENCE + 1)
    async with small_hub.engine(silence=SILENCE) as one, small_hub.engine(silence=SILENCE) as two:
        await eventually(lambda: asked(silent))
        turns = one.turns + two.turns
        await eventually(lambda: one.turns + two.turns > turns + 4)
    assert len(asked(silent)) == 1


async def test_a_platform_that_refuses_the_token_or_is_hosted_is_not_asked(small_hub: Any, eventually: Any) -> None:
    stopped = await small_hub.receiver("DE*MSA")
    await last_heard(small_hub, SILENCE + 1)
    await small_hub.run("UPDATE platform SET stopped_reason = '401' WHERE name = 'DE*MSA'")
    async with small_hub.engine(silence=SILENCE) as engine:
        turns = engine.turns
        await eventually(lambda: engine.turns > turns + 2)
    assert asked(stopped) == []
