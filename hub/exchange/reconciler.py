"""The reconciler of a worker process: asks for the run of the night, and makes the runs that wait, one at a time.

It needs no broker, and of several workers the one that claims a run makes it. A run whose worker died is begun anew.
"""

import asyncio
import contextlib
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta

import structlog

from hub.delivery import background
from hub.exchange import reconcile
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.store import reconciliations as store
from hub.store.db import FAULTS
from hub.store.reconciliations import Job, Order

log = structlog.get_logger(__name__)

SWEEP = 2.0
SPLAY = timedelta(minutes=50)


class Reconciler:
    """Makes the runs that are asked for, for as long as a worker runs."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._name = uuid.uuid4().hex
        self._arranged: date | None = None

    @classmethod
    @asynccontextmanager
    async def running(cls, hub: Hub, sweep: float = SWEEP) -> AsyncIterator["Reconciler"]:
        """Work until the block ends; a run that is cut off is begun anew elsewhere."""
        found = cls(hub)
        async with background.repeating("reconciliation", found.turn, sweep):
            yield found

    async def turn(self) -> None:
        """Ask for this night's run when its time has come, and make the runs that wait."""
        await self._arrange(datetime.now(UTC))
        while True:
            async with self._hub.db.unit_of_work() as session:
                job = await store.claim(session, self._name, reconcile.LEASE)
            if job is None:
                return
            await self._make(job)

    async def _arrange(self, now: datetime) -> None:
        """The run of the night, once; not on a hub that had nothing yet when the day began."""
        settings = self._hub.settings
        if settings.reconcile == "off" or self._arranged == now.date():
            return
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        if now < midnight + timedelta(hours=settings.reconcile) + splay(self._hub.code):
            return
        order = Order((midnight - timedelta(days=1)).date(), None, settings.reconcile_sample, False, headers.new_id(),
                      nightly=True)  # fmt: skip
        partners = [str(party.code) for party in self._hub.directory.now.parties]
        async with self._hub.db.unit_of_work() as session:
            if await store.has_past(session, midnight):
                await store.ask(session, order)
            await store.tidy(session, partners, reconcile.ledger(self._hub).name)
        self._arranged = now.date()

    async def _make(self, job: Job) -> None:
        error = None
        try:
            await reconcile.run(self._hub, job)
        except reconcile.ClaimLost:
            log.warning("a reconciliation was taken over by another process", day=str(job.day))
            return
        except asyncio.CancelledError:
            await asyncio.shield(self._let_go(job))
            raise
        except FAULTS:  # the claim runs out, and somebody begins anew
            raise
        except Exception:
            log.exception("reconciliation stumbled", day=str(job.day))
            error = "a fault of the hub's own: see the worker's log"
        async with self._hub.db.unit_of_work() as session:
            await store.end(session, job, error)

    async def _let_go(self, job: Job) -> None:
        with contextlib.suppress(*FAULTS):
            async with self._hub.db.unit_of_work() as session:
                await store.let_go(session, job)


def splay(code: PartyId) -> timedelta:
    """How long after the hour a hub begins: not all hubs at once, and each at its own time."""
    return SPLAY * (hashlib.sha256(str(code).encode()).digest()[0] / 256)
