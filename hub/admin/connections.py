"""What the operator does to a connection: register with a partner, suspend, resume, set, renew, end, remove.

Beside `invitations`, where the partner begins. What is there to see of platforms is in `platforms`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Response
from pydantic import Field
from sqlalchemy import text

from hub.admin import access, holdings, platforms
from hub.admin.holdings import Holding
from hub.admin.invitations import Behind, InvitedRole, check_free, pairs
from hub.admin.orders import Code, Name, Order
from hub.admin.platforms import PlatformDetail
from hub.exchange import handshake, membership, peers, renewal
from hub.exchange.context import Hub
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId
from modules.calls import CurrentHub

router = access.router("platforms")

_LEAVES = text(
    "SELECT count(*) FILTER (WHERE module <> 'cdrs') AS owed, count(*) FILTER (WHERE module = 'cdrs') AS custody"
    " FROM owed WHERE receiver = ANY(:codes)"
)


class RegistrationOrder(Order):
    """A partner that gave this hub a token A: the hub begins the handshake. Without `parties` all roles that the
    partner names are admitted, as long as no other platform holds them. `behind` is for a partner that is a hub."""

    versions_url: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^https?://[!-~]+$")]
    token: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[!-~]+$", repr=False)]
    parties: Annotated[list[InvitedRole], Field(min_length=1, max_length=1000)] | None = None
    name: Name | None = None
    behind: Behind | None = None


class PlatformOrder(Order):
    """How a platform is served; what is left out stays as it is. `resync`: whether state is pushed to it (`push`), or
    it pulls for itself and is sent nothing (`pull`). `strict`: what it sends is refused unless it holds to the letter
    of the spec. `short_retry`: whether a delivery that failed is tried again within a minute. `pull`: the modules whose
    lists the hub pulls from it, or `auto`: those of which it pushes nothing. `quirks`: how it departs from the letter;
    those that are not named stay as they are."""

    resync: Literal["push", "pull"] | None = None
    strict: bool | None = None
    short_retry: bool | None = None
    pull: Literal["auto"] | Annotated[list[str], Field(max_length=20)] | None = None
    quirks: dict[str, bool | int | str] | None = None


class ResyncOrder(Order):
    """What is delivered anew: of one `owner`, or of all; of these `modules`, or of all but sessions."""

    owner: Code | None = None
    modules: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)


class AdmissionOrder(Order):
    """All that a platform may register, in place of what it was. What is registered and not in it is out at once."""

    parties: Annotated[list[InvitedRole], Field(min_length=1, max_length=1000)]


class RenewalOrder(Order):
    """Renew the tokens with a partner. `leaked`: the one it shows is in wrong hands, so it is void as soon as the
    partner has taken the new one; without that both are good until the partner has shown that it has switched."""

    leaked: bool = False


@dataclass(frozen=True)
class Changed(PlatformDetail):
    """A platform after a change; `correlation_id` traces the deliveries that the change caused, if any."""

    correlation_id: str | None


@dataclass(frozen=True)
class EndedPair:
    """An agreement that goes with a party."""

    a: str
    b: str


@dataclass(frozen=True)
class Removal:
    """What goes with a platform, and what does not. `owed` objects are not sent any more; `cdrs_in_custody` stay owed
    to a party that may come back; `still_held` is what the others and its parties hold of each other."""

    id: int
    name: str
    parties: list[str]
    invited: list[str]
    agreements: list[EndedPair]
    owed: int
    cdrs_in_custody: int
    still_held: list[Holding]


@dataclass(frozen=True)
class Removed(Removal):
    """A platform that is gone. `told`: whether the partner took note of the DELETE; None where there was nobody to
    tell."""

    told: bool | None


@dataclass(frozen=True)
class Unregistered(PlatformDetail):
    """A platform whose connection has ended. `told`: whether the partner took note of the DELETE."""

    told: bool | None


async def register(hub: Hub, order: RegistrationOrder) -> PlatformDetail:
    """Begin and finish a handshake with a partner. Conflict when a party is connected already; ServerError (502)
    saying which step failed."""
    roles = [(role.code, role.role.value) for role in order.parties or ()]
    await check_free(hub, [code for code, _ in roles])
    name = order.name or (str(roles[0][0]) if roles else None)
    platform_id = await handshake.start(hub, order.versions_url, order.token, name, list(dict.fromkeys(roles)))
    if order.behind is not None:
        await peers.admit(hub, platform_id, pairs(order.behind))
    return await platforms.one(hub, platform_id)


async def changed(hub: Hub, platform_id: int, correlation_id: str | None) -> Changed:
    """A platform after a change."""
    return Changed(**vars(await platforms.one(hub, platform_id)), correlation_id=correlation_id)


async def removal(hub: Hub, platform_id: int) -> Removal:
    """What removing a platform would take away and leave behind; NotFound (404)."""
    found = await platforms.one(hub, platform_id)
    picture = await hub.directory.refresh()
    codes = [PartyId.parse(party.code) for party in found.parties]
    others = [party.code for party in picture.parties if party.platform.id != platform_id]
    pairs = [pair for pair in picture.agreements if pair & set(codes)]
    async with hub.db.unit_of_work() as session:
        leaves = (await session.execute(_LEAVES, {"codes": list(map(str, codes))})).one()
        held = [row for a in codes for b in others for row in await holdings.of_pair(session, picture, a, b)]
    return Removal(
        id=found.id,
        name=found.name,
        parties=[party.code for party in found.parties],
        invited=sorted({role.code for role in found.invited}),
        agreements=sorted((EndedPair(*sorted(map(str, pair))) for pair in pairs), key=lambda pair: (pair.a, pair.b)),
        owed=leaves.owed,
        cdrs_in_custody=leaves.custody,
        still_held=held,
    )


@router.post("/platforms", status_code=201, response_model=PlatformDetail)
async def post(hub: CurrentHub, order: RegistrationOrder) -> Response:
    """Register with a partner that gave this hub a token A and its versions URL."""
    return access.respond(await register(hub, order), 201)


@router.patch("/platforms/{platform_id}", response_model=Changed)
async def patch(hub: CurrentHub, platform_id: int, order: PlatformOrder) -> Response:
    """Change how a platform is served. From `pull` to `push` everything is delivered anew."""
    if all(value is None for value in vars(order).values()):
        raise InvalidParameters("body: give resync, strict, short_retry, pull or quirks")
    if order.pull is not None or order.quirks is not None:
        await membership.treat(hub, platform_id, order.pull, order.quirks or {})
    correlation_id = await membership.change(hub, platform_id, order.resync, order.strict, order.short_retry)
    return access.respond(await changed(hub, platform_id, correlation_id))


@router.post("/platforms/{platform_id}/suspend", response_model=Changed)
async def suspend(hub: CurrentHub, platform_id: int) -> Response:
    """Stop all traffic with a platform at once: its token is refused (HTTP 403), nothing is sent to it, and others who
    address its parties get 4003. Its tokens are kept."""
    await membership.suspend(hub, platform_id)
    return access.respond(await changed(hub, platform_id, None))


@router.post("/platforms/{platform_id}/resume", response_model=Changed)
async def resume(hub: CurrentHub, platform_id: int) -> Response:
    """End a suspension; everything is delivered anew."""
    return access.respond(await changed(hub, platform_id, await membership.resume(hub, platform_id)))


@router.post("/platforms/{platform_id}/resync", response_model=Changed)
async def resync(hub: CurrentHub, platform_id: int, order: ResyncOrder) -> Response:
    """Deliver anew all that the platform may have, for a partner that has lost data. What it holds it gets again."""
    correlation_id = await membership.resync(hub, platform_id, order.owner, order.modules)
    return access.respond(await changed(hub, platform_id, correlation_id))


@router.put("/platforms/{platform_id}/admissions", response_model=Changed)
async def put_admissions(hub: CurrentHub, platform_id: int, order: AdmissionOrder) -> Response:
    """Replace the admission list: the parties and roles that the platform may register, by POST or PUT credentials."""
    await check_free(hub, [role.code for role in order.parties], platform_id)
    await membership.admit(hub, platform_id, [(role.code, role.role.value) for role in order.parties])
    return access.respond(await changed(hub, platform_id, None))


@router.post("/platforms/{platform_id}/renewal", response_model=Changed)
async def renew(hub: CurrentHub, platform_id: int, order: RenewalOrder) -> Response:
    """Renew both tokens by PUT to the partner, which reads the hub's endpoints anew. If it does not switch, the hub
    goes back to the tokens before."""
    await renewal.rotate(hub, platform_id, order.leaked)
    return access.respond(await changed(hub, platform_id, None))


@router.post("/platforms/{platform_id}/unregister", response_model=Unregistered)
async def unregister(hub: CurrentHub, platform_id: int) -> Response:
    """End a connection: the partner is told by DELETE, all tokens are void, its parties SUSPENDED. What is kept stays;
    with a new invitation it can come back."""
    told = await membership.unregister(hub, platform_id)
    return access.respond(Unregistered(**vars(await platforms.one(hub, platform_id)), told=told))


@router.get("/platforms/{platform_id}/removal", response_model=Removal)
async def get_removal(hub: CurrentHub, platform_id: int) -> Response:
    """What removing the platform would take away, and what it would leave behind."""
    return access.respond(await removal(hub, platform_id))


@router.delete("/platforms/{platform_id}", response_model=Removed)
async def delete(hub: CurrentHub, platform_id: int) -> Response:
    """Remove a platform, or withdraw an invitation: its tokens, endpoints, parties, lanes and agreements go. The
    partner is told by DELETE. The ledger stays, CDRs in custody stay owed, and what partners hold stays with them."""
    found = await removal(hub, platform_id)
    told = await membership.remove(hub, platform_id)
    return access.respond(Removed(**vars(found), told=told))
