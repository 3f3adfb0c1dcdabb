"""The spec's basic types, and the one check that every body goes through.

A hub carries other people's data, so the check is forgiving where a mistake harms nobody: text that is too
long, an enum value of a newer version or an optional field of the wrong kind is let through and reported as a
finding. What the hub cannot work with, a required field that is missing or of the wrong kind, is refused.
Neither finding nor refusal repeats what was sent: a token or an address has no place in a log.

The names read like the spec's tables: `CiString36`, `String255`, `Number`, `DateTime`; `X | None` is
cardinality ?, `Many[X]` is *, `Some[X]` is +.

Source: types.asciidoc; terminology.asciidoc > Cardinality.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from hub.ocpi.errors import InvalidParameters

# --- Parties ---

_COUNTRY_CODE = re.compile(r"[A-Z]{2}")
_PARTY_ID = re.compile(r"[A-Z0-9]{3}")


class PartyId(NamedTuple):
    """A party as the whole hub names it, upper case; `str()` gives the database key, like NL*CPA.

    Both ways to make one raise InvalidParameters when the parts cannot name a party.
    """

    country_code: str
    party_id: str

    @classmethod
    def of(cls, country_code: str, party_id: str) -> Self:
        """From the two parts, in any case (TYP-003)."""
        party = cls(country_code.upper(), party_id.upper())
        if not _COUNTRY_CODE.fullmatch(party.country_code):
            raise InvalidParameters("country_code: must be two letters, like NL.")
        if not _PARTY_ID.fullmatch(party.party_id):
            raise InvalidParameters("party_id: must be three letters or digits, like CPA.")
        return party

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the form NL*CPA."""
        country_code, star, party_id = text.partition("*")
        if not star:
            raise InvalidParameters("A party is written like NL*CPA.")
        return cls.of(country_code, party_id)

    def __str__(self) -> str:
        return f"{self.country_code}*{self.party_id}"


# --- Times ---

EPOCH = date(1970, 1, 1)
"""The day that parties agree on to mean "not known" (CDR-038)."""

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)


def parse_datetime(text: str) -> datetime:
    """Read an OCPI DateTime; the result is aware and in UTC. Raises ValueError.

    Without Z it is UTC (TYP-005); an offset, which OCPI does not allow, is converted (TYP-007).
    """
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("must be a time like 2026-01-01T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists, like 2026-01-01T00:00:00Z") from None
    if not 2000 <= moment.year <= 2100 and moment.date() != EPOCH:
        raise ValueError("must be a time between the years 2000 and 2100")
    return moment


def format_datetime(moment: datetime) -> str:
    """Write an aware time as OCPI wants it: UTC with Z, and milliseconds where they are not zero."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond >= 1000 else "seconds") + "Z"


# --- Text ---


def fold(text: str) -> str:
    """The form of a CiString for lookups (TYP-003); on the wire it keeps its sender's case (TYP-002)."""
    return text.upper()


def masked(uid: str) -> str:
    """The uid of a token as journal and logs may show it: its last two characters."""
    return f"…{uid[-2:]}" if len(uid) > 2 else uid


def same(one: str | None, other: str | None) -> bool:
    """Whether two CiStrings, either of which may be missing, are equal to OCPI."""
    return one == other or (one is not None and other is not None and fold(one) == fold(other))


@dataclass(frozen=True)
class String:
    """Text of at most `length` characters, without control characters (TYP-016, TYP-018)."""

    length: int
    least: int = 0
    pattern: ClassVar[str] = r"^[^\x00-\x1f\x7f-\x9f]*$"

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(
            strict=True, min_length=self.least or None, max_length=self.length, pattern=self.pattern
        )


class CiString(String):
    """Printable ASCII, compared without regard to case (TYP-001); `least=1` where it goes into a URL."""

    pattern = r"^[\x20-\x7e]*$"


class CurrencyCode(String):
    """Three letters, like EUR (SES-039)."""

    pattern = r"^[A-Z]{3}$"


class CountryCode(String):
    """Three letters, like NLD: ISO 3166-1 alpha-3, whereas a party's country_code has two (LOC-036)."""

    pattern = r"^[A-Z]{3}$"


class Degrees(String):
    """A decimal degree of latitude or longitude: a dot, and five to seven digits behind it (LOC-069)."""

    pattern = r"^-?[0-9]{1,3}\.[0-9]{5,7}$"


class TimeOfDay(String):
    """Hours and minutes with leading zeros (LOC-075, TAR-042)."""

    pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class Day(String):
    """A date (TAR-042)."""

    pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"


class Base64(String):
    """Bytes as text (CDR-063)."""

    pattern = r"^[A-Za-z0-9+/]*={0,2}$"


class Address(String):
    """A web address (TYP-019)."""

    pattern = r"^https?://[^\s\x00-\x1f]+$"


