"""Who owns a token that nobody has pushed, remembered from answers. An answer itself is never remembered (TOK-026).

In this process only and bounded: losing it costs one more parallel question.
"""

from collections import OrderedDict

from hub.ocpi.types import PartyId, fold

CAPACITY = 10_000


class TokenOwners:
    """The eMSPs that knew a token when they were asked, by its type and uid; the least recently used go first."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[tuple[str, str], PartyId] = OrderedDict()

    def get(self, kind: str, uid: str) -> PartyId | None:
        """The eMSP that knew this token."""
        key = (kind, fold(uid))
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def learn(self, kind: str, uid: str, owner: PartyId) -> None:
        """`owner` knew this token."""
        self._known[kind, fold(uid)] = owner
        self._known.move_to_end((kind, fold(uid)))
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def forget(self, kind: str, uid: str) -> None:
        """It does not know it any more."""
        self._known.pop((kind, fold(uid)), None)
