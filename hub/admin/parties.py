"""Parties: all that the hub knows, and new ones that it hosts.

A hosted party has no OCPI back end of its own: the hub is it. Its chargers connect to the bridge.
"""

from dataclasses import dataclass
from typing import Literal

from fastapi import Response
from sqlmodel import col, select

from hub.admin import access
from hub.admin.orders import Code, Name, Order
from hub.exchange.context import Hub
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.types import PartyId
from hub.store import parties
from hub.store.directory import PartyView
from hub.store.parties import Party, Platform
from modules.calls import CurrentHub

router = access.router("parties")


class PartyOrder(Order):
    """A party for the hub to host. An eMSP needs a back end that knows its drivers, so only CPOs are hosted."""

    code: Code
    role: Literal["CPO"]
    name: Name


@dataclass(frozen=True)
class PartyRow:
    """A party, connected or hosted."""

    code: str
    name: str
    roles: list[str]
    hosted: bool
    platform_id: int
    status: str


async def add(hub: Hub, order: PartyOrder) -> PartyRow:
    """Host a party; Conflict when its code is taken."""
    if order.code == hub.code:
        raise Conflict(f"{order.code} is this hub itself: give the party a code of its own")
    async with hub.db.session() as session:
        await parties.touch(session)  # first, so that two orders at once come one after the other
        if (await session.exec(select(Party).where(Party.code == str(order.code)))).first() is not None:
            raise Conflict(f"{order.code} exists already")
        platform_id = (await session.exec(select(col(Platform.id)).where(col(Platform.hosted)))).one()
        assert platform_id is not None
        details = {"name": order.name}
        session.add(Party(code=str(order.code), platform_id=platform_id, roles=[order.role], business_details=details))
    await hub.directory.refresh()
    return _row(await hosted(hub, order.code))


async def hosted(hub: Hub, code: PartyId) -> PartyView:
    """A party that this hub hosts; NotFound (404) for any other."""
    party = hub.directory.now.party(code) or (await hub.directory.refresh()).party(code)
    if party is None or not party.platform.hosted:
        raise NotFound(f"{code} is not a party hosted by this hub: add it with `knutpunkt party add`")
    return party


def _row(party: PartyView) -> PartyRow:
    platform = party.platform
    return PartyRow(str(party.code), party.name, sorted(party.roles), platform.hosted, platform.id, platform.status)


@router.post("/parties", status_code=201, response_model=PartyRow)
async def post(hub: CurrentHub, order: PartyOrder) -> Response:
    """Host a party."""
    return access.respond(await add(hub, order), 201)


@router.get("/parties", response_model=list[PartyRow])
async def get_all(hub: CurrentHub) -> Response:
    """Every party, connected or hosted."""
    directory = await hub.directory.refresh()
    return access.respond(sorted(map(_row, directory.parties), key=lambda row: row.code))
