"""Owing a receiver an object outright: CDRs in custody, and the check after a direct push.

Written in the transaction that makes the debt; the lane pays it. The row asks for the whole object.
"""

from collections.abc import Sequence
from typing import NamedTuple

from hub.delivery.send import DEADLINE
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
    """Owe `receiver` this object from `due_in` seconds on. A CDR: at once, in the transaction of the ledger entry."""
    await lanes.add(
        session,
        receiver=receiver,
        owner=owner,
        module=module,
        key=key,
        correlation_id=correlation_id,
        due_in=due_in,
    )


class Push(NamedTuple):
    """A direct push that is about to go out."""

    receiver: str
    owner: str
    module: str
    key: str
    correlation_id: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Receiver and object."""
        return self.receiver, self.owner, self.module, self.key


async def confirm(session: Statements, pushes: Sequence[Push]) -> list[bool]:
    """Owe each receiver that also gets the object by broadcast its newest state, from the push's deadline on: whether
    that is so."""
    found = await lanes.add_broadcast(session, pushes, DEADLINE)
    return [push.place in found for push in pushes]


async def due_now(
    session: Statements, receiver: str, owner: str, module: str, key: str, correlation_id: str | None = None
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
