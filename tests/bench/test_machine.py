from pathlib import Path

import pytest

from tests.bench import machine


def test_the_machine_tells_what_it_is(tmp_path: Path) -> None:
    facts = machine.look(tmp_path)
    assert facts.cores >= 1
    assert facts.memory_gb > 0.1
    assert facts.fsync_ms > 0
    assert "Python" in facts.python
    assert facts.commit


def test_a_checkout_without_a_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CHECKOUT", tmp_path)
    assert machine.commit() == "unknown"


def test_the_file_system_of_a_path_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    assert machine.file_system(Path("/proc/self")) == "proc"
    assert machine.file_system(tmp_path) != "proc"
