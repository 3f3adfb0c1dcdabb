from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.types import format_datetime, parse_datetime
from hub.sandbox import samples
from hub.store.log import Change
from hub.store.objects import KeptObject


async def put(api: httpx.AsyncClient, what: str, body: Any) -> httpx.Response:
    return await api.put(f"/{what}", content=json.dumps(body))


def at(minutes: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=minutes))


async def test_a_location_is_kept_and_told_to_everybody(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    body = samples.location(host, "SQUARE")
    first, again = await put(api, "locations", body), await put(api, "locations", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() | {"correlation_id": "", "warnings": []} == {
        "owner": host, "id": "SQUARE", "created": True, "kept_newer": [], "warnings": [], "correlation_id": "",
    }  # fmt: skip
    async with hub.db.session() as session:
        changes = list(await session.exec(select(Change)))
        kept = (await session.exec(select(KeptObject))).one()
    assert [(change.owner, change.module, change.key, change.audience) for change in changes] == [
        (host, "locations", "SQUARE", "*")
    ]
    assert changes[0].correlation_id == first.json()["correlation_id"]
    assert json.loads(kept.body.encode()) == body


async def test_last_updated_may_be_left_out(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    body = samples.location(host, "SQUARE")
    del body["last_updated"], body["evses"][0]["connectors"][0]["last_updated"]
    assert (await put(api, "locations", body)).status_code == 201
    kept = (await api.get("/locations")).json()["items"][0]["object"]
    stamp = parse_datetime(kept["evses"][0]["connectors"][0]["last_updated"])
    assert datetime.now(UTC) - stamp < timedelta(minutes=1)
    assert kept["evses"][1]["last_updated"] == body["evses"][1]["last_updated"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"coordinates": None}, "coordinates: must be an object"),
        ({"evses": [{"uid": "EVSE1"}]}, "evses[0].status: field required"),
        ({"city": "x" * 46}, "city: longer than 45 characters"),
        ({"country": 31}, "country: must be a string"),
        ({"facilities": ["SPA"]}, "facilities[0]: unknown value"),
        ({"last_updated": "yesterday"}, "last_updated: must be a time"),
    ],
)
async def test_the_schema_is_held_to_and_names_the_field(
    api: httpx.AsyncClient, host: str, change: dict[str, object], named: str
) -> None:
    answer = await put(api, "locations", samples.location(host) | change)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
async def test_what_is_not_an_object_is_refused(api: httpx.AsyncClient, host: str, content: bytes) -> None:
    assert (await api.put("/locations", content=content)).status_code == 400


async def test_only_hosted_parties_are_spoken_for(api: httpx.AsyncClient) -> None:
    answer = await put(api, "locations", samples.location("NL*CPA"))
    assert answer.status_code == 404
    assert "NL*CPA is not a party hosted by this hub" in answer.json()["error"]


async def test_an_older_object_is_refused(api: httpx.AsyncClient, host: str) -> None:
    await put(api, "tariffs", samples.tariff(host, at=at(0)))
    answer = await put(api, "tariffs", samples.tariff(host, at=at(-5)))
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("last_updated: older")


async def test_the_answer_names_what_stays_because_it_is_newer(api: httpx.AsyncClient, host: str) -> None:
    body = samples.location(host, at=at(-10))
    body["evses"][1] |= {"status": "CHARGING", "last_updated": at(-1)}
    await put(api, "locations", body)
    answer = await put(api, "locations", samples.location(host, at=at(-5)))
    assert answer.status_code == 200
    assert answer.json()["kept_newer"] == ["EVSE2"]
    kept = (await api.get("/locations")).json()["items"][0]["object"]
    assert [evse["status"] for evse in kept["evses"]] == ["AVAILABLE", "CHARGING"]


async def test_a_time_far_ahead_is_refused(api: httpx.AsyncClient, host: str) -> None:
    answer = await put(api, "tariffs", samples.tariff(host, at=at(60 * 25)))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("last_updated: more than 24 hours")


async def test_prices_keep_their_digits(api: httpx.AsyncClient, host: str) -> None:
    await put(api, "tariffs", samples.tariff(host))
    text = (await api.get("/tariffs")).text
    assert '"price":0.35' in text
    assert '"price":0.50' in text


