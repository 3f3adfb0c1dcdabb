"""A worker as a process that a story can pause and kill: the engine of `hub.worker` without Celery around it.

CHAOS_GATE is a folder: see `tests.chaos.stories.world.Process`. CHAOS_SABOTEUR is the guard to switch off.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from hub import telemetry, worker
from hub.delivery.runtime import Runtime
from hub.ocpi.client import Outbound
from hub.settings import Settings
from tests.chaos.saboteurs.saboteur import send_in
from tests.chaos.stories import haste

LOOK = 0.01


def main() -> None:
    """Work until killed."""
    settings = Settings.load()
    telemetry.setup(settings.log_level, settings.log_format, "worker")
    off = pytest.MonkeyPatch()
    haste.make(off)
    _gated(off, Path(os.environ["CHAOS_GATE"]))
    send_in(off)
    runtime = Runtime()
    runtime.start(worker.opening)
    asyncio.run(asyncio.Event().wait())


def _gated(off: pytest.MonkeyPatch, folder: Path) -> None:
    ordinary = Outbound.send

    async def send(self: Outbound, *given: Any, **named: Any) -> Any:
        while (folder / "gate").exists():
            (folder / "waiting").touch()
            await asyncio.sleep(LOOK)
        return await ordinary(self, *given, **named)

    off.setattr(Outbound, "send", send)


if __name__ == "__main__":
    main()
