"""The rules of every client owned object on a Receiver interface: PUT, GET back, PATCH, and what has to be refused.

Each rule is written once, about a Shelf; `add` makes it a check of a module's group. All of them push objects of our
own, under ids that start with KIT and are new in each run. A hub is pushed to as to everybody, and holds nothing that
could be read back there.

Source: transport_and_format.asciidoc > Client Owned Object Push, PUT, PATCH, Errors; status_codes.asciidoc.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from hub.kit.ask import Heard
from hub.kit.check import RECEIVERS, Group, Skipped, Work, narrowed, title
from hub.kit.peer import Peer, data_of, dict_of, expect
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId, format_datetime, parse_datetime
from hub.sandbox.wire import Json

ACCEPTED = "HTTP 200 or 201, status_code 1000"
REFUSED = "HTTP 200, status_code 2001"
HOUR = timedelta(hours=1)


def later(seconds: int = 0) -> str:
    """A moment from now on, as OCPI writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds))


def new_id() -> str:
    """An id that is new, and shows where it comes from."""
    return f"KIT{uuid4().hex[:12].upper()}"


Make = Callable[[Peer, str], Json]
"""Makes a valid object of ours, for a peer, with an id."""


@dataclass
class Shelf:
    """Where a module's objects of ours go: how one is made, and what a PATCH changes in it."""

    peer: Peer
    module: Module
    make: Make
    changes: Json
    object_id: str = field(default_factory=new_id)
    body: Json = field(default_factory=dict)
    pushed: Heard | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """The path of our object below the endpoint."""
        return (*us(self.peer), self.object_id)

    async def put(self, body: Any, *path: str, **rest: Any) -> Heard:
        """PUT something where our object is, or at another path."""
        return await self.peer.call("PUT", self.module.name, "RECEIVER", *(path or self.path), body=body, **rest)

    async def patch(self, body: Json, *path: str) -> Heard:
        """PATCH our object, or another path."""
        return await self.peer.call("PATCH", self.module.name, "RECEIVER", *(path or self.path), body=body)

    async def get(self, *path: str, **rest: Any) -> Heard:
        """GET our object as the peer holds it, or another path."""
        return await self.peer.call("GET", self.module.name, "RECEIVER", *(path or self.path), **rest)

    async def there(self) -> Json:
        """Our object, pushed; Skipped when the peer did not take it."""
        if self.pushed is None:
            self.body = self.make(self.peer, self.object_id)
            self.pushed = await self.put(self.body)
        if not self.pushed.ok:
            raise Skipped(f"our object was not taken: {self.pushed.came}")
        return self.body


Rule = Callable[[Shelf], Awaitable[None]]


@dataclass(frozen=True)
class Entry:
    """A rule of all client owned objects."""

    ids: tuple[str, ...]
    rule: Rule
    should: bool
    kinds: str
    patches: bool


RULES: list[Entry] = []
READS_BACK = "cpo emsp"
"""Kinds of peers that hold what is pushed to them themselves."""


def rule(*ids: str, should: bool = False, kinds: str = "", patches: bool = False) -> Callable[[Rule], Rule]:
    """Register a rule; `patches` is for objects that have PATCH."""

    def register(work: Rule) -> Rule:
        RULES.append(Entry(ids, work, should, kinds, patches))
        return work

    return register


def add(
    group: Group,
    module: Module,
    offered: str,
    make: Make,
    changes: Json,
    undated: str = "TF-155",
    kinds: str = "",
) -> Callable[[Peer], Shelf]:
    """Make the rules checks of a module's group, for these kinds of peers. Gives the shelf of a peer, for more checks.

    `offered` is the module's own row for its methods, `undated` that for a PATCH without last_updated.
    """

    def shelf(peer: Peer) -> Shelf:
        if peer.role != module.owner:
            raise Skipped(f"only a party in the role {module.owner} has {module.name}: see --party")
        peer.endpoint(module.name, "RECEIVER")
        found: Shelf = peer.shelves.setdefault(module.name, Shelf(peer, module, make, changes))
        return found

    def bind(work: Rule) -> Work:
        async def bound(peer: Peer) -> None:
            await work(shelf(peer))

        bound.__doc__ = title(work)
        return bound

    ids = {"OFFERED": offered, "UNDATED": undated}
    for entry in RULES:
        if entry.patches and "PATCH" not in module.receiver_methods:
            continue
        named = tuple(dict.fromkeys(ids.get(name, name) for name in entry.ids))
        group.check(
            *named,
            should=entry.should,
            kinds=narrowed(narrowed(RECEIVERS[module.owner], kinds), entry.kinds),
            writes=True,
        )(bind(entry.rule))
    return shelf


@rule("TF-146", should=True, kinds=READS_BACK)
async def unknown(of: Shelf) -> None:
    """GET of an object that is not there is answered HTTP 404"""
    heard = await of.get(*us(of.peer), new_id())
    expect(heard, heard.http_status == 404, "HTTP 404")


@rule("OFFERED")
async def put_new(of: Shelf) -> None:
    """PUT of a new object is accepted"""
    of.body = of.make(of.peer, of.object_id)
    of.pushed = await of.put(of.body)
    data_of(of.pushed, ACCEPTED)


@rule("TF-148", should=True)
async def created(of: Shelf) -> None:
    """A new object that was accepted is answered HTTP 201"""
    await of.there()
    assert of.pushed is not None
    expect(of.pushed, of.pushed.http_status == 201, "HTTP 201")


