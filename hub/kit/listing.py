"""A list of the peer, read page by page, and the register of the rules that hold for all lists."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hub.kit import pages
from hub.kit.ask import Heard
from hub.kit.check import Broken, Skipped
from hub.kit.objects import Json
from hub.kit.pages import Page
from hub.kit.peer import Peer

SAMPLE = 25
"""Objects that are looked at of each list."""

PAST, FUTURE = "2015-01-01T00:00:00Z", "2090-01-01T00:00:00Z"
EMPTY, FEW = "the list is empty", "the list holds fewer than 2 objects"


@dataclass
class Listing:
    """A list of the peer, page by page; a page that was fetched is not fetched again unless it is `fresh`."""

    peer: Peer
    module: str
    _known: dict[tuple[tuple[str, str], ...], Heard] = field(default_factory=dict)

    async def ask(self, fresh: bool = False, /, **query: str | int) -> Heard:
        """The answer to a list GET."""
        texts = {name: str(value) for name, value in query.items()}
        if self.module == "sessions":
            texts = {"date_from": PAST, **texts}  # required there (SES-012)
        asked = tuple(sorted(texts.items()))
        if fresh or asked not in self._known:
            self._known[asked] = await self.peer.call("GET", self.module, "SENDER", query=texts)
        return self._known[asked]

    async def page(self, fresh: bool = False, /, **query: str | int) -> Page:
        """A page as the query asks for it. Skipped when it cannot be read."""
        return pages.read(await self.ask(fresh, **query))

    async def sample(self) -> Page:
        """The first page. Skipped when it holds nothing."""
        page = await self.page(limit=SAMPLE)
        if not page.objects:
            raise Skipped(EMPTY)
        return page

    async def two(self) -> Page:
        """The first page. Skipped when it holds less than two objects."""
        page = await self.page(limit=SAMPLE)
        if len(page.objects) < 2:
            raise Skipped(FEW)
        return page

    async def each(self, complaint: Callable[[Json], str | None], expected: str) -> None:
        """Hold the objects of the first page to something. Broken at the first that there is a complaint about."""
        page = await self.sample()
        for found in page.objects:
            wrong = complaint(found)
            if wrong is not None:
                raise Broken(page.heard.asked, f"{pages.name(found)}: {wrong}", expected)


Rule = Callable[[Listing], Awaitable[None]]


@dataclass(frozen=True)
class Entry:
    """A rule of all lists: which rows of the catalogue, how strong, for which kinds of peers."""

    ids: tuple[str, ...]
    rule: Rule
    should: bool
    kinds: str


RULES: list[Entry] = []


def rule(*ids: str, should: bool = False, kinds: str = "") -> Callable[[Rule], Rule]:
    """Register a rule of all lists."""

    def register(work: Rule) -> Rule:
        RULES.append(Entry(ids, work, should, kinds))
        return work

    return register


def listing(peer: Peer, module: str) -> Listing:
    """The peer's list of a module; the same one for all checks of a run."""
    return peer.listings.setdefault(module, Listing(peer, module))
