"""PUT and PATCH as arithmetic: a kept object and what arrives give the next kept object. Pure, no clock.

Newer wins, compared by `last_updated` at the addressed level (Location, EVSE or Connector). A level's *own* time is
not the one it took over from a child, so own times are kept beside the body (`State.times`, keyed by the path of
upper-cased ids: "", "EVSE1", "EVSE1/1"). Rules: design decisions on "newer or older?", catalogue LOC-021, LOC-022,
LOC-026, LOC-028..LOC-033, SES-022..SES-031, TF-049..TF-055.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.module import Module, Part
from hub.ocpi.types import parse_datetime

Body = dict[str, Any]


@dataclass(frozen=True)
class State:
    """A kept object: the body and each level's own last_updated, as text in the form it came in."""

    body: Body
    times: Mapping[str, str]


class Outcome(Enum):
    """What became of a PUT or PATCH. Only CREATED and APPLIED change the state."""

    CREATED = "created"
    APPLIED = "applied"
    CONFLICT = "applied, same last_updated but another content"
    SAME = "same as stored"
    OLDER = "older than stored, ignored"

    @property
    def changes(self) -> bool:
        """Whether there is something new to store and to tell."""
        return self in (Outcome.CREATED, Outcome.APPLIED, Outcome.CONFLICT)


def put(state: State | None, new: Body, module: Module, part_ids: tuple[str, ...] = ()) -> tuple[Outcome, State | None]:
    """Apply a PUT of the object or, with `part_ids`, of an EVSE or Connector; NotFound when the parent is missing."""
    if not part_ids:
        return _put_object(state, new, module)
    if state is None:
        raise NotFound("the object around this one is not known here: PUT it first")
    path = _path(part_ids)
    stored = find_part(state.body, module, part_ids)
    outcome = _judge(stored, state.times.get(path), new)
    if not outcome.changes:
        return outcome, state
    woven, times = _weave(stored, new, state.times, module, path)
    body = _replace_part(state.body, module, part_ids, woven, woven["last_updated"])
    kept = {p: t for p, t in state.times.items() if p != path and not _below(p, path)}
    return outcome, State(body, kept | times)


def patch(state: State, change: Body, module: Module, part_ids: tuple[str, ...] = ()) -> tuple[Outcome, State]:
    """Apply a PATCH at a level. Lists are replaced as a whole except those the module appends to."""
    if not isinstance(change.get("last_updated"), str):
        raise InvalidParameters("last_updated: field required in a PATCH")
    _must_hold_objects(change, module, len(part_ids))
    path = _path(part_ids)
    stored = find_part(state.body, module, part_ids)
    if stored is None:
        raise NotFound("this object is not known here: PUT it first")
    merged = _merge(stored, change, module.append)
    outcome = _judge(stored, state.times.get(path), merged)
    if not outcome.changes:
        return outcome, state
    times = {**state.times, path: change["last_updated"]}
    if len(part_ids) < len(module.parts) and module.parts[len(part_ids)].list_field in change:
        # The list of children was replaced as a whole: each of them says its own time now.
        times = {p: t for p, t in times.items() if p == path or not _below(p, path)}
        times = _times_of(merged, module, len(part_ids), path) | times
    body = _replace_part(state.body, module, part_ids, merged, merged["last_updated"])
    return outcome, State(body, times)


def find_part(body: Body, module: Module, part_ids: tuple[str, ...]) -> Body | None:
    """The object itself or the EVSE or Connector below it, None when there is none."""
    found: Body | None = body
    for part, part_id in zip(module.parts, part_ids, strict=False):
        siblings = (found or {}).get(part.list_field) or []
        found = next((s for s in siblings if _id(s, part) == part_id.upper()), None)
    return found


def _put_object(state: State | None, new: Body, module: Module) -> tuple[Outcome, State]:
    if state is None:
        return Outcome.CREATED, State(new, _times_of(new, module))
    outcome = _judge(state.body, state.times.get(""), new)
    if not outcome.changes:
        return outcome, state
    return outcome, State(*_weave(state.body, new, state.times, module))


def _judge(stored: Body | None, own_time: str | None, new: Body) -> Outcome:
    if stored is None:
        return Outcome.CREATED
    before, after = _time(own_time or stored["last_updated"]), _time(new["last_updated"])
    if after > before:
        return Outcome.APPLIED
    if after < before:
        return Outcome.OLDER
    return Outcome.SAME if _same(stored, new, own_time) else Outcome.CONFLICT


def _same(stored: Body, new: Body, own_time: str | None) -> bool:
    """Equal but for the time that the stored level took over from a child."""
    return stored == new or {**stored, "last_updated": own_time} == {**new, "last_updated": own_time}


