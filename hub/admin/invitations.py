"""Invitations: a token A for a partner that is to register with the hub."""

from collections.abc import Iterable
from dataclasses import dataclass

from fastapi import Response
from pydantic import Field

from hub.admin import access
from hub.admin.orders import Code, Name, Order
from hub.exchange import handshake
from hub.exchange.context import Hub
from hub.ocpi.enums import Role
from hub.ocpi.errors import Conflict
from hub.ocpi.types import PartyId
from modules.calls import CurrentHub

router = access.router("invitations")


class InvitedRole(Order):
    """A role that the partner may register, and no other."""

    code: Code
    role: Role


class InvitationOrder(Order):
    """Whom to invite. Without a name the platform is called after its first party."""

    parties: list[InvitedRole] = Field(min_length=1, max_length=1000)
    name: Name | None = None


@dataclass(frozen=True)
class Invitation:
    """What to hand over to the partner, by a safe way: the token is shown this once and good for one handshake."""

    token_a: str
    versions_url: str


async def invite(hub: Hub, order: InvitationOrder) -> Invitation:
    """Make an invitation; Conflict when a party is connected already."""
    await check_free(hub, [role.code for role in order.parties])
    roles = list(dict.fromkeys((role.code, role.role.value) for role in order.parties))
    token = await handshake.invite(hub, order.name or str(roles[0][0]), roles)
    return Invitation(token, hub.versions_url)


async def check_free(hub: Hub, codes: Iterable[PartyId]) -> None:
    """Conflict when one of these parties is connected already. One that is SUSPENDED may come back."""
    directory = await hub.directory.refresh()
    for code in dict.fromkeys(codes):
        if code == hub.code:
            raise Conflict(f"{code} is this hub itself: a partner needs a code of its own")
        holder = directory.party(code)
        if holder is not None and holder.platform.status != "SUSPENDED":
            raise Conflict(f"{code} is on platform {holder.platform.id} already ({holder.platform.status})")


@router.post("/invitations", status_code=201, response_model=Invitation)
async def post(hub: CurrentHub, order: InvitationOrder) -> Response:
    """Invite a partner: it registers with this token A at this URL, within seven days."""
    return access.respond(await invite(hub, order), 201)
