"""The operator's side: /api/v1, what the commands use."""

import re
from typing import Any

from fastapi import FastAPI

from hub.openapi import LICENSE, Document, Operation, drop_unused, operations, reference, summarise
from hub.openapi.schemas import definitions
from hub.settings import version

_DESCRIPTION = """What the `knutpunkt` commands use, for scripts and for a console. An operator shows a bearer token:
HUB_API_TOKEN, which `up` makes. A refusal is `{"error": "..."}` with an HTTP status that says it all. Numbers keep
their digits, times are in UTC."""

_REFUSALS = {
    "400": "Something in the request is wrong; the error names it.",
    "401": "This operator token is not one of this hub.",
    "404": "There is no such thing.",
    "409": "The request contradicts what the hub has.",
    "502": "A partner did not answer as it must.",
    "503": "The database does not answer at present.",
}
_ALWAYS = ("400", "401", "503")
_ERROR = {
    "type": "object",
    "title": "Error",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What is wrong, and what to do."}},
}


def describe(app: FastAPI) -> Document:
    """The document of the operator API, the routes below /api/v1 of the whole application."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title="Knutpunkt: operator API",
        version=version(),
        summary="What the operator of the hub calls.",
        description=_DESCRIPTION,
        license_info=LICENSE,
        routes=app.routes,
        servers=[{"url": "{base_url}", "variables": {"base_url": {"default": "http://127.0.0.1:8000"}}}],
    )
    drop_unused(document)
    schemas = document["components"]["schemas"]
    schemas["Error"] = _ERROR
    document["components"]["securitySchemes"] = {"operator": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"operator": []}]
    for path, method, operation in operations(document):
        _complete(path, method, operation)
    _with_ocpi_objects(document)
    return document


class Described(FastAPI):
    """An application that shows this document."""

    def openapi(self) -> Document:
        """The document, made at the first call."""
        self.openapi_schema = self.openapi_schema or describe(self)
        return self.openapi_schema


def _complete(path: str, method: str, operation: Operation) -> None:
    name = re.sub(r"\W+", "_", path.removeprefix("/api/v1/")).strip("_")
    operation["operationId"] = f"{method}_{name}"
    summarise(operation)
    likely = {"404"} if "{" in path or method in ("post", "put") else set()
    likely |= {"409"} if method != "get" else set()
    likely |= {"502"} if (method, path) == ("post", "/api/v1/platforms") else set()
    for status, text in _REFUSALS.items():
        if status in likely or status in _ALWAYS:
            content = {"application/json": {"schema": reference("Error")}}
            operation["responses"][status] = {"description": text, "content": content}
    for response in operation["responses"].values():
        if response["description"] == "Successful Response":
            response["description"] = "Done."
    if path.endswith("/cdrs/export"):
        operation["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}


def _with_ocpi_objects(document: Document) -> None:
    """Those OCPI objects that bodies here are made of, and what they in turn are made of."""
    schemas, known = document["components"]["schemas"], definitions()
    while missing := [name for name in references(document) if name not in schemas]:
        for name in missing:
            schemas[name] = known[name]


def references(value: Any) -> list[str]:
    """The names of the component schemas that something refers to, each once."""
    found: dict[str, None] = {}
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#/components/schemas/"):
            found[target.rpartition("/")[2]] = None
        for inner in value.values():
            found |= dict.fromkeys(references(inner))
    elif isinstance(value, list):
        for inner in value:
            found |= dict.fromkeys(references(inner))
    return list(found)
