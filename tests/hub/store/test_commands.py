"""Commands and grants in a real database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.store import commands, stations
from hub.store.db import Database

Json = dict[str, Any]
OWNER, CP = "NL*LOC", "Cp-1"
SOON, HOLD = timedelta(seconds=2), timedelta(hours=1)
TOKEN = {"country_code": "DE", "party_id": "MSA", "uid": "CARD", "type": "RFID", "contract_id": "C1"}


def command(**values: object) -> Json:
    return {
        "station_id": CP,
        "owner": OWNER,
        "sender": "DE*MSA",
        "kind": "STOP_SESSION",
        "action": "RemoteStopTransaction",
        "payload": {"transactionId": 1},
        "response_url": "https://msa.example/r/1",
        "correlation_id": "c1",
        "deadline": datetime.now(UTC) + timedelta(seconds=30),
        **values,
    }


async def test_a_command_is_for_the_newest_socket_and_has_one_result(enrolled: Database) -> None:
    async with enrolled.session() as session:
        epoch = await stations.take_over(session, CP, SOON)
        await commands.submit(session, command())
        await commands.submit(session, command(correlation_id="c2"))
        assert await commands.waiting(session) == [CP]
        assert await commands.claim(session, CP, epoch - 1) == []
        first, second = await commands.claim(session, CP, epoch)
        assert (first.correlation_id, second.correlation_id) == ("c1", "c2")
        assert await commands.claim(session, CP, epoch) == []
        assert await commands.answered(session, first.id or 0, {"result": "ACCEPTED"})
        assert not await commands.answered(session, first.id or 0, {"result": "REJECTED"})
        (to_post,) = await commands.claim_answered(session, HOLD)
        assert to_post.result == {"result": "ACCEPTED"}
        assert await commands.claim_answered(session, HOLD) == []
        await commands.posted(session, first.id or 0)


async def test_what_nobody_answered_times_out_once(enrolled: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=10)
    async with enrolled.session() as session:
        epoch = await stations.take_over(session, CP, SOON)
        await commands.submit(session, command(deadline=past))
        assert await commands.waiting(session) == []
        assert await commands.claim(session, CP, epoch) == []
        await commands.expire(session)
        (late,) = await commands.claim_answered(session, HOLD)
        assert late.result == {"result": "TIMEOUT"}
        assert not await commands.answered(session, late.id or 0, {"result": "ACCEPTED"})


async def test_grants_are_used_once_and_forgotten(enrolled: Database) -> None:
    now = datetime.now(UTC)
    given = {"station_id": CP, "id_tag": "CARD", "token": TOKEN, "auth_method": "COMMAND", "until": now + SOON}
    async with enrolled.session() as session:
        await commands.grant(session, given)
        await commands.grant(session, given | {"authorization_reference": "newer", "until": now + HOLD})
        found = await commands.granted(session, CP, "CARD", now)
        assert found is not None
        assert await commands.granted(session, CP, "CARD", now + HOLD) is None
        assert await commands.granted(session, CP, "OTHER", now) is None
        await commands.use_grant(session, CP, "CARD")
        assert await commands.granted(session, CP, "CARD", now) is None
        await commands.grant(session, given | {"until": now - SOON})
        await commands.forget_old_grants(session)
