from collections.abc import Awaitable, Callable

import httpx
import pytest
from sqlmodel import select

from hub.exchange.context import Hub
from hub.store.parties import Admission, Platform


async def test_an_invitation_is_a_token_and_a_url(api: httpx.AsyncClient, hub: Hub) -> None:
    roles = [{"code": "NL*CPA", "role": "CPO"}, {"code": "nl*cpa", "role": "EMSP"}, {"code": "NL*CPA", "role": "CPO"}]
    answer = await api.post("/invitations", json={"name": "A back end", "parties": roles})
    assert answer.status_code == 201
    given = answer.json()
    assert list(given) == ["token_a", "versions_url"]
    assert given["versions_url"] == "https://hub.example/ocpi/versions"
    await hub.directory.refresh()
    assert {access.kind for access in hub.directory.now.access.values()} == {"A"}
    async with hub.db.session() as session:
        platform = (await session.exec(select(Platform).where(Platform.name == "A back end"))).one()
        admitted = [(row.code, row.role) for row in await session.exec(select(Admission).order_by("role"))]
    assert platform.status == "PLANNED"
    assert admitted == [("NL*CPA", "CPO"), ("NL*CPA", "EMSP")]


async def test_without_a_name_it_is_called_after_its_first_party(api: httpx.AsyncClient) -> None:
    await api.post("/invitations", json={"parties": [{"code": "NL*CPA", "role": "CPO"}]})
    assert "NL*CPA" in [platform["name"] for platform in (await api.get("/platforms")).json()]


@pytest.mark.parametrize(
    ("parties", "named"),
    [
        ([], "parties: "),
        ([{"code": "NL*CPA", "role": "BOSS"}], "parties[0].role: "),
        ([{"code": "NLCPA", "role": "CPO"}], "parties[0].code: "),
        ([{"code": "NL*CPA"}], "parties[0].role: field required"),
    ],
)
async def test_what_is_wrong_is_named(api: httpx.AsyncClient, parties: list[object], named: str) -> None:
    answer = await api.post("/invitations", json={"parties": parties})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)


async def test_who_is_connected_is_not_invited_again(
    api: httpx.AsyncClient, connect: Callable[[str, str], Awaitable[int]]
) -> None:
    await connect("NL*CPA", "CPO")
    for code in ("NL*CPA", "NL*HUB"):
        answer = await api.post("/invitations", json={"parties": [{"code": code, "role": "CPO"}]})
        assert answer.status_code == 409
        assert code in answer.json()["error"]
