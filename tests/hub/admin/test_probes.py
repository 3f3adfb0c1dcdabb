from collections.abc import Awaitable, Callable

import httpx

Connect = Callable[[str, str], Awaitable[int]]


async def test_who_has_not_registered_cannot_be_asked(api: httpx.AsyncClient, connect: Connect) -> None:
    platform_id = await connect("NL*CPA", "CPO")
    refused = await api.post(f"/platforms/{platform_id}/probe", json={})
    assert (refused.status_code, "not connected" in refused.json()["error"]) == (409, True)


async def test_who_cannot_be_probed(api: httpx.AsyncClient) -> None:
    assert (await api.post("/platforms/99/probe", json={})).status_code == 404
    assert (await api.post("/platforms/1/probe", json={})).status_code == 409
    assert (await api.post("/platforms/1/probe", json={"wrote": True})).status_code == 400
