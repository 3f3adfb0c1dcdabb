"""RESULTS.md: the newest figures of each bench, with machine and commit. Pure, but for the place of the file."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Line
from tests.bench.machine import Facts

FILE = Path(__file__).with_name("RESULTS.md")

NOTES = """\
## How it was measured

- The hub ran as its real processes, one of each, on its own PostgreSQL (fsync on) and Redis, on this one machine
  together with the floor, the partners and the load generator. Everything spoke over loopback.
- Hub and floor were measured in turn, each with one serving process under the same load: wrk with one thread and 32
  connections (4 for held-page), or where none fits (deliver, latency, ocpp) a generator of our own in a process apart.
  Rates are the medians of the rounds; ratio is ours through the floor's.
- p50 and p99 are the hub's in a further run at half of its measured maximum, in which each request has its moment
  whether or not an earlier answer is late. Of deliver they are the delays from a change's commit to its arrival, of
  latency those of single changes in an idle hub, counted from the answer to the push (which comes after the commit).
- Every answer was looked at: HTTP status, OCPI status or what else must be in it. For accept and ocpp the rows in the
  database were counted against the answers, for deliver the arrivals against the changes, by receiver and object.
- generator is the share of a core used by the busiest process of the measuring side, the partners included. A line is
  void, and shows why, if that was above 0.90 or if an answer was wrong or missing.
- A p99 rests on 10,000 samples or more. Where the hub is too slow for so many within three minutes, it stands with the
  number that there are.
- memory is the resident memory of the process that serves (api, worker or bridge) and its children afterwards.
- The partner of forward and the receivers of deliver are a fast fake that answers from memory. The bare loop of deliver
  runs on uvloop, with as many requests at a time as the hub allows itself; the Celery worker that it is also compared
  with has one process, as the hub's has. Latency was measured over 1,000 pushes with pauses, since 10,000 of them one
  by one would take a quarter of an hour. The stations of ocpp charge with a card that is nobody's, so that nothing goes
  out over OCPI meanwhile.
- crawl follows the links through all locations with one client while 1,000 of them change; every location must have
  been on a page, in the order in which they were loaded. Its rates are pages a second, ours at the end of the list,
  the floor's at its beginning, asked for in turn.
"""


def renewed(before: str, lines: Sequence[Line]) -> list[Line]:
    """The lines of the file as it was, with these in the place of what the same benches said."""
    _, _, block = before.partition("```json\n")
    known = [Line.from_json(text) for text in block.partition("```")[0].splitlines()]
    new = {line.bench: line for line in lines}
    kept = [new.pop(line.bench, line) for line in known]
    return [*kept, *new.values()]


def render(facts: Facts, lines: Sequence[Line]) -> str:
    """The text of the file."""
    return "\n".join(
        [
            "# Figures",
            "",
            "Written by `./run bench [NAME...] --write`; do not edit. The hub beside floors that do the least.",
            "Date and machine are those of the last run; each figure says of which commit it is.",
            "",
            *(f"- {name}: {value}" for name, value in _facts(facts)),
            "",
            *_table(lines),
            "",
            NOTES,
            "## As JSON",
            "",
            "```json",
            *(line.as_json() for line in lines),
            "```",
            "",
        ]
    )


def _facts(facts: Facts) -> list[tuple[str, str]]:
    return [
        ("date", facts.date),
        ("machine", f"{facts.cpu}, {facts.cores} cores, {facts.memory_gb:.0f} GB, {facts.kernel}, {facts.python}"),
        ("disk", f"{facts.disk}, {facts.fsync_ms:.2f} ms for a synced write of 8 kB"),
    ]


def _table(lines: Sequence[Line]) -> list[str]:
    head = ("bench", "ratio", "ours /s", "floor /s", "p50 ms", "p99 ms", "memory MB", "generator", "commit", "floor")
    rows = [head, tuple("---" if name in ("bench", "commit", "floor") else "--:" for name in head), *map(_row, lines)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _row(line: Line) -> tuple[str, ...]:
    if line.void:
        return (line.bench, "void", *[""] * 6, line.commit, "; ".join(line.void))
    return (
        line.bench,
        _text(line.ratio, 2),
        _text(line.ours_per_s, 0),
        _text(line.floor_per_s, 0),
        _text(line.p50_ms, 1),
        _text(line.p99_ms, 1) + _aside(line),
        _text(line.rss_mb, 0),
        _text(line.generator_cpu, 2),
        line.commit,
        line.floor,
    )


def _aside(line: Line) -> str:
    """The floor's own p99 at the same rate, where it was measured; how few samples there are, where they are few."""
    floor = line.more.get("floor_p99_ms")
    asides = [] if floor is None else [f"floor {floor:.1f}"]
    asides += [f"{line.samples:,} samples only"] if line.short else []
    return f" ({', '.join(asides)})" if asides else ""


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
