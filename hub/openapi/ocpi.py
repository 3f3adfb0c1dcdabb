"""The OCPI side: OCPI 2.2.1 as this hub speaks it.

What stands in the spec for every message alike (envelope, message ids, routing headers, paging) is added by the kind of
the route; what an answer holds follows from the catalogue.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from starlette.routing import BaseRoute

from hub.ocpi import headers
from hub.openapi import LICENSE, Document, Operation, drop_unused, operations, reference, summarise
from hub.openapi.schemas import definitions, patch_name
from hub.settings import version
from modules.catalog import CATALOG

_DESCRIPTION = """OCPI 2.2.1 as the hub offers it to its partners, behind `/ocpi`.

Partners take every URL from the version details, never from here. Each request shows its token as
`Authorization: Token` and the token in Base64. Functional modules carry the routing headers: `OCPI-to-*` names the
receiver, the hub itself for a broadcast or for the lists of all; `OCPI-from-*` names the sender and may be left out by
a platform of a single party. Every answer comes in the OCPI envelope, also when it is a refusal: `status_code` 1xxx is
success, 2xxx the client's fault, 3xxx the server's, 4xxx the hub's (4001 unknown receiver, 4002 no answer in time,
4003 not connected)."""

_CODE = {"type": "string", "minLength": 2, "maxLength": 3}
_ROUTING = [
    ("OcpiToCountry", headers.TO_COUNTRY, "NL", "country_code of the party the message is for."),
    ("OcpiToParty", headers.TO_PARTY, "HUB", "party_id of the party the message is for."),
    ("OcpiFromCountry", headers.FROM_COUNTRY, "DE", "country_code of the sending party; platforms of one may omit it."),
    ("OcpiFromParty", headers.FROM_PARTY, "MSA", "party_id of the sending party; platforms of one may omit it."),
]
_IDS = [
    ("RequestId", headers.REQUEST_ID, "Id of this one request; without it the hub makes one."),
    (
        "CorrelationId",
        headers.CORRELATION_ID,
        "Id of the message through all its hops; `knutpunkt trace` finds it by it.",
    ),
]
_PAGING: list[tuple[str, str, dict[str, Any], str]] = [
    ("DateFrom", "date_from", {"type": "string", "format": "date-time"}, "Only what was updated at or after this."),
    ("DateTo", "date_to", {"type": "string", "format": "date-time"}, "Only what was updated before this."),
    ("Offset", "offset", {"type": "integer", "minimum": 0}, "The first object of the page."),
    ("Limit", "limit", {"type": "integer", "minimum": 1}, "How many objects a page may have; the hub may give fewer."),
]
_PAGE_HEADERS = {
    "Link": {"description": 'The next page: <URL>; rel="next". The last page has none.', "schema": {"type": "string"}},
    "X-Total-Count": {"description": "How many objects there are.", "schema": {"type": "integer"}},
    "X-Limit": {"description": "The most objects a page has.", "schema": {"type": "integer"}},
}
_ENVELOPE = {
    "type": "object",
    "title": "Envelope",
    "description": "What every answer comes in. Source: transport_and_format.asciidoc > Response format.",
    "required": ["status_code", "timestamp"],
    "properties": {
        "status_code": {"type": "integer", "examples": [1000]},
        "status_message": {"type": "string"},
        "timestamp": {"type": "string", "format": "date-time"},
        "data": {},
    },
}
_REFUSALS = {
    "400": "The body is not JSON that the hub can take.",
    "401": "The Authorization header shows no token that this hub has issued.",
    "403": "The operator of the hub has suspended this connection.",
    "404": "There is no such object, or nothing at this URL.",
    "405": "The method is not offered here.",
}
_ANSWERS = {
    "get_versions": ("Version", True),
    "get_version_details": ("VersionDetails", False),
    "get_credentials": ("Credentials", False),
    "post_credentials": ("Credentials", False),
    "put_credentials": ("Credentials", False),
    "authorize": ("AuthorizationInfo", False),
    "get_active_profile": ("ChargingProfileResponse", False),
    "put_profile": ("ChargingProfileResponse", False),
    "delete_profile": ("ChargingProfileResponse", False),
    **{name.lower(): ("CommandResponse", False) for name in CATALOG["commands"].command_models},
}
"""What the data of an answer is where the catalogue does not say so: the object's name, and whether it is a list."""


