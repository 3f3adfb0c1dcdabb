"""Peer hubs: what they announce of the parties behind them, who of these is let in, and what each platform is shown."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Response
from sqlalchemy import text

from hub.admin import access
from hub.admin.invitations import Behind, pairs
from hub.admin.orders import Order
from hub.exchange import peers
from hub.exchange.context import Hub
from hub.ocpi.types import PartyId
from modules.calls import CurrentHub

router = access.router("peer hubs")

_ANNOUNCED = text(
    "SELECT a.platform_id, p.name AS hub, a.code, a.role, a.status, a.last_updated, EXISTS (SELECT FROM behind b"
    " WHERE b.platform_id = a.platform_id AND (b.code, b.role) IN ((a.code, a.role), ('*', '*'))) AS admitted"
    " FROM announced a JOIN platform p ON p.id = a.platform_id ORDER BY a.platform_id, a.code, a.role"
)
_SHOWN = text(
    "SELECT c.platform_id, p.name, c.code, c.role, c.status, c.last_updated, c.told, c.reason"
    " FROM client_info c JOIN platform p ON p.id = c.platform_id"
    " WHERE CAST(:platform_id AS integer) IS NULL OR c.platform_id = :platform_id"
    " ORDER BY c.platform_id, c.code, c.role"
)


class BehindOrder(Order):
    """Who may be reached and may act through a peer hub, in place of what was said before."""

    parties: Behind


@dataclass(frozen=True)
class AnnouncedParty:
    """A party that a peer hub announces. `here`: it is reached through that hub, being admitted, and not registered
    with this one."""

    platform_id: int
    hub: str
    code: str
    role: str
    status: str
    last_updated: datetime
    admitted: bool
    here: bool


@dataclass(frozen=True)
class ShownParty:
    """What a platform is shown of a party. `told`: the status that it was sent last, None where it is sent nothing;
    `reason`: why it did not take the newest."""

    platform_id: int
    platform: str
    code: str
    role: str
    status: str
    last_updated: datetime
    told: str | None
    reason: str | None


async def announced(hub: Hub) -> list[AnnouncedParty]:
    """All that peer hubs announce."""
    directory = await hub.directory.refresh()
    async with hub.db.unit_of_work() as session:
        rows = await session.execute(_ANNOUNCED)
    found = []
    for row in rows:
        reached = directory.behind.get(PartyId.parse(row.code))
        here = row.admitted and reached is not None and reached.platform.id == row.platform_id
        found.append(AnnouncedParty(**row, here=here))
    return found


async def shown(hub: Hub, platform_id: int | None) -> list[ShownParty]:
    """What a platform, or each one, was shown of the others when last looked at."""
    async with hub.db.unit_of_work() as session:
        return [ShownParty(*row) for row in await session.execute(_SHOWN, {"platform_id": platform_id})]


@router.get("/peers", response_model=list[AnnouncedParty])
async def get_announced(hub: CurrentHub) -> Response:
    """The parties that peer hubs announce, and which of them are admitted."""
    return access.respond(await announced(hub))


@router.put("/platforms/{platform_id}/behind", response_model=list[AnnouncedParty])
async def put_behind(hub: CurrentHub, platform_id: int, order: BehindOrder) -> Response:
    """Say which parties may be reached and may act through a platform that is a hub itself."""
    await peers.admit(hub, platform_id, pairs(order.parties))
    return access.respond([row for row in await announced(hub) if row.platform_id == platform_id])


@router.get("/clients", response_model=list[ShownParty])
async def get_shown(hub: CurrentHub, platform_id: int | None = None) -> Response:
    """What the platforms are shown of each other (hubclientinfo)."""
    return access.respond(await shown(hub, platform_id))
