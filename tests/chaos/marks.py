"""Versions that can be seen: each push writes its number into a field of every part of the object that it states.

A part is named "locations/LOC1", "locations/LOC1/EVSE1", "tariffs/T1" or "sessions/S1". The number rises with
each push; a receiver reads it from what it gets, whatever road the push took and whatever it was merged with.
"""

from collections.abc import Mapping
from typing import Any

FIELDS = {"locations": "name", "evses": "physical_reference", "tariffs": "tariff_alt_url", "sessions": "meter_id"}
"""The field that carries the number, by kind of part."""

_URL = "https://cpo.example/"


def mark(kind: str, number: int) -> dict[str, str]:
    """The field to put into a part."""
    return {FIELDS[kind]: f"{_URL if kind == 'tariffs' else ''}v{number}"}


def read(kind: str, part: Mapping[str, Any]) -> int | None:
    """The number in a part, None if it does not have the field."""
    value = part.get(FIELDS[kind])
    return int(str(value).rpartition("v")[2]) if value is not None else None


def parts(module: str, path: list[str], body: Mapping[str, Any]) -> dict[str, int]:
    """The numbers in a PUT or PATCH, by part. `path` is what follows the owner: [id], or [id, evse_uid]."""
    name = "/".join([module, *path])
    kind = "evses" if len(path) > 1 else module
    found = {name: read(kind, body)}
    if module == "locations" and len(path) == 1:
        found |= {f"{name}/{evse['uid']}": read("evses", evse) for evse in body.get("evses") or ()}
    return {part: number for part, number in found.items() if number is not None}
