"""Story: partners that push nothing. The hub pulls their lists, and the lanes bring what is on them to the others."""

import asyncio
from typing import Any

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp


async def pulled(world: Any, party: str, full: bool = False) -> None:
    """Have a party's lists read; the worker may not know yet which there are."""
    for _ in range(200):
        answer = await world.operator.post("/pulls", json={"party": party, "full": full})
        if answer.status_code == 202:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


async def test_what_is_only_offered_reaches_those_it_is_for(world: Any) -> None:
    cpo, emsp, other = CpoBackend("NL*CPA"), Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (cpo, emsp, other):
        await world.join(platform)
    token, place, tariff = samples.token("DE*MSA"), samples.location(), samples.tariff()
    session = samples.session(of=token) | {"kwh": 7, "status": "COMPLETED"}
    emsp.tokens["RFID", token["uid"]] = token
    cpo.locations.put(("NL", "CPA", "LOC1"), place)
    cpo.tariffs.put(("NL", "CPA", "TARIFF1"), tariff)
    cpo.sessions.put(("NL", "CPA", "SESSION1"), session)
    cpo.cdrs.put(("NL", "CPA", "CDR1"), samples.cdr(session, place, tariff))

    await pulled(world, "NL*CPA")
    await emsp.until(lambda: len(emsp.locations) == len(emsp.tariffs) == 1, 30, "both lists")
    await other.until(lambda: len(other.locations) == len(other.tariffs) == 1, 30, "both lists")
    await emsp.until(lambda: len(emsp.sessions) == len(emsp.cdrs) == 1, 30, "its driver's session and CDR")
    await pulled(world, "DE*MSA")
    await cpo.until(lambda: len(cpo.tokens) == 1, 30, "the token")
    assert (len(other.sessions), len(other.cdrs)) == (0, 0)

    cpo.locations.patch(("NL", "CPA", "LOC1"), {"name": "renamed", "last_updated": samples.now()})
    await pulled(world, "NL*CPA")
    await emsp.until(lambda: emsp.locations.all()[0]["name"] == "renamed", 30, "the new name")

    cpo.tariffs.delete(("NL", "CPA", "TARIFF1"))
    await pulled(world, "NL*CPA", full=True)
    for _ in range(300):
        found = (await world.operator.get("/pulls/NL*CPA/tariffs")).json()
        if found["gone"]:
            break
        await asyncio.sleep(0.1)
    assert [row["key"] for row in found["gone"]] == ["TARIFF1"]
    assert len(emsp.tariffs) == 1  # shown to the operator, who decides
    assert (await world.operator.delete("/pulls/NL*CPA/tariffs/vanished")).json()["objects"] == 1
    await emsp.until(lambda: len(emsp.tariffs) == 0, 30, "the DELETE")
    assert [*cpo.faults, *emsp.faults, *other.faults, *emsp.backwards] == []
