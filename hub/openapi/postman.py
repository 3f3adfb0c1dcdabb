"""A Postman collection (v2.1) of both documents: a folder for each, and in it one for each tag."""

import base64
import json
import uuid
from typing import Any

from hub.openapi import Document, Operation, operations
from hub.settings import version

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

_VARIABLES = {
    "base_url": "http://127.0.0.1:8000",
    "operator_token": "",
    "ocpi_token": base64.b64encode(b"token-c").decode(),
    "to_country_code": "NL",
    "to_party_id": "HUB",
    "from_country_code": "DE",
    "from_party_id": "MSA",
}
_HEADERS = {
    "OCPI-to-country-code": "{{to_country_code}}",
    "OCPI-to-party-id": "{{to_party_id}}",
    "OCPI-from-country-code": "{{from_country_code}}",
    "OCPI-from-party-id": "{{from_party_id}}",
    "X-Request-ID": "{{$guid}}",
    "X-Correlation-ID": "{{$guid}}",
}
_ABOUT = """Set the variables of the collection: `base_url`; `operator_token` for the operator API; for the OCPI side
`ocpi_token`, which is token C in Base64, and the two parties."""


def collection(ocpi: Document, operator: Document) -> dict[str, Any]:
    """The collection; always the same for the same documents."""
    token = {"key": "value", "value": "Token {{ocpi_token}}", "type": "string"}
    name = {"key": "key", "value": "Authorization", "type": "string"}
    bearer = {"key": "token", "value": "{{operator_token}}", "type": "string"}
    return {
        "info": {
            "_postman_id": str(uuid.uuid5(uuid.NAMESPACE_URL, "knutpunkt")),
            "name": "Knutpunkt",
            "description": _ABOUT,
            "version": version(),
            "schema": SCHEMA,
        },
        "variable": [{"key": key, "value": value, "type": "string"} for key, value in _VARIABLES.items()],
        "item": [
            _side(operator, "Operator API", "", {"type": "bearer", "bearer": [bearer]}),
            _side(ocpi, "OCPI 2.2.1", "/ocpi", {"type": "apikey", "apikey": [name, token]}),
        ],
    }


def _side(document: Document, name: str, prefix: str, auth: dict[str, Any]) -> dict[str, Any]:
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, method, operation in operations(document):
        folders.setdefault(operation["tags"][0], []).append(_item(document, prefix + path, method, operation))
    items = [{"name": tag, "item": requests} for tag, requests in folders.items()]
    return {"name": name, "description": document["info"]["description"], "auth": auth, "item": items}


def _item(document: Document, path: str, method: str, operation: Operation) -> dict[str, Any]:
    parameters = [_resolved(document, parameter) for parameter in operation.get("parameters", [])]
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation["description"],
        "header": [
            {"key": p["name"], "value": _HEADERS[p["name"]], "description": p["description"]}
            for p in parameters
            if p["in"] == "header"
        ],
        "url": _url(path, parameters),
    }
    if "requestBody" in operation:
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {
            "mode": "raw",
            "raw": _example(document, operation["requestBody"]),
            "options": {"raw": {"language": "json"}},
        }
    return {"name": operation["summary"], "request": request, "response": []}


def _url(path: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    query = [
        {
            "key": p["name"],
            "value": "",
            "description": p.get("description", ""),
            "disabled": not p.get("required", False),
        }
        for p in parameters
        if p["in"] == "query"
    ]
    variables = [{"key": p["name"], "value": ""} for p in parameters if p["in"] == "path"]
    return {
        "raw": "{{base_url}}/" + "/".join(segments),
        "host": ["{{base_url}}"],
        "path": segments,
        **({"query": query} if query else {}),
        **({"variable": variables} if variables else {}),
    }


def _resolved(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        _, *steps = value["$ref"].split("/")
        found: Any = document
        for step in steps:
            found = found[step]
        value = found
    return value


def _example(document: Document, body: dict[str, Any]) -> str:
    """The example of a body; where there is none, its fields with nothing in them."""
    schema = _resolved(document, body["content"]["application/json"]["schema"])
    example = schema["examples"][0] if "examples" in schema else _skeleton(document, schema)
    return json.dumps(example, indent=2, ensure_ascii=False)


def _skeleton(document: Document, schema: dict[str, Any]) -> Any:
    schema = _resolved(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _skeleton(document, schema["anyOf"][0])
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required") or list(schema.get("properties", {}))
        return {name: _skeleton(document, schema["properties"][name]) for name in wanted}
    if kind == "array":
        return [_skeleton(document, schema["items"])]
    return {"integer": 0, "number": 0, "boolean": False}.get(str(kind), "")
