"""Telling the platforms who is connected: PUT of ClientInfo to each one that publishes a hubclientinfo receiver.

Every second the announcer looks whether the directory has moved (hub.delivery.clientinfo) and sends what is owed and
due. Several workers may do so at once: a PUT is taken for longer than it can last, so a crash only delays it.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub import telemetry
from hub.delivery import background, clientinfo, policy
from hub.delivery.clientinfo import MODULE, Pace
from hub.delivery.policy import Judgement, Verdict
from hub.delivery.send import DEADLINE, join, onward
from hub.ocpi import headers, json
from hub.ocpi.client import NetworkError, Outbound
from hub.ocpi.types import PartyId, format_datetime
from hub.store import clientinfo as store
from hub.store import health, messages
from hub.store.clientinfo import Due, Info
from hub.store.db import Database
from hub.store.directory import DirectoryCache, PlatformView
from hub.store.journal import Hop, Note

EVERY = 1.0
AT_ONCE = 16
LEASE = DEADLINE + 10.0
PACE = Pace()

log = telemetry.logger(__name__)


class Announcer:
    """Announces for the hub `code`. `planned` is HUB_WITHOUT_AGREEMENT=planned."""

    def __init__(
        self, db: Database, directory: DirectoryCache, outbound: Outbound, code: PartyId, note: Note,
        planned: bool = False, pace: Pace = PACE,
    ) -> None:  # fmt: skip
        self._db, self._directory, self._outbound, self._note = db, directory, outbound, note
        self._code, self._planned, self._pace = code, planned, pace
        self._seen: int | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Announce in the background until the block ends."""
        async with background.repeating("announcing who is connected", self.turn, EVERY):
            yield

    async def turn(self) -> None:
        """Look at the directory if it has moved, and send what is due."""
        await self._census()
        while due := await self._due():
            await asyncio.gather(*(self._tell(each) for each in due))

    async def _census(self) -> None:
        picture = self._directory.now
        if picture.version == self._seen:
            return
        for platform_id in picture.platforms:
            await clientinfo.bring_up_to_date(self._db, self._directory, platform_id, self._planned, self._pace)
        self._seen = picture.version

    async def _due(self) -> list[Due]:
        picture = self._directory.now
        receivers = [number for number, platform in picture.platforms.items() if platform.endpoint(MODULE, "RECEIVER")]
        if not receivers:
            return []
        async with self._db.unit_of_work() as session:
            return await store.claim(session, receivers, AT_ONCE, policy.TRIES_BEFORE_PARKING, LEASE)

    async def _tell(self, due: Due) -> None:
        platform = self._directory.now.platforms.get(due.platform_id)
        url = platform.endpoint(MODULE, "RECEIVER") if platform is not None else None
        if platform is None or url is None:  # it has left meanwhile
            return
        judgement = await self._put(platform, url, due)
        async with self._db.unit_of_work() as session:
            if judgement.verdict is Verdict.DELIVERED:
                await store.told(session, due, self._pace.pause)
            elif judgement.verdict is Verdict.UNAUTHORISED:
                await health.stop(session, platform.id, judgement.reason)
            else:
                tries, wait = _again(due, judgement)
                await store.failed(session, due, tries, wait, judgement.reason)
        if judgement.verdict is not Verdict.DELIVERED:
            log.warning("platform not told who is connected", platform=platform.name, reason=judgement.reason)

    async def _put(self, platform: PlatformView, url: str, due: Due) -> Judgement:
        """One PUT, without routing headers (HCI-026), at the codes of the party it tells of (HCI-032)."""
        sent = onward(platform, headers.new_id(), with_body=True)
        content, begun = json.dumps(body(due)), time.monotonic()
        answer, quirks = None, platform.quirks
        address = join(url, due.code.replace("*", "/"), slash=quirks.slash)
        try:
            answer = await self._outbound.send("PUT", address, sent, content, min(DEADLINE, quirks.timeout))
            judgement = policy.judge("PUT", "", answer.status, answer.headers, answer.body)
        except NetworkError as error:
            judgement = Judgement(Verdict.AWAY, str(error))
        self._note(
            Hop(
                correlation_id=sent[headers.CORRELATION_ID],
                request_id=sent[headers.REQUEST_ID],
                sender=str(self._code),
                receiver=platform.name,
                method="PUT",
                what=f"{MODULE} {due.code} {due.role} {due.status}",
                decision=messages.DELIVER,
                http_status=judgement.http_status,
                status_code=judgement.status_code,
                ms=int((time.monotonic() - begun) * 1000),
                detail=judgement.reason or None,
            ),
            content,
            answer.body if answer is not None else None,
        )
        return judgement


def body(info: Info | Due) -> dict[str, str]:
    """The ClientInfo object of a row."""
    party = PartyId.parse(info.code)
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "role": info.role,
        "status": info.status,
        "last_updated": format_datetime(info.last_updated),
    }


def _again(due: Due, judgement: Judgement) -> tuple[int, float]:
    """How often it was tried, and the seconds until it is tried again. One that is away is tried for ever, a refusal
    eight times, until the status changes."""
    tries = due.tries + 1
    if judgement.verdict is Verdict.AWAY:
        tries = min(tries, policy.TRIES_BEFORE_PARKING - 1)
    return tries, policy.pause(tries, random.uniform(-1, 1), judgement.asked)
