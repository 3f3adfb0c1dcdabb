"""Partners that are registered with a hub, without a handshake.

A handshake is five requests and two transactions of many statements; most tests only need the rows it leaves. `join`
writes those (tests/hub/exchange/test_handshake.py holds the two against each other). A platform that has its own way
with a handshake, or parties that the hub knows already, goes through one.
"""

from collections.abc import Mapping

from sqlalchemy import text

from hub.delivery import audience, backfill, lanes
from hub.exchange import handshake
from hub.exchange.context import Hub
from hub.exchange.discovery import VERSION
from hub.ocpi import envelope, headers
from hub.ocpi.types import PartyId
from hub.sandbox import wire
from hub.sandbox.platform import Platform
from hub.sandbox.registration import BASE, Registration
from hub.sandbox.wire import Peer
from hub.store import directory, parties
from hub.store.db import Statements
from hub.store.seal import hash_token, new_token
from modules.versions.routes import get_version_details

_ROWS = text(
    "WITH made AS (INSERT INTO platform (name, hosted, status, versions_url, version, token_out, token_form, resync,"
    "   strict, told)"
    "  VALUES (:name, false, 'CONNECTED', :versions_url, :version, :token_out, 'base64', 'push', false, :told)"
    "  RETURNING id),"
    " token AS (INSERT INTO access_token (hash, platform_id, kind) SELECT :hash, id, 'C' FROM made),"
    " offered AS (INSERT INTO endpoint (platform_id, module, role, url) SELECT id, e.* FROM made,"
    "  unnest(CAST(:modules AS text[]), CAST(:interfaces AS text[]), CAST(:urls AS text[])) e),"
    " admitted AS (INSERT INTO admission (platform_id, code, role)"
    "  SELECT id, code, :role FROM made, unnest(CAST(:codes AS text[])) code)"
    " INSERT INTO party (code, platform_id, roles, business_details)"
    "  SELECT code, id, ARRAY[CAST(:role AS text)], jsonb_build_object('name', CAST(:name AS text))"
    "  FROM made, unnest(CAST(:codes AS text[])) code RETURNING code, id"
)
_WAYS = ("credentials", "register", "_exchange", "_look_up", "_get_versions", "_get_details")


async def join(hub: Hub, platform: Platform) -> None:
    """Make a platform that has started a registered one."""
    has_ways = any(getattr(type(platform), way) is not getattr(Registration, way) for way in _WAYS)
    if has_ways or any(hub.directory.now.party(party) for party in platform.parties):
        await shake_hands(hub, platform)
        return
    token_b, token_c = wire.new_token(), new_token()
    async with hub.db.unit_of_work() as session:
        await parties.touch(session)
        await _deliver(session, hub, await _write(session, hub, platform, token_b, token_c))
    await hub.directory.refresh()
    mine = handshake.own_credentials(hub, token_c)
    platform.peer = Peer(token_b, token_c, mine["url"], tuple(mine["roles"]), await _endpoints(hub))


async def shake_hands(hub: Hub, platform: Platform) -> None:
    """Invite a platform and let it register."""
    roles = [(party, platform.role) for party in platform.parties]
    await platform.register(hub.versions_url, await handshake.invite(hub, platform.name, roles))


async def _write(session: Statements, hub: Hub, platform: Platform, token_b: str, token_c: str) -> dict[PartyId, int]:
    """Platform, token, endpoints, admission list and parties; the ids of these."""
    offered = {(module, role): platform.url(module, role) for module, role in platform.modules}
    offered["credentials", "SENDER"] = f"{platform.origin}{BASE}/credentials"
    values = {
        "name": platform.name,
        "versions_url": platform.versions_url,
        "version": VERSION,
        "token_out": hub.seal.close(token_b),
        "told": hub.endpoints_mark,
        "hash": hash_token(token_c),
        "modules": [module for module, _ in offered],
        "interfaces": [interface for _, interface in offered],
        "urls": list(offered.values()),
        "codes": [str(party) for party in platform.parties],
        "role": platform.role,
    }
    return {PartyId.parse(code): number for code, number in await session.execute(_ROWS, values)}


async def _deliver(session: Statements, hub: Hub, ids: Mapping[PartyId, int]) -> None:
    """A lane for each party, and a full delivery of what there is for it."""
    now = await directory.load(session, hub.seal, hub.directory.now.open_policy)
    correlation_id = headers.new_id()
    for party, number in ids.items():
        await lanes.open_for(session, number, party)
        everything = audience.everything_for(now, hub.catalog, party)
        await backfill.start(session, party, everything, backfill.REGISTRATION, correlation_id)


async def _endpoints(hub: Hub) -> dict[tuple[str, str], str]:
    """What the hub publishes."""
    details = envelope.read(bytes((await get_version_details(hub)).body))[1]
    return {(entry["identifier"], entry["role"]): entry["url"] for entry in details["endpoints"]}
