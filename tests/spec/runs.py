"""Running the tests that claim rows, in a pytest of their own, and what came of them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.settings import CHECKOUT
from tests.spec.marks import Claim

PROCESSES = 2


@dataclass(frozen=True)
class Outcome:
    """How a test, or those of its cases that claim the same rows, ended; `guard` was off, empty for none."""

    claim: Claim
    guard: str
    passed: bool
    failed: bool


def run(files: Iterable[str], *options: str) -> list[Outcome]:
    """Run the tests of these files that claim rows. pytest's own report goes to stderr."""
    with tempfile.TemporaryDirectory(prefix="knutpunkt-conformance-") as folder:
        record = Path(folder) / "record"
        record.touch()
        command = [sys.executable, "-m", "pytest", "-n", str(PROCESSES), "--no-cov", "-p", "no:cacheprovider"]
        command += ["-p", "tests.spec.plugin", "--tb=short", "--continue-on-collection-errors"]
        command += ["--claims-to", str(record), *options, *files]
        _finish(
            subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, stdout=sys.stderr)
        )
        return outcomes(record.read_text(encoding="utf-8").splitlines())


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for pytest. Whoever stops this stops it as well, and it its databases."""
    try:
        process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise


def outcomes(lines: Sequence[str]) -> list[Outcome]:
    """The outcomes in a record. Cases of a test that claim the same rows count as one: it passed if all did, and
    failed if one did."""
    cases: dict[tuple[Claim, str], list[str]] = {}
    for line in map(json.loads, lines):
        claim = Claim(line["test"], tuple(line["ids"]))
        cases.setdefault((claim, line["guard"]), []).append(line["outcome"])
    return [
        Outcome(claim, guard, passed=set(ended) == {"passed"}, failed="failed" in ended)
        for (claim, guard), ended in cases.items()
    ]


def files_of(claims: Iterable[Claim]) -> list[str]:
    """The files that hold these tests."""
    return sorted({claim.test.partition("::")[0] for claim in claims})
