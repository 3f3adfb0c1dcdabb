"""Credentials: the handshake, its renewal and its end. No routing headers here (TF-076).

Source: credentials.asciidoc > Interfaces and endpoints.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from hub.exchange import handshake
from hub.ocpi import envelope, headers, json
from hub.ocpi.errors import InvalidParameters
from hub.store.seal import hash_token
from modules.calls import VERSION_PATH, CurrentAccess, CurrentHub, takes
from modules.credentials.schemas import Credentials

router = APIRouter(prefix=f"{VERSION_PATH}/credentials", tags=["credentials"])


@router.get("")
async def get_credentials(hub: CurrentHub, access: CurrentAccess, request: Request) -> Response:
    """The Credentials the caller uses here; its token is known only from this very request (CRED-025)."""
    shown = headers.candidates(request.state.headers.get("authorization"))
    token = next((t for t in shown if hash_token(t) in hub.directory.now.access), shown[0])
    return _json(handshake.own_credentials(hub, token))


@router.post("", openapi_extra=takes(Credentials))
async def post_credentials(hub: CurrentHub, access: CurrentAccess, request: Request) -> Response:
    """Register with token A: the hub fetches the caller's endpoints and answers with token C."""
    return _json(await handshake.register(hub, access, _body(request)))


@router.put("", openapi_extra=takes(Credentials))
async def put_credentials(hub: CurrentHub, access: CurrentAccess, request: Request) -> Response:
    """Change token, URL or roles; endpoints are fetched again and a new token is issued."""
    return _json(await handshake.update(hub, access, _body(request)))


@router.delete("")
async def delete_credentials(hub: CurrentHub, access: CurrentAccess) -> Response:
    """Unregister."""
    await handshake.unregister(hub, access)
    return _json(None)


def _body(request: Request) -> dict[str, Any]:
    value = json.loads(request.state.body)
    if not isinstance(value, dict):
        raise InvalidParameters("body: must be a JSON object")
    json.refuse_doubled(request.state.body, value)
    return value


def _json(data: object) -> Response:
    return Response(envelope.envelope(data), media_type="application/json")
