"""What a receiver holds of other parties' objects, and how PUT and PATCH change it.

The rules fit on a page. A PUT replaces a level as a whole, a PATCH changes the fields it has; both name their moment
in last_updated, and the levels above take it over (LOC-021, LOC-029). What is older than what is held changes
nothing, and since a good peer never sends it, it is also written down in `backwards`. For that each level remembers
the moment it was itself given, not the one it took over from a level below.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.types import Schema, check, fold, parse_datetime, same
from hub.sandbox.wire import Json

Ref = tuple[str, ...]
"""country_code, party_id and id of an object as in a client owned URL, then evse_uid and connector_id if given."""

Levels = Sequence[tuple[str, str]]
Change = Callable[[Json | None], Json]

EVSES_AND_CONNECTORS: Levels = (("evses", "uid"), ("connectors", "id"))


class Shelf:
    """Objects of one module, by owner and id.

    `models` are the schemas of the object and of the levels below it, which `levels` names by list and id field.
    `append` names list fields that a PATCH adds to (SES-027).
    """

    def __init__(
        self,
        module: str,
        *models: type[Schema],
        id_field: str = "id",
        levels: Levels = (),
        append: frozenset[str] = frozenset(),
    ) -> None:
        self.module = module
        self.backwards: list[str] = []
        self._models = models
        self._id_field = id_field
        self._levels = levels
        self._append = append
        self._objects: dict[Ref, Json] = {}
        self._moments: dict[Ref, datetime] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def all(self) -> list[Json]:
        """Every object held, oldest first."""
        return list(self._objects.values())

    def get(self, *ref: str, kind: str = "") -> Json | None:
        """The object, EVSE or Connector; None when it is not held. `kind` tells tokens of one uid apart (TOK-012)."""
        node = self._objects.get(_key(ref[:3], kind))
        for (list_field, id_field), wanted in zip(self._levels, ref[3:], strict=False):
            node = next((n for n in (node or {}).get(list_field) or () if same(n[id_field], wanted)), None)
        return node

    def put(self, ref: Ref, body: Any, kind: str = "") -> bool:
        """Take a whole object, EVSE or Connector. True when it is new (TF-148); InvalidParameters when it is unfit."""
        check(self._models[len(ref) - 3], body)
        sent = _dated(body)
        self._check_ids(ref, sent)
        new = self.get(*ref, kind=kind) is None
        self._change(ref, kind, lambda held: self._take(_key(ref, kind), held, sent, self._levels[len(ref) - 3 :]))
        return new

    def patch(self, ref: Ref, body: Any, kind: str = "") -> None:
        """Take changed fields; NotFound when there is nothing to change (TF-054)."""
        sent = _dated(body)
        key = _key(ref, kind)

        def change(held: Json | None) -> Json:
            if held is None:
                raise NotFound
            return {**held, **sent, **self._appended(held, sent)} if self._is_news(key, sent) else held

        self._change(ref, kind, change)

    def delete(self, ref: Ref) -> None:
        """Drop an object; NotFound when it is not held (TAR-009)."""
        if self._objects.pop(_key(ref), None) is None:
            raise NotFound

    def _change(self, ref: Ref, kind: str, change: Change) -> None:
        """Put the addressed level through `change`, and its parents' last_updated with it."""
        key = _key(ref[:3], kind)
        self._objects[key] = _changed(self._objects.get(key), ref[3:], self._levels, change)

    def _take(self, key: Ref, held: Json | None, sent: Json, below: Levels) -> Json:
        """What is to be held after a PUT: `sent`, but for parts of it that are held in a newer state."""
        if not self._is_news(key, sent) and held is not None:
            return held
        for list_field, id_field in below[:1]:
            before = {fold(part[id_field]): part for part in (held or {}).get(list_field) or ()}
            parts = []
            for part in sent.get(list_field) or ():
                part_id = fold(part[id_field])
                parts.append(self._take((*key, part_id), before.get(part_id), part, below[1:]))
            if parts:
                sent = {**sent, list_field: parts, "last_updated": _latest(sent, *parts)}
        return sent

    def _is_news(self, key: Ref, sent: Json) -> bool:
        """Whether `sent` is not older than what this level was given before; notes it down if it is."""
        moment, before = parse_datetime(sent["last_updated"]), self._moments.get(key)
        if before is not None and moment < before:
            self.backwards.append(f"{self.module} {'/'.join(key)}: {moment} after {before}")
            return False
        self._moments[key] = moment
        return True

    def _appended(self, held: Json, sent: Json) -> Json:
        """List fields that grow: stored entries and those new ones that start at another moment (SES-030)."""
        grown: Json = {}
        for name in self._append:
            stored = held.get(name) or []
            starts = {entry["start_date_time"] for entry in stored}
            grown[name] = stored + [e for e in sent.get(name) or () if e["start_date_time"] not in starts]
        return grown

    def _check_ids(self, ref: Ref, body: Json) -> None:
        """Path and body have to name the same thing (TF-063, LOC-023)."""
        names = ["country_code", "party_id", self._id_field]
        pairs = zip(names, ref, strict=True) if len(ref) == 3 else [(self._levels[len(ref) - 4][1], ref[-1])]
        for name, value in pairs:
            if not same(body.get(name), value):
                raise InvalidParameters(f"{name}: differs between path and body")


def _changed(node: Json | None, path: Ref, levels: Levels, change: Change) -> Json:
    """`node` with the part at `path` put through `change`; nothing is altered in place."""
    if not path:
        return change(node)
    if node is None:
        raise NotFound("The level above is not known here.")
    (list_field, id_field), below = levels[0], levels[1:]
    parts = list(node.get(list_field) or ())
    index = next((i for i, part in enumerate(parts) if same(part[id_field], path[0])), len(parts))
    fresh = _changed(parts[index] if index < len(parts) else None, path[1:], below, change)
    parts[index : index + 1] = [fresh]
    return {**node, list_field: parts, "last_updated": _latest(node, fresh)}


def _latest(*nodes: Json) -> str:
    return max((str(node["last_updated"]) for node in nodes), key=parse_datetime)


def _dated(body: Any) -> Json:
    """A body that can be compared: an object with a moment (LOC-028, SES-025, TOK-016)."""
    if not isinstance(body, dict):
        raise InvalidParameters("The body has to be an object.")
    try:
        parse_datetime(body["last_updated"])
    except (KeyError, TypeError, ValueError):
        raise InvalidParameters("last_updated: missing or not a time") from None
    return body


def _key(ref: Sequence[str], kind: str = "") -> Ref:
    return (*(fold(part) for part in ref[:3]), *((kind,) if kind else ()), *(fold(part) for part in ref[3:]))
