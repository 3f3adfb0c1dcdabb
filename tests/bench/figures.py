"""Figures: what one run found out, the line that sums up several, and when they do not count. Pure."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

BUSY = 0.9
"""A load generator that was at work for more than this share of the time was the limit itself."""


@dataclass(frozen=True)
class Run:
    """One run against one side. `busy` is the share of a core that the busiest process of the measuring side used
    (what makes the load, what takes it). `faults` say why the run does not count."""

    per_s: float
    count: int
    busy: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """The result of a bench. Rates are medians, latencies those of the hub at half of its measured maximum, `samples`
    how many these rest on (`short`: fewer than they should, since it would have taken too long). A figure that a bench
    does not have is None; `void` says why none of them counts."""

    bench: str
    ratio: float | None
    ours_per_s: float | None
    floor_per_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    rss_mb: float
    commit: str
    floor: str
    generator_cpu: float
    runs: int
    samples: int
    short: bool = False
    void: tuple[str, ...] = ()
    more: dict[str, float | None] = field(default_factory=dict)

    def as_json(self) -> str:
        """One line of JSON."""
        values: dict[str, Any] = {
            "bench": self.bench,
            "ratio": _rounded(self.ratio, 3),
            "ours_per_s": _rounded(self.ours_per_s, 1),
            "floor_per_s": _rounded(self.floor_per_s, 1),
            "p50_ms": _rounded(self.p50_ms, 2),
            "p99_ms": _rounded(self.p99_ms, 2),
            "rss_mb": _rounded(self.rss_mb, 1),
            "commit": self.commit,
            "floor": self.floor,
            "generator_cpu": _rounded(self.generator_cpu, 2),
            "runs": self.runs,
            "samples": self.samples,
        }
        values |= {name: _rounded(value, 2) for name, value in self.more.items()}
        values |= {"short": True} if self.short else {}
        values |= {"void": list(self.void)} if self.void else {}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> "Line":
        """A line as it was printed."""
        values = json.loads(text)
        known = {field.name for field in fields(cls)} - {"more"}
        told = {name: value for name, value in values.items() if name in known}
        more = {name: value for name, value in values.items() if name not in known}
        return cls(**told | {"void": tuple(values.get("void", ())), "more": more})


@dataclass(frozen=True)
class Findings:
    """The interleaved runs of both sides, and the runs at half of our maximum. `samples` are wanted for a p99."""

    ours: Sequence[Run]
    floor: Sequence[Run] = ()
    paced: Run | None = None
    paced_floor: Run | None = None
    samples: int = 0

    @property
    def every(self) -> list[Run]:
        """All runs."""
        return [*self.ours, *self.floor, *(run for run in (self.paced, self.paced_floor) if run)]


def line(bench: str, found: Findings, *, floor: str, rss_mb: float, commit: str) -> Line:
    """Sum up what a bench found; `floor` says what it is compared with."""
    ours_per_s, floor_per_s, paced, beside = middle(found.ours), middle(found.floor), found.paced, found.paced_floor
    return Line(
        bench=bench,
        ratio=ours_per_s / floor_per_s if ours_per_s and floor_per_s else None,
        ours_per_s=ours_per_s,
        floor_per_s=floor_per_s,
        p50_ms=paced.p50_ms if paced else None,
        p99_ms=paced.p99_ms if paced else None,
        rss_mb=rss_mb,
        commit=commit,
        floor=floor,
        generator_cpu=max((run.busy for run in found.every), default=0.0),
        runs=len(found.ours),
        samples=paced.count if paced else 0,
        short=paced is not None and paced.count < found.samples,
        void=reasons(found),
        more={"floor_p50_ms": beside.p50_ms, "floor_p99_ms": beside.p99_ms} if beside else {},
    )


def reasons(found: Findings) -> tuple[str, ...]:
    """Why the runs do not count, each reason once; empty when they do."""
    return tuple(dict.fromkeys(fault for run in found.every for fault in (*run.faults, *_limit(run))))


def _limit(run: Run) -> list[str]:
    return [f"the load generator was the limit ({run.busy:.2f} of a core)"] if run.busy > BUSY else []


def kept(run: Run, written: int) -> Run:
    """A run whose answers promise that something was written: so many rows were."""
    if written >= run.count:
        return run
    return replace(run, faults=(*run.faults, f"{run.count} changes were answered, {written} are in the database"))


def timed(run: Run, delays_ms: Sequence[float]) -> Run:
    """A run with the delays that were seen in it."""
    if not delays_ms:
        return run
    return replace(run, p50_ms=percentile(delays_ms, 50), p99_ms=percentile(delays_ms, 99))


def middle(runs: Sequence[Run]) -> float | None:
    """The median rate."""
    return statistics.median(run.per_s for run in runs) if runs else None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of the values are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
