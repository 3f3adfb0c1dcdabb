"""Both documents and the collection hold together, and say what OCPI wants said."""

import json
from decimal import Decimal
from typing import Any

import pytest

from hub.cli import openapi
from hub.ocpi.types import check
from hub.openapi import operations
from hub.openapi.operator import references
from hub.openapi.schemas import definitions, examples
from modules.calls import takes
from modules.catalog import CATALOG, LOCATIONS

FILES = openapi.documents()
OCPI: dict[str, Any] = json.loads(FILES["ocpi.json"])
OPERATOR: dict[str, Any] = json.loads(FILES["operator.json"])
COLLECTION: dict[str, Any] = json.loads(FILES["knutpunkt.postman_collection.json"])
both = pytest.mark.parametrize("document", [OCPI, OPERATOR], ids=["ocpi", "operator"])


def resolve(document: dict[str, Any], pointer: str) -> Any:
    found: Any = document
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step]
    return found


def pointers(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(pointers, value.values()))
    return set().union(*map(pointers, value)) if isinstance(value, list) else set()


def operation(document: dict[str, Any], method: str, path: str) -> Any:
    return document["paths"][path][method]


@both
def test_every_reference_resolves_and_every_component_is_used(document: dict[str, Any]) -> None:
    for pointer in pointers(document):
        assert isinstance(resolve(document, pointer), dict)
    assert set(document["components"]["schemas"]) == set(references(document))


@both
def test_every_operation_is_described_and_named_once(document: dict[str, Any]) -> None:
    found = operations(document)
    assert all(o["summary"] and o["description"] and o["tags"] for _, _, o in found)
    assert len({o["operationId"] for _, _, o in found}) == len(found)
    assert all("422" not in o["responses"] for _, _, o in found)
    assert document["security"]
    assert set(document["security"][0]) == set(document["components"]["securitySchemes"])


def test_a_functional_message_carries_routing_headers_and_the_handshake_none() -> None:
    push = operation(OCPI, "put", "/2.2.1/receiver/locations/{country_code}/{party_id}/{location_id}")
    named = {resolve(OCPI, p["$ref"])["name"] for p in push["parameters"] if "$ref" in p}
    assert {"OCPI-to-country-code", "OCPI-to-party-id", "OCPI-from-country-code", "X-Request-ID"} <= named
    hello = operation(OCPI, "post", "/2.2.1/credentials")
    assert {resolve(OCPI, p["$ref"])["name"] for p in hello["parameters"]} == {"X-Request-ID", "X-Correlation-ID"}


def test_a_list_has_pages() -> None:
    pages = operation(OCPI, "get", "/2.2.1/sender/tariffs")
    assert {"DateFrom", "DateTo", "Offset", "Limit"} <= {p["$ref"].rpartition("/")[2] for p in pages["parameters"]}
    assert set(pages["responses"]["200"]["headers"]) == {"Link", "X-Total-Count", "X-Limit"}


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("get", "/versions", {"type": "array", "items": {"$ref": "#/components/schemas/Version"}}),
        ("get", "/2.2.1/sender/locations", {"type": "array", "items": {"$ref": "#/components/schemas/Location"}}),
        ("get", "/2.2.1/sender/locations/{location_id}/{evse_uid}", {"$ref": "#/components/schemas/EVSE"}),
        (
            "get",
            "/2.2.1/receiver/locations/{country_code}/{party_id}/{location_id}/{evse_uid}/{connector_id}",
            {"$ref": "#/components/schemas/Connector"},
        ),
        ("get", "/2.2.1/receiver/cdrs/{cdr_location}", {"$ref": "#/components/schemas/CDR"}),
        ("post", "/2.2.1/receiver/commands/START_SESSION", {"$ref": "#/components/schemas/CommandResponse"}),
        ("post", "/2.2.1/sender/tokens/{token_uid}/authorize", {"$ref": "#/components/schemas/AuthorizationInfo"}),
    ],
)
def test_answers_come_in_the_envelope(method: str, path: str, data: dict[str, Any]) -> None:
    schema = operation(OCPI, method, path)["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["allOf"][0] == {"$ref": "#/components/schemas/Envelope"}
    assert schema["allOf"][1]["properties"]["data"] == data


def test_a_patch_needs_last_updated_alone() -> None:
    patch = operation(OCPI, "patch", "/2.2.1/receiver/locations/{country_code}/{party_id}/{location_id}/{evse_uid}")
    schema = resolve(OCPI, patch["requestBody"]["content"]["application/json"]["schema"]["$ref"])
    assert (schema["required"], "status" in schema["properties"]) == (["last_updated"], True)


def test_a_refusal_of_the_operator_api_is_an_error() -> None:
    found = operation(OPERATOR, "post", "/api/v1/platforms")["responses"]
    assert {"201", "400", "401", "409", "502", "503"} <= set(found)
    assert found["409"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_money_and_energy_are_numbers() -> None:
    energy = OPERATOR["components"]["schemas"]["CdrRow"]["properties"]["total_energy"]
    assert {"type": "number"} in energy["anyOf"]


def test_examples_hold_to_their_schemas() -> None:
    models = {m.model.__name__: m.model for m in CATALOG.values()}
    models |= {part.model.__name__: part.model for m in CATALOG.values() for part in m.parts}
    models |= {c.__name__: c for m in CATALOG.values() for c in m.command_models.values()}
    for name in models.keys() & examples().keys():
        sent = json.loads(json.dumps(examples()[name]), parse_float=Decimal)
        assert check(models[name], sent) == []


def test_bodies_are_references_to_components() -> None:
    schema = takes(LOCATIONS.model)["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Location"}
    assert "Location" in definitions()


def test_the_collection_has_every_operation_with_a_body_where_one_is_taken() -> None:
    assert COLLECTION["info"]["schema"].endswith("v2.1.0/collection.json")
    requests = [item["request"] for side in COLLECTION["item"] for tag in side["item"] for item in tag["item"]]
    assert len(requests) == len(operations(OCPI)) + len(operations(OPERATOR))
    variables = {variable["key"] for variable in COLLECTION["variable"]}
    for request in requests:
        assert request["url"]["raw"].startswith("{{base_url}}/")
        named = [part[1:] for part in request["url"]["path"] if part.startswith(":")]
        assert named == [variable["key"] for variable in request["url"].get("variable", [])]
        if "body" in request:
            assert json.loads(request["body"]["raw"])
    used = {part.partition("}}")[0] for part in json.dumps(COLLECTION).split("{{")[1:]}
    assert used - {"$guid"} == variables
