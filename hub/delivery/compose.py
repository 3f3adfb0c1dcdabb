"""What goes out for an owed object: from its current state and the owed levels and fields to OCPI requests. Pure.

A PATCH is sent where only fields of one EVSE or of one Connector changed, a PUT of that level or of the whole object
otherwise: a PUT is always right, a PATCH is only smaller (and one of a Session appends, so it could not be repeated:
SES-027). Whoever sees a mix of two rows (its own and everybody's)
never gets a PATCH, because the level may come from the other row than before. Tombstones go out as DELETE, CDRs as
POST. Bodies that are sent whole from one row go out byte for byte as their owner wrote them (TF-127).
"""

import functools
from dataclasses import dataclass
from typing import Any

from hub.delivery import need as needs
from hub.delivery import view
from hub.delivery.need import ROOT, Need
from hub.delivery.view import Body
from hub.ocpi import json
from hub.ocpi.module import Module
from hub.ocpi.types import Schema
from hub.store.objects import Kept

LEVELS_AT_MOST = 3
"""Changes of more EVSEs than this go out as one PUT of the Location."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request: `path` follows the receiver's endpoint, `for_everybody` is who it is from (the hub or the owner)."""

    method: str
    path: str
    body: bytes | None
    level: str
    for_everybody: bool


def messages(module: Module, need: Need, own: Kept | None, everybody: Kept | None) -> list[Message]:
    """What brings a receiver up to date; empty when there is nothing that it could be told."""
    row = view.only(own, everybody)
    if row is not None and row.deleted:
        return _delete(module, row, row is everybody)
    if row is not None and module.immutable:
        return [Message("POST", "", row.body.encode(), ROOT, False)]
    levels = _levels(module, need, mixed=row is None)
    body = None if ROOT in levels else view.view(own, everybody, module)
    if body is None:
        return whole(module, own, everybody)
    found = [_of_level(module, body, level, fields, own, everybody) for level, fields in levels.items()]
    return [message for message in found if message] if all(found) else whole(module, own, everybody)


def need_for(module: Module, need: Need, patch: str) -> Need:
    """What is owed, in the form that a receiver takes (quirk `patch`): "no" PATCH at all, or none of a field that holds
    a list, because the receiver appends to it ("no_lists"). The level is then sent whole."""
    if patch == "yes":
        return need
    return {
        level: fields if fields is not None and patch == "no_lists" and not fields & _lists(module, level) else None
        for level, fields in need.items()
    }


@functools.cache
def _list_fields(model: type[Schema]) -> frozenset[str]:
    """The fields of a schema that hold lists."""
    return frozenset(name for name, field in model.model_fields.items() if "list[" in str(field.annotation))


def _lists(module: Module, level: str) -> frozenset[str]:
    return _list_fields(module.level_model(len(level.split("/")) if level else 0))


def departure(need: Need, message: Message) -> str | None:
    """How the form of a message differs from the pushes that asked for it, in words; None when it does not."""
    if message.method in ("POST", "DELETE"):
        return None
    level = message.level or "the whole object"
    if message.level not in need:
        return f"sent as {message.method} of {level}"
    return f"sent as PUT of {level}, not as PATCH" if message.method == "PUT" and need[message.level] else None


def whole(module: Module, own: Kept | None, everybody: Kept | None) -> list[Message]:
    """The PUT of the whole object; nothing when it is gone."""
    row = view.only(own, everybody)
    if row is not None:
        path = module.path_of(view.read(row))
        return [] if row.deleted else [Message("PUT", path, row.body.encode(), ROOT, row is everybody)]
    body = view.view(own, everybody, module)
    if body is None or own is None or everybody is None:
        return []
    mine = view.winner(own, everybody, ROOT) is own
    return [Message("PUT", module.path_of(body), json.dumps(body), ROOT, not mine)]


def _levels(module: Module, need: Need, mixed: bool) -> Need:
    """The levels to send, one message each; ROOT stands for the PUT of the whole object."""
    if ROOT in need or not module.parts:
        return needs.WHOLE
    by_evse: dict[str, dict[str, frozenset[str] | None]] = {}
    for level, fields in need.items():
        by_evse.setdefault(level.split("/")[0], {})[level] = None if mixed else fields
    if len(by_evse) > LEVELS_AT_MOST:
        return needs.WHOLE
    levels: dict[str, frozenset[str] | None] = {}
    for evse, below in by_evse.items():
        levels |= below if len(below) == 1 else {evse: None}
    return levels


def _of_level(
    module: Module,
    body: Body,
    level: str,
    fields: frozenset[str] | None,
    own: Kept | None,
    everybody: Kept | None,
) -> Message | None:
    """The PATCH or PUT of one EVSE or Connector; None when the object has no such level any more."""
    found: Body = body
    ids: list[str] = []
    for part, wanted in zip(module.parts, level.split("/"), strict=False):
        siblings = found.get(part.list_field) or ()
        child = next((c for c in siblings if str(c.get(part.id_field)).upper() == wanted), None)
        if child is None:
            return None
        found = child
        ids.append(str(child[part.id_field]))
    path = module.path_of(body, tuple(ids))
    from_all = everybody is not None and (own is None or view.winner(own, everybody, level) is everybody)
    change = _patch(module, found, fields, len(ids))
    if change is None:
        return Message("PUT", path, json.dumps(found), level, from_all)
    return Message("PATCH", path, json.dumps(change), level, from_all)


def _patch(module: Module, body: Body, fields: frozenset[str] | None, depth: int) -> dict[str, Any] | None:
    """The changed fields with the level's last_updated; None when a PATCH cannot say it (TF-055: removal)."""
    if fields is None or "PATCH" not in module.receiver_methods or not fields <= body.keys():
        return None
    if depth < len(module.parts) and module.parts[depth].list_field in fields:
        return None
    return {name: body[name] for name in body if name in fields or name == "last_updated"}


def _delete(module: Module, row: Kept, from_all: bool) -> list[Message]:
    if "DELETE" not in module.receiver_methods:
        return []
    return [Message("DELETE", module.path_of(view.read(row)), None, ROOT, from_all)]
