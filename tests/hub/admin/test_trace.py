from collections.abc import Awaitable, Callable

import httpx

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.sandbox import samples
from hub.store.journal import Hop

Connect = Callable[[str, str], Awaitable[int]]


async def test_hops_come_in_order(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    put = await api.put("/tariffs", content=json.dumps(samples.tariff(host)))
    correlation_id = put.json()["correlation_id"]
    hub.journal.note(Hop(
        correlation_id=correlation_id, request_id="r", sender="NL*HUB", receiver="DE*MSA", method="PUT",
        what="tariffs", decision="deliver", http_status=200, status_code=1000, ms=12, changed=("X-Request-ID new",),
    ))  # fmt: skip
    hops = (await api.get(f"/trace/{correlation_id}")).json()["hops"]
    assert [(hop["sender"], hop["decision"]) for hop in hops] == [(host, "broadcast"), ("NL*HUB", "deliver")]
    assert (hops[1]["http_status"], hops[1]["status_code"], hops[1]["ms"]) == (200, 1000, 12)
    assert (hops[0]["changed"], hops[1]["changed"]) == (None, ["X-Request-ID new"])


async def test_where_the_objects_are(api: httpx.AsyncClient, hub: Hub, host: str, connect: Connect) -> None:
    await connect("DE*MSA", "EMSP")
    put = await api.put("/tariffs", content=json.dumps(samples.tariff(host, "T1")))
    found = (await api.get(f"/trace/{put.json()['correlation_id']}")).json()
    [thing] = found["objects"]
    assert (thing["owner"], thing["module"], thing["key"]) == (host, "tariffs", "T1")
    assert thing["at"] == found["hops"][0]["at"]
    assert thing["receivers"] == [
        {
            "receiver": "DE*MSA",
            "state": "behind",
            "at": None,
            "correlation_id": None,
            "detail": "no worker serves its lane",
        }
    ]


async def test_a_message_that_brought_nothing(api: httpx.AsyncClient, hub: Hub) -> None:
    hub.journal.note(Hop("c-1", "r", "DE*MSA", "NL*CPA", "GET", "locations", "forward", 200, 1000))
    assert (await api.get("/trace/c-1")).json()["objects"] == []


async def test_nothing_passed_with_this_id(api: httpx.AsyncClient) -> None:
    answer = await api.get("/trace/unheard-of")
    assert answer.status_code == 404
    assert "unheard-of" not in answer.text
