"""HubClientInfo: the list of who is connected, and as the client of another hub the place for what that one announces.

No routing headers here (TF-076). Source: mod_hub_client_info.asciidoc > Interfaces.
"""

from typing import Annotated

from fastapi import Depends, Request, Response

from hub.exchange import clients, peers
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.types import PartyId
from modules.calls import CurrentHub, RegisteredAccess, receiver_router, respond, sender_router, takes
from modules.hubclientinfo.schemas import ClientInfo

sender = sender_router("hubclientinfo")
receiver = receiver_router("hubclientinfo")

PARTY = "/{country_code}/{party_id}"


async def party(country_code: str, party_id: str) -> PartyId:
    """The party of a ClientInfo; NotFound (404) for what names none."""
    try:
        return PartyId.of(country_code, party_id)
    except InvalidParameters:
        raise NotFound("the URL names no party: country_code of 2 and party_id of 3 characters") from None


Party = Annotated[PartyId, Depends(party)]


@sender.get("")
async def get_client_infos(hub: CurrentHub, access: RegisteredAccess, request: Request) -> Response:
    """List the parties that the caller can communicate with, and how they are connected."""
    return respond(await clients.page(hub, access.platform, request.state.query))


@receiver.get(PARTY)
async def get_client_info(hub: CurrentHub, access: RegisteredAccess, code: Party) -> Response:
    """A ClientInfo as the calling hub has announced it."""
    return respond(await peers.get(hub, access.platform, code))


@receiver.put(PARTY, openapi_extra=takes(ClientInfo))
async def put_client_info(hub: CurrentHub, access: RegisteredAccess, request: Request, code: Party) -> Response:
    """A party of the calling hub is new, or its status has changed."""
    return respond(await peers.put(hub, access.platform, code, request.state.body))
