"""The OpenAPI documents of both sides of the hub, and a Postman collection made from them.

FastAPI knows the routes; what it cannot know of OCPI (envelopes, routing headers, bodies that travel as they are) is
added here. The documents under `openapi/` in the checkout are these, written by `knutpunkt openapi export`.
"""

import re
from typing import Any

Document = dict[str, Any]
Operation = dict[str, Any]

_REQUIREMENT = re.compile(r" \((?:[A-Z]+-\d+(?:, )?)+\)")
_FIRST = re.compile(r"(?:\([^)]*\)|[^.:(]|[.:](?! |$))*")
"""Up to the first full stop or colon that stands in no parentheses."""

METHODS = ("get", "put", "post", "patch", "delete")
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def operations(document: Document) -> list[tuple[str, str, Operation]]:
    """Path, method and operation of everything in a document."""
    return [
        (path, method, found[method])
        for path, found in document["paths"].items()
        for method in METHODS
        if method in found
    ]


def reference(name: str) -> dict[str, str]:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def summarise(operation: Operation) -> None:
    """The first sentence of the description as summary: FastAPI would take the function's name."""
    text = _REQUIREMENT.sub("", " ".join(operation.get("description", "").split()))
    first = _FIRST.match(text)
    operation["summary"] = first[0] if first else ""
    operation["description"] = text


def drop_unused(document: Document) -> None:
    """Take away FastAPI's own schema of a validation error, which no answer here has."""
    for _, _, operation in operations(document):
        operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
