import json
from dataclasses import replace

import pytest

from tests.bench import figures, results
from tests.bench.figures import Findings, Run
from tests.bench.machine import Facts

FACTS = Facts("2026-11-21 12:00 UTC", "abc1234", "Some CPU", 2, 25.2, "Linux 6.1", "CPython 3.11.7", "ext4", 0.534)
OURS, FLOOR = [Run(500, 2_000, 0.2)], [Run(2_000, 8_000, 0.6)]
PACED, BESIDE = Run(250, 10_000, 0.1, 4.0, 12.5), Run(250, 10_000, 0.1, 1.0, 3.5)


def line(found: Findings) -> figures.Line:
    return figures.line("forward", found, floor="a bare forwarder", rss_mb=141, commit="abc1234")


def row(found: Findings) -> str:
    return results.render(FACTS, [line(found)]).split("| --- |\n")[1].splitlines()[0]


def test_the_file_names_machine_and_date() -> None:
    text = results.render(FACTS, [])
    for fact in ("2026-11-21 12:00 UTC", "Some CPU, 2 cores, 25 GB", "CPython 3.11.7", "ext4, 0.53 ms"):
        assert fact in text


def test_what_was_measured_anew_takes_its_old_place() -> None:
    old = [replace(line(Findings(OURS, FLOOR, PACED, BESIDE)), bench=name) for name in ("accept", "forward", "page")]
    new = [replace(old[1], commit="def5678", void=("nothing came",)), replace(old[0], bench="ocpp")]
    found = results.renewed(results.render(FACTS, old), new)
    assert found == [old[0], new[0], old[2], new[1]]
    assert results.renewed("", new) == new


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            Findings(OURS, FLOOR, PACED, samples=10_000),
            "| forward | 0.25 | 500 | 2,000 | 4.0 | 12.5 | 141 | 0.60 | abc1234 | a bare forwarder |",
        ),
        (
            Findings(OURS, FLOOR, PACED, BESIDE, 20_000),
            "| forward | 0.25 | 500 | 2,000 | 4.0 | 12.5 (floor 3.5, 10,000 samples only) | 141 | 0.60 |"
            " abc1234 | a bare forwarder |",
        ),
        (
            Findings((), paced=PACED),
            "| forward |  |  |  | 4.0 | 12.5 | 141 | 0.10 | abc1234 | a bare forwarder |",
        ),
        (
            Findings([Run(500, 9, 0.95)], FLOOR, PACED),
            "| forward | void |  |  |  |  |  |  | abc1234 | the load generator was the limit (0.95 of a core) |",
        ),
    ],
    ids=["whole", "with a floor's latency and few samples", "without a floor", "void"],
)
def test_a_row_of_the_table(found: Findings, expected: str) -> None:
    assert row(found) == expected


def test_every_line_stands_there_as_json_too() -> None:
    lines = [line(Findings(OURS, FLOOR, PACED)), line(Findings(OURS, FLOOR))]
    told = results.render(FACTS, lines).split("```json\n")[1].split("```")[0].splitlines()
    assert [json.loads(text)["p99_ms"] for text in told] == [12.5, None]
