"""Reconciliation: what partners acknowledged and what they hold, by partner and day, and what is missing where."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import Field
from sqlalchemy import text

from hub.admin import access
from hub.admin.orders import Code, Order
from hub.exchange import reconcile
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.types import masked
from hub.store import messages
from hub.store import reconciliations as store
from modules.calls import CurrentHub

router = access.router("reconciliation")

_SHOWN = 1000

_RUNS = text(
    "SELECT r.id, r.day, r.partner, r.sample, r.repair, r.nightly, r.correlation_id, CASE WHEN r.ended_at IS NOT NULL"
    " THEN 'ended' WHEN r.held_until > now() THEN 'running' ELSE 'waiting' END AS state, r.asked_at, r.ended_at,"
    " r.error, (SELECT count(*) FROM gap g WHERE g.run = r.id) AS found FROM reconciliation r"
    " WHERE (CAST(:id AS bigint) IS NULL OR r.id = :id) ORDER BY r.id DESC LIMIT :limit"
)
_COUNTED = text(
    "SELECT partner, module, acknowledged, delivered, owed, parked, discarded, checked, missing, older, different,"
    " note FROM reconciled WHERE run = :id ORDER BY partner, module"
)
_GAPS = text(
    "SELECT partner, owner, module, key, kind, detail, day, found_at, sent_at, cleared_at FROM gap WHERE run = :id"
    " ORDER BY partner, module, owner, key LIMIT :limit"
)


@dataclass(frozen=True)
class RunRow:
    """A run: the `day` it looks at, one `partner` or all (None). `state`: waiting for a worker, running, ended. `found`
    counts the gaps that it was the last to meet; `error` says why it broke off."""

    id: int
    day: date
    partner: str | None
    sample: int
    repair: bool
    nightly: bool
    correlation_id: str
    state: str
    asked_at: datetime
    ended_at: datetime | None
    error: str | None
    found: int


@dataclass(frozen=True)
class CountedRow:
    """One module of one partner. `acknowledged`: what the hub took that day and the partner is meant to have;
    `delivered`: what of it the partner has acknowledged; `owed`: on its way; `parked` and `discarded`: refused, and
    given up. Of `checked` objects the partner was asked for, so many were `missing`, `older` or `different`. `note`:
    why not all could be asked for."""

    partner: str
    module: str
    acknowledged: int
    delivered: int
    owed: int
    parked: int
    discarded: int
    checked: int
    missing: int
    older: int
    different: int
    note: str | None


@dataclass(frozen=True)
class GapRow:
    """Something that is not where it belongs. `kind`: missing, older or different at the partner; missing here or older
    here: what a pulled list has. `key` is its id in capitals, of a token only the end. `sent_at`: when it was sent (or
    pulled) anew; `cleared_at`: when it was found where it belongs."""

    partner: str
    owner: str
    module: str
    key: str
    kind: str
    detail: str
    day: date
    found_at: datetime
    sent_at: datetime | None
    cleared_at: datetime | None


@dataclass(frozen=True)
class RunDetail(RunRow):
    """A run with what it counted and the gaps it found, 1000 at most."""

    counted: list[CountedRow]
    gaps: list[GapRow]


class RunOrder(Order):
    """What is looked at: a `day` (UTC; left out: yesterday), one `partner` or all, `sample` objects of each module
    (HUB_RECONCILE_SAMPLE). `repair`: what is missing is sent anew."""

    partner: Code | None = None
    day: date | None = None
    sample: Annotated[int, Field(ge=1, le=100_000)] | None = None
    repair: bool = False


async def begin(hub: Hub, order: RunOrder) -> RunRow:
    """Have a run made by a worker; NotFound (404) for a partner that there is none with, InvalidParameters (400) for a
    day to come."""
    today = datetime.now(UTC).date()
    day = order.day or today - timedelta(days=1)
    if day > today:
        raise InvalidParameters(f"day: {day} is still to come")
    partner = str(order.partner) if order.partner is not None else None
    known = {str(party.code) for party in reconcile.partners(await hub.directory.refresh())}
    if partner is not None and partner not in known:
        raise NotFound(f"there is nothing to ask {partner} for: it is not connected to this hub, or lives on it")
    sample = order.sample or hub.settings.reconcile_sample
    wanted = store.Order(day, partner, sample, order.repair, headers.new_id())
    async with hub.db.unit_of_work() as session:
        number = await store.ask(session, wanted)
    return (await rows(hub, number, 1))[0]


async def rows(hub: Hub, number: int | None, limit: int) -> list[RunRow]:
    """The runs, newest first, or one of them."""
    async with hub.db.unit_of_work() as session:
        found = await session.execute(_RUNS, {"id": number, "limit": limit})
    return [RunRow(**row) for row in found.mappings()]


async def one(hub: Hub, number: int) -> RunDetail:
    """One run; NotFound (404)."""
    found = await rows(hub, number, 1)
    if not found:
        raise NotFound(f"there is no reconciliation {number}: they are kept for {store.HISTORY} days")
    names: dict[str, Any] = {"id": number, "limit": _SHOWN}
    async with hub.db.unit_of_work() as session:
        counted = [CountedRow(**row) for row in (await session.execute(_COUNTED, {"id": number})).mappings()]
        gaps = [_gap(**row) for row in (await session.execute(_GAPS, names)).mappings()]
    return RunDetail(**vars(found[0]), counted=counted, gaps=gaps)


def _gap(module: str, key: str, **row: Any) -> GapRow:
    return GapRow(module=module, key=masked(key) if module in messages.PERSONAL else key, **row)


@router.get("/reconciliations", response_model=list[RunRow])
async def get_all(hub: CurrentHub, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
    """The reconciliations of the last 90 days, newest first."""
    return access.respond(await rows(hub, None, limit))


@router.get("/reconciliations/{number}", response_model=RunDetail)
async def get_one(hub: CurrentHub, number: Annotated[int, Path(ge=0, lt=2**63)]) -> Response:
    """One reconciliation: what it counted by partner and module, and what is missing where."""
    return access.respond(await one(hub, number))


@router.post("/reconciliations", status_code=202, response_model=RunRow)
async def post(hub: CurrentHub, order: RunOrder) -> Response:
    """Have a day reconciled by a worker; GET tells when it has ended."""
    return access.respond(await begin(hub, order), 202)
