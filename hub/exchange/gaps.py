"""Whether what a partner shows of an object is what the hub delivered. Pure: values in, a finding out.

A partner's store is its own: it may leave out what it has no use for, and write a time or a number in another way. So
what both have must say the same, and what only one has says nothing. A level (EVSE, Connector) that the partner lacks
is a loss, since it was delivered. A partner that shows something newer got it another way, which is no loss.

Source: the Receiver interfaces of mod_locations, mod_sessions, mod_tariffs, mod_tokens and mod_cdrs (GET).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from hub.ocpi import envelope
from hub.ocpi.module import Module, Part
from hub.ocpi.types import parse_datetime
from hub.store.outgoing import Identity
from hub.store.reconciliations import DELIVERED, Missed, Standing

Body = Mapping[str, Any]
LENGTH = 300
"""Characters of a detail."""


class Kind(StrEnum):
    """How an object can be wrong at a partner, or here, of what a partner lists."""

    MISSING = "missing"
    OLDER = "older"
    DIFFERENT = "different"
    MISSING_HERE = "missing here"
    OLDER_HERE = "older here"

    @property
    def is_here(self) -> bool:
        """Whether it is the hub that lacks what is on a partner's list."""
        return self in (Kind.MISSING_HERE, Kind.OLDER_HERE)

    @property
    def column(self) -> str:
        """Where it is counted."""
        return self.value.partition(" ")[0]


@dataclass(frozen=True)
class Finding:
    """What is wrong with an object at a partner, in words for the operator."""

    kind: Kind
    detail: str


@dataclass
class Count:
    """What a run counted of one module of one partner."""

    acknowledged: int = 0
    delivered: int = 0
    owed: int = 0
    parked: int = 0
    discarded: int = 0
    checked: int = 0
    missing: int = 0
    older: int = 0
    different: int = 0
    note: str | None = None

    def take(self, state: str, number: int) -> None:
        """Count objects in one state."""
        self.acknowledged += number
        name = {"waiting": "owed", "lost": "owed", "custody": "owed"}.get(state, state)
        setattr(self, name, getattr(self, name) + number)

    def remark(self, why: str) -> None:
        """Note why something was not asked; the first reason stands."""
        self.note = self.note or why


@dataclass
class Book:
    """What a run finds out about one partner."""

    counts: dict[str, Count] = field(default_factory=dict)
    missed: list[Missed] = field(default_factory=list)
    fine: list[Identity] = field(default_factory=list)

    def of(self, module: str) -> Count:
        """The counts of a module."""
        return self.counts.setdefault(module, Count())

    def judged(self, identity: Identity, finding: Finding | None) -> None:
        """An object was looked at; `finding` is what is wrong with it."""
        count = self.of(identity[1])
        count.checked += 1
        if finding is None:
            self.fine.append(identity)
            return
        setattr(count, finding.kind.column, getattr(count, finding.kind.column) + 1)
        self.missed.append(Missed(*identity, finding.kind, finding.detail))


class Meaning(StrEnum):
    """What an answer to the GET of one object says."""

    THERE = "there"
    NOT_THERE = "not there"
    NOT_OFFERED = "not offered"
    AWAY = "away"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Heard:
    """An answer, read: the object if it is there, else why not in words."""

    meaning: Meaning
    body: Body | None = None
    why: str = ""


def heard(status: int, content: bytes) -> Heard:
    """What an answer says. A 404 counts as "not there" only in OCPI's envelope: without it there is no such route."""
    code, data = envelope.read(content)
    said = f"answered HTTP {status}" + (f", status_code {code}" if code is not None else " without an OCPI envelope")
    if status in (401, 408, 429) or status in (500, 502, 503, 504):
        return Heard(Meaning.AWAY, why=said)
    if status in (405, 501) or (status == 404 and code is None):
        return Heard(Meaning.NOT_OFFERED, why=f"offers no GET: {said}")
    if status == 404 or code == 2003:
        return Heard(Meaning.NOT_THERE)
    if not 200 <= status < 300 or code is None or not 1000 <= code < 2000:
        return Heard(Meaning.UNCLEAR, why=said)
    if not data:
        return Heard(Meaning.NOT_THERE)
    return Heard(Meaning.THERE, data) if isinstance(data, dict) else Heard(Meaning.UNCLEAR, why="answered no object")


def compare(module: Module, ours: Body | None, theirs: Body | None) -> Finding | None:
    """What is wrong at a partner that shows `theirs` where it was given `ours` (None: it was deleted)."""
    if ours is None:
        return None if theirs is None else Finding(Kind.OLDER, "it was deleted, and is still there")
    if theirs is None:
        return Finding(Kind.MISSING, "it was acknowledged, and is not there")
    return _level(module, ours, theirs, module.parts, "")


def is_gap(before: Standing, after: Standing | None) -> bool:
    """Whether a finding counts: not if the object changed, was owed or was given up while the partner was asked."""
    return after is not None and after.state == DELIVERED and after.stored_at == before.stored_at


def _level(module: Module, ours: Body, theirs: Body, parts: Sequence[Part], where: str) -> Finding | None:
    mine, their = _newest(ours, parts), _newest(theirs, parts)
    if mine is not None and their is not None and their > mine:
        return None
    if mine is not None and their is not None and their < mine:
        return Finding(Kind.OLDER, f"{where}it is of {their:%Y-%m-%d %H:%M:%S}, and was given that of {mine:%H:%M:%S}")
    for part in parts[:1]:
        held = _children(theirs, part)
        for child_id, child in _children(ours, part).items():
            place = f"{where}{part.list_field} {child_id}: "
            if child_id not in held:
                return Finding(Kind.OLDER, f"{place}it was given and is not there")
            found = _level(module, child, held[child_id], parts[1:], place)
            if found is not None:
                return found
    besides = {"last_updated", *(part.list_field for part in parts[:1]), *module.append}
    wrong = sorted(name for name in ours.keys() & theirs.keys() - besides if not _same(ours[name], theirs[name]))
    return Finding(Kind.DIFFERENT, f"{where}differs in {', '.join(wrong)}"[:LENGTH]) if wrong else None


def _newest(body: Body, parts: Sequence[Part]) -> datetime | None:
    """The time of a level, or of the newest below it: not everybody lets a parent take over its child's."""
    times = [_moment(body.get("last_updated"))]
    for part in parts[:1]:
        times += [_newest(child, parts[1:]) for child in _children(body, part).values()]
    return max((time for time in times if time is not None), default=None)


def _children(body: Body, part: Part) -> dict[str, Body]:
    found = body.get(part.list_field)
    listed = found if isinstance(found, list) else []
    return {str(child.get(part.id_field)).upper(): child for child in listed if isinstance(child, dict)}


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same. What only one has, and an empty list against none at all, says nothing."""
    if one is None or other is None or one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(_same(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return False
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return Decimal(one) == Decimal(other)
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold() or (_moment(one) == _moment(other) is not None)
    return False


def _moment(value: Any) -> datetime | None:
    """A time to the second: not everybody keeps fractions."""
    try:
        return parse_datetime(value).replace(microsecond=0) if isinstance(value, str) else None
    except ValueError:
        return None
