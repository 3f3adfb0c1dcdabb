"""Who may use the operator API, and what every refusal looks like.

An operator shows a bearer token: the one of the settings (HUB_API_TOKEN, which `up` makes), or any whose SHA-256
lies in `operator_token`. It is judged before anything of the request is read. Refusals are plain JSON,
{"error": "..."}, with an HTTP status that says it all; OCPI's envelope is for partners.
"""

import hmac
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.errors import ClientError, Conflict, InvalidParameters, OcpiError, ServerError, Unauthorized
from hub.ocpi.proxies import client_address
from hub.store.db import FAULTS
from hub.store.parties import OperatorToken
from hub.store.seal import hash_token
from modules.calls import current_hub

log = structlog.get_logger(__name__)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Unavailable(ServerError):
    """HTTP 503: the hub cannot work at present."""

    http_status = 503
    text = "The database does not answer at present: look at `knutpunkt status`, and try again."


class OperatorRoute(APIRoute):
    """A route of the operator API."""

    def get_route_handler(self) -> Handler:
        """The handler behind the check of the token, with every failure turned into an OcpiError."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                await _admitted(request)
                return await handle(request)
            except RequestValidationError as error:
                raise InvalidParameters(_named(error)) from None
            except IntegrityError:
                raise Conflict("somebody made the same change at this very moment: look, and try again") from None
            except FAULTS as error:
                log.error("the database did not serve the operator API", path=request.url.path, error=repr(error)[:300])
                raise Unavailable() from None

        return guarded


def router(topic: str, prefix: str = "/api/v1") -> APIRouter:
    """The router of one topic of the operator API."""
    return APIRouter(prefix=prefix, tags=[topic], route_class=OperatorRoute)


async def _admitted(request: Request) -> None:
    """`admit`; whom it refuses stands in the log, since somebody may be guessing."""
    hub = await current_hub(request)
    try:
        request.state.operator = await admit(hub, request.headers.get("authorization", ""))
    except Unauthorized:
        peer = request.client.host if request.client else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        address = client_address(peer, forwarded, hub.settings.trusted_proxies)
        log.warning("no operator, turned away", address=address, path=request.url.path)
        raise


async def admit(hub: Hub, authorization: str) -> str:
    """Let an operator in, and say who that is: the name of the token. Unauthorized (401) for anybody else."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("show an operator token: Authorization: Bearer TOKEN")
    own = hub.settings.api_token
    if own and hmac.compare_digest(own.encode(), token.encode()):
        return "operator"
    async with hub.db.session() as session:
        known = await session.get(OperatorToken, hash_token(token))
    if known is None:
        raise Unauthorized("this operator token is not one of this hub")
    return known.name


async def refuse(request: Request, error: Exception) -> Response:
    """The answer that tells an OcpiError to an operator."""
    assert isinstance(error, OcpiError)
    extra = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
    return Response(json.dumps({"error": str(error)}), _status(error), extra, media_type="application/json")


async def refuse_http(request: Request, error: HTTPException) -> Response:
    """No such route below /api/v1, or not with this method: says where all of them stand."""
    what = f"{request.method} is not offered here" if error.status_code == 405 else "there is nothing at this URL"
    said = {"error": f"{what}: GET /api/v1/openapi.json tells what there is"}
    return Response(json.dumps(said), error.status_code, dict(error.headers or {}), media_type="application/json")


def respond(value: object, status: int = 200) -> Response:
    """An answer; numbers keep their digits and times are in UTC."""
    return Response(json.dumps(value), status, media_type="application/json")


def _status(error: OcpiError) -> int:
    """OCPI says much with HTTP 200 that this API says with the HTTP status."""
    if error.http_status >= 400:
        return error.http_status
    return 400 if isinstance(error, ClientError) else 502


def _named(error: RequestValidationError) -> str:
    """The first fault, by the name of its field; nothing of what was sent."""
    fault = error.errors()[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"][1:]).lstrip(".")
    if fault["type"] == "json_invalid":
        return "body: is not valid JSON"
    return f"{place or 'body'}: {_REASONS.get(fault['type'], fault['msg'].removeprefix('Value error, '))}"


_REASONS = {
    "missing": "field required",
    "extra_forbidden": "no such field",
    "string_pattern_mismatch": "holds characters that are not allowed here",
}
