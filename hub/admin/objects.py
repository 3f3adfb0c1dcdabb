"""Locations and tariffs of hosted parties: put by the operator, broadcast like any partner's.

For a hosted party the hub is the sender, so it is strict where it is lenient with partners: what it would only
report about a partner's object it refuses here. `last_updated` may be left out at any level; the hub then sets it.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from sqlalchemy import text

from hub.admin import access, parties
from hub.exchange import keep, push
from hub.exchange.call import Call
from hub.exchange.context import Hub
from hub.exchange.keep import Change
from hub.ocpi import json
from hub.ocpi.errors import Conflict, InvalidParameters
from hub.ocpi.module import Module, Ref
from hub.ocpi.patch import Outcome
from hub.ocpi.types import PartyId, check, format_datetime, parse_datetime
from hub.store import objects, stations
from hub.store.objects import EVERYBODY, Kept
from modules import advice, calls
from modules.calls import CurrentHub
from modules.catalog import LOCATIONS, TARIFFS

router = access.router("locations and tariffs")

Body = dict[str, Any]
Levels = Iterator[tuple[str, str, Body]]

_LIST = text(
    "SELECT id, owner, audience, body, last_updated, stored_at FROM object WHERE module = :module AND NOT deleted"
    " AND (CAST(:owner AS text) IS NULL OR owner = :owner) AND id > :after ORDER BY id LIMIT :limit"
)


@dataclass(frozen=True)
class Put:
    """What became of an object. `kept_newer` names the EVSEs and Connectors that stay as they were, because what the
    hub has of them is newer; `warnings` is what looks like a mistake; `correlation_id` traces the deliveries."""

    owner: str
    id: str
    created: bool
    kept_newer: list[str]
    warnings: list[str]
    correlation_id: str


@dataclass(frozen=True)
class Deleted:
    """An object that is gone."""

    owner: str
    id: str
    correlation_id: str


@dataclass(frozen=True)
class ObjectRow:
    """A kept object. `audience` is "*" for everybody or one party; `object` is as its owner sent it."""

    owner: str
    id: str
    audience: str
    last_updated: datetime
    stored_at: datetime
    object: Body


@dataclass(frozen=True)
class ObjectPage:
    """Some objects in the order of their first arrival; `next` is the `after` of the next page, None at the end."""

    items: list[ObjectRow]
    next: int | None


async def put(hub: Hub, module: Module, content: bytes, *, private: bool = False) -> Put:
    """Store an object of a hosted party and broadcast it, unless it is `private`: then no partner ever sees it
    (LOC-006). Conflict when the hub has a newer one, or when what should be private was broadcast before."""
    body = json.loads(content)
    if not isinstance(body, dict):
        raise InvalidParameters("body: must be a JSON object")
    content = _stamped(module, body, content)
    findings = check(module.model, body)
    if findings:
        raise InvalidParameters(f"{findings[0].path}: {findings[0].reason}")
    ref = Ref(PartyId.of(body["country_code"], body["party_id"]), body[module.id_field])
    call = await _call(hub, "PUT", module, ref, content)
    audience = str(ref.owner) if private else EVERYBODY
    async with hub.db.unit_of_work() as session:
        if private and await objects.is_broadcast(session, str(ref.owner), module.name, module.key(ref.object_id)):
            raise Conflict("private: partners have this object already; tell them that its EVSEs are REMOVED instead")
        before = await objects.find(session, str(ref.owner), module.name, module.key(ref.object_id), audience)
    newer = _newer(module, before, body)
    if "" in newer:
        raise Conflict("last_updated: older than what the hub has; set a newer one, or leave it out")
    if private:
        created = await _keep_private(hub, call, module, ref, body)
    else:
        created = (await push.put(hub, call, module, ref)).http_status == 201
    if module is LOCATIONS:
        async with hub.db.session() as session:  # the file cannot know what its chargers do at this moment
            await stations.look_again(session, str(ref.owner), ref.object_id)
    warnings = [*_doubles(module, body)]
    if module is LOCATIONS:
        warnings += [*await _tariffs(hub, str(ref.owner), body), *advice.on_location(body)]
    else:
        warnings += advice.on_tariff(body)
    return Put(str(ref.owner), ref.object_id, created, newer, warnings, call.correlation_id)


async def delete(hub: Hub, module: Module, owner: str, object_id: str) -> Deleted:
    """Delete an object of a hosted party everywhere; NotFound (404)."""
    ref = Ref(PartyId.parse(owner), object_id)
    call = await _call(hub, "DELETE", module, ref)
    await push.delete(hub, call, module, ref)
    return Deleted(str(ref.owner), object_id, call.correlation_id)


async def page(hub: Hub, module: Module, owner: str | None, after: int, limit: int) -> ObjectPage:
    """A page of what the hub keeps of a module, of one owner or of all."""
    code = str(PartyId.parse(owner)) if owner is not None else None
    names = {"module": module.name, "owner": code, "after": after, "limit": limit + 1}
    async with hub.db.unit_of_work() as session:
        rows = list(await session.execute(_LIST, names))
    items = [_row(module, *row[1:]) for row in rows[:limit]]
    return ObjectPage(items, rows[limit - 1].id if len(rows) > limit else None)


async def _call(hub: Hub, method: str, module: Module, ref: Ref, content: bytes = b"") -> Call:
    owner = await parties.hosted(hub, ref.owner)
    return Call(
        sender=ref.owner,
        to=hub.code,
        platform=owner.platform,
        method=method,
        module=module.name,
        interface="RECEIVER",
        tail=f"/{'/'.join(ref.owner)}/{ref.object_id}",
        body=content,
    )


async def _keep_private(hub: Hub, call: Call, module: Module, ref: Ref, body: Body) -> bool:
    """Keep an object for its owner alone; whether it is new."""
    push.validate(module, ref, "PUT", body)
    change = Change("PUT", module, ref, body, str(ref.owner), call.correlation_id, False)
    async with hub.db.unit_of_work(ref.owner) as session:
        return await keep.apply(session, change) is Outcome.CREATED


def _stamped(module: Module, body: Body, content: bytes) -> bytes:
    """The body with last_updated wherever it was left out; the very bytes where it was not."""
    missing = [level for _, _, level in _levels(module, body) if "last_updated" not in level]
    for level in missing:
        level["last_updated"] = format_datetime(datetime.now(UTC))
    return json.dumps(body) if missing else content


def _newer(module: Module, before: Kept | None, body: Body) -> list[str]:
    """The levels of which the kept object has a newer form, "" for the object itself."""
    if before is None:
        return []
    found = []
    for path, key, level in _levels(module, body):
        known = before.times.get(key)
        if known is not None and parse_datetime(known) > parse_datetime(level["last_updated"]):
            found.append(path)
    return found


def _levels(module: Module, body: Body, depth: int = 0, path: str = "", key: str = "") -> Levels:
    """The object and its parts, each with its ids as written and as the hub compares them."""
    yield path, key, body
    if depth == len(module.parts):
        return
    part = module.parts[depth]
    children = body.get(part.list_field)
    for child in children if isinstance(children, list) else ():
        if isinstance(child, dict):
            name = str(child.get(part.id_field))
            child_path, child_key = f"{path}/{name}".lstrip("/"), f"{key}/{name.upper()}".lstrip("/")
            yield from _levels(module, child, depth + 1, child_path, child_key)


def _doubles(module: Module, body: Body) -> Iterator[str]:
    """Parts that share an id, of which only one can be meant."""
    counted = Counter(key for _, key, _ in _levels(module, body) if key)
    doubled = [key for key, number in counted.items() if number > 1]
    return (f"{key}: more than one has this id" for key in doubled if key.rpartition("/")[0] not in doubled)


async def _tariffs(hub: Hub, owner: str, location: Body) -> list[str]:
    """What is wrong with the tariffs of connectors. A tariff that this owner has not put here leaves CDRs held, be it
    that another owner has one of this id (LOC-061)."""
    plugs = [plug for evse in location.get("evses") or () for plug in evse["connectors"]]
    named = dict.fromkeys(str(name) for plug in plugs for name in plug.get("tariff_ids") or ())
    async with hub.db.unit_of_work() as session:
        kept = [await objects.rows_for(session, owner, TARIFFS.name, TARIFFS.key(name), owner) for name in named]
    found = {name: row for name, (_, row) in zip(named, kept, strict=True) if row is not None and not row.deleted}
    missing = [name for name in named if name not in found]
    bodies = {name: json.loads(row.body.encode()) for name, row in found.items()}
    clashes = dict.fromkeys(clash for plug in plugs for clash in _clashes(plug.get("tariff_ids") or (), bodies))
    return [
        *(f"tariff_ids: {name} is not known here, put it: CDRs cannot be priced without" for name in missing),
        *(f"tariff_ids: {one} and {other} are of one type and in force together" for one, other in clashes),
    ]


def _clashes(names: Sequence[str], tariffs: Mapping[str, Body]) -> Iterator[tuple[str, str]]:
    """Tariffs of one connector and one type whose times overlap (LOC-059)."""
    known = [(name, tariffs[name]) for name in dict.fromkeys(names) if name in tariffs]
    for (one, first), (other, second) in itertools.combinations(known, 2):
        if first.get("type") == second.get("type") and _begin(first) < _end(second) and _begin(second) < _end(first):
            yield one, other


def _begin(tariff: Body) -> datetime:
    start = tariff.get("start_date_time")
    return parse_datetime(start) if start else datetime.min.replace(tzinfo=UTC)


def _end(tariff: Body) -> datetime:
    end = tariff.get("end_date_time")
    return parse_datetime(end) if end else datetime.max.replace(tzinfo=UTC)


def _row(
    module: Module, owner: str, audience: str, body: str, last_updated: datetime, stored_at: datetime
) -> ObjectRow:
    held = json.loads(body.encode())
    return ObjectRow(owner, str(held[module.id_field]), audience, last_updated, stored_at, held)


Owner = Annotated[str | None, Query(description="Only of this party, like NL*LOC.")]
After = Annotated[int, Query(ge=0, description="The `next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.put(
    "/locations", response_model=Put, responses={201: {"model": Put}}, openapi_extra=calls.takes(LOCATIONS.model)
)
async def put_location(
    hub: CurrentHub,
    request: Request,
    private: Annotated[bool, Query(description="Keep it for its own chargers; no partner ever sees it.")] = False,
) -> Response:
    """Store a Location of a hosted party and broadcast it: 201 when new, 200 when known."""
    return _answer(await put(hub, LOCATIONS, await request.body(), private=private))


@router.put("/tariffs", response_model=Put, responses={201: {"model": Put}}, openapi_extra=calls.takes(TARIFFS.model))
async def put_tariff(hub: CurrentHub, request: Request) -> Response:
    """Store a Tariff of a hosted party and broadcast it: 201 when new, 200 when known."""
    return _answer(await put(hub, TARIFFS, await request.body()))


@router.delete("/tariffs/{owner}/{tariff_id}", response_model=Deleted)
async def delete_tariff(hub: CurrentHub, owner: str, tariff_id: str) -> Response:
    """Delete a Tariff of a hosted party, here and at everybody who has it."""
    return access.respond(await delete(hub, TARIFFS, owner, tariff_id))


@router.get("/locations", response_model=ObjectPage)
async def get_locations(hub: CurrentHub, owner: Owner = None, after: After = 0, limit: Limit = 100) -> Response:
    """The Locations that the hub keeps."""
    return access.respond(await page(hub, LOCATIONS, owner, after, limit))


@router.get("/tariffs", response_model=ObjectPage)
async def get_tariffs(hub: CurrentHub, owner: Owner = None, after: After = 0, limit: Limit = 100) -> Response:
    """The Tariffs that the hub keeps."""
    return access.respond(await page(hub, TARIFFS, owner, after, limit))


def _answer(found: Put) -> Response:
    return access.respond(found, 201 if found.created else 200)