def describe(ocpi: Sequence[BaseRoute]) -> Document:
    """The document of the OCPI routes."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title="Knutpunkt: OCPI 2.2.1",
        version=version(),
        summary="What partners of the hub call.",
        description=_DESCRIPTION,
        license_info=LICENSE,
        routes=ocpi,
        servers=[{"url": "{base_url}/ocpi", "variables": {"base_url": {"default": "https://hub.example"}}}],
    )
    components = document["components"]
    drop_unused(document)
    components["schemas"] |= {"Envelope": _ENVELOPE, **definitions()}
    components["parameters"] = _parameters()
    components["securitySchemes"] = {
        "token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token` and the Base64 of token A (handshake) or C.",
        }
    }
    document["security"] = [{"token": []}]
    for path, method, operation in operations(document):
        _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: Operation) -> None:
    operation["operationId"] = operation["operationId"].partition("_2_2_1_")[0].removesuffix(f"_{method}")
    if path == "/versions":
        operation["operationId"] = "get_versions"
    summarise(operation)
    is_list = method == "get" and path.count("/") == 3 and "/sender/" in path
    routed = not path.endswith("credentials") and "/hubclientinfo" not in path and path.strip("/").count("/") > 0
    shared = [key for key, _, _ in _IDS]
    shared += [key for key, *_ in _ROUTING] if routed else []
    shared += [key for key, *_ in _PAGING] if is_list else []
    given = operation.get("parameters", [])
    operation["parameters"] = [*given, *({"$ref": f"#/components/parameters/{key}"} for key in shared)]
    if method == "patch":
        schema = reference(patch_name(_model(path)))
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation["responses"] = _responses(path, method, operation["operationId"], is_list)


def _responses(path: str, method: str, name: str, is_list: bool) -> dict[str, Any]:
    success: dict[str, Any] = _answer(
        "Success, or an OCPI refusal: `status_code` says which.", _data(path, method, name)
    )
    if is_list:
        success["headers"] = deepcopy(_PAGE_HEADERS)
    creates = name == "post_cdr" or (method == "put" and "/receiver/" in path)
    created: dict[str, Any] = {"201": _answer("New here.", None)} if creates else {}
    if name == "post_cdr":
        where = {"description": "Where this CDR can be looked at.", "schema": {"type": "string", "format": "uri"}}
        created["201"]["headers"] = {"Location": where}
    return {"200": success, **created, **{status: _answer(text, None) for status, text in _REFUSALS.items()}}


def _answer(description: str, data: dict[str, Any] | None) -> dict[str, Any]:
    schema: dict[str, Any] = reference("Envelope")
    if data is not None:
        schema = {"allOf": [schema, {"type": "object", "properties": {"data": data}}]}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _data(path: str, method: str, name: str) -> dict[str, Any] | None:
    """The schema of an answer's data, None where it has none."""
    if name in _ANSWERS:
        model, many = _ANSWERS[name]
        return {"type": "array", "items": reference(model)} if many else reference(model)
    if name == "get_page":
        return {"type": "array", "items": {"type": "object"}}
    if method != "get":
        return None
    found = reference(_model(path).__name__)
    return {"type": "array", "items": found} if path.count("/") == 3 else found


def _model(path: str) -> Any:
    """The object that a functional URL names, by the catalogue."""
    _, interface, module, *ids = path.strip("/").split("/")
    depth = len(ids) - (3 if interface == "receiver" and module != "cdrs" else 1)
    return CATALOG[module].level_model(max(depth, 0))


def _parameters() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, name, text in _IDS:
        found[key] = _parameter(name, "header", {"type": "string", "maxLength": 64}, text)
    for key, name, example, text in _ROUTING:
        found[key] = _parameter(name, "header", _CODE, text) | {"example": example}
    for key, name, schema, text in _PAGING:
        found[key] = _parameter(name, "query", schema, text)
    return found


def _parameter(name: str, place: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": False, "description": description, "schema": schema}
