"""Partners of the hub under test, connected by rows: what the handshake would write, without fifty handshakes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text

from hub.delivery import lanes
from hub.settings import Settings
from hub.store import parties
from hub.store.db import Database
from hub.store.parties import AccessToken, Endpoint, Party, Platform
from hub.store.seal import Seal, hash_token, new_token

SEEN = 1.5
"""Seconds after which every process has seen a change of the directory: it looks once a second."""

Endpoints = Mapping[tuple[str, str], str]
"""URLs by module and interface role."""

_FORGET = (
    "DELETE FROM party WHERE code = ANY(CAST(:codes AS text[]))",
    "DELETE FROM platform WHERE name = ANY(CAST(:codes AS text[]))",
)


@dataclass(frozen=True)
class Partner:
    """A party on a platform of its own."""

    code: str
    role: str
    endpoints: Endpoints


async def connect(settings: Settings, partners: Sequence[Partner]) -> list[str]:
    """Register partners; the tokens that they show to the hub. Their lanes begin at the head of the log."""
    seal, tokens = Seal(settings.secret_key), [new_token() for _ in partners]
    db = Database(settings.database_url, pool_size=1)
    try:
        async with db.session() as session:
            for partner, token in zip(partners, tokens, strict=True):
                sealed = seal.close(new_token())
                platform = Platform(name=partner.code, status="CONNECTED", version="2.2.1", token_out=sealed)
                session.add(platform)
                await session.flush()
                assert platform.id is not None
                details = {"name": partner.code}
                party = Party(
                    code=partner.code, platform_id=platform.id, roles=[partner.role], business_details=details
                )
                session.add(party)
                session.add(AccessToken(hash=hash_token(token), platform_id=platform.id, kind="C"))
                session.add_all(
                    Endpoint(platform_id=platform.id, module=module, role=role, url=url)
                    for (module, role), url in partner.endpoints.items()
                )
                await session.flush()
                assert party.id is not None
                await lanes.open_for(session, party.id, partner.code)
            await parties.touch(session)
    finally:
        await db.close()
    await asyncio.sleep(SEEN)
    return tokens


async def forget(settings: Settings, partners: Sequence[Partner]) -> None:
    """Take partners away again."""
    db = Database(settings.database_url, pool_size=1)
    try:
        async with db.session() as session:
            for statement in _FORGET:
                await session.execute(text(statement), {"codes": [partner.code for partner in partners]})
            await parties.touch(session)
    finally:
        await db.close()
    await asyncio.sleep(SEEN)
