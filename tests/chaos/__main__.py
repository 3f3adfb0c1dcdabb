"""`./run chaos [--short | --full] [NAME...] [--seed N]`: what the hub does when everything around it goes wrong.

A line of JSON for each run goes to stdout, what is going on to stderr. Exit status 1 when a run failed, and its
evidence (ledgers, logs, what was done when) is kept. What each run demands stands in its module in tests/chaos/runs/.
"""

import argparse
import asyncio
import importlib
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from hub import telemetry
from hub.settings import CHECKOUT, OperatorError, Settings
from tests.bench.processes import Failed
from tests.chaos.plan import Run
from tests.chaos.rig import Result, Rig

RUNS = "tests.chaos.runs"


def main() -> int:
    """Run what is asked for; the exit status: 0, 1 when a run failed, 2 when it could not begin."""
    runs = found()
    asked = _arguments(list(runs))
    if (CHECKOUT / ".env").exists():
        sys.stderr.write("chaos: there is a .env in the checkout, which the hub's processes would read: move it away\n")
        return 2
    _forget_settings()
    telemetry.setup("CRITICAL", process="chaos")
    names = asked.names or [name for name, run in runs.items() if asked.full or run.in_short]
    seed = asked.seed if asked.seed is not None else random.randrange(1_000_000)
    try:
        passed = asyncio.run(_all({name: runs[name] for name in names}, seed, asked.full))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("chaos: stopped\n")
        return 130
    return 0 if passed else 1


def found() -> dict[str, Run]:
    """The runs, by name: every module in tests/chaos/runs/."""
    names = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name("runs"))]))
    return {name: importlib.import_module(f"{RUNS}.{name}").RUN for name in names}


async def _all(runs: dict[str, Run], seed: int, full: bool) -> bool:
    """The runs, one after the other but for light ones; whether all passed. SIGTERM ends them as Ctrl-C does."""
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    light = [name for name, run in runs.items() if run.light and not full]
    rounds = [light, *([name] for name in runs if name not in light)]
    passed = []
    for names in rounds:
        for turn in range(max((runs[name].seeds for name in names if full), default=1)):
            passed += await asyncio.gather(*(_run(name, runs[name], seed + turn, full) for name in names))
    return all(passed)


async def _run(name: str, run: Run, seed: int, full: bool) -> bool:
    """One run with one seed; whether it passed."""
    folder = Path(tempfile.mkdtemp(prefix=f"knutpunkt-chaos-{name}-"))
    sys.stderr.write(f"{name}, seed {seed}:\n")
    begun, result = time.monotonic(), Result({}, ["it was cut short"])
    try:
        result = await run.story(Rig(folder, seed, full))
    except (OperatorError, Failed) as error:
        result = Result({}, [str(error)])
    finally:
        kept = folder if result.faults else None
        sys.stdout.write(result.as_json(name, seed, kept, time.monotonic() - begun) + "\n")
        sys.stdout.flush()
        if not kept:
            shutil.rmtree(folder)
    return not result.faults


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run chaos", description="Kill, pause and starve a hub under load.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all if left out")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="the sizes for every change, minutes (default)")
    size.add_argument("--full", action="store_true", help="the sizes for a release, hours")
    parser.add_argument("--seed", type=int, help="what is pushed and what goes wrong, in which order; else any")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in names]
    if unknown:
        parser.error(f"there is no run {unknown[0]}: choose from {', '.join(names)}")
    return asked


def _forget_settings() -> None:
    """Nothing on the machine is used but programs: no database or hub that the environment names."""
    for variable in [name for name in os.environ if name.startswith(("HUB_", "DATABASE_URL", "REDIS_URL"))]:
        del os.environ[variable]
    Settings.model_config["env_file"] = None


if __name__ == "__main__":
    sys.exit(main())
