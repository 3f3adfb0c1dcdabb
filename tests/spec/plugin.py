"""A pytest plugin that runs the tests which claim rows, and writes down how each ended; with guards switched off, too.

    pytest -p tests.spec.plugin --claims-to FILE [--claims-of ID,ID...] [--guards NAME,NAME...]

FILE gets a line of JSON for each test: its node id without the case, the rows it claims, the guard that was off (none:
empty) and "passed", "failed" or "broken" (it failed outside of the test itself, or never ran). With `--guards`, a test
runs once as it is and once without each guard that keeps a row it claims.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.spec import guard, marks

PROPERTY = "claims"
AS_IT_IS = ""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options above."""
    group = parser.getgroup("conformance")
    group.addoption("--claims-to", metavar="FILE", type=Path)
    group.addoption("--claims-of", metavar="IDS", default="")
    group.addoption("--guards", metavar="NAMES", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Write in the process that sees every report: without xdist the only one, with it the controller."""
    if config.option.claims_to is not None:
        config.pluginmanager.register(_Selection(config), "conformance-selection")
        if not hasattr(config, "workerinput"):
            config.pluginmanager.register(_Record(config.option.claims_to), "conformance-record")


@pytest.fixture(autouse=True)
def without(request: pytest.FixtureRequest) -> str:
    """The name of the guard that is switched off, empty for none."""
    return str(getattr(request, "param", AS_IT_IS))


class _Selection:
    """Picks the tests, and switches guards off around them."""

    def __init__(self, config: pytest.Config) -> None:
        self._wanted = frozenset(filter(None, config.option.claims_of.split(",")))
        names = list(filter(None, config.option.guards.split(",")))
        self._guards = {name: guard.known()[name] for name in names}
        self._claims: dict[str, set[str]] = {}
        for claim in marks.read() if names else ():
            self._claims.setdefault(claim.test, set()).update(claim.ids)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One more dimension: as it is, then without each guard."""
        claimed = self._claims.get(metafunc.definition.nodeid, set())
        names = [name for name, found in self._guards.items() if claimed.intersection(found.rows)]
        if names:
            metafunc.parametrize("without", [AS_IT_IS, *names], indirect=True)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave what claims a wanted row, and of the guards' dimension what fits the row of this very case."""
        chosen: list[pytest.Item] = []
        rest: list[pytest.Item] = []
        for item in items:
            ids = _claimed(item)
            (chosen if ids and self._is_wanted(ids, _guard_of(item)) else rest).append(item)
            item.user_properties.append((PROPERTY, {"ids": ids, "guard": _guard_of(item)}))
        config.hook.pytest_deselected(items=rest)
        items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """The guard is off from before the first fixture until after the last."""
        with pytest.MonkeyPatch.context() as off:
            name = _guard_of(item)
            if name:
                self._guards[name].switch_off(off)
            return (yield)

    def _is_wanted(self, ids: list[str], name: str) -> bool:
        if name:
            return not self._guards[name].rows or any(id in self._guards[name].rows for id in ids)
        return not self._wanted or any(id in self._wanted for id in ids)


class _Record:
    """Writes the lines."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._phases: dict[str, list[pytest.TestReport]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test is over with its teardown."""
        phases = self._phases.setdefault(report.nodeid, [])
        phases.append(report)
        claims = dict(report.user_properties).get(PROPERTY)
        if report.when == "teardown" and isinstance(claims, dict):
            line = {"test": report.nodeid.partition("[")[0], **claims, "outcome": _outcome(phases)}
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")


def _outcome(phases: list[pytest.TestReport]) -> str:
    by_name = {report.when: report.outcome for report in phases}
    if by_name.get("call") == "failed":
        return "failed"
    return "passed" if set(by_name.values()) == {"passed"} and "call" in by_name else "broken"


def _claimed(item: pytest.Item) -> list[str]:
    return sorted({str(id) for mark in item.iter_markers("catalogue") for id in mark.args})


def _guard_of(item: pytest.Item) -> str:
    callspec: Any = getattr(item, "callspec", None)
    return str(callspec.params.get("without", AS_IT_IS)) if callspec is not None else AS_IT_IS
