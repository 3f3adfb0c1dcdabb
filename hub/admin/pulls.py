"""Pulls: which partners' lists the hub reads for itself, how far it is, what was wrong in them, what has vanished."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Response
from sqlalchemy import text

from hub.admin import access
from hub.admin.orders import Code, Order
from hub.exchange import keep
from hub.exchange.context import Hub
from hub.ocpi import headers, json
from hub.ocpi.errors import Conflict, NotFound
from hub.ocpi.module import Ref
from hub.ocpi.types import PartyId, masked
from hub.store import messages, pull_plan, pulls
from hub.store.objects import EVERYBODY
from modules.calls import CurrentHub

router = access.router("pulls")

_SHOWN = 1000

_PULLS = text(
    "SELECT l.party, l.module, l.platform_id, f.status AS platform_status,"
    " CASE WHEN l.held_until > now() THEN 'reading' WHEN l.failures > 0 THEN 'failing' WHEN l.next_at IS NULL"
    " THEN 'pushed' ELSE 'waiting' END AS state, l.kind, l.full_at, l.delta_at, l.next_at, l.high_water, l.failures,"
    " l.error, l.objects, l.changed, l.invalid, l.aside, l.correlation_id, (SELECT count(DISTINCT p.key) FROM pulled p"
    " JOIN object o USING (owner, module, key) WHERE p.owner = l.party AND p.module = l.module AND NOT o.deleted"
    " AND p.missing_since >= o.stored_at) AS vanished"
    " FROM pull l JOIN platform f ON f.id = l.platform_id WHERE (CAST(:party AS text) IS NULL OR l.party = :party)"
    " AND (CAST(:module AS text) IS NULL OR l.module = :module) ORDER BY l.party, l.module"
)
_VANISHED = text(
    "SELECT DISTINCT p.key, p.missing_since FROM pulled p JOIN object o USING (owner, module, key)"
    " WHERE p.owner = :party AND p.module = :module AND NOT o.deleted AND p.missing_since >= o.stored_at"
    " ORDER BY p.missing_since DESC, p.key LIMIT :limit"
)
_FINDINGS = text(
    "SELECT object, reason, at FROM pull_finding WHERE party = :party AND module = :module"
    " ORDER BY id DESC LIMIT :limit"
)


@dataclass(frozen=True)
class PullRow:
    """One list of one party. `state`: waiting until `next_at`, reading, failing (`error`, and tried again then), or
    pushed: the party pushes, so its list is only read after an outage. The counts are those of the last crawl:
    `invalid` and `aside` (not for this hub) were not taken; `vanished` are gone from the list and still kept here."""

    party: str
    module: str
    platform_id: int
    platform_status: str
    state: str
    kind: str | None
    full_at: datetime | None
    delta_at: datetime | None
    next_at: datetime | None
    high_water: datetime | None
    failures: int
    error: str | None
    objects: int
    changed: int
    invalid: int
    aside: int
    vanished: int
    correlation_id: str | None


@dataclass(frozen=True)
class Vanished:
    """An object that its owner's complete list no longer had. `key` is its id in capitals; of a token only the end."""

    key: str
    missing_since: datetime


@dataclass(frozen=True)
class FindingRow:
    """Something in a list that was not taken, and why; of a token only the end of its uid."""

    object: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class PullDetail(PullRow):
    """One list with what has vanished from it and what was wrong in it, newest first, 1000 at most."""

    gone: list[Vanished]
    findings: list[FindingRow]


class PullOrder(Order):
    """Read a party's lists as soon as can be: one `module`, or all that are pulled; `full`: from the start."""

    party: Code
    module: str | None = None
    full: bool = False


@dataclass(frozen=True)
class PullBegun:
    """The lists that are read now."""

    party: str
    modules: list[str]


@dataclass(frozen=True)
class Forgotten:
    """How many objects were taken for deleted; `correlation_id` traces what partners are told."""

    party: str
    module: str
    objects: int
    correlation_id: str