@rule("TF-050", kinds=READS_BACK)
async def read_back(of: Shelf) -> None:
    """GET gives the object as it was PUT"""
    body = await of.there()
    heard = await of.get()
    held = dict_of(data_of(heard, "HTTP 200, status_code 1000, data: the object"))
    _expect_same(heard, body, held)


@rule("TF-147", should=True)
async def put_again(of: Shelf) -> None:
    """The same object again is accepted with HTTP 200"""
    heard = await of.put(await of.there())
    expect(heard, heard.http_status == 200 and heard.ok, "HTTP 200, status_code 1000")


@rule("TF-064", kinds=READS_BACK)
async def any_case(of: Shelf) -> None:
    """Codes and ids in the URL are taken in any case"""
    await of.there()
    heard = await of.get(*(part.lower() for part in of.path))
    data_of(heard, "HTTP 200 and the object, as with capital letters")


@rule("TF-051", kinds=READS_BACK, patches=True)
async def patched(of: Shelf) -> None:
    """PATCH changes the fields that it has, and no other"""
    body = await of.there()
    change = {**of.changes, "last_updated": later(1)}
    data_of(await of.patch(change), "HTTP 200, status_code 1000")
    of.body = {**body, **change}
    heard = await of.get()
    _expect_same(heard, of.body, dict_of(data_of(heard, "HTTP 200, status_code 1000, data: the object")))


@rule("LOC-033", should=True, kinds=READS_BACK, patches=True)
async def older_ignored(of: Shelf) -> None:
    """A PATCH older than what is held is answered 1000 and changes nothing"""
    body = await of.there()
    older = {name: _other(value) for name, value in of.changes.items()}
    before = {**older, "last_updated": format_datetime(parse_datetime(body["last_updated"]) - HOUR)}
    data_of(await of.patch(before), "HTTP 200, status_code 1000")
    heard = await of.get()
    held = dict_of(data_of(heard, "HTTP 200, status_code 1000, data: the object"))
    name = next((name for name, value in older.items() if same(value, held.get(name))), None)
    expect(heard, name is None, "the object as it was before", f"{name} was changed")


@rule("UNDATED", "TF-155", patches=True)
async def undated(of: Shelf) -> None:
    """A PATCH without last_updated is refused with status 2001"""
    await of.there()
    heard = await of.patch(of.changes)
    expect(heard, heard.status_code == 2001, REFUSED)


@rule("TF-054", should=True, kinds=READS_BACK, patches=True)
async def patch_unknown(of: Shelf) -> None:
    """A PATCH of an object that is not there is refused"""
    heard = await of.patch({**of.changes, "last_updated": later()}, *us(of.peer), new_id())
    expect(heard, not heard.ok, "HTTP 404 with a status_code from 2000")


@rule("TF-048")
async def incomplete(of: Shelf) -> None:
    """A PUT without a required field is refused with status 2001"""
    body = of.make(of.peer, new_id())
    field_name = "address" if "address" in body else "currency" if "currency" in body else "contract_id"
    heard = await of.put({n: v for n, v in body.items() if n != field_name}, *us(of.peer), body[of.module.id_field])
    expect(heard, heard.status_code == 2001, f"{REFUSED}, since {field_name} is missing")


@rule("TF-063", should=True)
async def other_id(of: Shelf) -> None:
    """A PUT with one id in the URL and another in the body is refused with status 2001"""
    heard = await of.put(of.make(of.peer, new_id()), *us(of.peer), new_id())
    expect(heard, heard.status_code == 2001, REFUSED)


@rule("TF-144")
async def no_json(of: Shelf) -> None:
    """A body that is not JSON is answered HTTP 400"""
    heard = await of.put(b'{"id": ', *us(of.peer), new_id(), note="with half a JSON object as body")
    expect(heard, heard.http_status == 400, "HTTP 400")


@rule("TF-181", should=True)
async def no_post(of: Shelf) -> None:
    """A method that the object does not have (here POST) is answered HTTP 405 with an envelope"""
    heard = await of.peer.call("POST", of.module.name, "RECEIVER", *of.path, body={})
    expect(heard, heard.http_status == 405 and heard.status_code is not None, "HTTP 405 with an OCPI envelope")


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values mean the same: numbers and times by value; more fields in theirs do not matter."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(same(value, theirs.get(name)) for name, value in ours.items())
    if isinstance(ours, list):
        if not isinstance(theirs, list):
            return not ours and theirs is None
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs:
        try:
            return parse_datetime(ours) == parse_datetime(theirs)
        except ValueError:
            return False
    numbers = all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in (ours, theirs))
    return Decimal(ours) == Decimal(theirs) if numbers else bool(ours == theirs and type(ours) is type(theirs))


def _expect_same(heard: Heard, ours: Json, theirs: Json) -> None:
    name = next((name for name, value in ours.items() if not same(value, theirs.get(name))), None)
    came = f"{name} is {'another' if name in theirs else 'missing'}"
    expect(heard, name is None, "each field as it was sent", came)


def _other(value: Any) -> Any:
    """A value of the same kind that is different."""
    return not value if isinstance(value, bool) else f"{value} before"


def us(peer: Peer) -> PartyId:
    """Who we are to the peer; Skipped when that is not known."""
    if peer.us is None:
        raise Skipped("it is not known which party the token belongs to: see --party")
    return peer.us
