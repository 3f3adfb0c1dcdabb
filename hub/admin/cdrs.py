"""CDRs for the operator: the ledger with where each CDR is, and those that are held because nobody may guess a price.

States: `delivered`; `custody`, the hub owes it to the receiver; `parked`, owed, but refused so often that a person
must look; `discarded`, given up by the operator; `held`, not in the ledger, since `reason` keeps it from being
finished.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from hub.admin import access, parties
from hub.exchange import credit as credits
from hub.exchange.context import Hub
from hub.ocpi import json
from hub.ocpi.types import Number, PartyId
from hub.store.db import Database, Statements
from modules.calls import CurrentHub

router = access.router("cdrs")

State = Literal["delivered", "custody", "parked", "discarded", "held"]

EXPORTED_AT_ONCE = 500

_LEDGER = (
    "SELECT * FROM (SELECT c.seq, c.owner, c.receiver, c.key, b.body,"
    " CASE WHEN d.state <> 'delivered' AND o.parked THEN 'parked' ELSE d.state END AS state,"
    " CASE WHEN d.state = 'delivered' THEN NULL ELSE NULLIF(concat_ws('; ', COALESCE(o.reason, d.detail),"
    " CASE WHEN i.doubtful THEN 'it may have arrived: an attempt had no clear answer' END), '') END AS reason,"
    " c.session_key, c.credit_of, c.currency, c.total_energy, c.total_excl_vat, c.total_incl_vat, c.start_date_time,"
    " c.end_date_time, c.recorded_at, c.findings"
    " FROM cdr c JOIN cdr_delivery d USING (seq) LEFT JOIN cdr_body b USING (seq)"
    " LEFT JOIN cdr_intent i ON i.owner = c.owner AND i.key = c.key"
    " LEFT JOIN owed o ON o.module = 'cdrs' AND o.owner = c.owner AND o.key = c.key AND o.receiver = c.receiver"
    " WHERE (CAST(:owner AS text) IS NULL OR c.owner = :owner)"
    " AND (CAST(:receiver AS text) IS NULL OR c.receiver = :receiver)) AS entry"
    " WHERE (CAST(:state AS text) IS NULL OR state = :state)"
)
_NEWEST = text(_LEDGER + " ORDER BY seq DESC LIMIT :limit")
_FROM = text(_LEDGER + " AND seq > :after ORDER BY seq LIMIT :limit")
_HELD = text(
    "SELECT session_id, owner, reason, body, held_at FROM held_cdr"
    " WHERE (CAST(:owner AS text) IS NULL OR owner = :owner) ORDER BY held_at DESC"
)


@dataclass(frozen=True)
class Filter:
    """Which CDRs: None is all."""

    owner: str | None
    receiver: str | None
    state: str | None


@dataclass(frozen=True)
class CdrRow:
    """A CDR. Energy in kWh; amounts in `currency`, None where there is no price. `findings`: what the hub noticed when
    it came, and told its sender."""

    owner: str
    receiver: str | None
    id: str | None
    session_id: str | None
    state: str
    reason: str | None
    currency: str | None
    total_energy: Number | None
    total_excl_vat: Number | None
    total_incl_vat: Number | None
    start_date_time: datetime | str | None
    end_date_time: datetime | str | None
    credit_reference_id: str | None
    recorded_at: datetime
    findings: list[str]


@dataclass(frozen=True)
class WholeCdr(CdrRow):
    """A CDR with the object itself: as its owner sent it, or, held, as far as it could be made. None when erased."""

    cdr: dict[str, Any] | None


@dataclass(frozen=True)
class Credited:
    """A Credit CDR that is on its way to the eMSP; its amount is negative."""

    owner: str
    id: str
    credit_reference_id: str
    currency: str
    total_excl_vat: Number


async def newest(hub: Hub, wanted: Filter, limit: int) -> list[CdrRow]:
    """The held ones, then the ledger's newest."""
    async with hub.db.unit_of_work() as session:
        found: list[WholeCdr] = (await _held(session, wanted))[:limit]
        rows = await session.execute(_NEWEST, vars(wanted) | {"limit": limit - len(found)})
        found += [_entry(row) for row in rows.mappings()]
    return [_brief(row) for row in found]


async def every(db: Database, wanted: Filter) -> AsyncIterator[list[WholeCdr]]:
    """All of them, oldest first and the held ones last, a page and a transaction at a time."""
    after = 0
    while True:
        async with db.unit_of_work() as session:
            names = vars(wanted) | {"after": after, "limit": EXPORTED_AT_ONCE}
            rows = list((await session.execute(_FROM, names)).mappings())
        if rows:
            after = rows[-1]["seq"]
            yield [_entry(row) for row in rows]
        if len(rows) < EXPORTED_AT_ONCE:
            break
    async with db.unit_of_work() as session:
        held = await _held(session, wanted)
    yield held[::-1]


async def credit(hub: Hub, owner: str, cdr_id: str) -> Credited:
    """Take back a CDR of a hosted party by a Credit CDR; NotFound, or Conflict when that was done before."""
    party = await parties.hosted(hub, PartyId.parse(owner))
    body = await credits.issue(hub, party, cdr_id)
    total = body["total_cost"]
    return Credited(str(party.code), body["id"], body["credit_reference_id"], body["currency"], total["excl_vat"])


