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
from modules.chargingprofiles import schemas as chargingprofiles
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
    "mod_charging_profiles.asciidoc": chargingprofiles,
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


OBJECTS_WITH_ROWS = [
    pytest.param("Location", marks=pytest.mark.catalogue("LOC-034", "LOC-039")),
    pytest.param("EVSE", marks=pytest.mark.catalogue("LOC-049", "LOC-054")),
    pytest.param("Connector", marks=pytest.mark.catalogue("LOC-055")),
    pytest.param("EnergyMix", marks=pytest.mark.catalogue("LOC-067")),
    pytest.param("Hours", marks=pytest.mark.catalogue("LOC-071")),
    pytest.param("Image", marks=pytest.mark.catalogue("LOC-076")),
    pytest.param("Session", marks=pytest.mark.catalogue("SES-032")),
    pytest.param("ChargingPreferences", marks=pytest.mark.catalogue("SES-041")),
    pytest.param("CDR", marks=pytest.mark.catalogue("CDR-025")),
    pytest.param("CdrLocation", marks=pytest.mark.catalogue("CDR-051")),
    pytest.param("CdrToken", marks=pytest.mark.catalogue("CDR-054")),
    pytest.param("ChargingPeriod", marks=pytest.mark.catalogue("CDR-056")),
    pytest.param("SignedData", marks=pytest.mark.catalogue("CDR-058")),
    pytest.param("Tariff", marks=pytest.mark.catalogue("TAR-011")),
    pytest.param("PriceComponent", marks=pytest.mark.catalogue("TAR-021")),
    pytest.param("TariffElement", marks=pytest.mark.catalogue("TAR-043")),
    pytest.param("Token", marks=pytest.mark.catalogue("TOK-031", "TOK-033")),
    pytest.param("AuthorizationInfo", marks=pytest.mark.catalogue("TOK-029")),
    pytest.param("EnergyContract", marks=pytest.mark.catalogue("TOK-038")),
    pytest.param("LocationReferences", marks=pytest.mark.catalogue("TOK-039")),
    pytest.param("CancelReservation", marks=pytest.mark.catalogue("CMD-023")),
    pytest.param("CommandResponse", marks=pytest.mark.catalogue("CMD-024")),
    pytest.param("CommandResult", marks=pytest.mark.catalogue("CMD-026")),
    pytest.param("ReserveNow", marks=pytest.mark.catalogue("CMD-027")),
    pytest.param("StartSession", marks=pytest.mark.catalogue("CMD-038")),
    pytest.param("StopSession", marks=pytest.mark.catalogue("CMD-044")),
    pytest.param("UnlockConnector", marks=pytest.mark.catalogue("CMD-048")),
    pytest.param("ChargingProfileResponse", marks=pytest.mark.catalogue("CHP-025")),
    pytest.param("ActiveChargingProfile", marks=pytest.mark.catalogue("CHP-027")),
    pytest.param("ChargingProfile", marks=pytest.mark.catalogue("CHP-028")),
    pytest.param("ChargingProfilePeriod", marks=pytest.mark.catalogue("CHP-032")),
    pytest.param("SetChargingProfile", marks=pytest.mark.catalogue("CHP-043")),
    pytest.param("Credentials", marks=pytest.mark.catalogue("CRED-037")),
    pytest.param("CredentialsRole", marks=pytest.mark.catalogue("CRED-051")),
    pytest.param("BusinessDetails", marks=pytest.mark.catalogue("CRED-052")),
    pytest.param("Price", marks=pytest.mark.catalogue("TYP-014")),
    pytest.param("DisplayText", marks=pytest.mark.catalogue("TYP-010")),
]
OTHER_OBJECTS = sorted(set(FIELDS) - {case.values[0] for case in OBJECTS_WITH_ROWS})


@pytest.mark.parametrize("name", [*OBJECTS_WITH_ROWS, *OTHER_OBJECTS])
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


def values_of_the_spec() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows("enums_2.2.1.csv"):
        found[row["enum"]].append(row["value"])
    return found


def enums_of_ours() -> dict[str, type[StrEnum]]:
    found = inspect.getmembers(enums, inspect.isclass)
    return {name: enum for name, enum in found if issubclass(enum, StrEnum) and enum is not StrEnum}


ENUMS_WITH_ROWS = [
    pytest.param("Role", marks=pytest.mark.catalogue("TYP-015")),
    pytest.param("Capability", marks=pytest.mark.catalogue("LOC-064")),
    pytest.param("ConnectorType", marks=pytest.mark.catalogue("LOC-065")),
    pytest.param("Status", marks=pytest.mark.catalogue("LOC-079")),
    pytest.param("ProfileType", marks=pytest.mark.catalogue("SES-043")),
    pytest.param("SessionStatus", marks=pytest.mark.catalogue("SES-044")),
    pytest.param("AuthMethod", marks=pytest.mark.catalogue("CDR-046")),
    pytest.param("CdrDimensionType", marks=pytest.mark.catalogue("CDR-047")),
    pytest.param("TariffDimensionType", marks=pytest.mark.catalogue("TAR-027")),
    pytest.param("TariffType", marks=pytest.mark.catalogue("TAR-037")),
    pytest.param("AllowedType", marks=pytest.mark.catalogue("TOK-037")),
    pytest.param("TokenType", marks=pytest.mark.catalogue("TOK-040")),
    pytest.param("CommandResponseType", marks=pytest.mark.catalogue("CMD-050")),
    pytest.param("CommandResultType", marks=pytest.mark.catalogue("CMD-051")),
    pytest.param("ChargingRateUnit", marks=pytest.mark.catalogue("CHP-033")),
    pytest.param("ChargingProfileResponseType", marks=pytest.mark.catalogue("CHP-034")),
    pytest.param("ChargingProfileResultType", marks=pytest.mark.catalogue("CHP-035")),
    pytest.param("ConnectionStatus", marks=pytest.mark.catalogue("HCI-025")),
    pytest.param("ConnectorFormat", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("PowerType", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("ParkingType", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("ParkingRestriction", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("Facility", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("ImageCategory", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("EnergySourceCategory", marks=pytest.mark.catalogue("LOC-085")),
    pytest.param("EnvironmentalImpactCategory", marks=pytest.mark.catalogue("LOC-085")),
]
OTHER_ENUMS = sorted(set(values_of_the_spec()) - {case.values[0] for case in ENUMS_WITH_ROWS})


@pytest.mark.parametrize("name", [*ENUMS_WITH_ROWS, *OTHER_ENUMS])
def test_enums_are_those_of_the_spec(name: str) -> None:
    assert [member.value for member in enums_of_ours()[name]] == values_of_the_spec()[name]


def test_no_enums_of_our_own() -> None:
    assert set(enums_of_ours()) == set(values_of_the_spec())
