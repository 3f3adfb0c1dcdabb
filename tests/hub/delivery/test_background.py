"""hub.delivery.background: what fails is done again, and ends with its block."""

import asyncio

from sqlalchemy.exc import InterfaceError
from structlog.testing import capture_logs

from hub.delivery import background


async def test_work_goes_on_after_faults_and_the_operator_sees_them() -> None:
    faults = [InterfaceError("SELECT", None, OSError("gone")), ValueError("ours")]
    turns, well = 0, asyncio.Event()

    async def work() -> None:
        nonlocal turns
        turns += 1
        if faults:
            raise faults.pop(0)
        well.set()

    with capture_logs() as logs:
        async with background.repeating("counting", work, 0.001), asyncio.timeout(20):
            await well.wait()
    seen = turns
    await asyncio.sleep(0.02)
    assert turns == seen >= 3
    told = [(entry["log_level"], entry["event"]) for entry in logs]
    assert told == [
        ("warning", "counting: waits for the database, will try again"),
        ("error", "counting: stumbled, will try again"),
    ]
