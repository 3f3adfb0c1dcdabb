"""Peer hubs: what they announce of the parties behind them, and which of these the operator lets in.

A platform with a party in role HUB is a peer hub. What it announces is kept as it came; a party behind it exists for
this hub only as far as the operator has admitted it (`Behind`) and nobody has registered it here (hub.store.directory).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, DateTime, Text, text
from sqlmodel import Field, SQLModel

from hub.ocpi.types import PartyId
from hub.store import parties
from hub.store.db import Statements

ANY = "*"
"""In `Behind`: every party that this hub announces."""

MOST = 20_000
"""How many ClientInfo objects of one peer hub are kept."""


class Announced(SQLModel, table=True):
    """A ClientInfo object of a peer hub; `body` is its JSON as it came."""

    __tablename__ = "announced"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    code: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    status: str
    last_updated: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    received_at: datetime | None = Field(
        default=None, sa_column=Column(DateTime(timezone=True), server_default=parties.NOW, nullable=False)
    )


class Behind(SQLModel, table=True):
    """A party, in a role, that may be reached and may act through a peer hub; code and role `*` admit all of them."""

    __tablename__ = "behind"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    code: str = Field(primary_key=True)
    role: str = Field(primary_key=True)


class PeerList(SQLModel, table=True):
    """When the list of a peer hub is to be read next."""

    __tablename__ = "peer_list"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id", ondelete="CASCADE")
    next_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


@dataclass(frozen=True, slots=True)
class Info:
    """A ClientInfo object as a peer hub sent it."""

    code: str
    role: str
    status: str
    last_updated: datetime
    body: str


@dataclass(frozen=True)
class Brought:
    """What a peer hub may bring: the codes that the operator named, and the admitted parties that it announced, with
    their status in each role."""

    named: frozenset[PartyId]
    statuses: Mapping[PartyId, Mapping[str, str]]


def brought(
    hubs: Collection[int],
    own: Collection[str],
    behind: Iterable[tuple[int, str, str]],
    announced: Iterable[tuple[int, str, str, str]],
) -> dict[int, Brought]:
    """What each peer hub brings that the operator has admitted and that is not registered here (CRED-055). `behind` are
    rows of (platform, code, role), `announced` of (platform, code, role, status)."""
    admitted: dict[int, set[tuple[str, str]]] = {}
    for number, code, role in behind:
        if number in hubs:
            admitted.setdefault(number, set()).add((code, role))
    found: dict[int, dict[PartyId, dict[str, str]]] = {}
    for number, code, role, status in announced:
        if code not in own and is_admitted(code, role, admitted.get(number, ())):
            found.setdefault(number, {}).setdefault(PartyId.parse(code), {})[role] = status
    return {
        number: Brought(
            frozenset(PartyId.parse(code) for code, _ in admitted.get(number, ()) if code != ANY), found.get(number, {})
        )
        for number in hubs
    }


def is_admitted(code: str, role: str, allowed: Collection[tuple[str, str]]) -> bool:
    """Whether the operator lets a party behind a peer hub in; further hubs never."""
    return role != "HUB" and ((code, role) in allowed or (ANY, ANY) in allowed)


_TAKE = text(
    "INSERT INTO announced AS a (platform_id, code, role, status, last_updated, body)"
    " SELECT :platform_id, * FROM unnest(CAST(:codes AS text[]), CAST(:roles AS text[]), CAST(:statuses AS text[]),"
    " CAST(:times AS timestamptz[]), CAST(:bodies AS text[]))"
    " ON CONFLICT (platform_id, code, role) DO UPDATE SET status = excluded.status,"
    " last_updated = excluded.last_updated, body = excluded.body, received_at = now()"
    " WHERE excluded.last_updated >= a.last_updated"
    " RETURNING xmax = 0"
)
_COUNT = text("SELECT count(*) FROM announced WHERE platform_id = :platform_id")
_KNOWN = text("SELECT 1 FROM announced WHERE platform_id = :platform_id AND code = :code AND role = :role")
_STORED = text(
    "SELECT body FROM announced WHERE platform_id = :platform_id AND code = :code ORDER BY last_updated DESC, role"
)
_DROP = text(
    "DELETE FROM announced a WHERE platform_id = :platform_id AND received_at < :asked_at AND NOT EXISTS ("
    "SELECT FROM unnest(CAST(:codes AS text[]), CAST(:roles AS text[])) AS v(code, role)"
    " WHERE v.code = a.code AND v.role = a.role)"
)
_CLAIM = text(
    "INSERT INTO peer_list AS p (platform_id, next_at) VALUES (:platform_id, now() + :wait * interval '1 second')"
    " ON CONFLICT (platform_id) DO UPDATE SET next_at = excluded.next_at WHERE p.next_at <= now() RETURNING now()"
)
_DEFER = text("UPDATE peer_list SET next_at = now() + :wait * interval '1 second' WHERE platform_id = :platform_id")
_FORGET = text("DELETE FROM peer_list WHERE NOT platform_id = ANY(CAST(:ids AS integer[]))")


async def take(session: Statements, platform_id: int, infos: Collection[Info]) -> int:
    """Keep what a peer hub announces, unless something newer is known; how many objects are new. Every process hears
    of it."""
    if not infos:
        return 0
    names = {
        "platform_id": platform_id,
        "codes": [info.code for info in infos],
        "roles": [info.role for info in infos],
        "statuses": [info.status for info in infos],
        "times": [info.last_updated for info in infos],
        "bodies": [info.body for info in infos],
    }
    changed = list((await session.execute(_TAKE, names)).scalars())
    if changed:
        await parties.touch(session)
    return sum(changed)


async def has_room(session: Statements, platform_id: int, info: Info) -> bool:
    """Whether the object is known, or one more of this peer hub may be kept."""
    names = {"platform_id": platform_id, "code": info.code, "role": info.role}
    if (await session.execute(_KNOWN, names)).first() is not None:
        return True
    return int((await session.execute(_COUNT, {"platform_id": platform_id})).scalar_one()) < MOST


async def stored(session: Statements, platform_id: int, code: str) -> str | None:
    """What a peer hub announced of a party last, as JSON; of two roles the one that was updated later."""
    found = (await session.execute(_STORED, {"platform_id": platform_id, "code": code})).first()
    return found[0] if found is not None else None


async def complete(session: Statements, platform_id: int, infos: Collection[Info], asked_at: datetime) -> int:
    """Keep the whole list of a peer hub; what is not in it is no longer valid (HCI-021), unless it was announced after
    the list was asked for. How many objects are in it."""
    await take(session, platform_id, infos)
    known = {"codes": [info.code for info in infos], "roles": [info.role for info in infos]}
    await session.execute(_DROP, {"platform_id": platform_id, "asked_at": asked_at, **known})
    await parties.touch(session)
    return len(infos)


async def claim(session: Statements, platform_id: int, wait: float) -> datetime | None:
    """Take the right to read the list of a peer hub, if it is due, and set the time of the next one; one worker gets
    it, and the time of the database."""
    found = (await session.execute(_CLAIM, {"platform_id": platform_id, "wait": wait})).first()
    return found[0] if found is not None else None


async def defer(session: Statements, platform_id: int, wait: float) -> None:
    """Read the list again in `wait` seconds."""
    await session.execute(_DEFER, {"platform_id": platform_id, "wait": wait})


async def forget(session: Statements, connected: Collection[int]) -> None:
    """Have the list read of each peer hub that is not connected now, once it is."""
    await session.execute(_FORGET, {"ids": list(connected)})
