"""Agreements: what two parties allow each other.

A new or changed agreement is followed, in the same transaction, by a full delivery of what the pair may now see of
each other. One that ends acts before the next send, and retracts nothing: what a receiver holds by then stays with
it, and the answer says how much that is.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field
from sqlalchemy import text
from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from hub.admin import access, completeness, holdings
from hub.admin.completeness import Completeness
from hub.admin.holdings import Holding
from hub.admin.orders import Code, Order
from hub.delivery import audience, backfill
from hub.exchange.context import Hub
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters, NotFound
from hub.ocpi.types import PartyId
from hub.store import directory, parties
from hub.store.directory import Directory
from hub.store.parties import Admission, Agreement
from modules.calls import CurrentHub
from modules.catalog import FUNCTIONAL

router = access.router("agreements")

_BACKFILLS = text(
    "SELECT count(*) FROM backfill WHERE (receiver, owner) IN ((CAST(:a AS text), CAST(:b AS text)),"
    " (CAST(:b AS text), CAST(:a AS text)))"
)


class Options(Order):
    """What else a pair may switch. `custody`: the hub takes a CDR for a receiver that is away and brings it later; off,
    its sender is told 4003 or 4002 and tries again itself. `authorise`: the eMSP is asked about tokens that nobody has
    pushed; off, only its own pushed tokens lead to it."""

    custody: bool = True
    authorise: bool = True


class AgreementOrder(Order):
    """What a pair allows: all modules or some, both ways or one. It takes the place of what the pair had."""

    a: Code
    b: Code
    modules: Annotated[list[str], Field(min_length=1)] | None = None
    direction: Literal["both", "a_to_b", "b_to_a"] = "both"
    options: Options = Options()


@dataclass(frozen=True)
class AgreementRow:
    """An agreement. `modules` None is all of them."""

    id: int
    a: str
    b: str
    modules: list[str] | None
    direction: str
    options: dict[str, bool]
    created_at: datetime | None


@dataclass(frozen=True)
class Agreed(AgreementRow):
    """An agreement just made; `correlation_id` traces the deliveries it caused."""

    correlation_id: str


@dataclass(frozen=True)
class AgreementDetail(AgreementRow):
    """An agreement with what the two hold of each other, and how complete that is; `backfills` are the full deliveries
    that still run."""

    held: list[Holding]
    completeness: list[Completeness]
    backfills: int


@dataclass(frozen=True)
class Ended:
    """An agreement that is no more; the pair falls back to the hub's `default_agreement`, open or closed."""

    id: int
    a: str
    b: str
    still_held: list[Holding]
    default_agreement: str


async def agree(hub: Hub, order: AgreementOrder) -> tuple[Agreed, bool]:
    """Make or change the agreement of a pair; says whether it is new."""
    if order.a == order.b:
        raise InvalidParameters("b: must be another party than a")
    unknown = set(order.modules or ()) - {module.name for module in FUNCTIONAL}
    if unknown:
        raise InvalidParameters(f"modules: only these can be agreed on: {', '.join(m.name for m in FUNCTIONAL)}")
    correlation_id, now = headers.new_id(), await hub.directory.refresh()
    async with hub.db.session() as session:
        await parties.touch(session)  # first, so that two orders for one pair come one after the other
        for code in (order.a, order.b):
            await _must_be_known(session, now, code)
        row = await _of_pair(session, order.a, order.b)
        is_new, row = row is None, row or Agreement(a="", b="")
        row.a, row.b, row.direction = str(order.a), str(order.b), order.direction
        row.options = order.options.model_dump()
        row.modules = None if order.modules is None else sorted(set(order.modules))
        session.add(row)
        await session.flush()
        await session.refresh(row)
        await _deliver(hub, session, order, correlation_id)
    await hub.directory.refresh()
    hub.bell.ring()
    return Agreed(**vars(_row(row)), correlation_id=correlation_id), is_new