async def rows(hub: Hub, party: str | None, module: str | None = None) -> list[PullRow]:
    """The lists of one party or of all."""
    names = {"party": party, "module": module}
    async with hub.db.unit_of_work() as session:
        found = await session.execute(_PULLS, names)
    return [PullRow(**row) for row in found.mappings()]


async def one(hub: Hub, party: str, module: str) -> PullDetail:
    """One list; NotFound (404)."""
    code = str(PartyId.parse(party))
    found = await rows(hub, code, module)
    if not found:
        raise NotFound("this list is not pulled: `knutpunkt pull list` shows those that are")
    names: dict[str, Any] = {"party": code, "module": module, "limit": _SHOWN}
    async with hub.db.unit_of_work() as session:
        gone = [Vanished(_key(module, row[0]), row[1]) for row in await session.execute(_VANISHED, names)]
        findings = [FindingRow(*row) for row in await session.execute(_FINDINGS, names)]
    return PullDetail(**vars(found[0]), gone=gone, findings=findings)


async def begin(hub: Hub, order: PullOrder) -> PullBegun:
    """Have lists read; NotFound (404) when none of them is pulled, Conflict (409) when their platform is away."""
    known = await rows(hub, str(order.party), order.module)
    if not known:
        raise NotFound(
            "no list of this party is pulled: see `knutpunkt pull list`, and `knutpunkt platform set --pull`"
        )
    if known[0].platform_status != "CONNECTED":
        raise Conflict(f"the platform of {order.party} is {known[0].platform_status}: it is read when it is back")
    kind = pulls.FULL if order.full else pulls.DELTA
    async with hub.db.unit_of_work() as session:
        modules = await pull_plan.now(session, str(order.party), order.module, kind)
    return PullBegun(str(order.party), modules)


async def forget(hub: Hub, party: str, module: str) -> Forgotten:
    """Take what has vanished from a list for deleted: it is in no list of the hub any more, and who holds a Tariff is
    sent a DELETE. It comes back when its owner's list has it again, or it is pushed."""
    found = await one(hub, party, module)
    row, correlation_id = hub.catalog[module], headers.new_id()
    count = 0
    async with hub.db.unit_of_work() as session:
        for body in map(json.loads, map(str.encode, await pulls.missing(session, found.party, module))):
            kind = str(body[row.key_field]) if row.key_field else None
            ref = Ref(PartyId.parse(found.party), str(body[row.id_field]), (), kind)
            count += await keep.bury(session, row, ref, EVERYBODY, correlation_id)
    hub.bell.ring()
    return Forgotten(found.party, module, count, correlation_id)


def _key(module: str, key: str) -> str:
    return masked(key) if module in messages.PERSONAL else key


@router.get("/pulls", response_model=list[PullRow])
async def get_all(
    hub: CurrentHub, party: Annotated[str | None, Query(description="Only those of this party, like NL*CPA.")] = None
) -> Response:
    """The lists that the hub pulls: when, how much, what was wrong, what has vanished."""
    return access.respond(await rows(hub, None if party is None else str(PartyId.parse(party))))


@router.get("/pulls/{party}/{module}", response_model=PullDetail)
async def get_one(hub: CurrentHub, party: str, module: str) -> Response:
    """One list, with the objects that have vanished from it and those that were not taken."""
    return access.respond(await one(hub, party, module))


@router.delete("/pulls/{party}/{module}/vanished", response_model=Forgotten)
async def delete_vanished(hub: CurrentHub, party: str, module: str) -> Response:
    """Take the objects that have vanished from a list for deleted, at most 1000 at a time."""
    return access.respond(await forget(hub, party, module))


@router.post("/pulls", status_code=202, response_model=PullBegun)
async def post(hub: CurrentHub, order: PullOrder) -> Response:
    """Read a party's lists as soon as can be."""
    return access.respond(await begin(hub, order), 202)
