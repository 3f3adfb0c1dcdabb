from collections.abc import Awaitable, Callable

import httpx
from sqlmodel import col, update

from hub.delivery import owed
from hub.exchange.context import Hub
from hub.store.lanes import Backfill, Owed


async def test_a_platform_shows_what_is_owed_to_its_parties(
    api: httpx.AsyncClient, hub: Hub, connect: Callable[[str, str], Awaitable[int]]
) -> None:
    platform_id = await connect("DE*MSA", "EMSP")
    async with hub.db.session() as session:
        for key in ("L1", "L2"):
            await owed.add(session, receiver="DE*MSA", owner="NL*CPA", module="locations", key=key, correlation_id="c")
        await session.exec(update(Owed).where(col(Owed.key) == "L2").values(parked=True))
        session.add(Backfill(receiver="DE*MSA", owner="NL*CPA", module="tariffs", reason="test", correlation_id="c"))
    found = next(p for p in (await api.get("/platforms")).json() if p["id"] == platform_id)
    assert (found["status"], found["version"], found["token_form"], found["hosted"]) == (
        "CONNECTED", "2.2.1", "base64", False,
    )  # fmt: skip
    assert found["parties"] == [
        {
            "code": "DE*MSA", "name": "Party DE*MSA", "roles": ["EMSP"], "behind": 0, "owed": 1, "parked": 1,
            "backfills": 1, "holder": None,
        }
    ]  # fmt: skip


async def test_an_invited_platform_shows_whom_it_may_register(api: httpx.AsyncClient) -> None:
    await api.post("/invitations", json={"name": "New", "parties": [{"code": "NL*CPA", "role": "CPO"}]})
    found = next(p for p in (await api.get("/platforms")).json() if p["name"] == "New")
    assert (found["status"], found["parties"]) == ("PLANNED", [])
    assert found["invited"] == [{"code": "NL*CPA", "role": "CPO"}]
    detail = (await api.get(f"/platforms/{found['id']}")).json()
    assert detail["invitation_expires_at"] is not None


async def test_one_platform_with_its_endpoints(
    api: httpx.AsyncClient, connect: Callable[[str, str], Awaitable[int]]
) -> None:
    detail = (await api.get(f"/platforms/{await connect('DE*MSA', 'EMSP')}")).json()
    assert {"module": "tariffs", "role": "RECEIVER", "url": "https://partner.example/tariffs"} in detail["endpoints"]
    assert "token" not in " ".join(detail).replace("token_form", "")


async def test_no_such_platform(api: httpx.AsyncClient) -> None:
    answer = await api.get("/platforms/4711")
    assert answer.status_code == 404
    assert "platform list" in answer.json()["error"]