async def one(hub: Hub, agreement_id: int) -> AgreementDetail:
    """One agreement; NotFound (404)."""
    picture = await hub.directory.refresh()
    async with hub.db.session() as session:
        row = await _known(session, agreement_id)
        a, b = PartyId.parse(row.a), PartyId.parse(row.b)
        held = await holdings.of_pair(session, picture, a, b)
        complete = await completeness.of_pair(session, picture, a, b)
        running = int((await session.execute(_BACKFILLS, {"a": row.a, "b": row.b})).scalar_one())
    return AgreementDetail(**vars(_row(row)), held=held, completeness=complete, backfills=running)


async def end(hub: Hub, agreement_id: int) -> Ended:
    """Remove an agreement; NotFound (404)."""
    before = await hub.directory.refresh()
    async with hub.db.session() as session:
        await parties.touch(session)
        row = await _known(session, agreement_id)
        await session.delete(row)
        held = await holdings.of_pair(session, before, PartyId.parse(row.a), PartyId.parse(row.b))
    await hub.directory.refresh()
    return Ended(agreement_id, row.a, row.b, held, hub.settings.default_agreement)


async def _known(session: AsyncSession, agreement_id: int) -> Agreement:
    row = await session.get(Agreement, agreement_id)
    if row is None:
        raise NotFound("there is no agreement with this id: `knutpunkt agreement list` shows them")
    return row


async def _must_be_known(session: AsyncSession, now: Directory, code: PartyId) -> None:
    """Agreements may be made before a party registers, but not with a slip of the pen."""
    invited = select(col(Admission.code)).where(Admission.code == str(code))
    if now.party(code) is None and (await session.exec(invited)).first() is None:
        raise NotFound(f"{code} is neither connected nor hosted nor invited: check the code, or invite it first")


async def _of_pair(session: AsyncSession, a: PartyId, b: PartyId) -> Agreement | None:
    pair = or_(
        and_(col(Agreement.a) == str(a), col(Agreement.b) == str(b)),
        and_(col(Agreement.a) == str(b), col(Agreement.b) == str(a)),
    )
    return (await session.exec(select(Agreement).where(pair))).first()


async def _deliver(hub: Hub, session: AsyncSession, order: AgreementOrder, correlation_id: str) -> None:
    """Have each of the two be given all that it may now see of the other (as this transaction leaves things)."""
    picture = await directory.load(session, hub.seal, hub.directory.now.open_policy)
    for owner, receiver in ((order.a, order.b), (order.b, order.a)):
        if picture.party(receiver) is None:
            continue
        everything = audience.everything_for(picture, hub.catalog, receiver)
        pairs = [(code, module) for code, module in everything if code == str(owner)]
        await backfill.start(session, receiver, pairs, backfill.AGREEMENT, correlation_id)


def _row(row: Agreement) -> AgreementRow:
    options = Options().model_dump() | row.options
    return AgreementRow(row.id or 0, row.a, row.b, row.modules, row.direction, options, row.created_at)


@router.post("/agreements", response_model=Agreed, status_code=201, responses={200: {"model": Agreed}})
async def post(hub: CurrentHub, order: AgreementOrder) -> Response:
    """Make the agreement of a pair (201), or change it (200)."""
    agreed, is_new = await agree(hub, order)
    return access.respond(agreed, 201 if is_new else 200)


@router.get("/agreements", response_model=list[AgreementRow])
async def get_all(hub: CurrentHub) -> Response:
    """Every agreement."""
    async with hub.db.session() as session:
        rows = [_row(row) for row in await session.exec(select(Agreement).order_by("a", "b"))]
    return access.respond(rows)


@router.get("/agreements/{agreement_id}", response_model=AgreementDetail)
async def get_one(hub: CurrentHub, agreement_id: int) -> Response:
    """One agreement, with what the two hold of each other and what is on its way."""
    return access.respond(await one(hub, agreement_id))


@router.delete("/agreements/{agreement_id}", response_model=Ended)
async def delete(hub: CurrentHub, agreement_id: int) -> Response:
    """End an agreement. Nothing is retracted; the answer says what the two still hold of each other."""
    return access.respond(await end(hub, agreement_id))
