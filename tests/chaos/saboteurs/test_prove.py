"""tests.chaos.saboteurs: what counts as noticed, and that every saboteur names a story that is there."""

import ast
from pathlib import Path

import pytest

from hub.settings import CHECKOUT
from tests.chaos.saboteurs import prove, saboteur
from tests.chaos.saboteurs.prove import Run

ONE = saboteur.known()["two_at_once"]


def run(who: str, outcome: str, broken: str | None = None) -> Run:
    return Run(who, ONE.story, outcome, broken, 1.0, "call: Broken: words")


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run("", "passed"), run(ONE.name, "failed", "backwards")], "red"),
        ([run("", "passed"), run(ONE.name, "passed")], "green"),
        ([run("", "passed"), run(ONE.name, "failed", "lost")], "red for another reason"),
        ([run("", "passed"), run(ONE.name, "failed")], "red for another reason"),
        ([run("", "failed"), run(ONE.name, "failed", "backwards")], "the story fails with the guard on"),
        ([run("", "passed")], "did not run"),
        ([], "did not run"),
    ],
)
def test_only_the_promise_that_falls_with_the_guard_counts(runs: list[Run], expected: str) -> None:
    assert prove.verdict(ONE, runs) == expected


def test_the_table_says_who_got_away_and_how_the_runs_ended() -> None:
    noticed = [*prove.table([ONE], [run("", "passed"), run(ONE.name, "failed", "backwards")])]
    assert noticed[0].startswith("two_at_once  red, backwards")
    assert noticed[-1] == "1 of 1 saboteurs are noticed"
    away = [*prove.table([ONE], [run("", "passed"), run(ONE.name, "passed")])]
    assert "GREEN" in away[0]
    assert away[1:] == [
        "    as it is: passed call: Broken: words",
        "    two_at_once: passed call: Broken: words",
        "0 of 1 saboteurs are noticed",
    ]


def test_every_saboteur_has_a_story_and_every_story_a_saboteur() -> None:
    files = sorted((CHECKOUT / saboteur.STORIES).glob("test_*.py"))
    stories = {f"{saboteur.STORIES}{file.name}::{name}" for file in files for name in _tests(file)}
    assert {one.story for one in saboteur.known().values()} == stories
    assert all(one.guard for one in saboteur.known().values())
    assert len(saboteur.known()) >= 12


async def test_a_name_that_nobody_has_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert await prove.main(["nobody"]) == 2
    assert "there is no saboteur nobody; there are answer_before_commit" in capsys.readouterr().err


def _tests(file: Path) -> list[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")]
