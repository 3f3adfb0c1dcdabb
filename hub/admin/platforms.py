"""Platforms: who is connected, and how far behind the hub is with each of their parties."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response
from sqlalchemy import text
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.admin import access
from hub.exchange.context import Hub
from hub.ocpi.errors import NotFound
from hub.store.parties import AccessToken, Admission, Endpoint, Platform
from hub.store.rotations import Rotation
from modules.calls import CurrentHub

router = access.router("platforms")

# `behind` counts positions of the change log, for this party or not; an idle lane is at 0.
_PARTIES = text(
    "SELECT p.platform_id, p.code, p.roles, p.business_details ->> 'name' AS name, l.holder,"
    " (SELECT sum(h.position - c.position)::bigint FROM lane_cursor c JOIN log_head h USING (shard)"
    "  WHERE c.party_id = p.id) AS behind,"
    " (SELECT count(*) FROM owed o WHERE o.receiver = p.code AND NOT o.parked) AS owed,"
    " (SELECT count(*) FROM owed o WHERE o.receiver = p.code AND o.parked) AS parked,"
    " (SELECT count(*) FROM backfill b WHERE b.receiver = p.code) AS backfills"
    " FROM party p LEFT JOIN lane l ON l.party_id = p.id"
    " WHERE CAST(:platform AS integer) IS NULL OR p.platform_id = :platform ORDER BY p.code"
)


@dataclass(frozen=True)
class ConnectedParty:
    """A party of a platform. `behind` is None where there is no lane: a hosted party, one that is not registered."""

    code: str
    name: str | None
    roles: list[str]
    behind: int | None
    owed: int
    parked: int
    backfills: int
    holder: str | None


@dataclass(frozen=True)
class InvitedParty:
    """A role that the platform may register."""

    code: str
    role: str


@dataclass(frozen=True)
class PlatformRow:
    """A platform in the list."""

    id: int
    name: str
    hosted: bool
    status: str
    version: str | None
    token_form: str
    last_seen_at: datetime | None
    parties: list[ConnectedParty]
    invited: list[InvitedParty]


@dataclass(frozen=True)
class PublishedEndpoint:
    """An endpoint of the platform's version details."""

    module: str
    role: str
    url: str


@dataclass(frozen=True)
class Renewal:
    """The last renewal of tokens that the hub began. `outcome`: switched, rolled back, refused or replaced; None while
    both tokens are good, because the partner has not shown yet which one it uses."""

    begun_at: datetime | None
    answered_at: datetime | None
    ends_at: datetime
    outcome: str | None


@dataclass(frozen=True)
class PlatformDetail(PlatformRow):
    """All there is to know about a platform. `stopped_reason` says why nothing is sent to it, `admitted` what it may
    register, `renewed_at` when its tokens were last exchanged (they should be renewed once a month). `pull` are the
    modules pulled from it (None: the hub decides), `quirks` its departures from the letter of OCPI, `short_retry`
    whether a delivery that failed is tried again within a minute."""

    admitted: list[InvitedParty]
    renewed_at: datetime | None
    renewal: Renewal | None
    versions_url: str | None
    endpoints: list[PublishedEndpoint]
    resync: str
    strict: bool
    short_retry: bool
    pull: list[str] | None
    quirks: dict[str, Any]
    failures: int
    next_try_at: datetime | None
    stopped_reason: str | None
    invitation_expires_at: datetime | None
    created_at: datetime | None


async def rows(hub: Hub) -> list[PlatformRow]:
    """Every platform, the hub's own for hosted parties included."""
    async with hub.db.session() as session:
        connected = await _parties(session, None)
        invited = _grouped(await session.exec(select(Admission).order_by("code", "role")))
        platforms = list(await session.exec(select(Platform).order_by("id")))
    return [_row(row, connected.get(row.id or 0, []), invited.get(row.id or 0, [])) for row in platforms]


async def one(hub: Hub, platform_id: int) -> PlatformDetail:
    """One platform; NotFound (404)."""
    async with hub.db.session() as session:
        platform = await session.get(Platform, platform_id)
        if platform is None:
            raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
        connected = await _parties(session, platform_id)
        invited = _grouped(await session.exec(select(Admission).where(Admission.platform_id == platform_id)))
        endpoints = select(Endpoint).where(Endpoint.platform_id == platform_id).order_by("module", "role")
        published = [PublishedEndpoint(e.module, e.role, e.url) for e in await session.exec(endpoints)]
        invitation = select(col(AccessToken.expires_at)).where(
            AccessToken.platform_id == platform_id, AccessToken.kind == "A"
        )
        expires = (await session.exec(invitation)).first()
        made = select(func.max(AccessToken.made_at)).where(
            AccessToken.platform_id == platform_id, AccessToken.kind == "C"
        )
        made_at = (await session.exec(made)).one()
        rotation = await session.get(Rotation, platform_id)
    row = _row(platform, connected.get(platform_id, []), invited.get(platform_id, []))
    return PlatformDetail(
        **vars(row),
        admitted=invited.get(platform_id, []),
        renewed_at=made_at,
        renewal=_renewal(rotation),
        versions_url=platform.versions_url,
        endpoints=published,
        resync=platform.resync,
        strict=platform.strict,
        short_retry=platform.short_retry,
        pull=platform.pull,
        quirks=platform.quirks,
        failures=platform.failures,
        next_try_at=platform.next_try_at,
        stopped_reason=platform.stopped_reason,
        invitation_expires_at=expires,
        created_at=platform.created_at,
    )


def _renewal(row: Rotation | None) -> Renewal | None:
    return None if row is None else Renewal(row.begun_at, row.answered_at, row.ends_at, row.outcome)


async def _parties(session: AsyncSession, platform_id: int | None) -> dict[int, list[ConnectedParty]]:
    found: dict[int, list[ConnectedParty]] = {}
    for row in (await session.execute(_PARTIES, {"platform": platform_id})).mappings():
        values = {name: row[name] for name in ConnectedParty.__dataclass_fields__}
        found.setdefault(row["platform_id"], []).append(ConnectedParty(**values))
    return found


def _grouped(admissions: Iterable[Admission]) -> dict[int, list[InvitedParty]]:
    found: dict[int, list[InvitedParty]] = {}
    for admission in admissions:
        found.setdefault(admission.platform_id, []).append(InvitedParty(admission.code, admission.role))
    return found


def _row(platform: Platform, connected: list[ConnectedParty], invited: list[InvitedParty]) -> PlatformRow:
    registered = {(party.code, role) for party in connected for role in party.roles}
    open_roles = [role for role in invited if (role.code, role.role) not in registered]
    return PlatformRow(
        platform.id or 0, platform.name, platform.hosted, platform.status, platform.version, platform.token_form,
        platform.last_seen_at, connected, open_roles,
    )  # fmt: skip


@router.get("/platforms", response_model=list[PlatformRow])
async def get_all(hub: CurrentHub) -> Response:
    """The platforms with their parties and what is owed to each."""
    return access.respond(await rows(hub))


@router.get("/platforms/{platform_id}", response_model=PlatformDetail)
async def get_one(hub: CurrentHub, platform_id: int) -> Response:
    """One platform with its endpoints."""
    return access.respond(await one(hub, platform_id))
