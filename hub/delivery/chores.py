"""What is done by the clock: old rows go. Each chore may run twice or late."""

from dataclasses import dataclass

from hub import telemetry
from hub.delivery import log
from hub.store import alerts, expiry, heartbeats, messages
from hub.store.db import Database

logger = telemetry.logger(__name__)


@dataclass(frozen=True)
class Chores:
    """The chores of one worker. `message_retention` is the days that the message log is kept."""

    db: Database
    message_retention: int

    async def prune(self) -> None:
        """Delete rows of the change log that are older than a lane may lag behind."""
        tail = await log.prune(self.db)
        if tail is not None:
            logger.info("change log pruned", tail=tail)

    async def heard(self) -> None:
        """Write down that beat has shown its life, by a task that came all the way here."""
        async with self.db.unit_of_work() as session:
            await heartbeats.shown(session, "beat")

    async def expire(self) -> None:
        """Delete expired callbacks and access tokens and old alerts, let old days of the message log go, and note
        there which results of commands have not come."""
        async with self.db.unit_of_work() as session:
            await expiry.expire(session)
            await alerts.forget(session)
        async with self.db.unit_of_work() as session:
            await messages.roll(session, self.message_retention)
        async with self.db.unit_of_work() as session:
            await messages.note_missing_results(session)
