"""The watch: looks at the hub every ten seconds, raises alerts and takes them back.

It runs in the API processes and not as a Celery task, because a watch inside Celery cannot notice that Celery is gone:
no beat, no broker and no worker is needed here, only PostgreSQL, and without that there is no hub. Of several API
processes the one that gets the lock does the work of a round.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog

from hub.delivery import audience, broker
from hub.exchange.context import Hub
from hub.ocpi.client import Outbound
from hub.store import alerts, heartbeats, vitals
from hub.store.alerts import Alert
from hub.store.db import FAULTS, Statements
from hub.store.heartbeats import Sign
from hub.store.vitals import Vitals
from hub.watch import judge
from hub.watch.certificates import Certificates
from hub.watch.judge import Condition, Look
from hub.watch.limits import Limits
from hub.watch.room import room
from hub.watch.webhook import ANYWHERE, Webhook

log = structlog.get_logger(__name__)

BROKER_PATIENCE = 3.0  # seconds


@dataclass(frozen=True)
class Changes:
    """What a look changes: conditions to raise, open alerts that are over, details to renew by id."""

    begin: list[Condition]
    clear: list[Alert]
    renew: dict[int, str]


def compare(conditions: list[Condition], opened: list[Alert], lasted: dict[tuple[str, str], float]) -> Changes:
    """Hold what is the matter against the open alerts; `lasted` says for how many seconds each has been seen."""
    known = {(alert.kind, alert.subject): alert for alert in opened}
    seen = {(str(condition.kind), condition.subject): condition for condition in conditions}
    return Changes(
        [c for key, c in seen.items() if key not in known and lasted[key] >= c.lasting],
        [alert for key, alert in known.items() if key not in seen],
        {
            alert.id or 0: seen[key].detail
            for key, alert in known.items()
            if key in seen and seen[key].detail not in ("", alert.detail)
        },
    )


class Watch:
    """The watch of one API process: `async with Watch.running(hub):`."""

    def __init__(self, hub: Hub, limits: Limits, certificates: Certificates, webhook: Webhook | None) -> None:
        self._hub, self._limits, self._certificates, self._webhook = hub, limits, certificates, webhook
        self._since: dict[tuple[str, str], float] = {}
        self._blind = False

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, hub: Hub, limits: Limits | None = None) -> AsyncIterator["Watch"]:
        """Watch until the block ends."""
        limits, url = limits or Limits(), hub.settings.alert_url
        async with Outbound(ANYWHERE) as anywhere:
            certificates = Certificates(hub.settings, hub.outbound, anywhere)
            webhook = Webhook(hub.db, anywhere, url, str(hub.code), limits) if url else None
            watch = cls(hub, limits, certificates, webhook)
            loops = [asyncio.create_task(loop(), name="watch") for loop in (watch._look, watch._tell, watch._certify)]
            try:
                yield watch
            finally:
                for loop in loops:
                    loop.cancel()
                await asyncio.gather(*loops, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._limits.every)
            try:
                await self.round()
                self._blind = False
            except Exception as error:  # most likely the database: what was seen before it went says nothing any more
                self._since.clear()
                if not self._blind:
                    log.error(
                        "nobody watches the hub: the look at it failed, it is tried again", error=repr(error)[:300]
                    )
                self._blind = True

    async def _tell(self) -> None:
        """Apart from the looking, which a dead webhook must not hold up."""
        while self._webhook is not None:
            await asyncio.sleep(self._limits.every / 2)
            try:
                await self._webhook.tell()
            except FAULTS:  # the look says that the database is away
                continue
            except Exception:  # a fault of ours: the next round tries again
                log.exception("HUB_ALERT_URL not told, it is tried again")

    async def _certify(self) -> None:
        while True:
            try:
                await self._certificates.look(self._hub.directory.now)
            except Exception:  # a fault of ours: what is known of certificates stands
                log.exception("certificates not looked at, they are the next time")
            await asyncio.sleep(self._limits.certificates_every)

    async def round(self) -> None:
        """Look, compare with the open alerts, write what changed, and log it."""
        trouble = await asyncio.to_thread(_trouble, self._hub.settings.broker)
        async with self._hub.db.unit_of_work() as session:
            if not await alerts.lock(session):
                return
            found = await vitals.look(session)
            conditions = judge.judge(self._found(found, trouble), self._limits)
            changes = compare(conditions, await alerts.every(session, cleared=False), self._lasted(conditions))
            await _write(session, changes)
            await self._bury(session, found.signs)
        for condition in changes.begin:
            write = log.error if condition.kind.severity == "error" else log.warning
            write(f"alert: {condition.detail}", alert=condition.kind, subject=condition.subject,
                  advice=condition.kind.advice)  # fmt: skip
        for alert in changes.clear:
            log.info("alert is over", alert=alert.kind, subject=alert.subject)

    def _found(self, found: Vitals, trouble: str | None) -> Look:
        settings, directory = self._hub.settings, self._hub.directory.now
        return Look(
            vitals=found,
            served=audience.all_served(directory),
            silent_after=settings.silent_after * 3600.0,
            broker=trouble,
            room=room(settings, found.size),
            ends=self._certificates.ends(directory),
        )

    def _lasted(self, conditions: list[Condition]) -> dict[tuple[str, str], float]:
        """For how many seconds this process has seen each condition."""
        now = time.monotonic()
        self._since = {(c.kind, c.subject): self._since.get((c.kind, c.subject), now) for c in conditions}
        return {key: now - since for key, since in self._since.items()}

    async def _bury(self, session: Statements, signs: list[Sign]) -> None:
        """Rows of dead processes go once others have taken over."""
        for dead, heir in judge.heirs(signs, self._limits).items():
            await heartbeats.inherit(session, dead, heir)
            log.info("a process that fell has been replaced", process_gone=dead, process_new=heir)
        await heartbeats.forget(session, judge.forgotten(signs, self._limits))


def _trouble(broker_url: str) -> str | None:
    """What keeps the broker from answering, None when it does."""
    try:
        broker.knock(broker_url, BROKER_PATIENCE)
    except Exception as error:  # Redis and RabbitMQ each have errors of their own
        return type(error).__name__
    return None


async def _write(session: Statements, changes: Changes) -> None:
    if changes.begin:
        await alerts.begin(session, ((c.kind, c.subject, c.detail) for c in changes.begin))
    if changes.renew:
        await alerts.renew(session, changes.renew)
    if changes.clear:
        await alerts.clear(session, [alert.id or 0 for alert in changes.clear])
