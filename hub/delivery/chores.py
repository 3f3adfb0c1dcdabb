"""What is done by the clock: old rows go. Each chore may run twice or late."""

from hub import telemetry
from hub.delivery import log
from hub.store import expiry
from hub.store.db import Database

logger = telemetry.logger(__name__)


async def prune(db: Database) -> None:
    """Delete rows of the change log that are older than a lane may lag behind."""
    tail = await log.prune(db)
    if tail is not None:
        logger.info("change log pruned", tail=tail)


async def expire(db: Database) -> None:
    """Delete callbacks and access tokens that have expired."""
    async with db.unit_of_work() as session:
        await expiry.expire(session)
