"""hub.exchange.keep: changes that come at once are kept in one transaction, and each as if it had come alone."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text

from hub.delivery import lanes
from hub.exchange import keep
from hub.exchange.keep import Change
from hub.ocpi import json
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.module import Ref
from hub.ocpi.patch import Outcome
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.store import db
from hub.store.parties import Party, Platform
from modules.catalog import LOCATIONS, TARIFFS

OWNER = PartyId("NL", "CPA")
KEPT = text("SELECT module, key, audience FROM object ORDER BY module, key, audience")
LOGGED = text("SELECT module, key, audience, part_ids, fields FROM change_log ORDER BY id")


def put(number: int, at: str | None = None, **more: Any) -> Change:
    """A broadcast PUT of a Location."""
    name = f"LOC{number}"
    ref = Ref(OWNER, name)
    return Change("PUT", LOCATIONS, ref, samples.location("NL*CPA", name, at=at) | more, "*", f"c{number}", True)


def patch(number: int, body: dict[str, Any], *part_ids: str) -> Change:
    """A broadcast PATCH of a Location or of a part of it."""
    ref = Ref(OWNER, f"LOC{number}", part_ids)
    return Change("PATCH", LOCATIONS, ref, {"last_updated": samples.now()} | body, "*", f"c{number}", True)


async def _all(running: Any, *changes: Change) -> list[Any]:
    async with running.hub.db.unit_of_work("NL*CPA") as unit:
        return await keep.apply_all(unit, changes)


async def _rows(running: Any, statement: Any) -> list[tuple[Any, ...]]:
    async with running.hub.db.unit_of_work() as unit:
        return [tuple(row) for row in await unit.execute(statement)]


async def test_each_change_has_its_own_outcome_and_what_is_wrong_with_one_spares_the_others(running: Any) -> None:
    await _all(running, put(1), put(2, at="2026-01-02T00:00:00Z"), put(3))
    found = await _all(
        running,
        put(4),
        put(2, at="2026-01-01T00:00:00Z"),
        patch(9, {"name": "unknown"}),
        patch(1, {"coordinates": None}),
        patch(3, {"status": "CHARGING"}, "EVSE1"),
    )
    assert found[:2] == [Outcome.CREATED, Outcome.OLDER]
    assert [type(one) for one in found[2:4]] == [NotFound, InvalidParameters]
    assert found[4] is Outcome.APPLIED
    assert await _rows(running, KEPT) == [("locations", f"LOC{number}", "*") for number in (1, 2, 3, 4)]
    logged = [*((f"LOC{number}", [], None) for number in (1, 2, 3, 4)), ("LOC3", ["EVSE1"], ["last_updated", "status"])]
    assert await _rows(running, LOGGED) == [("locations", key, "*", ids, fields) for key, ids, fields in logged]


async def test_a_direct_change_builds_on_what_its_receiver_sees(running: Any) -> None:
    await _all(running, put(1))
    body = {"last_updated": samples.now(), "name": "for you alone"}
    direct = Change("PATCH", LOCATIONS, Ref(OWNER, "LOC1"), body, "DE*MSA", "c", False)
    assert await _all(running, direct, put(2)) == [Outcome.APPLIED, Outcome.CREATED]
    async with running.hub.db.unit_of_work() as unit:
        seen = await keep.visible(unit, LOCATIONS, Ref(OWNER, "LOC1"), PartyId("DE", "MSA"))
    assert seen is not None
    assert (seen["name"], seen["city"]) == ("for you alone", samples.location()["city"])
    assert [row[:3] for row in await _rows(running, LOGGED)] == [
        ("locations", "LOC1", "*"),
        ("locations", "LOC2", "*"),  # the receiver has what it was sent
    ]


async def test_names_that_need_quoting_are_logged_as_they_are(running: Any) -> None:
    await _all(running, put(1))
    odd = {'a "quoted"': 1, "back\\slash": 2, "{brace,comma}": 3, "": 4, "NULL": 5}
    assert await _all(running, patch(1, odd)) == [Outcome.APPLIED]
    assert (await _rows(running, LOGGED))[-1][4] == sorted([*odd, "last_updated"])


async def test_pushes_at_once_lose_nothing_and_a_bad_one_fails_alone(running: Any, cpo: CpoBackend) -> None:
    await cpo.put_location(samples.location(at="2026-01-01T00:00:00Z"), to=cpo.hub)
    good = [cpo.put_location(samples.location(id=f"LOC{number}"), to=cpo.hub) for number in range(2, 30)]
    fields = ("name", "address", "city", "postal_code", "time_zone")
    patches = [_patch(cpo, {name: "new"}) for name in fields]
    answers = await asyncio.gather(*good, _patch(cpo, {"coordinates": None}), *patches)
    assert Counter((one.http_status, one.status_code) for one in answers) == {
        (201, 1000): len(good),
        (200, 1000): len(fields),
        (200, 2001): 1,
    }
    async with running.hub.db.unit_of_work() as unit:
        body = (await unit.execute(text("SELECT body FROM object WHERE key = 'LOC1'"))).scalar_one()
    assert {name: json.loads(body.encode())[name] for name in fields} == dict.fromkeys(fields, "new")
    logged = Counter(row[1] for row in await _rows(running, LOGGED))
    assert logged == {"LOC1": 1 + len(fields)} | {f"LOC{number}": 1 for number in range(2, 30)}


async def _patch(cpo: CpoBackend, body: dict[str, Any]) -> Any:
    change = {"last_updated": "2026-06-01T00:00:00Z"} | body  # of equal times the later arrival counts
    return await cpo.send("PATCH", "locations", "NL", "CPA", "LOC1", to=cpo.hub, body=json.dumps(change))


async def _receive(running: Any, count: int) -> None:
    """So many eMSPs have lanes."""
    async with running.hub.db.session() as session:
        for number in range(count):
            platform = Platform(name=f"P{number}", status="CONNECTED", version="2.2.1")
            session.add(platform)
            await session.flush()
            assert platform.id is not None
            party = Party(code=f"DE*{number:03}", platform_id=platform.id, roles=["EMSP"], business_details={})
            session.add(party)
            await session.flush()
            assert party.id is not None
            await lanes.open_for(session, party.id, party.code)


async def test_an_accept_costs_the_same_statements_for_fifty_receivers_and_a_batch_those_of_one(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    ordinary = db.Unit.execute

    async def execute(unit: db.Unit, statement: Any, params: Any = None) -> Any:
        said.append(statement.text)
        return await ordinary(unit, statement, params)

    async def cost(*changes: Change) -> list[str]:
        said.clear()
        await asyncio.gather(*(running.hub.keeper.add("NL*CPA", change) for change in changes))
        return [statement for statement in said if "counter" not in statement]

    monkeypatch.setattr(db.Unit, "execute", execute)
    alone = await cost(put(1))
    await _receive(running, 50)
    assert await cost(put(2)) == alone
    assert await cost(*map(put, range(10, 40))) == alone
    assert len(alone) == 4
    tariff = samples.tariff("NL*CPA", "T1")
    other = Change("PUT", TARIFFS, Ref(OWNER, "T1"), tariff, "*", "c", True)
    assert await cost(put(50), other) == alone