CiString2 = Annotated[str, CiString(2)]
CiString3 = Annotated[str, CiString(3)]
CiString4 = Annotated[str, CiString(4)]
CiString32 = Annotated[str, CiString(32)]
CiString36 = Annotated[str, CiString(36)]
CiString39 = Annotated[str, CiString(39)]
CiString48 = Annotated[str, CiString(48)]
Id36 = Annotated[str, CiString(36, least=1)]
Id39 = Annotated[str, CiString(39, least=1)]
String2 = Annotated[str, String(2)]
String3 = Annotated[str, String(3)]
String4 = Annotated[str, String(4)]
String5 = Annotated[str, String(5)]
String10 = Annotated[str, String(10)]
String11 = Annotated[str, String(11)]
String16 = Annotated[str, String(16)]
String20 = Annotated[str, String(20)]
String45 = Annotated[str, String(45)]
String64 = Annotated[str, String(64)]
String100 = Annotated[str, String(100)]
String255 = Annotated[str, String(255)]
String512 = Annotated[str, String(512)]
String5000 = Annotated[str, String(5000)]
Currency = Annotated[str, CurrencyCode(3)]
Base64String512 = Annotated[str, Base64(512)]
Base64String5000 = Annotated[str, Base64(5000)]
Country = Annotated[str, CountryCode(3)]
Latitude = Annotated[str, Degrees(10)]
Longitude = Annotated[str, Degrees(11)]
Time5 = Annotated[str, TimeOfDay(5)]
Date10 = Annotated[str, Day(10)]
Url = Annotated[str, Address(255)]


# --- Numbers and times as fields ---


def _number(value: object) -> Decimal:
    if type(value) is int:
        return Decimal(value)
    if type(value) is Decimal and value.is_finite():
        return value
    raise PydanticCustomError("number", "must be a number")


def _whole(value: object) -> int:
    if type(value) is int:
        return value
    if type(value) is Decimal and value == value.to_integral_value():
        return int(value)
    raise PydanticCustomError("whole", "must be a whole number")


def _moment(value: object) -> datetime:
    if type(value) is not str:
        raise PydanticCustomError("time", "must be a time like 2026-01-01T00:00:00Z")
    try:
        return parse_datetime(value)
    except ValueError as error:
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from None


Boolean = StrictBool
Number = Annotated[Decimal, PlainValidator(_number), PlainSerializer(Decimal), WithJsonSchema({"type": "number"})]
Int = Annotated[int, PlainValidator(_whole), WithJsonSchema({"type": "integer"})]
Int1 = Annotated[Int, Field(le=9)]
Int5 = Annotated[Int, Field(le=99_999)]
DateTime = Annotated[
    datetime,
    PlainValidator(_moment),
    PlainSerializer(format_datetime, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


# --- Objects ---


class Schema(BaseModel):
    """Base of all OCPI objects. Fields that the spec does not know are allowed and kept."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


T = TypeVar("T")
Many = list[T] | None
Some = Annotated[list[T], Field(min_length=1)]


class Structural:
    """Marks an optional field that the hub itself walks, so that its shape is checked like a required one."""


# --- The check ---

NAMED_AT_MOST = 5
"""How many bad fields one refusal lists."""

COUNTED_AT_MOST = 5000
"""How many faults are looked at one by one; past that a small body would keep the process busy for seconds."""

_ODDITY = "oddity"
_TOLERATED = frozenset({"string_too_long", "string_pattern_mismatch", "less_than_equal", "enum", _ODDITY})

_REASONS = {
    "missing": "field required",
    "string_type": "must be a string",
    "string_too_long": "longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "holds characters that are not allowed here",
    "less_than_equal": "must be at most {le}",
    "enum": "unknown value",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "too_short": "must have at least one element",
}


def oddity(reason: str) -> PydanticCustomError:
    """For a model's own validator: fields that do not go together. It is let through and counted."""
    return PydanticCustomError(_ODDITY, "{reason}", {"reason": reason})


class Finding(NamedTuple):
    """Something wrong in a body that was let through: where, like evses[0].status, and what."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def check(model: type[Schema], data: Mapping[str, Any]) -> list[Finding]:
    """Hold a body to its schema; an empty list means that it is clean.

    Raises InvalidParameters, naming at most five fields, when a required field is missing or of the wrong
    kind, be it of the object itself or of one inside it.
    """
    try:
        model.model_validate(data)
    except ValidationError as error:
        if error.error_count() > COUNTED_AT_MOST:
            raise InvalidParameters(f"body: more than {COUNTED_AT_MOST} faults") from None
        faults = error.errors(include_url=False)
    else:
        return []
    refused = [_finding(fault) for fault in faults if not _is_tolerated(model, fault)]
    if refused:
        named = "; ".join(f"{path}: {reason}" for path, reason in refused[:NAMED_AT_MOST])
        more = len(refused) - NAMED_AT_MOST
        raise InvalidParameters(f"{named}; and {more} more" if more > 0 else named)
    return [_finding(fault) for fault in faults]


def _is_tolerated(model: type[Schema], fault: ErrorDetails) -> bool:
    if _kind(fault) in _TOLERATED:
        return True
    field = _field_at(model, fault["loc"])
    return field is not None and not field.is_required() and Structural not in field.metadata


def _field_at(model: type[Schema], steps: tuple[int | str, ...]) -> FieldInfo | None:
    """The field that a place in the data belongs to; None is the object as a whole."""
    field = None
    for step in steps:
        if isinstance(step, str):
            field = model.model_fields[step]
            model = _object_in(field.annotation) or model
    return field


def _object_in(annotation: Any) -> type[Schema] | None:
    """The schema inside an annotation such as Many[EVSE], if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, Schema):
        return annotation
    return next(filter(None, map(_object_in, get_args(annotation))), None)


def _kind(fault: ErrorDetails) -> str:
    """What pydantic calls the fault, except that only text can be an unknown enum value."""
    if fault["type"] == "enum" and not isinstance(fault["input"], str):
        return "string_type"
    return fault["type"]


def _finding(fault: ErrorDetails) -> Finding:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
    reason = _REASONS.get(_kind(fault), fault["msg"]).format_map(fault.get("ctx", {}))
    return Finding(path.lstrip(".") or "body", reason)
