"""What goes in comes out; what nobody could carry is refused with a place and without its content."""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi import json
from hub.ocpi.errors import InvalidJson


def floats_in(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(floats_in, value.values()))
    if isinstance(value, list):
        return any(map(floats_in, value))
    return isinstance(value, float)


@pytest.mark.catalogue("TYP-012", "TYP-013")
@pytest.mark.parametrize("text", ["2.00", "2.0", "0.1", "-0.30", "1234567890.0001", "0.000000000000000000000000000001"])
def test_a_number_keeps_its_digits(text: str) -> None:
    value = json.loads(text.encode())
    assert type(value) is Decimal
    assert Decimal(json.dumps(value).decode()) == Decimal(text)


@pytest.mark.parametrize("text", ["2.00", "0.30", "-1.50", "17", "0", "-3"])
def test_ordinary_numbers_keep_their_very_text(text: str) -> None:
    assert json.dumps(json.loads(text.encode())) == text.encode()


def test_an_exponent_is_legal_both_ways() -> None:
    assert json.loads(b"1e3") == 1000
    assert json.loads(json.dumps(json.loads(b"1e3"))) == 1000
    assert json.loads(json.dumps(Decimal("1E-7"))) == Decimal("0.0000001")


def test_text_and_structure() -> None:
    value: dict[str, Any] = {"name": "Størrebro 日本 😀", "list": [1, None, True, {}], "escaped": 'a"\\b'}
    assert json.loads(json.dumps(value)) == value
    assert json.loads(b'"\\ud83d\\ude00"') == "😀"
    assert json.loads(b'"\\\\u0000"') == "\\u0000", "an escaped backslash before u0000 is no NUL"
    assert json.loads(b'"' + b"7" * 36 + b'"') == "7" * 36, "digits in text are no number"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc_", max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_round_trip(value: Any) -> None:
    read = json.loads(json.dumps(value))
    assert read == value
    assert not floats_in(read)


BROKEN = {
    "empty": (b"", "0 bytes"),
    "cut off": (b'{"uid":"secret', "14 bytes"),
    "trailing": (b'{"uid":1}secret', "byte 1"),
    "not json": (b"secret", "byte 0"),
    "nan": (b"NaN", "byte 0"),
    "leading zero": (b"[01]", "byte"),
    "raw nul": (b'"secret\x00"', "byte 7"),
    "not utf-8": (b'{"uid": "secret\xff"}', "UTF-8 (byte 15)"),
    "latin 1 key": (b'{"stra\xdfe": 1}', "UTF-8 (byte 6)"),
    "encoded surrogate": (b'"secret\xed\xa0\x80"', "UTF-8 (byte 7)"),
    "utf-16": ('{"uid":1}'.encode("utf-16"), "UTF-8 (byte 0)"),
    "byte order mark": (b'\xef\xbb\xbf{"uid":"secret"}', "byte order mark"),
    "lone high surrogate": (b'"secret\\ud800"', "bytes"),
    "lone low surrogate": (b'"secret\\udc00"', "byte"),
    "two high surrogates": (b'"\\ud800\\ud800"', "byte"),
    "escaped nul": (b'{"uid":"secret\\u0000"}', "NUL"),
    "escaped nul in a key": (b'{"secret\\u0000":1}', "NUL"),
    "escaped nul deep down": (b'{"a":[{"b":["\\u0000"]}]}', "NUL"),
    "huge": (b"1e31", "number"),
    "tiny": (b"1e-31", "number"),
    "absurd": (b"[1e999999999]", "number"),
    "beyond words": (b"[1e99999999999999999999]", "number"),
    "long fraction": (b"0." + b"1" * 70, "number"),
    "long integer": (b'{"volume":' + b"9" * 32 + b"}", "number"),
    "longest integer": (b"-" + b"1" * 5000, "number"),
    "deep": (b"[" * 33 + b"]" * 33, "32 levels"),
    "deeper": (b'{"a":' * 100_000, "32 levels"),
}


@pytest.mark.parametrize(("data", "hint"), BROKEN.values(), ids=BROKEN)
def test_broken_bodies(data: bytes, hint: str) -> None:
    with pytest.raises(InvalidJson, match=re.escape(hint)) as refusal:
        json.loads(data)
    assert refusal.value.http_status == 400
    assert "secret" not in refusal.value.message


def test_the_deepest_that_is_taken() -> None:
    assert json.loads(b"[" * 32 + b"]" * 32)
    assert json.loads(b"[[1" + b"0" * 30 + b"]]")


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(InvalidJson):
        assert not floats_in(json.loads(data))
