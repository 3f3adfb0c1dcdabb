"""The waits of the hub, shortened so that stories are short: the same plan, in less time."""

from functools import partial

import pytest

from hub.delivery import holder

DEADLINE = 2.0
"""Seconds that a request may take, as far as the takeover of lanes is concerned."""


def make(off: pytest.MonkeyPatch) -> None:
    """Shorten them, also for the workers of this process."""
    off.setattr(holder, "Timing", partial(holder.Timing, check=0.3, check_timeout=0.3, deadline=DEADLINE))
