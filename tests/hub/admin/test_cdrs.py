import csv
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlmodel import col, update

from hub.admin import cdrs
from hub.delivery import owed
from hub.exchange import cdr
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.store import ledger
from hub.store.chargers import HeldCdr
from hub.store.lanes import Owed

RECEIVER = PartyId.parse("DE*MSA")


def sample(cdr_id: str) -> dict[str, Any]:
    at = "2026-11-21T10:00:00Z"
    sat = samples.session(of=samples.token(at=at), at=at) | {
        "kwh": Decimal("7.250"),
        "end_date_time": "2026-11-21T11:00:00Z",
    }
    return samples.cdr(sat, samples.location(at=at), samples.tariff(at=at), cdr_id, at)


async def record(hub: Hub, cdr_id: str, state: str = "delivered") -> None:
    body = sample(cdr_id)
    async with hub.db.session() as session:
        entry = cdr.facts(body, RECEIVER, cdr_id.upper(), cdr_id.encode())
        await ledger.record(session, entry, json.dumps(body).decode(), state, None)


async def owe(hub: Hub, key: str, **values: object) -> None:
    async with hub.db.session() as session:
        await owed.add(session, receiver="DE*MSA", owner="NL*CPA", module="cdrs", key=key, correlation_id="c")
        await session.exec(update(Owed).where(col(Owed.key) == key).values(**values))


async def hold(hub: Hub) -> None:
    body = {name: value for name, value in sample("held-1").items() if name not in ("total_cost", "tariffs")}
    async with hub.db.session() as session:
        session.add(
            HeldCdr(
                session_id="s-9", owner="NL*LOC", transaction_id=9, reason="unpriced: no tariff fits",
                body=json.dumps(body).decode(),
            )
        )  # fmt: skip


async def test_the_ledger_with_where_each_cdr_is(api: httpx.AsyncClient, hub: Hub) -> None:
    for cdr_id, state in (("Cdr-1", "delivered"), ("Cdr-2", "custody"), ("Cdr-3", "custody")):
        await record(hub, cdr_id, state)
    await owe(hub, "CDR-2", reason="POST answered HTTP 500")
    await owe(hub, "CDR-3", reason="POST answered HTTP 400", parked=True)
    listed = (await api.get("/cdrs")).json()
    assert [(row["id"], row["state"], row["reason"]) for row in listed] == [
        ("Cdr-3", "parked", "POST answered HTTP 400"),
        ("Cdr-2", "custody", "POST answered HTTP 500"),
        ("Cdr-1", "delivered", None),
    ]
    assert (listed[0]["owner"], listed[0]["receiver"], listed[0]["session_id"]) == ("NL*CPA", "DE*MSA", "SESSION1")


async def test_money_and_energy_keep_their_digits(api: httpx.AsyncClient, hub: Hub) -> None:
    await record(hub, "Cdr-1")
    text = (await api.get("/cdrs")).text
    total = samples.price(samples.tariff(), Decimal("7.250"))
    assert '"total_energy":7.250' in text
    assert f'"total_excl_vat":{total["excl_vat"]}' in text


async def test_a_held_cdr_is_listed_first_with_its_reason_and_no_price(api: httpx.AsyncClient, hub: Hub) -> None:
    await record(hub, "Cdr-1")
    await hold(hub)
    first, second = (await api.get("/cdrs")).json()
    assert (first["state"], first["reason"], first["total_excl_vat"]) == ("held", "unpriced: no tariff fits", None)
    assert (first["owner"], first["receiver"], first["session_id"]) == ("NL*LOC", "DE*MSA", "s-9")
    assert second["id"] == "Cdr-1"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "held"}, ["held-1"]),
        ({"state": "custody"}, ["Cdr-2"]),
        ({"owner": "nl*loc"}, ["held-1"]),
        ({"receiver": "FR*MSB"}, []),
        ({"owner": "NL*CPA", "limit": 1}, ["Cdr-2"]),
        ({"limit": 1}, ["held-1"]),
    ],
)
async def test_filters(api: httpx.AsyncClient, hub: Hub, query: dict[str, str | int], found: list[str]) -> None:
    await record(hub, "Cdr-1")
    await record(hub, "Cdr-2", "custody")
    await hold(hub)
    assert [row["id"] for row in (await api.get("/cdrs", params=query)).json()] == found


@pytest.mark.parametrize("query", [{"state": "lost"}, {"owner": "NLCPA"}, {"limit": 0}])
async def test_filters_that_make_no_sense(api: httpx.AsyncClient, query: dict[str, str | int]) -> None:
    assert (await api.get("/cdrs", params=query)).status_code == 400


async def test_the_export_has_everything_in_pages(
    api: httpx.AsyncClient, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cdrs, "EXPORTED_AT_ONCE", 2)
    names = [f"Cdr-{number}" for number in range(5)]
    for name in names:
        await record(hub, name)
    await hold(hub)
    answer = await api.get("/cdrs/export")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["id"] for row in rows] == [*names, "held-1"]
    assert (rows[0]["total_energy"], rows[0]["currency"]) == ("7.250", "EUR")
    assert rows[0]["end_date_time"] == "2026-11-21T11:00:00+00:00"
    assert (rows[5]["state"], rows[5]["total_excl_vat"]) == ("held", "")


async def test_the_export_as_json_has_the_whole_cdrs(api: httpx.AsyncClient, hub: Hub) -> None:
    assert (await api.get("/cdrs/export", params={"format": "json"})).json() == []
    await record(hub, "Cdr-1")
    exported = json.loads((await api.get("/cdrs/export", params={"format": "json"})).content)
    assert [row["cdr"] for row in exported] == [sample("Cdr-1")]


async def test_a_formula_of_a_partner_stays_text(api: httpx.AsyncClient, hub: Hub) -> None:
    await record(hub, "=1+2")
    rows = list(csv.DictReader((await api.get("/cdrs/export")).text.splitlines()))
    assert rows[0]["id"] == "'=1+2"
