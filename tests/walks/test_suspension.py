"""Story: an eMSP is suspended while a CPO pushes, and resumed; then removed, and back by the hub's own handshake."""

from typing import Any

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp


async def put(cpo: CpoBackend, *names: str) -> None:
    for name in names:
        assert (await cpo.put_location(samples.location(id=name), to=cpo.hub)).ok


async def platform_of(world: Any, code: str) -> int:
    parties = (await world.operator.get("/parties")).json()
    return int(next(party["platform_id"] for party in parties if party["code"] == code))


async def test_what_was_missed_is_delivered_in_the_end_and_nothing_before(world: Any) -> None:
    cpo, emsp, other = CpoBackend("NL*CPA"), Emsp("DE*MSA"), Emsp("FR*MSB")
    for platform in (cpo, emsp, other):
        await world.join(platform)

    def holds(partner: Emsp, *names: str) -> bool:
        return {location["id"] for location in partner.locations.all()} == set(names)

    await put(cpo, "LOC1")
    await emsp.until(lambda: holds(emsp, "LOC1"), 20, "LOC1")

    number = await platform_of(world, "DE*MSA")
    assert (await world.operator.post(f"/platforms/{number}/suspend")).status_code == 200
    assert (await emsp.send("GET", "locations", interface="SENDER", to=emsp.hub)).http_status == 403
    await put(cpo, "LOC2", "LOC3")
    await other.until(lambda: holds(other, "LOC1", "LOC2", "LOC3"), 20, "all three")
    assert holds(emsp, "LOC1")

    assert (await world.operator.post(f"/platforms/{number}/resume")).status_code == 200
    await emsp.until(lambda: holds(emsp, "LOC1", "LOC2", "LOC3"), 20, "what it missed")
    await put(cpo, "LOC4")
    await emsp.until(lambda: holds(emsp, "LOC1", "LOC2", "LOC3", "LOC4"), 20, "what is new")

    peer = emsp.registered
    assert (await world.operator.delete(f"/platforms/{number}")).json()["told"] is True
    assert emsp.peer is None
    assert (await emsp.call("GET", peer.versions_url, peer.token_out)).http_status == 401
    token_a, versions_url = emsp.invite()
    registered = await world.operator.post(
        "/platforms", json={"versions_url": versions_url, "token": token_a}, timeout=30
    )
    assert registered.status_code == 201, registered.text
    await put(cpo, "LOC5")
    await emsp.until(lambda: holds(emsp, *(f"LOC{n}" for n in range(1, 6))), 20, "what came after its return")
    assert emsp.backwards == []
    assert not emsp.faults
