"""The proof by sabotage, and the pytest under it, on tests made for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.ocpi import errors
from hub.settings import CHECKOUT
from tests.spec import catalogue, guard, prove, runs
from tests.spec.guard import Guard
from tests.spec.marks import Claim
from tests.spec.runs import Outcome

OFF = Guard("some_guard", ("A-1", "A-2"), lambda off: None)
STRONG, WEAK, BROKEN = (Claim(name, ("A-1",)) for name in ("strong", "weak", "broken"))


def outcome(claim: Claim, guard: str, ended: str) -> Outcome:
    return Outcome(claim, guard, passed=ended == "passed", failed=ended == "failed")


def ran(claim: Claim, with_guard: str, without: str) -> list[Outcome]:
    return [outcome(claim, "", with_guard), outcome(claim, "some_guard", without)]


@pytest.mark.parametrize("found", guard.known().values(), ids=lambda found: found.name)
def test_what_a_guard_switches_off_is_there(found: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    found.switch_off(monkeypatch)


def test_a_guard_is_proven_when_all_that_claim_it_turn_red() -> None:
    assert prove.is_proven(OFF, [STRONG], ran(STRONG, "passed", "failed"))


@pytest.mark.parametrize(
    ("claims", "found", "why"),
    [
        ([], [], None),
        ([STRONG, WEAK], ran(STRONG, "passed", "failed") + ran(WEAK, "passed", "passed"), "weak (A-1)"),
        ([BROKEN], ran(BROKEN, "passed", "broken"), "broken (A-1): broke outside the test"),
        ([BROKEN], ran(BROKEN, "failed", "failed"), "broken (A-1): does not pass with the guard on"),
        ([STRONG], [outcome(STRONG, "", "passed")], "strong (A-1): did not run"),
    ],
)
def test_what_proves_nothing(claims: list[Claim], found: list[Outcome], why: str | None) -> None:
    assert not prove.is_proven(OFF, claims, found)
    lines = list(prove.report([OFF], claims, found))
    assert lines[1:] == ([] if why is None else [f"    not red: {why}"])


def test_cases_that_claim_the_same_are_one_test() -> None:
    def line(outcome: str, ids: list[str], guard: str = "") -> str:
        return json.dumps({"test": "t", "ids": ids, "guard": guard, "outcome": outcome})

    found = runs.outcomes([line("passed", ["A-1"]), line("failed", ["A-1"]), line("passed", ["A-2"])])
    assert found == [
        Outcome(Claim("t", ("A-1",)), "", passed=False, failed=True),
        Outcome(Claim("t", ("A-2",)), "", passed=True, failed=False),
    ]


def test_there_are_forty_guards_each_in_words_and_of_rows_that_exist() -> None:
    known, rows = guard.known(), {row.id for row in catalogue.read()}
    assert len(known) == 40
    for found in known.values():
        assert found.rows
        assert rows.issuperset(found.rows)
        assert found.switch_off.__doc__


TESTS = """
import pytest
from hub.ocpi import errors

@pytest.mark.catalogue("TF-144")
def test_claims_and_turns_red():
    assert errors.InvalidJson.http_status == 400

@pytest.mark.catalogue("TF-145")
def test_claims_another_row():
    assert errors.InvalidJson.http_status == 400

@pytest.mark.parametrize("case", [1, pytest.param(2, marks=pytest.mark.catalogue("TF-144")), 3])
def test_cases(case):
    assert case == 2

def test_claims_nothing():
    raise AssertionError
"""


def test_only_what_claims_runs_and_every_outcome_is_written_down(tmp_path: Path) -> None:
    (tmp_path / "test_made.py").write_text(TESTS)
    record = tmp_path / "record"
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", "-p", "tests.spec.plugin"]
    command += ["-o", "markers=catalogue(*ids): rows", "--claims-to", str(record), "--claims-of", "TF-144"]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([*command, "test_made.py"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    found = [json.loads(line) for line in record.read_text().splitlines()]
    assert [(line["test"], line["ids"], line["guard"], line["outcome"]) for line in found] == [
        ("test_made.py::test_claims_and_turns_red", ["TF-144"], "", "passed"),
        ("test_made.py::test_cases", ["TF-144"], "", "passed"),
    ]


def test_a_guard_is_off_inside_and_on_again_after() -> None:
    known = guard.known()["unfit_json_is_http_200"]
    with pytest.MonkeyPatch.context() as off:
        known.switch_off(off)
        assert errors.InvalidParameters.http_status == 400
    assert errors.InvalidParameters.http_status == 200
