"""What parties hold of each other, by what the hub keeps: it can stop sending, but nothing is ever taken back."""

from dataclasses import dataclass

from sqlalchemy import text

from hub.delivery import audience
from hub.ocpi.types import PartyId
from hub.store.db import Statements
from hub.store.directory import Directory
from modules.catalog import FUNCTIONAL

# What was for the receiver alone went to it whatever is allowed at present: sessions above all.
_HELD = text(
    "SELECT module, count(DISTINCT key) FROM object WHERE owner = :owner AND NOT deleted"
    " AND (audience = :receiver OR audience = '*' AND module = ANY(:modules)) GROUP BY module"
    " UNION ALL SELECT 'cdrs', count(*) FROM cdr WHERE owner = :owner AND receiver = :receiver HAVING count(*) > 0"
    " ORDER BY 1"
)


@dataclass(frozen=True)
class Holding:
    """What a receiver got from an owner and still has."""

    receiver: str
    owner: str
    module: str
    objects: int


async def of_pair(session: Statements, picture: Directory, one: PartyId, other: PartyId) -> list[Holding]:
    """What two parties hold of each other, with the rights that `picture` shows."""
    return [*await _of(session, picture, one, other), *await _of(session, picture, other, one)]


async def _of(session: Statements, picture: Directory, owner: PartyId, receiver: PartyId) -> list[Holding]:
    reader = picture.party(receiver)
    roles = reader.roles if reader is not None else frozenset[str]()
    broadcast = [m.name for m in FUNCTIONAL if m.broadcast and roles & audience.readers(m.owner)]
    allowed = [name for name in broadcast if picture.allows(owner, receiver, name)]
    rows = await session.execute(_HELD, {"owner": str(owner), "receiver": str(receiver), "modules": allowed})
    return [Holding(str(receiver), str(owner), module, count) for module, count in rows]
