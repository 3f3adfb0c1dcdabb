"""What every route is handed: the hub, the call and the reference its URL makes. Built from what the gate left.

They are coroutines only because FastAPI sends plain functions to a pool of threads, which costs more than they do.
"""

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Request, Response

from hub.exchange import auth, callbacks
from hub.exchange.call import Call, Reply
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, NotFound, Unauthorized
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId, Schema
from hub.store.directory import Access

VERSION_PATH = "/2.2.1"
ID_LIMIT = 64
RETURNING = {"CB": "commands", "PROFILE": "chargingprofiles", "PAGE": "page"}
"""The URLs that the hub gives out, by the first part of their path, with their module as far as it shows."""


def sender_router(module: str) -> APIRouter:
    """The router of a module's Sender interface: the side of who owns the data."""
    return APIRouter(prefix=f"{VERSION_PATH}/sender/{module}", tags=[f"{module} (Sender)"])


def receiver_router(module: str) -> APIRouter:
    """The router of a module's Receiver interface: the side of who is given the data."""
    return APIRouter(prefix=f"{VERSION_PATH}/receiver/{module}", tags=[f"{module} (Receiver)"])


async def current_hub(request: Request) -> Hub:
    """The hub of this process."""
    hub: Hub = request.app.state.hub
    return hub


async def current_access(request: Request) -> Access:
    """The platform that calls."""
    access: Access = request.state.access
    return access


async def current_call(request: Request) -> Call:
    """The functional call. Token A admits to the handshake only: Unauthorized (401) here (TF-012)."""
    access = await _registered(request)
    interface, module, tail = _split(request)
    return _call(request, access, auth.sender(access.platform, _named(request)), interface, module, tail)


async def returning_call(request: Request) -> Call:
    """A call to a URL that the hub gave out (a result, a page). Whose it is may stand in the URL alone: who leaves
    the OCPI-from headers out is the party that was given the URL."""
    access = await _registered(request)
    kind, _, _ = _split(request)
    named = _named(request)
    if named is None:
        callback_id = request.path_params["callback_id"]
        sender = await callbacks.holder(await current_hub(request), callback_id, access.platform)
    else:
        sender = auth.sender(access.platform, named)
    return _call(request, access, sender, kind, RETURNING[kind], "")


async def _registered(request: Request) -> Access:
    """The platform that calls, once it is registered: token A is for the handshake (TF-012)."""
    access = await current_access(request)
    if access.kind != "C":
        raise Unauthorized("this token is for the credentials handshake only")
    return access


def _named(request: Request) -> PartyId | None:
    return _party(request, headers.FROM_COUNTRY, headers.FROM_PARTY)


def _party(request: Request, country: str, party: str) -> PartyId | None:
    given = request.state.headers
    return headers.party(
        {name: given[name.lower()] for name in (country, party) if name.lower() in given}, country, party
    )


def _call(request: Request, access: Access, sender: PartyId, interface: str, module: str, tail: str) -> Call:
    request.state.sender = sender  # a refusal is addressed to it, also when the receiver cannot be read
    call = Call(
        sender=sender,
        to=_party(request, headers.TO_COUNTRY, headers.TO_PARTY),
        platform=access.platform,
        method=request.method,
        module=module,
        interface=interface,
        tail=tail,
        query=request.state.query,
        body=request.state.body,
        request_id=request.state.request_id,
        correlation_id=request.state.correlation_id,
    )
    request.state.call = call
    return call


def _split(request: Request) -> tuple[str, str, str]:
    """Interface, module and the path below, as it came over the wire; nothing in it may lead elsewhere onward."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw.decode("latin-1").partition("?")[0].partition(f"{VERSION_PATH}/")[2]
    if "%2f" in path.lower() or any(unquote(part) in (".", "..") for part in path.split("/")):
        raise NotFound("the URL holds an id that OCPI does not allow")
    interface, _, rest = path.partition("/")
    module, slash, tail = rest.partition("/")
    return interface.upper(), module, (slash + tail).rstrip("/")


def url_id(text: str) -> str:
    """An id out of a URL; NotFound (404) for what can be none."""
    if not text or len(text) > ID_LIMIT or not text.isprintable() or not text.isascii():
        raise NotFound("the URL holds an id that OCPI does not allow")
    return text


def ref(country_code: str, party_id: str, object_id: str, *part_ids: str, kind: str | None = None) -> Ref:
    """The reference a client owned URL makes; NotFound (404) for what can be no id."""
    try:
        owner = PartyId.of(country_code, party_id)
    except InvalidParameters:
        raise NotFound("the URL names no party: country_code of 2 and party_id of 3 characters") from None
    for text in (object_id, *part_ids):
        url_id(text)
    return Ref(owner, object_id, tuple(part_ids), kind)


def respond(reply: Reply) -> Response:
    """The HTTP response of a reply."""
    return Response(reply.body, reply.http_status, dict(reply.headers), media_type="application/json")


def takes(model: type[Schema], *others: type[Schema], required: bool = True) -> dict[str, Any]:
    """OpenAPI of a request body, of one kind or one of several; `hub.openapi` has the schema. It is documentation only:
    bodies travel as they are, unknown fields included."""
    kinds = [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in (model, *others)]
    schema: dict[str, Any] = {"anyOf": kinds} if others else kinds[0]
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


CurrentHub = Annotated[Hub, Depends(current_hub)]
CurrentAccess = Annotated[Access, Depends(current_access)]
CurrentCall = Annotated[Call, Depends(current_call)]
RegisteredAccess = Annotated[Access, Depends(_registered)]
ReturningCall = Annotated[Call, Depends(returning_call)]
