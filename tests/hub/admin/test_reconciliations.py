from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from hub.exchange.context import Hub
from hub.exchange.reconciler import Reconciler

Connect = Callable[[str, str], Awaitable[int]]

TODAY = datetime.now(UTC).date()


async def run(hub: Hub, statement: str) -> None:
    async with hub.db.unit_of_work() as session:
        await session.execute(text(statement))


async def test_a_run_is_asked_for_waits_and_tells_what_it_found(
    api: httpx.AsyncClient, hub: Hub, connect: Connect
) -> None:
    await connect("DE*MSA", "EMSP")
    asked = await api.post("/reconciliations", json={"partner": "DE*MSA", "sample": 7, "repair": True})
    assert asked.status_code == 202
    row = asked.json()
    assert (row["partner"], row["sample"], row["repair"], row["nightly"]) == ("DE*MSA", 7, True, False)
    assert row["day"] == str(TODAY - timedelta(days=1))
    assert (row["state"], row["ended_at"], row["found"]) == ("waiting", None, 0)
    await run(hub, "UPDATE reconciliation SET held_until = now() + interval '1 min'")
    assert (await api.get(f"/reconciliations/{row['id']}")).json()["state"] == "running"
    await run(hub, "UPDATE reconciliation SET held_until = NULL")
    await Reconciler(hub).turn()
    await run(hub, "INSERT INTO gap (partner, owner, module, key, kind, detail, day, run) SELECT 'DE*MSA', 'DE*MSB',"
                   " 'tokens', 'RFID:04A1B2C3D4E580', 'missing', 'gone', day, id FROM reconciliation")  # fmt: skip
    found = (await api.get(f"/reconciliations/{row['id']}")).json()
    assert (found["state"], found["error"], found["counted"], found["found"]) == ("ended", None, [], 1)
    assert [(gap["key"], gap["kind"], gap["sent_at"]) for gap in found["gaps"]] == [("…80", "missing", None)]
    assert [run["id"] for run in (await api.get("/reconciliations")).json()] == [row["id"]]


@pytest.mark.parametrize(
    ("order", "status", "named"),
    [
        ({"partner": "XX*OUT"}, 404, "there is nothing to ask XX*OUT for"),
        ({"partner": "NL*LOC"}, 404, "lives on it"),
        ({"day": str(TODAY + timedelta(days=2))}, 400, "still to come"),
        ({"day": "yesterday"}, 400, "day: "),
        ({"sample": 0}, 400, "sample: "),
        ({"mend": True}, 400, "mend: no such field"),
    ],
)
@pytest.mark.usefixtures("host")
async def test_what_cannot_be_asked(api: httpx.AsyncClient, order: dict[str, Any], status: int, named: str) -> None:
    answer = await api.post("/reconciliations", json=order)
    assert (answer.status_code, named in answer.json()["error"]) == (status, True), answer.text


async def test_a_run_that_is_not_known(api: httpx.AsyncClient) -> None:
    assert (await api.get("/reconciliations/7")).status_code == 404
    assert (await api.get("/reconciliations")).json() == []
