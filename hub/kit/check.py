"""A check: a small coroutine that asks a peer for something and holds what comes to one rule of the catalogue.

It returns when the rule is kept, and raises Broken or Skipped otherwise. Its docstring is the title that a report
shows. Checks are gathered in groups, in the order in which they run:

    group = Group("versions")

    @group.check("VER-003")
    async def urls_are_absolute(peer: Peer) -> None:
        "Each version has the absolute URL of its details"
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hub.kit import sources

if TYPE_CHECKING:
    from hub.kit.peer import Peer

Work = Callable[["Peer"], Awaitable[None]]

KINDS = frozenset({"cpo", "emsp", "hub"})

SENDERS = {"CPO": "cpo hub", "EMSP": "emsp hub", "": "hub"}
RECEIVERS = {"CPO": "emsp hub", "EMSP": "cpo hub"}
"""Kinds of peers that have the Sender and the Receiver interface of a module, by the role that owns its objects."""


class Broken(Exception):
    """The rule is not kept: what was asked, what came, and what should have come, each a line for people."""

    def __init__(self, asked: str, came: str, expected: str) -> None:
        super().__init__(f"{asked}: {came}; expected: {expected}")
        self.asked, self.came, self.expected = asked, came, expected


class Skipped(Exception):
    """The rule could not be looked at; the message says why."""


@dataclass(frozen=True)
class Check:
    """One check. `ids` are rows of the catalogue, the one that decides first; `must` tells MUST from SHOULD.

    `kinds` are the kinds of peers it is for. `writes`: it changes something at the peer. `registered`: it needs a
    handshake of the kit's own, because the peer has to call back.
    """

    group: str
    ids: tuple[str, ...]
    title: str
    work: Work
    must: bool = True
    kinds: frozenset[str] = KINDS
    writes: bool = False
    registered: bool = False

    @property
    def source(self) -> str:
        """The file and the heading of the specification that the rule comes from."""
        return sources.place(self.ids[0])

    @property
    def strength(self) -> str:
        """MUST or SHOULD."""
        return "MUST" if self.must else "SHOULD"


class Group:
    """The checks of one subject, in the order in which they run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: list[Check] = []

    def check(
        self, *ids: str, should: bool = False, kinds: str = "", writes: bool = False, registered: bool = False
    ) -> Callable[[Work], Work]:
        """Register a coroutine as a check; `kinds` are words such as "cpo hub", all of them if empty."""

        def register(work: Work) -> Work:
            wanted = frozenset(kinds.split()) or KINDS
            self.checks.append(Check(self.name, ids, title(work), work, not should, wanted, writes, registered))
            return work

        return register


def narrowed(kinds: str, wanted: str) -> str:
    """Those of the first kinds that are among the second, all of them if nothing is wanted."""
    return " ".join(kind for kind in kinds.split() if not wanted or kind in wanted.split())


def title(work: Callable[..., object]) -> str:
    """The first line of a docstring, without its full stop."""
    return inspect.cleandoc(work.__doc__ or work.__name__).partition("\n")[0].rstrip(".")
