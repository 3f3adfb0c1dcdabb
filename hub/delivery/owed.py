"""Owing a receiver an object outright: CDRs in custody, and the check after a direct push.

Written in the transaction that makes the debt; the lane pays it. The row asks for the whole object.
"""

from hub.ocpi import headers
from hub.store import lanes
from hub.store.db import Statements


async def add(
    session: Statements,
    *,
    receiver: str,
    owner: str,
    module: str,
    key: str,
    correlation_id: str,
    due_in: float = 0.0,
) -> None:
    """Owe `receiver` this object from `due_in` seconds on. A CDR: at once, in the transaction of the ledger entry. A
    direct push of what the receiver also gets by broadcast: at the push's deadline, before it goes out."""
    await lanes.add(
        session,
        receiver=receiver,
        owner=owner,
        module=module,
        key=key,
        correlation_id=correlation_id,
        due_in=due_in,
    )


async def due_now(
    session: Statements, *, receiver: str, owner: str, module: str, key: str, correlation_id: str | None = None
) -> None:
    """The direct push was answered: the lane confirms the newest state now. Owed again if another push of the same
    object had it settled meanwhile."""
    await add(
        session,
        receiver=receiver,
        owner=owner,
        module=module,
        key=key,
        correlation_id=correlation_id or headers.new_id(),
    )
