"""A partner certifies a whole hub: the kit registers as a CPO and as an eMSP, and looks at what passes between them."""

from dataclasses import replace
from typing import Any

import pytest

from hub.kit import runner
from hub.kit.peer import Plan
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend


async def invited(world: Any, code: str, role: str) -> Plan:
    """How the kit registers as a party that the operator invited."""
    invitation = await world.operator.post(
        "/invitations", json={"name": code, "parties": [{"code": code, "role": role}]}
    )
    told = invitation.json()
    us = PartyId.parse(code)
    return Plan(told["versions_url"], told["token_a"], party=us, role=role, writes=True, register=True, pause=0)


@pytest.mark.catalogue("TF-102", "TF-107", "TF-112")
async def test_a_hub_is_certified(world: Any) -> None:
    cpo = CpoBackend("NL*CPA")
    await world.join(cpo)
    for number in range(3):
        await cpo.put_tariff(samples.tariff(id=f"T{number}"), to=cpo.hub)
        await cpo.put_location(samples.location(id=f"LOC{number}"), to=cpo.hub)
    plan = replace(await invited(world, "DE*KIT", "EMSP"), other=await invited(world, "NL*KIT", "CPO"))
    run = await runner.examine(plan)
    assert [f"{r.check.group} {r.check.ids[0]}: {r.came}" for r in run.results if r.outcome == "failed"] == []
    between = [r for r in run.results if r.check.group in ("between parties", "broadcasts")]
    assert {r.outcome for r in between} == {"passed"}
    assert run.count("passed", must=True) > 130