def _weave(
    stored: Body | None, new: Body, times: Mapping[str, str], module: Module, path: str = ""
) -> tuple[Body, dict[str, str]]:
    """The new level with every stored child in it that is newer than what the new level says of it; and the times."""
    depth = path.count("/") + 1 if path else 0
    own = {path: str(new["last_updated"])}
    if depth >= len(module.parts):
        return new, own
    part = module.parts[depth]
    old = {_id(child, part): child for child in (stored or {}).get(part.list_field) or []}
    children = []
    for child in new.get(part.list_field) or []:
        child_path = _join(path, _id(child, part))
        before = old.pop(_id(child, part), None)
        if before is not None and _time(_own_time(before, times, child_path)) > _time(child["last_updated"]):
            children.append(before)
            own |= _subtree(times, child_path)
        else:
            woven, child_times = _weave(before, child, times, module, child_path)
            children.append(woven)
            own |= child_times
    for key, before in old.items():  # left out by the new level; it stays only if it changed after that
        child_path = _join(path, key)
        if _time(_own_time(before, times, child_path)) > _time(new["last_updated"]):
            children.append(before)
            own |= _subtree(times, child_path)
    if not children:
        return new, own
    latest = max((str(child["last_updated"]) for child in children), key=_time)
    return {**new, part.list_field: children, "last_updated": _later(new["last_updated"], latest)}, own


def _replace_part(body: Body, module: Module, part_ids: tuple[str, ...], new: Body, time: str, depth: int = 0) -> Body:
    """The body with one level replaced and every level above it moved to `time` when that is later (LOC-032)."""
    if not part_ids:
        return new
    part, wanted = module.parts[depth], part_ids[0].upper()
    children = list(body.get(part.list_field) or [])
    index = next((i for i, c in enumerate(children) if _id(c, part) == wanted), None)
    if index is None and len(part_ids) > 1:
        raise NotFound("the EVSE of this Connector is not known here: PUT it first")
    below = children[index] if index is not None else {}
    replaced = _replace_part(below, module, part_ids[1:], new, time, depth + 1)
    if index is None:
        children.append(replaced)
    else:
        children[index] = replaced
    return {**body, part.list_field: children, "last_updated": _later(body["last_updated"], time)}


def _merge(stored: Body, change: Body, append: frozenset[str]) -> Body:
    merged = {**stored, **change}
    for name in append & change.keys():
        known = stored.get(name) or []
        starts = {item.get("start_date_time") for item in change[name] or []}
        # A period sent again replaces itself; it is not doubled (SES-030).
        merged[name] = [item for item in known if item.get("start_date_time") not in starts] + (change[name] or [])
    return merged


def _must_hold_objects(change: Body, module: Module, depth: int) -> None:
    """What is walked below has the shape for it; the rest is the schema's business, once it is merged."""
    for name in module.append & change.keys():
        if not all(isinstance(item.get("start_date_time"), str) for item in _objects(change, name)):
            raise InvalidParameters(f"{name}: each needs a start_date_time")
    if depth < len(module.parts):
        for child in _objects(change, module.parts[depth].list_field):
            _must_hold_objects(child, module, depth + 1)


def _objects(body: Body, name: str) -> list[Body]:
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise InvalidParameters(f"{name}: must be a list of objects")
    return value or []


def _times_of(body: Body, module: Module, depth: int = 0, path: str = "") -> dict[str, str]:
    """What each level of a body that arrives whole says of itself."""
    if not isinstance(body.get("last_updated"), str):
        raise InvalidParameters("last_updated: field required at every level")
    times = {path: str(body["last_updated"])}
    if depth < len(module.parts):
        part = module.parts[depth]
        for child in body.get(part.list_field) or []:
            times |= _times_of(child, module, depth + 1, _join(path, _id(child, part)))
    return times


def _subtree(times: Mapping[str, str], path: str) -> dict[str, str]:
    return {p: t for p, t in times.items() if p == path or _below(p, path)}


def _id(child: Body, part: Part) -> str:
    return str(child.get(part.id_field)).upper()


def _own_time(level: Body, times: Mapping[str, str], path: str) -> str:
    return times.get(path) or str(level["last_updated"])


def _time(text: str) -> datetime:
    try:
        return parse_datetime(text)
    except ValueError:
        raise InvalidParameters("last_updated: not an OCPI DateTime") from None


def _later(one: str, other: str) -> str:
    return other if _time(other) > _time(one) else one


def _path(part_ids: tuple[str, ...]) -> str:
    return "/".join(part_id.upper() for part_id in part_ids)


def _join(path: str, key: str) -> str:
    return f"{path}/{key}" if path else key


def _below(path: str, above: str) -> bool:
    return not above or path.startswith(above + "/")
