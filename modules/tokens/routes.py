"""Tokens: list and real-time authorise on the Sender interface; GET, PUT and PATCH on the Receiver interface.

Source: mod_tokens.asciidoc > Interfaces and Endpoints. `type` tells Tokens with one uid apart and is RFID by default.
"""

from typing import Annotated

from fastapi import Depends, Response

from hub.exchange import ask, pull, push
from hub.ocpi.enums import TokenType
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.module import Ref
from modules.calls import CurrentCall, CurrentHub, receiver_router, ref, respond, sender_router, takes
from modules.catalog import TOKENS
from modules.tokens.schemas import LocationReferences, Token

sender = sender_router("tokens")
receiver = receiver_router("tokens")


async def token_type(type: str = "RFID") -> str:  # the query parameter's name in the spec
    """The `type` of the query; InvalidParameters when OCPI knows no such type."""
    if type not in TokenType.__members__:
        raise InvalidParameters("type: not a TokenType")
    return type


async def token_ref(country_code: str, party_id: str, token_uid: str, kind: Annotated[str, Depends(token_type)]) -> Ref:
    """A Token in a client owned URL."""
    return ref(country_code, party_id, token_uid, kind=kind)


TokenRef = Annotated[Ref, Depends(token_ref)]
TOKEN = "/{country_code}/{party_id}/{token_uid}"


@sender.get("")
async def get_tokens(hub: CurrentHub, call: CurrentCall) -> Response:
    """List Tokens, of all owners (receiver: the hub) or of one."""
    return respond(await pull.page(hub, call, TOKENS))


@sender.post("/{token_uid}/authorize", openapi_extra=takes(LocationReferences, required=False))
async def authorize(
    hub: CurrentHub, call: CurrentCall, token_uid: str, kind: Annotated[str, Depends(token_type)]
) -> Response:
    """Ask the eMSP in real time whether a driver may charge."""
    return respond(await ask.authorise(hub, call, token_uid, kind))


@receiver.get(TOKEN)
async def get_received_token(hub: CurrentHub, call: CurrentCall, token: TokenRef) -> Response:
    """The Token as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, TOKENS, token))


@receiver.put(TOKEN, openapi_extra=takes(Token))
async def put_token(hub: CurrentHub, call: CurrentCall, token: TokenRef) -> Response:
    """A new or changed Token."""
    return respond(await push.put(hub, call, TOKENS, token))


@receiver.patch(TOKEN)
async def patch_token(hub: CurrentHub, call: CurrentCall, token: TokenRef) -> Response:
    """Changed fields of a Token."""
    return respond(await push.patch(hub, call, TOKENS, token))
