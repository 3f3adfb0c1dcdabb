"""Every object, field, length, cardinality and enum value of OCPI 2.2.1, held to the spec's tables both ways.

The tables lie beside this file: fields_2.2.1.csv and enums_2.2.1.csv, read out of the spec's own documents.
"""

import csv
import inspect
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from annotated_types import Le, MinLen
from pydantic import PlainValidator, Strict
from pydantic.fields import FieldInfo

from hub.ocpi import classes, enums, types
from modules.cdrs import schemas as cdrs
from modules.commands import schemas as commands
from modules.credentials import schemas as credentials
from modules.locations import schemas as locations
from modules.sessions import schemas as sessions
from modules.tariffs import schemas as tariffs
from modules.tokens import schemas as tokens
from modules.versions import schemas as versions

HERE = Path(__file__).parent

HOMES = {
    "credentials.asciidoc": credentials,
    "mod_cdrs.asciidoc": cdrs,
    "mod_commands.asciidoc": commands,
    "mod_locations.asciidoc": locations,
    "mod_sessions.asciidoc": sessions,
    "mod_tariffs.asciidoc": tariffs,
    "mod_tokens.asciidoc": tokens,
    "types.asciidoc": classes,
    "version_information_endpoint.asciidoc": versions,
}

NOT_IN_A_TABLE = {"VersionDetails"}
"""The spec describes this object in its text only."""


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="") as lines:
        return list(csv.DictReader(lines))


def own_schemas(module: ModuleType) -> dict[str, type[types.Schema]]:
    return {
        name: member
        for name, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, types.Schema) and member.__module__ == module.__name__
    }


FIELDS: dict[str, dict[str, tuple[str, str, str]]] = defaultdict(dict)
MODELS: dict[str, type[types.Schema]] = {}
for row in rows("fields_2.2.1.csv"):
    if row["file"] in HOMES:
        FIELDS[row["object"]][row["field"]] = (row["type"], row["max_len"], row["card"])
for home in HOMES.values():
    MODELS |= own_schemas(home)


def unwrapped(annotation: Any, marks: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """The plain type inside Annotated and `| None`, and all the marks on the way."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        for mark in more:
            marks += tuple(mark.metadata) if isinstance(mark, FieldInfo) else (mark,)
        return unwrapped(inner, marks)
    if get_origin(annotation) in (Union, UnionType):
        return unwrapped(next(arg for arg in get_args(annotation) if arg is not NoneType), marks)
    return annotation, marks


def as_in_the_table(field: FieldInfo) -> tuple[str, str, str]:
    """A model field in the words of the table: type, maximal length, cardinality."""
    plain, marks = unwrapped(field.annotation, tuple(field.metadata))
    required = field.is_required()
    if get_origin(plain) is list:
        assert required == any(isinstance(mark, MinLen) and mark.min_length == 1 for mark in marks)
        return *named(*unwrapped(get_args(plain)[0], ())), "+" if required else "*"
    assert required or field.default is None
    return *named(plain, marks), "1" if required else "?"


def named(plain: type, marks: tuple[Any, ...]) -> tuple[str, str]:
    for mark in marks:
        if isinstance(mark, types.Address):
            return "URL", ""
        if isinstance(mark, types.String):
            return "CiString" if isinstance(mark, types.CiString) else "string", str(mark.length)
    if issubclass(plain, types.Schema | StrEnum):
        return plain.__name__, ""
    assert any(isinstance(mark, PlainValidator | Strict) for mark in marks), "pydantic's own type is too lenient"
    largest = next((str(mark.le) for mark in marks if isinstance(mark, Le)), "")
    return {Decimal: "number", int: "int", bool: "boolean", datetime: "DateTime"}[plain], str(len(largest) or "")


@pytest.mark.catalogue("LOC-034", "LOC-039", "LOC-049", "LOC-055", "SES-032", "CDR-025", "TAR-011", "TOK-031")
@pytest.mark.parametrize("name", sorted(FIELDS))
def test_fields_are_those_of_the_spec(name: str) -> None:
    found = {field: as_in_the_table(info) for field, info in MODELS[name].model_fields.items()}
    spec = dict(FIELDS[name])
    if name == "Endpoint":
        spec["identifier"] = ("string", "255", "1")  # ModuleID is open (VER-022), the table gives it no length
    assert found == spec
    assert list(found) == list(spec), "in the order of the spec"


def test_no_objects_of_our_own() -> None:
    assert set(MODELS) - NOT_IN_A_TABLE == set(FIELDS)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_docstrings_name_the_source(name: str) -> None:
    assert ".asciidoc" in (MODELS[name].__doc__ or "")


@pytest.mark.catalogue("TYP-015", "LOC-064", "LOC-065", "LOC-079", "LOC-085", "SES-043", "SES-044", "CDR-046")
@pytest.mark.catalogue("CDR-047", "TAR-027", "TAR-037", "TOK-037", "TOK-040", "CMD-050", "CMD-051")
def test_enums_are_those_of_the_spec() -> None:
    spec: dict[str, list[str]] = defaultdict(list)
    for row in rows("enums_2.2.1.csv"):
        spec[row["enum"]].append(row["value"])
    found = {
        name: [member.value for member in enum]
        for name, enum in inspect.getmembers(enums, inspect.isclass)
        if issubclass(enum, StrEnum) and enum is not StrEnum
    }
    assert found == spec
