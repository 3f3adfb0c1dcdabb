"""Invitations: a token A for a partner that is to register with the hub."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field
from sqlmodel import col, func, select

from hub.admin import access
from hub.admin.orders import Code, Name, Order
from hub.admin.platforms import InvitedParty
from hub.exchange import handshake, membership, peers
from hub.exchange.context import Hub
from hub.ocpi.enums import Role
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.types import PartyId
from hub.store.parties import AccessToken, Admission, Platform
from hub.store.seal import hash_token
from modules.calls import CurrentHub

router = access.router("invitations")


class InvitedRole(Order):
    """A role that the partner may register, and no other."""

    code: Code
    role: Role


Behind = Annotated[list[InvitedRole], Field(max_length=1000)] | Literal["any"]
"""Who may be reached and may act through a platform that is a hub itself: these parties, or any that it announces."""


class InvitationOrder(Order):
    """Whom to invite. Without a name the platform is called after its first party. `behind` is for a platform that is a
    hub itself."""

    parties: list[InvitedRole] = Field(min_length=1, max_length=1000)
    name: Name | None = None
    behind: Behind | None = None


@dataclass(frozen=True)
class OpenInvitation:
    """An invitation that has not been used: the roles that may be registered with it, and until when."""

    platform_id: int
    name: str
    status: str
    parties: list[InvitedParty]
    expires_at: datetime


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
    if order.behind is not None:
        await peers.admit(hub, hub.directory.now.access[hash_token(token)].platform.id, pairs(order.behind))
    return Invitation(token, hub.versions_url)


def pairs(behind: Behind) -> list[tuple[PartyId, str]] | None:
    """The parties and roles of an order, None for any."""
    return None if behind == "any" else [(role.code, role.role.value) for role in behind]


async def open_ones(hub: Hub) -> list[OpenInvitation]:
    """The invitations that can still be used."""
    waiting = (
        select(Platform, AccessToken.expires_at)
        .join(AccessToken, col(AccessToken.platform_id) == col(Platform.id))
        .where(AccessToken.kind == "A", col(AccessToken.expires_at) > func.now())
        .order_by(col(Platform.id))
    )
    async with hub.db.session() as session:
        listed: dict[int, list[InvitedParty]] = {}
        for row in await session.exec(select(Admission).order_by("code", "role")):
            listed.setdefault(row.platform_id, []).append(InvitedParty(row.code, row.role))
        found = [(platform, expires) for platform, expires in await session.exec(waiting) if expires is not None]
    return [OpenInvitation(p.id or 0, p.name, p.status, listed.get(p.id or 0, []), expires) for p, expires in found]


async def withdraw(hub: Hub, platform_id: int) -> OpenInvitation:
    """Void an invitation; a platform that never registered goes with it. NotFound (404)."""
    found = next((row for row in await open_ones(hub) if row.platform_id == platform_id), None)
    if found is None:
        raise NotFound("there is no open invitation with this id: `knutpunkt invitation list` shows them")
    if found.status == "PLANNED":
        await membership.remove(hub, platform_id)
    else:
        await handshake.withdraw(hub, platform_id)
    return found


async def check_free(hub: Hub, codes: Iterable[PartyId], platform_id: int | None = None) -> None:
    """Conflict when one of these parties is connected already, on another platform than `platform_id`. One that is
    SUSPENDED may come back."""
    directory = await hub.directory.refresh()
    for code in dict.fromkeys(codes):
        if code == hub.code:
            raise Conflict(f"{code} is this hub itself: a partner needs a code of its own")
        holder = directory.party(code)
        if holder is None or holder.behind or holder.platform.id == platform_id:
            continue
        if holder.platform.status != "SUSPENDED":
            raise Conflict(f"{code} is on platform {holder.platform.id} already ({holder.platform.status})")


@router.post("/invitations", status_code=201, response_model=Invitation)
async def post(hub: CurrentHub, order: InvitationOrder) -> Response:
    """Invite a partner: it registers with this token A at this URL, within seven days."""
    return access.respond(await invite(hub, order), 201)


@router.get("/invitations", response_model=list[OpenInvitation])
async def get_all(hub: CurrentHub) -> Response:
    """The invitations that have not been used, with the parties that each admits."""
    return access.respond(await open_ones(hub))


@router.delete("/invitations/{platform_id}", response_model=OpenInvitation)
async def delete(hub: CurrentHub, platform_id: int) -> Response:
    """Withdraw an invitation: its token A is void."""
    return access.respond(await withdraw(hub, platform_id))
