"""`./run bench [NAME...] [--write] [--quick]`: how fast the hub is, beside a floor that does the least possible.

A line of JSON for each result goes to stdout, what is going on to stderr. How it is measured, and what the figures
mean, stands in RESULTS.md (`results.NOTES`), which `--write` renews. `--quick` is one short round of each bench, to see
that it works; its figures mean nothing.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from hub import telemetry
from hub.settings import CHECKOUT, OperatorError, Settings
from tests.bench import machine, results
from tests.bench.benches import accept, authorise, crawl, deliver, forward, held, latency, ocpp, page
from tests.bench.figures import Line
from tests.bench.load import wrk
from tests.bench.processes import Failed
from tests.bench.rig import FULL, QUICK, Rig

BENCHES: dict[str, Callable[[Rig], Awaitable[list[Line]]]] = {
    "forward": forward.bench,
    "accept": accept.bench,
    "deliver": deliver.bench,
    "page": page.bench,
    "authorise": authorise.bench,
    "latency": latency.bench,
    "ocpp": ocpp.bench,
    "held": held.bench,
    "crawl": crawl.bench,
}


def main() -> int:
    """Measure; the exit status: 0, 1 when a line is void or something failed, 2 when it could not begin."""
    asked = _arguments()
    problem = _obstacle()
    if problem:
        sys.stderr.write(f"bench: {problem}\n")
        return 2
    _forget_settings()
    telemetry.setup("ERROR", process="bench")
    try:
        with tempfile.TemporaryDirectory(prefix="knutpunkt-bench-") as folder:
            facts = machine.look(Path(folder))
            rig = Rig(QUICK if asked.quick else FULL, Path(folder), facts.commit)
            lines = asyncio.run(_measure(rig, asked.names or list(BENCHES)))
    except (OperatorError, Failed) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("bench: stopped\n")
        return 130
    if asked.write:
        before = results.FILE.read_text(encoding="utf-8") if results.FILE.exists() else ""
        results.FILE.write_text(results.render(facts, results.renewed(before, lines)), encoding="utf-8")
        sys.stderr.write(f"{results.FILE} is written\n")
    return 1 if any(line.void for line in lines) else 0


async def _measure(rig: Rig, names: list[str]) -> list[Line]:
    """Run the benches one after the other; SIGTERM ends them as Ctrl-C does."""
    current = asyncio.current_task()
    assert current is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    lines = []
    for name in names:
        rig.say(f"{name}:")
        for line in await BENCHES[name](_at(rig, name)):
            sys.stdout.write(line.as_json() + "\n")
            sys.stdout.flush()
            lines.append(line)
    return lines


def _at(rig: Rig, name: str) -> Rig:
    """The same rig in a folder of the bench's own."""
    folder = rig.folder / name
    folder.mkdir()
    return Rig(rig.plan, folder, rig.commit)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure the hub beside floors.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; all if left out")
    parser.add_argument("--write", action="store_true", help="renew these figures in tests/bench/RESULTS.md")
    parser.add_argument("--quick", action="store_true", help="one short round; the figures mean nothing")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in BENCHES]
    if unknown:
        parser.error(f"there is no bench {unknown[0]}: choose from {', '.join(BENCHES)}")
    if asked.write and asked.quick:
        parser.error("the figures of --quick mean nothing: they are not written")
    return asked


def _obstacle() -> str | None:
    """Why figures of this machine would not be what they seem."""
    if not wrk.is_installed():
        return wrk.INSTALL
    if (CHECKOUT / ".env").exists():
        return "there is a .env in the checkout, which the hub's processes would read: move it away"
    if machine.file_system(Path(tempfile.gettempdir())) == "tmpfs":
        return "temporary files are in memory here, where fsync costs nothing: set TMPDIR to a directory on a disk"
    return None


def _forget_settings() -> None:
    """Nothing on the machine is used but programs: no database or hub that the environment names."""
    for variable in [name for name in os.environ if name.startswith(("HUB_", "DATABASE_URL", "REDIS_URL"))]:
        del os.environ[variable]
    Settings.model_config["env_file"] = None


if __name__ == "__main__":
    sys.exit(main())
