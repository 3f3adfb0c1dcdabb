"""What a receiver sees of an object: level by level the newer of its own row and everybody's.

CPOs send the same Location to one party directly and to all by broadcast, with different content. Each level's own
`last_updated` decides (`Kept.times`), not the one a parent took over from its child; equal times: the later arrival.
A level that only one row has is there unless the other row's parent, which lacks it, is newer than both it and its
own parent. Pure: rows in, values out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.delivery import need
from hub.ocpi import json
from hub.ocpi.module import Module, Part
from hub.ocpi.types import parse_datetime
from hub.store.objects import Kept

Body = dict[str, Any]
Age = tuple[datetime, datetime, bool]
"""When a level was changed, when that arrived, and whether it is the receiver's own: the larger is the newer."""


def view(own: Kept | None, everybody: Kept | None, module: Module) -> Body | None:
    """The object as the receiver of `own` sees it; None when it does not exist or was deleted."""
    row = only(own, everybody)
    if row is not None:
        return None if row.deleted else read(row)
    if own is None or everybody is None:
        return None
    return _merge(_Side(own, True), _Side(everybody, False), read(own), read(everybody), module, need.ROOT)


def only(own: Kept | None, everybody: Kept | None) -> Kept | None:
    """The row that alone decides, if one does: there is no other, or it is a tombstone's side that is newer."""
    if own is None or everybody is None:
        return own or everybody
    if own.deleted or everybody.deleted:
        return max((own, everybody), key=lambda row: (row.last_updated, row.stored_at, row is own))
    return None


def winner(own: Kept, everybody: Kept, level: str) -> Kept:
    """Of two live rows the one whose `level` the receiver sees; the object's own winner when neither has it."""
    one, other = _Side(own, True), _Side(everybody, False)
    if level not in own.times and level not in everybody.times:
        level = need.ROOT
    if level not in everybody.times:
        return own
    if level not in own.times:
        return everybody
    return own if one.age(level) > other.age(level) else everybody


def read(row: Kept) -> Body:
    """The body of a row."""
    body: Body = json.loads(row.body.encode())
    return body


@dataclass(frozen=True)
class _Side:
    """One of the two rows. A level it does not know is as old as its row."""

    row: Kept
    own: bool

    def age(self, level: str) -> Age:
        """How new this side's word on a level is."""
        return _time(self.row.times.get(level), self.row.last_updated), self.row.stored_at, self.own


def _merge(one: _Side, other: _Side, mine: Body, theirs: Body, module: Module, level: str) -> Body:
    """One level of which both sides have their form."""
    if other.age(level) > one.age(level):
        one, other, mine, theirs = other, one, theirs, mine
    depth = level.count("/") + 1 if level else 0
    if depth == len(module.parts):
        return mine
    part = module.parts[depth]
    ours, others = _children(mine, part), _children(theirs, part)
    merged: list[Body] = []
    for child_id, child in ours.items():
        below = f"{level}/{child_id}" if level else child_id
        twin = others.get(child_id)
        merged.append(child if twin is None else _merge(one, other, child, twin, module, below))
    for child_id, child in others.items():
        below = f"{level}/{child_id}" if level else child_id
        if child_id not in ours and other.age(below) > one.age(level):
            merged.append(child)
    if merged == list(ours.values()):
        return mine
    return mine | {part.list_field: merged} | _taken_over(mine, merged)


def _children(body: Mapping[str, Any], part: Part) -> dict[str, Body]:
    return {str(child.get(part.id_field)).upper(): child for child in body.get(part.list_field) or ()}


def _taken_over(parent: Body, children: list[Body]) -> Body:
    """The parent takes a newer child's timestamp (LOC-032)."""
    stamps = [str(body["last_updated"]) for body in (parent, *children) if body.get("last_updated")]
    return {"last_updated": max(stamps, key=parse_datetime)} if stamps else {}


def _time(stamp: str | None, otherwise: datetime) -> datetime:
    try:
        return parse_datetime(stamp) if stamp else otherwise
    except ValueError:
        return otherwise
