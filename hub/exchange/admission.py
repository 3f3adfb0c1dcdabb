"""Who may register what. OCPI does not prove that a platform may act for a party (CRED-049): only roles on the
platform's admission list are registered, and no party that another platform speaks for (CRED-048).

A party is on one platform at a time, in all its roles. One that has left (unregistered) is free for another platform
that the operator invites for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId
from hub.store.parties import Admission, Party, Platform

Invited = Sequence[tuple[PartyId, str]]
"""Parties, each with a role."""


@dataclass(frozen=True)
class Role:
    """One entry of `roles` in a Credentials object."""

    code: PartyId
    role: str
    business_details: dict[str, Any]


def roles_of(body: dict[str, Any]) -> list[Role]:
    """The roles of a Credentials object; each combination of role and party stands in it once (CRED-039)."""
    roles = [
        Role(PartyId.of(entry["country_code"], entry["party_id"]), entry["role"], dict(entry["business_details"]))
        for entry in body["roles"]
    ]
    known: set[tuple[PartyId, str]] = set()
    for role in roles:
        if (role.code, role.role) in known:
            raise InvalidParameters(f"roles: {role.role} {role.code} is listed twice")
        known.add((role.code, role.role))
    return roles


async def admit(session: AsyncSession, platform_id: int, body: dict[str, Any]) -> list[Role]:
    """The roles of a Credentials object, each checked against the admission list and against who else holds it."""
    roles = roles_of(body)
    rows = await session.exec(select(Admission).where(Admission.platform_id == platform_id))
    admitted = {(row.code, row.role) for row in rows}
    for role in roles:
        if (str(role.code), role.role) not in admitted:
            raise InvalidParameters(f"roles: {role.role} {role.code} is not on the invitation of this platform")
        if await _held_elsewhere(session, platform_id, role.code):
            raise InvalidParameters(f"roles: {role.code} is already connected by another platform")
    return roles


async def _held_elsewhere(session: AsyncSession, platform_id: int, code: PartyId) -> bool:
    holding = select(Platform).join(Party, col(Party.platform_id) == col(Platform.id)).where(Party.code == str(code))
    holder = (await session.exec(holding)).first()
    return holder is not None and holder.id != platform_id and not has_left(holder)


def has_left(platform: Platform) -> bool:
    """Whether a platform has unregistered: there are no tokens any more."""
    return platform.status == "SUSPENDED" and platform.token_out is None and not platform.hosted


async def write(session: AsyncSession, platform_id: int, roles: Invited) -> None:
    """Replace the admission list of a platform."""
    await session.exec(delete(Admission).where(col(Admission.platform_id) == platform_id))
    wanted = dict.fromkeys((str(code), role) for code, role in roles)
    session.add_all(Admission(platform_id=platform_id, code=code, role=role) for code, role in wanted)
    await session.flush()


async def left_by(session: AsyncSession, codes: Sequence[str]) -> Platform | None:
    """The one SUSPENDED platform that holds parties among these, if there is just one (CRED-036)."""
    held = select(Party.platform_id).where(col(Party.code).in_(codes))
    found = list(await session.exec(select(Platform).where(col(Platform.id).in_(held))))
    return found[0] if len(found) == 1 and found[0].status == "SUSPENDED" else None


async def invited_before(session: AsyncSession, codes: Sequence[str]) -> Platform | None:
    """A platform that was invited for just these parties and has not registered."""
    mine = select(Admission.platform_id).where(col(Admission.code).in_(codes))
    planned = select(Platform).where(col(Platform.id).in_(mine), Platform.status == "PLANNED").order_by("id")
    for platform in await session.exec(planned):
        listed = await session.exec(select(Admission.code).where(Admission.platform_id == platform.id))
        if set(listed) == set(codes):
            return platform
    return None
