"""JSON in and out, without ever meeting a binary float.

Money and energy must come out as they went in: 2.00 stays 2.00. A number with a fraction or an exponent
becomes a Decimal, which keeps its digits, and is written back from them. What PostgreSQL or a careless
partner cannot take is refused here, once, so that no later layer needs to think of it: NUL characters, lone
surrogates, numbers of absurd size, nesting that has no place in OCPI. A message tells the place in bytes
and nothing of the content.
"""

import json as stdlib
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from hub.ocpi.errors import InvalidJson, InvalidParameters

DEPTH = 32
"""Levels of objects and lists. The deepest OCPI object, a CDR with its tariffs, needs seven."""

MAGNITUDE = 30
"""Powers of ten, up and down, that a number may reach."""

DIGITS = 64
"""Characters of a number that the hub is willing to carry."""

_TOO_DEEP = f"The body is nested more than {DEPTH} levels deep."
_BAD_NUMBER = "The body holds a number that is too large, too small or too long."
_LARGEST_INT = 10 ** (MAGNITUDE + 1)
_LONG_NUMBER = b"0" * (MAGNITUDE + 2)
_DIGIT_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_CONTAINERS = frozenset({dict, list})
_NAME = re.compile(rb'"[ \t\n\r]*:')
_FIELD = re.compile(r"[a-z_]{1,40}")
_PLACE = re.compile(r"\(byte (\d+)\)$")


def loads(data: bytes) -> Any:
    """Read one JSON value. Whole numbers become int, all others Decimal. Raises InvalidJson."""
    try:
        value = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJson(_complaint(data, error)) from None
    if data.count(b"{") + data.count(b"[") > DEPTH:  # else it cannot be that deep
        _refuse_deep(value)
    if b"\\u0000" in data or _LONG_NUMBER in data.translate(_DIGIT_TO_ZERO):  # rare, so the look is thorough
        _refuse_odd(value)
    return value


def refuse_doubled(data: bytes, value: dict[str, Any]) -> None:
    """InvalidParameters when an object in `data`, of which `value` was read, has two fields of one name.

    JSON allows it and leaves open which of them counts: the hub would judge one, and the receiver take the other.
    """
    if len(_NAME.findall(data)) > _names(value):  # it may also be text that looks like a name
        stdlib.loads(data, object_pairs_hook=_single, parse_float=str, parse_int=str)


def dumps(value: object) -> bytes:
    """Write a JSON value; a Decimal is written with the digits it has."""
    return _encoder.encode(value)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent that does not even fit a machine word
        raise InvalidJson(_BAD_NUMBER) from None
    if len(text) > DIGITS or abs(number.adjusted()) > MAGNITUDE:
        raise InvalidJson(_BAD_NUMBER)
    return number


_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def _names(value: dict[str, Any]) -> int:
    """How many fields an object and all objects in it have together."""
    found, todo = 0, list[Any]([value])
    for node in todo:
        if type(node) is dict:
            found += len(node)
            todo += [child for child in node.values() if type(child) in _CONTAINERS]
        else:
            todo += [child for child in node if type(child) in _CONTAINERS]
    return found


def _single(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidParameters(f"{name if _FIELD.fullmatch(name) else 'a field'}: stands twice in one object")
        seen.add(name)


def _refuse_deep(value: object) -> None:
    """Walk the value level by level, containers only."""
    level: list[Any] = [[value]]
    for _ in range(DEPTH + 1):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return
    raise InvalidJson(_TOO_DEEP)


def _refuse_odd(value: object) -> None:
    """Look at every value and key. Recursion ends, since the depth is known to be small."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidJson("The body holds a NUL character.")
    if isinstance(value, int) and abs(value) >= _LARGEST_INT:
        raise InvalidJson(_BAD_NUMBER)
    if isinstance(value, dict):
        _refuse_odd(list(value))
        _refuse_odd(list(value.values()))
    if isinstance(value, list):
        for child in value:
            _refuse_odd(child)


def _complaint(data: bytes, error: Exception) -> str:
    """A sentence that names the place of the fault."""
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    if data.startswith(b"\xef\xbb\xbf"):
        return "The body starts with a byte order mark; send UTF-8 without one."
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        return f"The body is not UTF-8 (byte {fault.start})."
    if "out of range" in str(error):
        return _BAD_NUMBER
    place = _PLACE.search(str(error))
    if place:
        return f"The body is not valid JSON (byte {place[1]})."
    return f"The body is not valid JSON: it ends too early or holds half a character ({len(data)} bytes)."
