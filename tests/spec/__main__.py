"""`./run conformance [MODULE...] [--collect] [--write] [--prove]`: how much of OCPI 2.2.1 is proven by tests.

Runs every test that claims rows of the catalogue (`pytest.mark.catalogue`) and shows per module how many rows have a
test and pass, which have none, which fail. `--collect` only counts marks. `--write` renews CONFORMANCE.md. `--prove`
switches the guards off one by one instead, and shows that every test that claims a guard's rows turns red.
Exit status: 0, 1 while the targets are missed, 2 when marks or data files are at fault.
"""

import argparse
import signal
import sys
from collections.abc import Sequence

from tests.spec import catalogue, marks, page, prove, runs, table
from tests.spec.catalogue import Row
from tests.spec.marks import Claim
from tests.spec.table import Evidence


def main() -> int:
    """The command."""
    rows = catalogue.read()
    asked = _arguments(sorted({row.module for row in rows}))
    try:
        claims = marks.read()
    except marks.Unreadable as error:
        return _stop([str(error)])
    tests = marks.by_row(claims)
    problems = marks.faults(claims, {row.id for row in rows}) + catalogue.faults(rows, set(tests))
    if problems:
        return _stop(problems)
    if asked.write:
        page.FILE.write_text(page.render(rows, Evidence(tests)), encoding="utf-8")
        sys.stderr.write(f"{page.FILE} is written\n")
    if asked.prove:
        return prove.main(asked.modules, rows, claims)
    chosen = [row for row in rows if row.module in asked.modules or not asked.modules]
    evidence = Evidence(tests) if asked.collect else _run(chosen, claims)
    _show(chosen, evidence)
    return 0 if table.is_met(chosen, evidence) else 1


def _run(rows: Sequence[Row], claims: Sequence[Claim]) -> Evidence:
    """Run what claims these rows; a row passes when every claim of it was seen to pass."""
    wanted = {row.id for row in rows}
    due = [claim for claim in claims if wanted.intersection(claim.ids)]
    found = runs.run(runs.files_of(due), "--claims-of", ",".join(sorted(wanted)))
    passed = {outcome.claim for outcome in found if outcome.passed}
    failing = [claim for claim in due if claim not in passed]
    for claim in dict.fromkeys(failing):
        sys.stdout.write(f"failed or not run: {claim.test} ({', '.join(claim.ids)})\n")
    bad = {id for claim in failing for id in claim.ids}
    tests = marks.by_row(claims)
    return Evidence(tests, {id for id in tests if id in wanted and id not in bad})


def _show(rows: Sequence[Row], evidence: Evidence) -> None:
    lines = [*table.as_text(rows, evidence), ""]
    untested = [row for row in rows if row.id not in evidence.tests]
    lines += ["Not tested:", *table.as_lines(untested), ""] if untested else []
    failing = [row for row in rows if row.id in evidence.tests and not evidence.proves(row)]
    lines += ["Failing:", *table.as_lines(failing), ""] if failing else []
    sys.stdout.write("\n".join([*lines, table.summary(rows, evidence)]) + "\n")


def _stop(problems: Sequence[str]) -> int:
    sys.stderr.write("".join(f"conformance: {problem}\n" for problem in problems))
    return 2


def _arguments(modules: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run conformance",
        description="Show how much of OCPI 2.2.1 is proven by tests of this hub.",
        epilog="With an address, `./run conformance URL`, somebody else's endpoint is tested instead.",
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"one of {', '.join(modules)}; all if left out")
    parser.add_argument("--collect", action="store_true", help="count marks, run nothing")
    parser.add_argument("--write", action="store_true", help="renew tests/spec/CONFORMANCE.md")
    parser.add_argument("--prove", action="store_true", help="switch guards off: the tests of their rows must turn red")
    asked = parser.parse_args()
    unknown = [name for name in asked.modules if name not in modules]
    if unknown:
        parser.error(f"there is no module {unknown[0]}: choose from {', '.join(modules)}")
    return asked


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stopped)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("conformance: stopped\n")
        sys.exit(130)
