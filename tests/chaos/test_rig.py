"""Pieces of the rig: ledgers that are on disk when they say so, processes that come back, answers held to a rule."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from tests.chaos import hub
from tests.chaos.__main__ import found
from tests.chaos.hub import Command, Kept
from tests.chaos.ledger import Ledger, Reader
from tests.chaos.rig import Result, code
from tests.chaos.runs import postgres

Eventually = Callable[[Callable[[], object]], Awaitable[None]]

SLEEPER = [sys.executable, "-c", "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"]


async def test_a_line_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger(file)
    await asyncio.gather(*(ledger.write({"number": number}) for number in range(50)))
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["number"] for line in lines] == list(range(50))
    assert all({"t", "wall"} <= line.keys() for line in lines)
    await ledger.close()


async def test_lines_that_wait_together_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("tests.chaos.ledger.fdatasync", synced.append)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    await asyncio.gather(*(ledger.write({"number": number}) for number in range(50)))
    assert 1 <= len(synced) <= 2
    await ledger.close()


def test_a_reader_takes_whole_lines_only_and_each_once(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    reader = Reader(file)
    assert list(reader.news()) == []
    file.write_bytes(b'{"a":1}\n{"a":')
    assert list(reader.news()) == [{"a": 1}]
    file.write_bytes(b'{"a":1}\n{"a":2}\n')
    assert list(reader.news()) == [{"a": 2}]


@pytest.fixture
async def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Eventually) -> AsyncIterator[Kept]:
    """A process with a child of its own."""
    monkeypatch.setattr(hub, "PAUSE", 0.01)
    kept = Kept(Command("sleeper", SLEEPER, os.environ, tmp_path / "log"))
    await kept.start()
    await eventually(lambda: list(hub.descendants(kept.pid or 0)))
    yield kept
    await kept.stop()


async def test_a_killed_process_takes_its_children_with_it_and_comes_back(kept: Kept, eventually: Eventually) -> None:
    first = kept.pid
    assert first is not None
    (child,) = hub.descendants(first)
    assert kept.kill()
    await kept.up()
    assert kept.pid not in (None, first)
    assert kept.starts == 2
    await eventually(lambda: not _runs(child))


async def test_a_process_that_is_held_down_stays_down_until_it_is_released(kept: Kept, eventually: Eventually) -> None:
    kept.kill(hold=True)
    await eventually(lambda: kept.pid is None)
    await asyncio.sleep(0.1)
    assert kept.pid is None
    kept.release()
    await kept.up()
    assert kept.starts == 2


async def test_a_pause_stops_all_of_a_process(kept: Kept, eventually: Eventually) -> None:
    pid = kept.pid
    assert pid is not None
    everybody = (pid, *hub.descendants(pid))
    kept.pause()
    await eventually(lambda: {_state(one) for one in everybody} == {"T"})
    kept.resume()
    await eventually(lambda: "T" not in {_state(one) for one in everybody})


def test_answers_without_a_database_are_held_to_the_rule() -> None:
    refusal = {"t": 1.0, "ms": 5.0, "outcome": "info", "http": 503, "ocpi": 3000, "retry_after": "1"}
    assert postgres.wrong([refusal]) == []
    assert "claimed a success" in str(postgres.wrong([refusal, refusal | {"outcome": "ok", "http": 200, "ocpi": 1000}]))
    assert "came late" in str(postgres.wrong([refusal | {"ms": 1500.0}]))
    assert "neither 503" in str(postgres.wrong([refusal | {"http": 500, "ocpi": 0}]))
    assert "nobody asked" in str(postgres.wrong([]))


def test_every_run_is_found_by_its_name() -> None:
    assert {"crash", "pause", "redis", "postgres", "clock"} <= set(found())


def test_receivers_have_codes_of_their_own() -> None:
    assert code(0) == "DE*AA0"
    assert len({code(number) for number in range(1_000)}) == 1_000


def test_a_result_is_one_line(tmp_path: Path) -> None:
    passed = orjson.loads(Result({"lost": 0}).as_json("crash", 7, None, 1.25))
    assert passed == {"run": "crash", "seed": 7, "ok": True, "lost": 0, "took_s": 1.2, "faults": [], "evidence": None}
    failed = orjson.loads(Result({}, ["lost: 1"]).as_json("crash", 7, tmp_path, 1))
    assert (failed["ok"], failed["evidence"]) == (False, str(tmp_path))


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _runs(pid: int) -> bool:
    try:
        return _state(pid) not in "ZX"
    except OSError:
        return False
