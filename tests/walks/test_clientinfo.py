"""Story: an eMSP hears from the hub's workers that a CPO has joined, and reads in the list that it has left."""

from typing import Any

from hub.sandbox.cpo import CpoBackend
from hub.sandbox.informed import CLIENTS, InformedEmsp


async def test_partners_are_told_who_is_connected(world: Any) -> None:
    emsp, cpo = InformedEmsp("DE*MSA"), CpoBackend("NL*CPA")
    await world.join(emsp)
    await world.join(cpo)
    await emsp.until(lambda: emsp.status("NL*CPA") == "CONNECTED", 40, "the ClientInfo of the CPO")
    shown = (await world.operator.get("/clients")).json()
    assert ("NL*CPA", "CONNECTED", "CONNECTED") in [(row["code"], row["status"], row["told"]) for row in shown]
    await cpo.leave()
    peer = emsp.registered
    listed = await emsp.call("GET", peer.endpoint(CLIENTS, "SENDER"), peer.token_out)
    assert [(info["party_id"], info["status"]) for info in listed.data] == [("CPA", "SUSPENDED")]
    assert not emsp.faults