async def as_csv(pages: AsyncIterator[list[WholeCdr]]) -> AsyncIterator[str]:
    """A header line and a line for each CDR. Numbers are written with the digits they have."""
    columns = [field.name for field in fields(CdrRow)]
    yield _lines([columns])
    async for page in pages:
        yield _lines([_cell(getattr(row, column)) for column in columns] for row in page)


async def as_json(pages: AsyncIterator[list[WholeCdr]]) -> AsyncIterator[bytes]:
    """One JSON array, a CDR a line."""
    before = b"[\n"
    async for page in pages:
        for row in page:
            yield before + json.dumps(row)
            before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


async def _held(session: Statements, wanted: Filter) -> list[WholeCdr]:
    """The CDRs that wait for an operator, newest first."""
    if wanted.state not in (None, "held"):
        return []
    rows = [_waiting(*row) for row in await session.execute(_HELD, {"owner": wanted.owner})]
    return [row for row in rows if wanted.receiver in (None, row.receiver)]


def _entry(row: Any) -> WholeCdr:
    """A CDR of the ledger. The columns fold the case of ids; what was sent shows them as they are."""
    body = json.loads(row["body"].encode()) if row["body"] is not None else None
    sent = body or {}
    same = ("owner", "receiver", "state", "reason", "currency", "total_energy", "total_excl_vat", "total_incl_vat",
            "start_date_time", "end_date_time", "recorded_at", "findings")  # fmt: skip
    return WholeCdr(
        **{name: row[name] for name in same},
        id=sent.get("id", row["key"]),
        session_id=sent.get("session_id", row["session_key"]),
        credit_reference_id=sent.get("credit_reference_id", row["credit_of"]),
        cdr=body,
    )


def _waiting(session_id: str, owner: str, reason: str, text_: str, held_at: datetime) -> WholeCdr:
    """A held CDR, as far as it goes."""
    body = json.loads(text_.encode())
    token = body.get("cdr_token") or {}
    price = body.get("total_cost") or {}
    return WholeCdr(
        owner=owner,
        receiver=f"{token['country_code']}*{token['party_id']}" if token else None,
        id=body.get("id"),
        session_id=session_id,
        state="held",
        reason=reason,
        currency=body.get("currency"),
        total_energy=body.get("total_energy"),
        total_excl_vat=price.get("excl_vat"),
        total_incl_vat=price.get("incl_vat"),
        start_date_time=body.get("start_date_time"),
        end_date_time=body.get("end_date_time"),
        credit_reference_id=None,
        recorded_at=held_at,
        findings=[],
        cdr=body,
    )


def _brief(row: WholeCdr) -> CdrRow:
    return CdrRow(**{field.name: getattr(row, field.name) for field in fields(CdrRow)})


def _lines(rows: Iterable[list[str]]) -> str:
    page = io.StringIO()
    csv.writer(page, lineterminator="\n").writerows(rows)
    return page.getvalue()


def _cell(value: object) -> str:
    """A value as text. What partners wrote must not be taken for a formula by the program that opens the file."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    found = "; ".join(value) if isinstance(value, list) else str(value)
    return f"'{found}" if found.startswith(("=", "+", "-", "@", "\t", "\r")) else found


Owner = Annotated[str | None, Query(description="Only those of this CPO, like NL*CPA.")]
Receiver = Annotated[str | None, Query(description="Only those for this eMSP, like DE*MSA.")]
OfState = Annotated[State | None, Query(description="Only those in this state.")]


def _filter(owner: str | None, receiver: str | None, state: str | None) -> Filter:
    codes = [str(PartyId.parse(code)) if code is not None else None for code in (owner, receiver)]
    return Filter(codes[0], codes[1], state)


@router.get("/cdrs", response_model=list[CdrRow])
async def get_newest(
    hub: CurrentHub,
    owner: Owner = None,
    receiver: Receiver = None,
    state: OfState = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The held CDRs and the newest of the ledger, each with where it is."""
    return access.respond(await newest(hub, _filter(owner, receiver, state), limit))


@router.post("/cdrs/{owner}/{cdr_id}/credit", status_code=201, response_model=Credited)
async def post_credit(hub: CurrentHub, owner: str, cdr_id: str) -> Response:
    """Take back a CDR of a hosted party: a Credit CDR goes to its receiver."""
    return access.respond(await credit(hub, owner, cdr_id), 201)


@router.get("/cdrs/export", response_model=list[WholeCdr])
async def export(
    hub: CurrentHub,
    owner: Owner = None,
    receiver: Receiver = None,
    state: OfState = None,
    format: Annotated[Literal["csv", "json"], Query(description="csv, or json with the whole CDRs.")] = "csv",
) -> Response:
    """All of them, oldest first, as a stream."""
    pages = every(hub.db, _filter(owner, receiver, state))
    if format == "json":
        return StreamingResponse(as_json(pages), media_type="application/json")
    return StreamingResponse(as_csv(pages), media_type="text/csv")
