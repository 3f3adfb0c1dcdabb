"""Reading current state in bulk, just before it goes out.

Every send asks for the newest state of its object. Questions asked while a query runs are gathered into the next one,
so that hundreds of sends cost a few queries, and fifty copies of one change one row, rendered once.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hub.delivery import compose
from hub.delivery.compose import Message
from hub.delivery.need import Need
from hub.ocpi.module import Catalog, Module
from hub.store import outgoing
from hub.store.db import Database
from hub.store.objects import EVERYBODY, Kept
from hub.store.outgoing import Cdr, Identity

AT_ONCE = 256


class StateUnknown(Exception):
    """The database did not answer: nothing can be sent now."""


@dataclass(slots=True)
class State:
    """The rows of one object for all receivers that asked; `version` is that of the directory the query saw."""

    version: int = 0
    rows: dict[str, Kept] = field(default_factory=dict)
    cdr: Cdr | None = None
    _rendered: dict[tuple[object, ...], list[Message]] = field(default_factory=dict)

    def messages(
        self, module: Module, need: Need, receiver: str, everybody: bool, own: bool
    ) -> tuple[list[Message], bool]:
        """What goes out to `receiver`, which may see its own row, or everybody's, or both; and whether its own row
        (or CDR) has a part in it."""
        if self.cdr is not None:
            mine: Kept | None = self.cdr.kept if self.cdr.receiver == receiver else None
        else:
            mine = self.rows.get(receiver) if own else None
        all_row = self.rows.get(EVERYBODY) if everybody else None
        if mine is not None:
            return compose.messages(module, need, mine, all_row), True
        key = (everybody, *need.items())
        if key not in self._rendered:
            self._rendered[key] = compose.messages(module, need, None, all_row)
        return self._rendered[key], False

    def whole(self, module: Module, receiver: str, everybody: bool, own: bool) -> list[Message]:
        """The PUT of the whole object, for a receiver that did not know it."""
        mine = self.rows.get(receiver) if own else None
        return compose.whole(module, mine, self.rows.get(EVERYBODY) if everybody else None)


class Loader:
    """Gathers questions into queries."""

    def __init__(self, db: Database, catalog: Catalog) -> None:
        self._db, self._catalog = db, catalog
        self._asked: dict[Identity, tuple[set[str], asyncio.Future[State]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def state(self, identity: Identity, receiver: str) -> State:
        """The state of an object no older than this call. Raises StateUnknown."""
        asked = self._asked.get(identity)
        if asked is None:
            asked = self._asked[identity] = (set(), asyncio.get_running_loop().create_future())
        asked[0].add(receiver)
        if self._task is None:
            self._task = asyncio.create_task(self._answer(), name="loader")
        return await asyncio.shield(asked[1])

    async def _answer(self) -> None:
        while self._asked:
            await asyncio.sleep(0)  # let those who are about to ask do so
            batch = dict(list(self._asked.items())[:AT_ONCE])
            for identity in batch:
                del self._asked[identity]
            try:
                states = await self._read({identity: receivers for identity, (receivers, _) in batch.items()})
            except Exception as error:  # whatever it was, the askers must hear of it
                for _, future in batch.values():
                    future.set_exception(StateUnknown(repr(error)))
                    future.exception()  # an asker may be gone by now
            else:
                for identity, (_, future) in batch.items():
                    future.set_result(states[identity])
        self._task = None

    async def _read(self, wanted: dict[Identity, set[str]]) -> dict[Identity, State]:
        states = {identity: State() for identity in wanted}
        cdrs = [identity for identity in wanted if self._is_cdr(identity)]
        kept = [identity for identity in wanted if not self._is_cdr(identity)]
        async with self._db.unit_of_work() as session:
            if kept:
                receivers: Iterable[str] = set().union(*(wanted[identity] for identity in kept))
                found, version = await outgoing.states(session, kept, list(receivers))
                for identity, rows in found.items():
                    states[identity].rows, states[identity].version = rows, version
            for module in {identity[1] for identity in cdrs}:
                pairs = [(owner, key) for owner, name, key in cdrs if name == module]
                for cdr in await outgoing.cdrs(session, module, pairs):
                    states[cdr.owner, module, cdr.key].cdr = cdr
        return states

    def _is_cdr(self, identity: Identity) -> bool:
        module = self._catalog.get(identity[1])
        return module is not None and module.immutable
