"""What of an object is owed: the union of changed levels and fields, as arithmetic.

A `Need` maps the path of a level ("" the object, "EVSE1", "EVSE1/1", upper case as in `Kept.times`) to the fields
that changed there, or to None when the whole level did. A whole level covers all below it, so that needs that say
the same are equal. Union is associative, commutative and idempotent: rows may be folded in any order, and twice.
"""

from collections.abc import Iterable, Mapping, Sequence

Need = Mapping[str, frozenset[str] | None]

ROOT = ""
WHOLE: Need = {ROOT: None}


def path(part_ids: Sequence[str]) -> str:
    """The path of the level that a client owned URL names."""
    return "/".join(part_id.upper() for part_id in part_ids)


def of_change(part_ids: Sequence[str], fields: Iterable[str] | None) -> Need:
    """What one row of the change log asks for."""
    return {path(part_ids): None if fields is None else frozenset(fields)}


def union(one: Need, other: Need) -> Need:
    """Everything that either asks for."""
    if one in (other, WHOLE):
        return one
    merged = dict(one)
    for level, fields in other.items():
        known = merged.get(level, frozenset())
        merged[level] = None if fields is None or known is None else fields | known
    whole = [level for level, fields in merged.items() if fields is None]
    return {level: fields for level, fields in merged.items() if not any(_below(level, above) for above in whole)}


def to_json(need: Need) -> dict[str, list[str] | None]:
    """The form in which the table keeps it."""
    return {level: None if fields is None else sorted(fields) for level, fields in need.items()}


def from_json(value: Mapping[str, Sequence[str] | None]) -> Need:
    """Back from the table."""
    return {level: None if fields is None else frozenset(fields) for level, fields in value.items()}


def _below(level: str, above: str) -> bool:
    return level != above and (above == ROOT or level.startswith(above + "/"))
