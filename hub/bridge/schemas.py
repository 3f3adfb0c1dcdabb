"""OCPP 1.6 messages held to their schemas: lenient in, strict out.

A message that fits its schema costs about two microseconds here. One that does not is repaired as far as the intent
is plain: real chargers send numbers as text, one object where a list belongs, fields that nobody knows, nulls and
over-long serial numbers (field faults F16, F20, F21, F23, F25). Only what is then still missing or of the wrong kind
is a violation, and what a reader does with unknown enum values is the reader's business.

The schemas come with the `ocpp` package. Formats are not checked: times are read by `hub.bridge.clock`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson


@dataclass(frozen=True)
class Violation(Exception):
    """What is wrong with a payload: the OCPP-J 1.6 error code and the field."""

    code: str
    path: str


@cache
def _schema(name: str) -> dict[str, Any]:
    file = resources.files("ocpp.v16").joinpath("schemas", f"{name}.json")
    schema: dict[str, Any] = orjson.loads(file.read_text("utf-8-sig"))
    return schema


@cache
def _validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(_schema(name), validate_formats=False)


@cache
def known(action: str) -> bool:
    """Whether OCPP 1.6, with its security extension, has this action."""
    return action.isalpha() and resources.files("ocpp.v16").joinpath("schemas", f"{action}Response.json").is_file()


def read(action: str, payload: object) -> tuple[dict[str, Any], Violation | None]:
    """The payload of an incoming CALL of a known action, repaired if needed, and what is still wrong with it."""
    if isinstance(payload, dict) and _validator(action).is_valid(payload):
        return payload, None
    faults: list[Violation] = []
    repaired = _repair(_schema(action), payload, "", faults)
    return (repaired if isinstance(repaired, dict) else {}), (faults[0] if faults else None)


def require(name: str, payload: Mapping[str, Any]) -> None:
    """Raise ValueError if what we are about to send does not fit the schema `name`."""
    fault = next(_validator(name).iter_errors(dict(payload)), None)
    if fault is not None:
        raise ValueError(f"{name}: {fault.message}")


def _repair(schema: Mapping[str, Any], value: Any, path: str, faults: list[Violation]) -> Any:
    match schema.get("type"):
        case "object":
            return _object(schema, value, path, faults)
        case "array":
            entries = value if isinstance(value, list) else [value]
            return [_repair(schema["items"], entry, f"{path}[{i}]", faults) for i, entry in enumerate(entries)]
        case "string" if isinstance(value, bool):
            return "true" if value else "false"
        case "string" if isinstance(value, int | Decimal):
            return str(value)
        case "integer" if not isinstance(value, bool) and isinstance(value, str | Decimal):
            value = _integer(value)
    if not _fits(schema.get("type"), value):
        faults.append(Violation("TypeConstraintViolation", path))
    return value


def _object(schema: Mapping[str, Any], value: Any, path: str, faults: list[Violation]) -> Any:
    if not isinstance(value, dict):
        faults.append(Violation("TypeConstraintViolation", path or "payload"))
        return value
    fields = schema.get("properties", {})
    prefix = f"{path}." if path else ""
    kept = {
        name: _repair(fields[name], entry, f"{prefix}{name}", faults)
        for name, entry in value.items()
        if name in fields and entry is not None
    }
    for name in schema.get("required", ()):
        if name not in kept:
            faults.append(Violation("OccurenceConstraintViolation", f"{prefix}{name}"))
    return kept


def _integer(value: str | Decimal) -> Any:
    """A whole number that came as text or with a fraction of zero; anything else stays what it was."""
    try:
        number = Decimal(value)
        return int(number) if number == number.to_integral_value() and abs(number) < 2**63 else value
    except (InvalidOperation, ValueError):
        return value


def _fits(kind: object, value: object) -> bool:
    if isinstance(value, bool):
        return kind in ("boolean", None)
    accepted = {"string": str, "integer": int, "number": int | Decimal, "boolean": bool}.get(str(kind), object)
    return isinstance(value, accepted)
