"""CONFORMANCE.md: the table by marks, and for each row the tests that prove it. Pure, but for the place of the file."""

from collections.abc import Iterator, Sequence

from tests.spec import table
from tests.spec.catalogue import HERE, Duty, Row
from tests.spec.table import Evidence

FILE = HERE / "CONFORMANCE.md"

HEAD = """\
# Conformance to OCPI 2.2.1

Written by `./run conformance --write` from the marks on the tests; do not edit. The rows are those of
[catalogue.csv](catalogue.csv). `./run conformance` runs the tests and says which rows pass; `./run conformance --prove`
switches guards off, one by one, and shows that the tests of their rows turn red.
"""


def render(rows: Sequence[Row], evidence: Evidence) -> str:
    """The text of the file."""
    untested = [row for row in rows if row.id not in evidence.tests]
    return "\n".join([
        HEAD,
        *(f"- {target}" for target in table.targets(rows, evidence)),
        "",
        "A cell is: rows with a test / rows.",
        "",
        *_summary(rows, evidence),
        "",
        "## Not tested",
        "",
        *_listed([row for row in untested if not row.waits and not row.exempt]),
        "",
        "## Waiting",
        "",
        *_listed([row for row in rows if row.waits]),
        "",
        "## Exempt",
        "",
        *_listed([row for row in rows if row.exempt]),
        "",
        "## Tests",
        "",
        "Paths are below `tests/`.",
        "",
        *_tests(rows, evidence),
        "",
    ])  # fmt: skip


def _summary(rows: Sequence[Row], evidence: Evidence) -> Iterator[str]:
    yield f"| module | {' | '.join(Duty)} |"
    yield f"|---|{'--:|' * len(Duty)}"
    for module, parts in table.counts(rows, evidence).items():
        yield f"| {module} | {' | '.join(f'{parts[duty].tested} / {parts[duty].rows}' for duty in Duty)} |"


def _listed(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        yield "None."
    for row in rows:
        reason = row.waits or row.exempt
        aside = f" **{reason}**" if reason else ""
        yield f"- {row.id} ({row.strength}, {row.role}): {table.shortened(row.requirement)}{aside}"


def _tests(rows: Sequence[Row], evidence: Evidence) -> Iterator[str]:
    yield "| row | strength | role | tests |"
    yield "|---|---|---|---|"
    for row in rows:
        names = [f"`{name.removeprefix('tests/')}`" for name in evidence.tests.get(row.id, ())]
        if names:
            yield f"| {row.id} | {row.strength} | {row.role} | {'<br>'.join(names)} |"
