"""How platforms do, as all workers see it: failures in a row, the next try, and why a lane is stopped.

A worker notes here when a platform's state changes, not each delivery. CONNECTED and OFFLINE are the worker's to
set; SUSPENDED and PLANNED are not.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from hub.store import parties
from hub.store.db import Statements


@dataclass(frozen=True, slots=True)
class Pulse:
    """A platform's row; `wait` is the seconds until its next try or probe (negative when that time has come)."""

    id: int
    status: str
    failures: int
    wait: float | None
    stopped: bool
    seen_at: datetime | None


_PULSES = text(
    "SELECT id, status, failures, extract(epoch FROM next_try_at - now())::float8, stopped_reason IS NOT NULL,"
    " last_seen_at FROM platform WHERE id = ANY(CAST(:ids AS integer[]))"
)
_FAILING = text(
    "UPDATE platform SET failures = :failures, next_try_at = now() + :wait * interval '1 second' WHERE id = :id"
)
_WELL = text("UPDATE platform SET failures = 0, next_try_at = NULL WHERE id = :id")
# A partner may know a new token only once the handshake's answer has reached it: until then its 401 means "again".
_STOP = text(
    "UPDATE platform p SET stopped_reason = :reason WHERE p.id = :id AND p.stopped_reason IS NULL AND NOT EXISTS"
    " (SELECT FROM access_token t WHERE t.platform_id = p.id AND t.kind = 'C'"
    " AND t.made_at > now() - interval '10 seconds') RETURNING p.id"
)
_CLAIM = text(
    "UPDATE platform SET next_try_at = now() + :wait * interval '1 second', checked_at = now() WHERE id = :id"
    " AND (next_try_at IS NULL OR next_try_at <= now() OR :at_once"
    " AND coalesce(checked_at < now() - :pause * interval '1 second', true)) RETURNING id"
)
# Whoever has a life of its own and was neither heard nor asked for a while; a few at a time, so that they are spread.
_SILENT = text(
    "UPDATE platform SET checked_at = now() WHERE id IN (SELECT id FROM platform WHERE status = 'CONNECTED'"
    " AND NOT hosted AND versions_url IS NOT NULL AND stopped_reason IS NULL"
    " AND GREATEST(created_at, last_seen_at, checked_at) < now() - :after * interval '1 second'"
    " ORDER BY last_seen_at NULLS FIRST LIMIT :limit FOR UPDATE SKIP LOCKED) RETURNING id"
)
_STATUS = text(
    "UPDATE platform SET status = :status WHERE id = :id AND status IN ('CONNECTED', 'OFFLINE')"
    " AND status <> :status RETURNING id"
)


async def pulses(session: Statements, platform_ids: Collection[int]) -> dict[int, Pulse]:
    """How these platforms do."""
    return {row[0]: Pulse(*row) for row in await session.execute(_PULSES, {"ids": list(platform_ids)})}


async def failing(session: Statements, platform_id: int, failures: int, wait: float) -> None:
    """Note a failure and when the next try is due."""
    await session.execute(_FAILING, {"id": platform_id, "failures": failures, "wait": wait})


async def well(session: Statements, platform_id: int) -> None:
    """Note that the platform takes deliveries again."""
    await session.execute(_WELL, {"id": platform_id})


async def stop(session: Statements, platform_id: int, reason: str) -> bool:
    """Stop all lanes of a platform until new credentials clear `stopped_reason`; False when they were stopped, or when
    its credentials are so new that it may not know them yet."""
    return (await session.execute(_STOP, {"id": platform_id, "reason": reason})).first() is not None


async def claim_probe(session: Statements, platform_id: int, wait: float, at_once: bool, pause: float) -> bool:
    """Take the right to probe a platform and set the next probe's time; one worker gets it. `at_once`: before its time,
    if nobody has asked it for `pause` seconds."""
    names = {"id": platform_id, "wait": wait, "at_once": at_once, "pause": pause}
    return (await session.execute(_CLAIM, names)).first() is not None


async def silent(session: Statements, after: float, limit: int) -> list[int]:
    """Take the right to ask platforms that are CONNECTED and were not heard for `after` seconds (HCI-014); one worker
    gets it."""
    return list((await session.execute(_SILENT, {"after": after, "limit": limit})).scalars())


async def set_status(session: Statements, platform_id: int, status: str) -> bool:
    """CONNECTED or OFFLINE, told to every process; False when there was nothing to change."""
    if (await session.execute(_STATUS, {"id": platform_id, "status": status})).first() is None:
        return False
    await parties.touch(session)
    return True
