"""Story: a partner loses a Location, falls back with another, and loses a CDR. The hub finds just these three, tells
the operator, and mends them on demand."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.settings import CHECKOUT


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


async def knutpunkt(world: Any, *arguments: str) -> Ended:
    """Call the command as the operator does."""
    settings = world.stack.settings
    environment = {**os.environ, "HUB_URL": world.stack.url, "HUB_API_TOKEN": settings.api_token}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", *arguments),
        cwd=CHECKOUT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def alerts(world: Any, number: int) -> list[dict[str, Any]]:
    """The open alerts about gaps, once there are so many."""
    for _ in range(300):
        every = (await world.operator.get("/alerts")).json()
        found = [alert for alert in every if alert["kind"] == "reconciliation_gap"]
        if len(found) == number:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(found)


async def test_what_a_partner_lost_is_found_told_and_mended(world: Any) -> None:
    cpo, emsp, other = CpoBackend("NL*CPA"), Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (cpo, emsp, other):
        await world.join(platform)
    token, tariff = samples.token("DE*MSA"), samples.tariff()
    assert (await emsp.put_token(token, to=None)).ok
    for number in range(1, 7):
        place = samples.location(id=f"LOC{number}", at=f"2026-01-01T00:00:0{number}Z")
        assert (await cpo.put_location(place, to=cpo.hub)).ok
    assert (await cpo.put_tariff(tariff, to=cpo.hub)).ok
    sessions = [samples.session(of=token, id=f"S{number}") | {"kwh": 7, "status": "COMPLETED"} for number in (1, 2, 3)]
    for number, session in enumerate(sessions):
        cdr = samples.cdr(session, samples.location(), tariff, id=f"CDR{number}")
        assert (await cpo.post_cdr(cdr, to=emsp.parties[0])).ok
    await emsp.until(lambda: len(emsp.locations) == 6 and len(emsp.tariffs) == 1, 20, "all that there is")
    await other.until(lambda: len(other.locations) == 6, 20, "all that there is")
    old = emsp.locations.get("NL", "CPA", "LOC2")
    renewed = samples.location(id="LOC2") | {"name": "renewed"}
    assert (await cpo.put_location(renewed, to=cpo.hub)).ok
    await emsp.until(lambda: (emsp.locations.get("NL", "CPA", "LOC2") or {}).get("name") == "renewed", 20, "LOC2")

    today = f"{datetime.now(UTC):%Y-%m-%d}"
    fine = await knutpunkt(world, "reconcile", "--day", today, "--json")
    assert (fine.status, json.loads(fine.out)["gaps"]) == (0, []), fine
    assert all(row["checked"] == row["delivered"] > 0 for row in json.loads(fine.out)["counted"]), fine.out

    emsp.locations.delete(("NL", "CPA", "LOC1"))
    emsp.locations.delete(("NL", "CPA", "LOC2"))
    emsp.locations._moments.clear()
    emsp.locations.put(("NL", "CPA", "LOC2"), old)
    del emsp.cdrs["NL", "CPA", "CDR1"]

    found = await knutpunkt(world, "reconcile", "--day", today, "--json")
    assert found.status == 1
    assert "3 objects are not where acknowledged" in found.err
    gaps = {(gap["partner"], gap["module"], gap["key"], gap["kind"]) for gap in json.loads(found.out)["gaps"]}
    assert gaps == {
        ("DE*MSA", "locations", "LOC1", "missing"),
        ("DE*MSA", "locations", "LOC2", "older"),
        ("DE*MSA", "cdrs", "CDR1", "missing"),
    }
    (alert,) = await alerts(world, 1)
    assert (alert["subject"], alert["detail"][:9]) == ("DE*MSA", "3 objects")
    shown = await knutpunkt(world, "reconcile", "--last")
    assert (shown.status, "LOC1" in shown.out) == (1, True)

    mended = await knutpunkt(world, "reconcile", "--day", today, "--partner", "DE*MSA", "--repair")
    assert (mended.status, "on its way anew" in mended.err) == (1, True), mended
    await emsp.until(lambda: len(emsp.locations) == 6 and ("NL", "CPA", "CDR1") in emsp.cdrs, 20, "what it had lost")
    await emsp.until(lambda: emsp.locations.get("NL", "CPA", "LOC2")["name"] == "renewed", 20, "LOC2")  # type: ignore[index]

    for _ in range(50):  # what has just been acknowledged is not written down at the same moment
        again = await knutpunkt(world, "reconcile", "--day", today)
        if again.status == 0 and "nothing is missing" in again.out and not (await alerts_now(world)):
            break
    await alerts(world, 0)
    assert (again.status, "nothing is missing" in again.out) == (0, True), again
    assert [*cpo.faults, *emsp.faults, *other.faults, *emsp.backwards] == []


async def alerts_now(world: Any) -> list[Any]:
    """The open alerts about gaps."""
    every = (await world.operator.get("/alerts")).json()
    return [alert for alert in every if alert["kind"] == "reconciliation_gap"]
