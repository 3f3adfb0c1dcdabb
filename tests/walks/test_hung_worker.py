"""Story: a worker hangs, with the lanes it holds; it is killed and started again, and deliveries go on."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hub.sandbox import samples
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.services import watchdog


@pytest.mark.timeout(240)
async def test_a_worker_that_hangs_is_killed_and_its_lanes_are_served_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "HUNG", 12.0)
    cpo, emsp = CpoBackend("NL*CPA"), Emsp("DE*MSA")
    for platform in (cpo, emsp):
        await world.join(platform)
    assert (await cpo.put_location(samples.location(id="BEFORE"), to=cpo.hub)).ok
    await emsp.until(lambda: len(emsp.locations.all()) == 1, 60, "the location from before")

    before = world.stack.pids
    for pid in _family(before["worker"]):
        os.kill(pid, signal.SIGSTOP)
    assert (await cpo.put_location(samples.location(id="AFTER"), to=cpo.hub)).ok
    await emsp.until(lambda: len(emsp.locations.all()) == 2, 120, "the location that was pushed while it hung")
    after = world.stack.pids
    assert after["worker"] != before["worker"]
    assert {name: pid for name, pid in after.items() if name != "worker"} == {
        name: pid for name, pid in before.items() if name != "worker"
    }
    told = (await world.operator.get("/alerts", params={"all": True})).json()
    assert [alert["detail"] for alert in told if alert["kind"] == "process_gone" and "did nothing" in alert["detail"]]


def _family(pid: int) -> list[int]:
    """A process and all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]
