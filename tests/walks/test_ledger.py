"""Story: a CPO bills, repeats itself, contradicts itself and credits, while the API is killed under it. The ledger has
each CDR once, every contradiction is refused and reported, what was credited comes to nothing, and the chain holds."""

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import pytest

from hub.exchange import ledger_check
from hub.ocpi import json
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.services import database
from hub.settings import Settings
from hub.store.db import Database
from hub.store.seal import Seal

CDRS, SENDERS = 300, 8
KILLS = {CDRS // 3, CDRS * 2 // 3}
SESSION = samples.session(of=samples.token()) | {"kwh": Decimal("12.500")}
CDR = samples.cdr(SESSION, samples.location(), samples.tariff())


class Order(NamedTuple):
    """A POST, and whether the hub must take it."""

    body: dict[str, Any]
    good: bool


def work() -> Iterator[list[Order]]:
    """What is posted, in order within each list: some repeated (1 of 5), contradicted (1 of 50), credited (1 of 20)."""
    for number in range(CDRS):
        price = {"excl_vat": Decimal(number) / 100, "incl_vat": Decimal(number) * 121 / 10_000}
        body = CDR | {"id": f"CDR{number}", "session_id": f"S{number}", "total_cost": price}
        orders = [Order(body, True)]
        if number % 5 == 0:
            orders.append(Order(body, True))
        if number % 50 == 7:
            orders.append(Order(body | {"total_energy": Decimal("99.000")}, False))
        if number % 20 == 3:
            back = {name: -amount for name, amount in price.items()}
            taken = {"id": f"CDR{number}-C", "credit": True, "credit_reference_id": f"CDR{number}", "total_cost": back}
            orders.append(Order(body | taken, True))
        yield orders


@pytest.mark.timeout(300)
async def test_each_cdr_once_whatever_happens(world: Any) -> None:
    cpo, emsp = CpoBackend("NL*CPA"), Emsp("DE*MSA")
    for platform in (cpo, emsp):
        await world.join(platform)
    waiting = list(work())
    random.Random(5).shuffle(waiting)
    posted = 0
    refused: list[str] = []

    async def post(order: Order) -> None:
        """Send until there is an answer: one that got lost is no answer."""
        nonlocal posted
        while True:
            try:
                answer = await cpo.send("POST", "cdrs", to="DE*MSA", body=order.body)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.1)
                continue
            if answer.http_status < 500 and answer.http_status != 429 and answer.status_code != 4002:
                break
            await asyncio.sleep(0.1)
        posted += 1
        if posted in KILLS:
            world.stack.kill("api")
        if order.good:
            assert answer.http_status == 201, answer.body
        else:
            assert answer.status_code == 2001, answer.body
            refused.append(order.body["id"])

    async def sender() -> None:
        while waiting:
            for order in waiting.pop():
                await post(order)

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    good = {order.body["id"]: order.body for orders in work() for order in orders if order.good}
    await emsp.until(lambda: len(emsp.cdrs) == len(good), 60, "every CDR at its receiver")
    bodies = [r.raw for r in emsp.received if r.method == "POST" and "cdrs" in r.path]
    assert set(bodies) == {json.dumps(body) for body in good.values()}
    assert len(bodies) - len(good) <= len(KILLS) * SENDERS

    async with database.opened(Settings(), world.stack.data.path) as place:
        db = Database(place.url)
        verdict = await ledger_check.verify(db, Seal(database.secret_key(Settings(), world.stack.data)))
        await db.close()
        connection = await asyncpg.connect(place.url, ssl=False)
        rows = await connection.fetch("SELECT key, total_excl_vat, total_incl_vat, credit_of FROM cdr")
        conflicts = await connection.fetch("SELECT key FROM cdr_conflict ORDER BY key")
        await connection.close()
    assert verdict.ok, verdict
    assert {row["key"] for row in rows} == set(good)
    assert [row["key"] for row in conflicts] == sorted(refused)
    assert len(refused) == CDRS // 50
    credited = {row["credit_of"] for row in rows} - {None}
    pairs = [row for row in rows if row["credit_of"] or row["key"] in credited]
    assert len(pairs) == 2 * (CDRS // 20)
    for amount in ("total_excl_vat", "total_incl_vat"):
        assert sum(row[amount] for row in pairs) == Decimal("0.00")
