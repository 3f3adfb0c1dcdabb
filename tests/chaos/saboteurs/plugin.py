"""A pytest plugin that runs stories as they are and once more with each saboteur at work.

    pytest -p tests.chaos.saboteurs.plugin --saboteurs NAME,NAME --told-to FILE tests/chaos/stories

FILE gets a line of JSON for each run: the saboteur (empty for none), the story, "passed" or "failed", the promise that
was broken if one was, the seconds, and what was said.
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.saboteurs import saboteur
from tests.chaos.stories.promise import Broken

NOBODY = ""
PROPERTY = "saboteur"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options above."""
    group = parser.getgroup("saboteurs")
    group.addoption("--saboteurs", metavar="NAMES", default="")
    group.addoption("--told-to", metavar="FILE", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Without --told-to there is nothing to do."""
    if config.option.told_to is not None:
        config.pluginmanager.register(_Selection(config.option.saboteurs.split(",")), "saboteurs-selection")
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(_Record(config.option.told_to), "saboteurs-record")


@pytest.fixture(autouse=True)
def at_work(request: pytest.FixtureRequest) -> str:
    """The saboteur at work, empty for none."""
    return str(getattr(request, "param", NOBODY))


class _Selection:
    """Picks the stories, and sends a saboteur in before the first fixture of a run and takes it back after the last."""

    def __init__(self, names: list[str]) -> None:
        self._chosen = {name: saboteur.known()[name] for name in names}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """As it is, then with each of its saboteurs."""
        names = [one.name for one in self._chosen.values() if one.story == metafunc.definition.nodeid]
        if names:
            metafunc.parametrize("at_work", [NOBODY, *names], indirect=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Only stories that a saboteur was chosen for."""
        chosen = [item for item in items if _name(item) is not None]
        config.hook.pytest_deselected(items=[item for item in items if _name(item) is None])
        items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """One run."""
        with pytest.MonkeyPatch.context() as off:
            if name := _name(item):
                off.setenv(saboteur.VARIABLE, name)
                self._chosen[name].switch_off(off)
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """What is told of it."""
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if report.when == "call" or report.failed:
            facts = {
                "saboteur": _name(item),
                "story": item.nodeid.partition("[")[0],
                "outcome": "passed" if report.passed else "failed",
                "broken": error.promise if isinstance(error, Broken) and report.when == "call" else None,
                "seconds": round(call.duration, 1),
                "said": ""
                if error is None
                else f"{report.when}: {type(error).__name__}: {error}".splitlines()[0][:200],
            }
            report.user_properties.append((PROPERTY, facts))
        return report


class _Record:
    """Writes the lines."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase is over."""
        facts = dict(report.user_properties).get(PROPERTY)
        if facts is not None:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(facts) + "\n")


def _name(item: pytest.Item) -> str | None:
    callspec: Any = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("at_work")
