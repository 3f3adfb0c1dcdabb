"""This hub as the client of another hub: it takes what the peer announces of its parties, and reads the peer's list.

Only a platform with a party in role HUB may announce. Which of the announced parties exist here is the operator's
decision (hub.store.peers, hub.store.directory). Status comes by push; the list is read after registration, when the
peer is back, and once a day in case a push was lost (HCI-029).

Source: mod_hub_client_info.asciidoc > Receiver Interface, Pull model.
"""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from sqlmodel import col, delete

from hub.delivery import background
from hub.delivery import send as delivery
from hub.exchange import crawl, keep
from hub.exchange.call import Reply
from hub.exchange.context import Hub
from hub.exchange.crawl import Failed, List
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import Answer, Use
from hub.ocpi.errors import ClientError, Conflict, InvalidParameters, NotFound, OcpiError
from hub.ocpi.types import PartyId, check, parse_datetime
from hub.store import parties
from hub.store import peers as store
from hub.store.directory import PlatformView
from hub.store.parties import Platform
from hub.store.peers import Behind, Info

log = structlog.get_logger(__name__)

MODULE = "hubclientinfo"
EVERY = 2.0
DAY = 24 * 3600.0
AFTER_FAILURE = 60.0
LEASE = 300.0
PAGE_DEADLINE = 10.0


async def put(hub: Hub, platform: PlatformView, code: PartyId, content: bytes) -> Reply:
    """A ClientInfo that a peer hub pushes: 201 when new, 200 when known (HCI-017). Each role is kept for itself, though
    two roles share a URL (HCI-018)."""
    _must_be_hub(platform)
    value = json.loads(content)
    if not isinstance(value, dict):
        raise InvalidParameters("body: must be a JSON object")
    info = read(hub, value)
    if info.code != str(code):
        raise InvalidParameters("country_code, party_id: differ from the URL")
    async with hub.db.unit_of_work() as session:
        if not await store.has_room(session, platform.id, info):
            raise ClientError(f"more than {store.MOST} ClientInfo objects: no new ones are taken")
        new = await store.take(session, platform.id, [info])
    await hub.directory.refresh()
    log.info("peer hub announces", hub=platform.name, party=info.code, role=info.role, status=info.status)
    return Reply(201 if new else 200, envelope.envelope())


async def get(hub: Hub, platform: PlatformView, code: PartyId) -> Reply:
    """The ClientInfo as it was pushed by the calling hub; NotFound (404) when it was not."""
    _must_be_hub(platform)
    async with hub.db.unit_of_work() as session:
        found = await store.stored(session, platform.id, str(code))
    if found is None:
        raise NotFound("this ClientInfo is not known here")
    return Reply(200, envelope.wrap(found.encode()))


def read(hub: Hub, value: dict[str, Any]) -> Info:
    """A ClientInfo object; InvalidParameters (2001) names what is missing or not allowed (HCI-022, HCI-025). Nobody
    announces this hub: its code would open every door."""
    module = hub.catalog[MODULE]
    for finding in check(module.model, value):
        raise InvalidParameters(f"{finding.path}: {finding.reason}")
    keep.not_from_the_future(value, module)
    code = PartyId.of(value["country_code"], value["party_id"])
    if code == hub.code:
        raise InvalidParameters(f"country_code, party_id: {code} is this hub itself")
    text = json.dumps(value).decode()
    return Info(str(code), value["role"], value["status"], parse_datetime(value["last_updated"]), text)


async def admit(hub: Hub, platform_id: int, admitted: Sequence[tuple[PartyId, str]] | None) -> None:
    """Say which parties may be reached and may act through a peer hub, in place of what was said before; None for all
    that it announces. NotFound (404), Conflict for the hub's own platform."""
    rows = [(store.ANY, store.ANY)] if admitted is None else [(str(code), role) for code, role in admitted]
    async with hub.db.session() as session:
        await parties.touch(session)
        platform = await session.get(Platform, platform_id)
        if platform is None:
            raise NotFound("there is no platform with this id: `knutpunkt platform list` shows them")
        if platform.hosted:
            raise Conflict("this is the hub's own platform, of the parties it hosts: nobody is behind it")
        await session.exec(delete(Behind).where(col(Behind.platform_id) == platform_id))
        session.add_all(Behind(platform_id=platform_id, code=code, role=role) for code, role in dict.fromkeys(rows))
    await hub.directory.refresh()
    log.info("parties behind a peer hub admitted", hub=platform.name, parties=[f"{c}:{r}" for c, r in rows])


def _must_be_hub(platform: PlatformView) -> None:
    if not platform.is_hub:
        raise ClientError("ClientInfo is taken from hubs alone, and no party of this platform is in role HUB")


@asynccontextmanager
async def reading_lists(hub: Hub) -> AsyncIterator[None]:
    """Read the lists of peer hubs in the background until the block ends; several workers may do so at once."""
    async with background.repeating("reading the lists of peer hubs", partial(turn, hub), EVERY):
        yield


async def turn(hub: Hub) -> None:
    """Read the lists that are due."""
    connected = {
        platform.id: platform
        for platform in hub.directory.now.platforms.values()
        if platform.is_hub and platform.status == "CONNECTED" and platform.endpoint(MODULE, "SENDER")
    }
    async with hub.db.unit_of_work() as session:
        await store.forget(session, connected)
    for platform in connected.values():
        async with hub.db.unit_of_work() as session:
            asked_at = await store.claim(session, platform.id, LEASE)
        if asked_at is None:
            continue
        try:
            infos = await _list(hub, platform)
        except Failed as failure:
            log.warning("list of a peer hub not read, will try again", hub=platform.name, reason=str(failure))
            wait = failure.asked or AFTER_FAILURE
            async with hub.db.unit_of_work() as session:
                await store.defer(session, platform.id, wait)
            continue
        async with hub.db.unit_of_work() as session:
            await store.complete(session, platform.id, infos, asked_at)
            await store.defer(session, platform.id, DAY * random.uniform(0.9, 1.1))
        await hub.directory.refresh()
        log.info("list of a peer hub read", hub=platform.name, parties=len(infos))


async def _list(hub: Hub, platform: PlatformView) -> list[Info]:
    """The whole list of a peer hub; Failed when it does not come to its end. What is no ClientInfo is left out."""
    endpoint, correlation_id = platform.endpoint(MODULE, "SENDER"), headers.new_id()
    assert endpoint is not None

    async def ask(url: str) -> Answer:
        return await hub.outbound.send(
            "GET", url, delivery.onward(platform, correlation_id), None, PAGE_DEADLINE, Use.BULK
        )

    found: dict[tuple[str, str], Info] = {}
    async for page in crawl.pages(ask, List(endpoint, platform.quirks, {})):
        found |= {(info.code, info.role): info for info in _valid(hub, platform, page.objects)}
        if len(found) > store.MOST:
            raise Failed(f"it lists more than {store.MOST} ClientInfo objects")
        if page.next is None and not page.whole:
            raise Failed("its list ends before its own total")
    return list(found.values())


def _valid(hub: Hub, platform: PlatformView, objects: Iterable[Any]) -> Iterable[Info]:
    for value in objects:
        try:
            yield read(hub, value if isinstance(value, dict) else {})
        except OcpiError as error:
            log.warning("peer hub lists what is no ClientInfo", hub=platform.name, reason=str(error))
