"""The table of conformance, its targets, and what data files may say."""

from pathlib import Path

import pytest

from tests.spec import catalogue, page, table
from tests.spec.catalogue import Duty, Row
from tests.spec.table import Count, Evidence

OWN = Row("A-1", "a", "hub", "MUST", "The hub does it.")
OTHER = Row("A-2", "a", "sender", "MUST", "A sender does it.")
WAITING = Row("B-1", "b", "both", "MUST", "Later.", waits="the tariff engine")
EXEMPT = Row("B-2", "b", "both", "MUST", "A reading rule.", exempt="nothing to test")
NICE = Row("B-3", "b", "receiver", "SHOULD", "x" * 200)
ROWS = [OWN, OTHER, WAITING, EXEMPT, NICE]
ALL = {"A-1": ["t"], "A-2": ["t"], "B-3": ["t", "u"]}


def test_rows_are_counted_by_module_and_duty() -> None:
    found = table.counts(ROWS, Evidence({"A-1": ["t"], "A-2": ["t"]}, {"A-1"}))
    assert (found["a"][Duty.OWN], found["a"][Duty.OTHER]) == (Count(1, 1, 1), Count(1, 1, 0))
    assert (found["b"][Duty.OWN], found["b"][Duty.SHOULD], found["b"][Duty.MAY]) == (
        Count(2, 0, 0),
        Count(1, 0, 0),
        Count(0, 0, 0),
    )


def test_what_waits_is_not_due_and_what_is_exempt_is_missing_and_let_off() -> None:
    own, other, should = table.targets(ROWS, Evidence(ALL))
    assert (own.rows, own.proven, own.waiting, own.exempt, own.met) == (2, 1, 1, 1, True)
    assert other.met
    assert should.met
    assert table.summary(ROWS, Evidence(ALL)) == (
        "conformance met, by marks only: MUST, hub and both 1 of 2 (1 more wait, 1 exempt);"
        " MUST, sender or receiver 1 of 1 (100.0 %, wanted 95 %); SHOULD 1 of 1 (100.0 %, wanted 80 %)"
    )


@pytest.mark.parametrize("lost", sorted(ALL))
def test_each_target_is_missed_without_its_row(lost: str) -> None:
    assert table.is_met(ROWS, Evidence(ALL, set(ALL)))
    assert not table.is_met(ROWS, Evidence({id: tests for id, tests in ALL.items() if id != lost}))
    assert not table.is_met(ROWS, Evidence(ALL, set(ALL) - {lost}))


@pytest.mark.parametrize(("proven", "met"), [(95, True), (94, False)])
def test_a_share_is_reached_or_not(proven: int, met: bool) -> None:
    rows = [Row(f"A-{n}", "a", "sender", "MUST", "") for n in range(100)]
    evidence = Evidence({f"A-{n}": ["t"] for n in range(proven)})
    assert [target.met for target in table.targets(rows, evidence)] == [True, met, True]
    assert f"{proven}.0 %" in table.summary(rows, evidence)


def test_a_share_is_never_rounded_up() -> None:
    rows = [Row(f"A-{n}", "a", "hub", "SHOULD", "") for n in range(1_250)]
    assert "(79.9 %, wanted 80 %)" in table.summary(rows, Evidence({f"A-{n}": ["t"] for n in range(999)}))


def test_the_text_names_passing_only_after_a_run() -> None:
    by_marks, run = list(table.as_text(ROWS, Evidence(ALL))), list(table.as_text(ROWS, Evidence(ALL, {"A-1"})))
    assert "passing" not in by_marks[1]
    assert run[1].split() == ["module", *["rows", "tested", "passing"] * 4]
    assert run[-1].split() == ["total", "3", "1", "1", "1", "1", "0", "1", "1", "0", "0", "0", "0"]
    assert [line.split()[0] for line in table.as_lines([WAITING, EXEMPT, NICE])] == ["B-1", "B-2", "B-3"]


def test_the_page_lists_what_is_missing_and_the_tests_of_the_rest() -> None:
    text = page.render(ROWS, Evidence({"A-1": ["tests/x.py::test_a"], "B-3": ["tests/x.py::test_b"]}))
    assert "| a | 1 / 1 | 0 / 1 | 0 / 0 | 0 / 0 |" in text
    assert "- A-2 (MUST, sender): A sender does it.\n" in text
    assert "- B-1 (MUST, both): Later. **the tariff engine**" in text
    assert "- B-2 (MUST, both): A reading rule. **nothing to test**" in text
    assert "| B-3 | SHOULD | receiver | `x.py::test_b` |" in text


def data(folder: Path, waiting: str = "", exempt: str = "", rows: int = 12) -> Path:
    """A folder with a catalogue of rows A-0, A-1 and so on, and one that was withdrawn."""
    lines = "".join(f"A-{n},a,hub,MUST,Something.,where\n" for n in range(rows))
    head = "id,module,role,strength,requirement,where\n"
    (folder / "catalogue.csv").write_text(f"{head}{lines}V-1,a,hub,MUST,VOID: withdrawn,where\n")
    for name, body in (("waiting.csv", waiting), ("exempt.csv", exempt)):
        (folder / name).write_text("id,reason\n" + body)
    return folder


def test_withdrawn_rows_do_not_count_and_reasons_are_read(tmp_path: Path) -> None:
    rows = catalogue.read(data(tmp_path, "A-1,later\n", "A-2,no way\n"))
    assert (len(rows), rows[1].waits, rows[2].exempt) == (12, "later", "no way")
    assert catalogue.faults(rows, {"A-1"}, tmp_path) == []


@pytest.mark.parametrize(
    ("waiting", "exempt", "fault"),
    [
        ("X-1,later\n", "", "waiting.csv: there is no row X-1"),
        ("", "A-1, \n", "exempt.csv: A-1 is there without a reason"),
        ("A-1,later\n", "A-1,no way\n", "exempt.csv: A-1 is exempt and waits"),
        ("", "A-3,no way\n", "exempt.csv: A-3 has a test, it is not exempt"),
        (
            "",
            "".join(f"A-{n},no way\n" for n in (0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11)),
            "exempt.csv: 11 rows are the hub's own duty, 10 at most may be exempt",
        ),
    ],
)
def test_what_data_files_may_not_say(tmp_path: Path, waiting: str, exempt: str, fault: str) -> None:
    folder = data(tmp_path, waiting, exempt)
    assert catalogue.faults(catalogue.read(folder), {"A-3"}, folder) == [fault]