async def test_a_tariff_is_deleted_for_everybody(api: httpx.AsyncClient, hub: Hub, host: str) -> None:
    await put(api, "tariffs", samples.tariff(host, "T1"))
    answer = await api.delete(f"/tariffs/{host}/T1")
    assert (answer.status_code, answer.json()["id"]) == (200, "T1")
    assert (await api.get("/tariffs")).json() == {"items": [], "next": None}
    async with hub.db.session() as session:
        assert len(list(await session.exec(select(Change)))) == 2
    assert (await api.delete(f"/tariffs/{host}/T1")).status_code == 404
    assert (await api.delete("/tariffs/NL*CPA/T1")).status_code == 404


async def test_lists_come_in_pages(api: httpx.AsyncClient, host: str) -> None:
    for number in range(3):
        await put(api, "tariffs", samples.tariff(host, f"T{number}"))
    first = (await api.get("/tariffs", params={"owner": host, "limit": 2})).json()
    assert [item["id"] for item in first["items"]] == ["T0", "T1"]
    rest = (await api.get("/tariffs", params={"limit": 2, "after": first["next"]})).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["T2"], None)
    assert (await api.get("/tariffs", params={"owner": "NL*CPA"})).json()["items"] == []


async def test_what_looks_like_a_mistake_is_named(api: httpx.AsyncClient, host: str) -> None:
    location = samples.location(host)
    location["evses"][1]["uid"] = location["evses"][0]["uid"].lower()
    location["evses"][1]["connectors"][0]["tariff_ids"] = ["TARIFF1", "OTHER"]
    await api.put("/tariffs", content=json.dumps(samples.tariff(host)))
    done = (await api.put("/locations", content=json.dumps(location))).json()
    assert done["warnings"] == [
        "EVSE1: more than one has this id",
        "tariff_ids: OTHER is not known here, put it: CDRs cannot be priced without",
    ]
    assert (await api.put("/locations", content=json.dumps(samples.location(host, "LOC2")))).json()["warnings"] == []


@pytest.mark.catalogue("LOC-061")
async def test_a_tariff_of_another_owner_is_not_the_one(api: httpx.AsyncClient, host: str) -> None:
    other = await api.post("/parties", json={"code": "NL*OTH", "role": "CPO", "name": "Another"})
    assert other.status_code == 201
    assert (await put(api, "tariffs", samples.tariff("NL*OTH"))).status_code == 201
    unknown = "tariff_ids: TARIFF1 is not known here, put it: CDRs cannot be priced without"
    assert (await put(api, "locations", samples.location(host))).json()["warnings"] == [unknown]
    assert (await put(api, "tariffs", samples.tariff(host))).status_code == 201
    assert (await put(api, "locations", samples.location(host))).json()["warnings"] == []


@pytest.mark.catalogue("LOC-059")
async def test_two_tariffs_of_one_type_on_a_connector_are_named(api: httpx.AsyncClient, host: str) -> None:
    first, change = samples.tariff(host, "OLD"), "2027-01-01T00:00:00Z"
    other_type = samples.tariff(host, "FAST") | {"type": "PROFILE_FAST"}
    for tariff in (first, samples.tariff(host, "NEW"), other_type):
        assert (await put(api, "tariffs", tariff)).status_code == 201
    location = samples.location(host)
    for evse in location["evses"]:
        evse["connectors"][0]["tariff_ids"] = ["OLD", "NEW", "FAST"]
    clash = "tariff_ids: OLD and NEW are of one type and in force together"
    assert (await put(api, "locations", location)).json()["warnings"] == [clash]
    ends = samples.tariff(host, "OLD") | {"end_date_time": change}
    begins = samples.tariff(host, "NEW") | {"start_date_time": change}
    for tariff in (ends, begins):
        assert (await put(api, "tariffs", tariff)).status_code == 200
    assert (await put(api, "locations", location)).json()["warnings"] == []


async def test_advice_of_the_spec_is_passed_on(api: httpx.AsyncClient, host: str) -> None:
    tariff = samples.tariff(host)
    tariff["elements"][0]["price_components"][0]["step_size"] = 100
    assert (await put(api, "tariffs", tariff)).json()["warnings"] == [
        "step_size: other than 1 will be gone in OCPI 3.0"
    ]
