"""What a run says of itself, so that `python -m tests.chaos` finds it: each module in runs/ has a `RUN`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.rig import Result, Rig


@dataclass(frozen=True)
class Run:
    """`story` is what happens; `in_short` whether --short has it; `seeds` how many seeds --full goes through; `light`
    whether it mostly waits, so that --short may run it beside others like it."""

    story: Callable[[Rig], Awaitable[Result]]
    in_short: bool = True
    seeds: int = 1
    light: bool = False
