"""The table of conformance: per module and duty how many rows there are, are tested and pass. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.spec.catalogue import Duty, Row

WANTED = {Duty.OTHER: 95, Duty.SHOULD: 80}
"""Percent of the rows that must be tested and pass. Of the hub's own MUST all but those that wait or are exempt."""


@dataclass(frozen=True)
class Count:
    """Rows of one module and duty. `passing` is None when nothing was run."""

    rows: int
    tested: int
    passing: int | None


@dataclass(frozen=True)
class Evidence:
    """What is known of the rows: the tests that claim each, and the rows whose tests all passed (None: not run)."""

    tests: Mapping[str, Sequence[str]]
    passing: Collection[str] | None = None

    def proves(self, row: Row) -> bool:
        """Whether the row has a test and, if tests were run, all of its tests passed."""
        return row.id in (self.tests if self.passing is None else self.passing)


def counts(rows: Sequence[Row], evidence: Evidence) -> dict[str, dict[Duty, Count]]:
    """By module and duty."""
    found: dict[str, dict[Duty, Count]] = {}
    for module in dict.fromkeys(row.module for row in rows):
        found[module] = {
            duty: count([r for r in rows if (r.module, r.duty) == (module, duty)], evidence) for duty in Duty
        }
    return found


def count(rows: Sequence[Row], evidence: Evidence) -> Count:
    """Of these rows."""
    tested = sum(row.id in evidence.tests for row in rows)
    passing = None if evidence.passing is None else sum(row.id in evidence.passing for row in rows)
    return Count(len(rows), tested, passing)


@dataclass(frozen=True)
class Target:
    """One target: how many of the rows are proven, what of them is let off, and whether it is met."""

    duty: Duty
    rows: int
    proven: int
    waiting: int
    exempt: int
    met: bool

    def __str__(self) -> str:
        if self.duty is Duty.OWN:
            aside = f"{self.waiting} more wait, {self.exempt} exempt"
            return f"{self.duty} {self.proven} of {self.rows} ({aside})"
        share = _percent(self.proven, self.rows)
        return f"{self.duty} {self.proven} of {self.rows} ({share}, wanted {WANTED[self.duty]} %)"


def targets(rows: Sequence[Row], evidence: Evidence) -> list[Target]:
    """The three targets."""
    return [_own(rows, evidence), *(_share(duty, rows, evidence) for duty in WANTED)]


def summary(rows: Sequence[Row], evidence: Evidence) -> str:
    """The last line."""
    found = targets(rows, evidence)
    verdict = "met" if all(target.met for target in found) else "missed"
    how = "by marks only" if evidence.passing is None else "tested and passing"
    return f"conformance {verdict}, {how}: {'; '.join(map(str, found))}"


def is_met(rows: Sequence[Row], evidence: Evidence) -> bool:
    """Whether all targets are."""
    return all(target.met for target in targets(rows, evidence))


def _own(rows: Sequence[Row], evidence: Evidence) -> Target:
    own = [row for row in rows if row.duty is Duty.OWN]
    due = [row for row in own if not row.waits]
    proven = [row for row in due if evidence.proves(row)]
    exempt = [row for row in due if row.exempt]
    met = len(proven) + len(exempt) == len(due)
    return Target(Duty.OWN, len(due), len(proven), len(own) - len(due), len(exempt), met)


def _share(duty: Duty, rows: Sequence[Row], evidence: Evidence) -> Target:
    due = [row for row in rows if row.duty is duty]
    proven = sum(map(evidence.proves, due))
    waiting, exempt = sum(bool(row.waits) for row in due), sum(bool(row.exempt) for row in due)
    return Target(duty, len(due), proven, waiting, exempt, 100 * proven >= WANTED[duty] * len(due))


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that a target is never shown as reached before it is."""
    return f"{1000 * part // whole / 10:.1f} %" if whole else "none"


def as_text(rows: Sequence[Row], evidence: Evidence) -> Iterator[str]:
    """The table for a terminal."""
    titles = ["rows", "tested"] + ([] if evidence.passing is None else ["passing"])
    yield f"{'':<17}" + "".join(f"{duty:>{_width(duty, titles)}}" for duty in Duty)
    yield f"{'module':<17}" + "".join(_cells(duty, titles, titles) for duty in Duty)
    total = {"total": {duty: count([r for r in rows if r.duty is duty], evidence) for duty in Duty}}
    for module, parts in (counts(rows, evidence) | total).items():
        yield f"{module:<17}" + "".join(_cells(duty, titles, _numbers(parts[duty])) for duty in Duty)


def _width(duty: Duty, titles: Sequence[str]) -> int:
    return max(8 * len(titles), len(duty)) + 3


def _cells(duty: Duty, titles: Sequence[str], values: Sequence[object]) -> str:
    return "".join(f"{value!s:>8}" for value in values).rjust(_width(duty, titles))


def _numbers(found: Count) -> list[int]:
    return [found.rows, found.tested] + ([] if found.passing is None else [found.passing])


def as_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Rows one by one: id, strength, role and what is required, with the reason of those that wait or are exempt."""
    for row in rows:
        aside = f" [{row.waits}]" if row.waits else f" [exempt: {row.exempt}]" if row.exempt else ""
        yield f"{row.id:<9}{row.strength:<7}{row.role:<9}{shortened(row.requirement)}{aside}"


def shortened(text: str, length: int = 100) -> str:
    """The beginning of a text."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
