import httpx

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store.journal import Hop


async def test_hops_come_in_order(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    put = await api.put("/tariffs", content=json.dumps(samples.tariff(host)))
    correlation_id = put.json()["correlation_id"]
    hub.journal.note(Hop(
        correlation_id=correlation_id, request_id="r", sender="NL*HUB", receiver="DE*MSA", method="PUT",
        what="tariffs", decision="deliver", http_status=200, status_code=1000, ms=12,
    ))  # fmt: skip
    hops = (await api.get(f"/trace/{correlation_id}")).json()
    assert [(hop["sender"], hop["decision"]) for hop in hops] == [(host, "broadcast"), ("NL*HUB", "deliver")]
    assert (hops[1]["http_status"], hops[1]["status_code"], hops[1]["ms"]) == (200, 1000, 12)


async def test_nothing_passed_with_this_id(api: httpx.AsyncClient) -> None:
    answer = await api.get("/trace/unheard-of")
    assert answer.status_code == 404
    assert "unheard-of" not in answer.text
