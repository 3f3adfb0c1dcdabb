import json

import pytest

from tests.bench import figures
from tests.bench.figures import Findings, Line, Run


def line(ours: list[Run], floor: list[Run], paced: Run | None = None, samples: int = 0) -> Line:
    found = Findings(ours, floor, paced, samples=samples)
    return figures.line("forward", found, floor="a bare forwarder", rss_mb=123.456, commit="abc1234")


def test_rates_are_medians_and_the_ratio_is_between_them() -> None:
    found = line([Run(per_s=rate, count=1) for rate in (90, 300, 310, 320, 5_000)], [Run(1_000, 1), Run(1_240, 1)])
    assert (found.ours_per_s, found.floor_per_s) == (310, 1_120)
    assert found.ratio == pytest.approx(310 / 1_120)
    assert found.void == ()


def test_a_line_of_json_has_the_agreed_keys_first() -> None:
    told = line([Run(100, 400, busy=0.5)], [Run(400, 1600)], Run(50, 10_000, 0.2, 1.2345, 9.8765), 10_000).as_json()
    assert "\n" not in told
    keys = ["bench", "ratio", "ours_per_s", "floor_per_s", "p50_ms", "p99_ms", "rss_mb", "commit"]
    assert list(json.loads(told))[:8] == keys
    assert json.loads(told) | {"floor": ""} == {
        "bench": "forward", "ratio": 0.25, "ours_per_s": 100, "floor_per_s": 400, "p50_ms": 1.23, "p99_ms": 9.88,
        "rss_mb": 123.5, "commit": "abc1234", "floor": "", "generator_cpu": 0.5, "runs": 1, "samples": 10_000,
    }  # fmt: skip


def test_without_a_floor_there_is_no_ratio() -> None:
    found = figures.line("latency", Findings((), paced=Run(0, 1_000, 0, 5, 9)), floor="none", rss_mb=1, commit="x")
    assert (found.ratio, found.ours_per_s, found.floor_per_s) == (None, None, None)
    assert (found.p50_ms, found.p99_ms, found.samples) == (5, 9, 1_000)


def test_one_run_whose_generator_was_the_limit_makes_the_line_void() -> None:
    found = line([Run(100, 1, busy=0.3)], [Run(400, 1, busy=0.9), Run(900, 1, busy=0.97)])
    assert found.void == ("the load generator was the limit (0.97 of a core)",)
    assert json.loads(found.as_json())["void"] == list(found.void)


def test_a_fault_of_any_run_makes_the_line_void_and_is_told_once() -> None:
    found = line([Run(100, 1, faults=("3 wrong answers",))] * 2, [Run(400, 1)], Run(50, 9, faults=("lost",)))
    assert found.void == ("3 wrong answers", "lost")


def test_too_few_samples_are_told_and_do_not_make_the_line_void() -> None:
    found = line([Run(1, 4)], [Run(4, 16)], Run(0.5, 20, p99_ms=900), samples=10_000)
    assert found.short
    assert found.void == ()
    assert json.loads(found.as_json())["short"] is True
    assert not line([Run(1, 4)], [Run(4, 16)], Run(0.5, 10_000, p99_ms=900), samples=10_000).short


def test_what_was_answered_must_be_in_the_database() -> None:
    assert figures.kept(Run(10, 40), 40).faults == ()
    assert figures.kept(Run(10, 40), 45).faults == ()  # the last answers came after the end
    assert figures.kept(Run(10, 40), 39).faults == ("40 changes were answered, 39 are in the database",)


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(100, 0, -1))
    assert [figures.percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert figures.percentile([7.0], 99) == 7
    assert figures.timed(Run(1, 2), [1.0, 2.0, 3.0]).p99_ms == 3
    assert figures.timed(Run(1, 0), []).p99_ms is None
