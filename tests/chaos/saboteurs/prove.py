"""The proof by sabotage: with each guard off, its story must see the promise broken; with all on, every story holds.

A story that stays green would not notice that the guard is gone. One that turns red for another reason than the
promise that falls with its guard proves nothing either, and counts as green.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.settings import CHECKOUT
from tests.chaos.saboteurs import saboteur
from tests.chaos.saboteurs.plugin import NOBODY
from tests.chaos.saboteurs.saboteur import Saboteur

PATIENCE = 90
"""Seconds that a run of a story may take."""

PROCESSES = 2
"""Stories at once."""


@dataclass(frozen=True)
class Run:
    """A run of a story: who was at work, how it ended, and which promise was broken."""

    saboteur: str
    story: str
    outcome: str
    broken: str | None
    seconds: float
    said: str


async def main(names: Sequence[str] = (), *, quick: bool = False, processes: int = PROCESSES) -> int:
    """Prove the guards (all, or those that CI proves, or those with these names) and print a table: 0 when every
    saboteur is noticed, 1 when one is not, 2 for a name that is not known."""
    every = saboteur.known()
    unknown = [name for name in names if name not in every]
    if unknown:
        sys.stderr.write(f"chaos: there is no saboteur {', '.join(unknown)}; there are {', '.join(every)}\n")
        return 2
    chosen = [one for one in every.values() if one.name in names or (not names and (one.quick or not quick))]
    runs = await run(chosen, processes)
    sys.stdout.write("\n".join(table(chosen, runs)) + "\n")
    return 0 if all(verdict(one, runs) == "red" for one in chosen) else 1


async def run(chosen: Sequence[Saboteur], processes: int = PROCESSES) -> list[Run]:
    """Run their stories, without and with them. pytest's own report goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="knutpunkt-saboteurs-") as folder:
        told = Path(folder) / "told"
        told.touch()
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--no-cov",
            "-p",
            "no:cacheprovider",
            "--tb=no",
            "-n",
            str(processes),
        ]
        command += ["--timeout", str(PATIENCE), "-p", "tests.chaos.saboteurs.plugin", "--told-to", str(told)]
        command += ["--saboteurs", ",".join(one.name for one in chosen)]
        command += sorted({one.story.partition("::")[0] for one in chosen})
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
        await _finish(await asyncio.create_subprocess_exec(*command, cwd=CHECKOUT, env=environment, stdout=sys.stderr))
        return [Run(**json.loads(line)) for line in told.read_text(encoding="utf-8").splitlines()]


def verdict(one: Saboteur, runs: Sequence[Run]) -> str:
    """red: the story holds with the guard and sees the promise broken without it. Else what is amiss."""
    mine = [run for run in runs if run.saboteur == one.name]
    sound = [run for run in runs if run.saboteur == NOBODY and run.story == one.story]
    if not sound or not mine:
        return "did not run"
    if any(run.outcome != "passed" for run in sound):
        return "the story fails with the guard on"
    if all(run.outcome == "passed" for run in mine):
        return "green"
    return "red" if any(run.broken == one.breaks for run in mine) else "red for another reason"


def table(chosen: Sequence[Saboteur], runs: Sequence[Run]) -> Iterator[str]:
    """A line for each saboteur: name, what came of it, seconds with and without the guard, the guard. And why not."""
    width = max((len(one.name) for one in chosen), default=0)
    for one in chosen:
        mine = [run for run in runs if run.saboteur == one.name]
        sound = [run for run in runs if run.saboteur == NOBODY and run.story == one.story]
        found = verdict(one, runs)
        shown = f"red, {one.breaks}" if found == "red" else found.upper()
        seconds = sum(run.seconds for run in mine), sum(run.seconds for run in sound)
        yield f"{one.name:<{width}}  {shown:<14}  {seconds[0]:5.1f} s ({seconds[1]:.1f} s)  {one.guard}"
        if found != "red":
            yield from (f"    {run.saboteur or 'as it is'}: {run.outcome} {run.said}" for run in (*sound, *mine))
    red = sum(verdict(one, runs) == "red" for one in chosen)
    yield f"{red} of {len(chosen)} saboteurs are noticed"


async def _finish(process: asyncio.subprocess.Process) -> None:
    """Wait for pytest. Whoever stops this stops it as well, and it its databases."""
    try:
        await process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        await process.wait()
        raise
