"""The checker finds what is broken: ledgers that are right, and each of them with one thing wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import Checker

Lines = list[dict[str, Any]]
A, B = "DE*AA0", "DE*AB0"
BYTES, OTHER_BYTES = "1f", "2f"
LEDGER = ["c1", "c2"]


def push(t: float, version: int, outcome: str = "ok", part: str = "locations/L1", to: str = "*") -> dict[str, Any]:
    return {"t": t, "kind": "location put", "to": to, "parts": {part: version}, "outcome": outcome}


def bill(t: float, cdr: str, outcome: str = "ok", to: str = A) -> dict[str, Any]:
    return {"t": t, "kind": "cdr post", "to": to, "parts": {}, "outcome": outcome, "cdr": cdr, "hash": BYTES}


def came(t: float, receiver: str, version: int, part: str = "locations/L1", status: int = 200) -> dict[str, Any]:
    return {"t": t, "receiver": receiver, "status": status, "parts": {part: version}}


def posted(t: float, receiver: str, cdr: str, digest: str = BYTES) -> dict[str, Any]:
    return {"t": t, "receiver": receiver, "status": 201, "cdr": cdr, "hash": digest}


def right() -> Lines:
    return [
        push(1, 1),
        push(2, 2),
        push(3, 3, "info"),
        push(4, 1, part="sessions/S1", to=B),
        bill(5, "C1", "info"),
        bill(6, "C1"),
        bill(7, "C2"),
        bill(8, "C3", "info"),
        *(came(t, receiver, version) for t, version in ((1.5, 1), (2.5, 2)) for receiver in (A, B)),
        came(4.5, B, 1, "sessions/S1"),
        posted(5.5, A, "C1"),
        posted(6.5, A, "C1"),
        posted(7.5, A, "C2"),
    ]


def check(lines: Lines, ledger: list[str] = LEDGER, repeats: int = 1) -> str:
    """The faults found, as one text."""
    checker = Checker([A, B])
    for line in lines:
        checker.feed(line)
    return "\n".join(checker.faults(ledger, repeats=repeats))


def test_ledgers_that_are_right_pass() -> None:
    assert check(right()) == ""


@pytest.mark.parametrize("taken", [True, False])
def test_what_nobody_knows_may_have_been_taken_or_not(taken: bool) -> None:
    extra = [came(9, receiver, 3) for receiver in (A, B)] + [posted(9, A, "C3")] if taken else []
    assert check(right() + extra, [*LEDGER, "c3"] if taken else LEDGER) == ""


def without(unwanted: dict[str, Any]) -> Lines:
    return [line for line in right() if line != unwanted]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (without(came(2.5, B, 2)), "DE*AB0 has v1 of locations/L1, v2 was acknowledged"),
        ([line for line in right() if line.get("receiver") != B], "DE*AB0 has nothing of locations/L1"),
        (without(came(4.5, B, 1, "sessions/S1")), "DE*AB0 has nothing of sessions/S1"),
        ([*right(), push(9, 9)], "DE*AA0 has v2 of locations/L1, v9 was acknowledged"),
        ([*right(), push(9, 9), came(9.5, A, 9, status=500), came(9.5, B, 9)], "DE*AA0 has v2 of locations/L1"),
        (without(posted(7.5, A, "C2")), "DE*AA0 never got the CDR C2"),
        ([*right(), came(9, A, 1)], "backwards: 1, such as: DE*AA0 got v1 of locations/L1 after v2"),
        ([*right(), came(9, A, 1), came(9.1, A, 2)], "backwards: 1"),
        ([*right(), came(9, A, 7), came(9, B, 7)], "DE*AA0 has v7 of locations/L1, which nobody pushed"),
        ([*right(), came(9, A, 3)], "locations/L1 is held in different versions"),
        ([*right(), push(9, 9, "refused")], "refused: 1"),
        ([*right(), posted(9, A, "C2", OTHER_BYTES)], "the CDR C2 reached DE*AA0 with other bytes"),
        ([*right(), posted(9, B, "C2")], "the CDR C2 for DE*AA0 was sent to DE*AB0"),
        ([*right(), posted(9, A, "C9")], "DE*AA0 got a CDR C9 that nobody sent"),
        ([*right(), posted(9, A, "C2")], "repeated: 2 POSTs of CDRs, at most 1"),
    ],
)
def test_a_broken_ledger_is_found(lines: Lines, words: str) -> None:
    assert words in check(lines)


@pytest.mark.parametrize(
    ("ledger", "words"),
    [
        (["c1"], "the CDR C2 was acknowledged and is not in the ledger"),
        (["c1", "c2", "c2"], "the CDR c2 stands 2 times in the ledger"),
        (["c1", "c2", "c9"], "the ledger has a CDR c9 that nobody sent"),
    ],
)
def test_a_broken_ledger_of_cdrs_is_found(ledger: list[str], words: str) -> None:
    assert words in check(right(), ledger)


def fed(lines: Lines) -> Checker:
    checker = Checker([A, B])
    for line in lines:
        checker.feed(line)
    return checker


def test_it_is_drained_with_the_last_that_was_needed_for_the_first_time() -> None:
    assert fed([*right(), came(20, A, 2), posted(21, A, "C2")]).drained_at() == 7.5


def test_a_delay_ends_with_the_version_or_a_newer_one() -> None:
    assert fed([push(1, 1), push(2, 2), came(4, A, 2), came(5, B, 2)]).delays(0, 10) == [2, 3, 3, 4]
    assert fed([push(1, 1)]).delays(0, 10) == [float("inf")] * 2
    assert fed(right()).delays(1.5, 2.5) == [0.5, 0.5]


def test_what_counts() -> None:
    figures: Callable[[str], Any] = fed(right()).figures().__getitem__
    assert [figures(name) for name in ("acknowledged", "unknown", "cdrs", "repeated_posts", "delivered")] == [
        5,
        3,
        2,
        1,
        8,
    ]
