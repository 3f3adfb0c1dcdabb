"""One pull: a partner's list read page by page, and what is on it kept, each page in a commit of its own.

What comes is kept like what is pushed, under the same rules (newer wins); its owner is who the object itself says, and
must be a party of the platform that was asked (TF-065, TF-066). Locations, Tariffs and Tokens are for everybody, and
lanes deliver what is new; a Session is for the owner of its cdr_token alone, a CDR enters the ledger in custody for
that owner. Whatever cannot be taken is counted and shown, and the rest is taken all the same (TF-020, TF-021).
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from hub.delivery import audience
from hub.delivery import send as delivery
from hub.exchange import cdr, crawl, keep, plans, push
from hub.exchange.context import Hub
from hub.exchange.crawl import List, Page, Place
from hub.exchange.keep import Change
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import Answer, NetworkError
from hub.ocpi.errors import InvalidParameters, OcpiError
from hub.ocpi.module import Module, Ref
from hub.ocpi.types import PartyId, format_datetime, masked, parse_datetime
from hub.store import messages, pulls
from hub.store.db import Statements
from hub.store.directory import Directory, PartyView
from hub.store.journal import Hop
from hub.store.objects import EVERYBODY
from hub.store.pulls import FULL, Harvest, Job

log = structlog.get_logger(__name__)

LEASE = 150.0
"""Seconds after its last request or commit in which a crawl is still its reader's: longer than either may take."""

AT_ONCE = 100
"""Objects in one commit, so that pushes of the same objects do not wait for long."""

SLICE = 20
"""Objects that are looked at in one go: the lanes live in the same loop."""

LOGGED = 5
"""So many of the objects that were not taken are named in the log; all of them are shown to the operator."""

UNNAMED = "(no id)"


class ClaimLost(Exception):
    """Another process reads this list now."""


class NotOurs(Exception):
    """A whole object that is not for this hub to take; the message says why."""


@dataclass(frozen=True)
class Taken:
    """An object that may be kept. `hosted`: its only receiver lives on this hub."""

    ref: Ref
    key: str
    body: dict[str, Any]
    audience: str
    hosted: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """Owner, key and audience."""
        return str(self.ref.owner), self.key, self.audience


async def run(hub: Hub, job: Job, party: PartyView, module: Module) -> None:
    """Read a claimed list from where it stands to its end. Raises Failed when it breaks off, ClaimLost."""
    wanted = List(_endpoint(party, module), party.platform.quirks, _filters(job))
    place = Place(**job.place) if job.place else None

    async def ask(url: str) -> Answer:
        async with hub.db.unit_of_work() as session:  # a slow partner must not cost the claim
            if not await pulls.hold(session, job, LEASE):
                raise ClaimLost
        return await _ask(hub, job, party, module, url)

    last: Page | None = None
    async for page in crawl.pages(ask, wanted, place):
        await _take(hub, job, party, module, page)
        last = page
    assert last is not None
    await _finish(hub, job, module, last)


async def _ask(hub: Hub, job: Job, party: PartyView, module: Module, url: str) -> Answer:
    """GET of one page, in the hub's own name and with a request id of its own (TF-186)."""
    sent = delivery.onward(party.platform, job.correlation_id or headers.new_id(), party.code, hub.code)
    began = datetime.now(UTC)
    hop = Hop(
        correlation_id=sent[headers.CORRELATION_ID],
        request_id=sent[headers.REQUEST_ID],
        sender=str(hub.code),
        receiver=str(party.code),
        method="GET",
        what=f"sender/{module.name}",
        decision=messages.PULL,
    )
    try:
        answer = await hub.outbound.call("GET", url, sent, timeout=party.platform.quirks.timeout)
    except NetworkError as error:
        hub.journal.note(hop._replace(ms=_ms_since(began), detail=str(error)), None, None)
        raise
    total = answer.headers.get(headers.TOTAL_COUNT)
    hop = hop._replace(
        http_status=answer.status,
        status_code=envelope.read(answer.body)[0],
        ms=_ms_since(began),
        detail=f"{job.kind}, of {total}" if total else job.kind,
    )
    hub.journal.note(hop, None, answer.body)
    return answer


async def _take(hub: Hub, job: Job, party: PartyView, module: Module, page: Page) -> None:
    """Keep what is on a page, and remember where the next one is."""
    taken: list[Taken] = []
    refused = Harvest()
    for at in range(0, len(page.objects), SLICE):
        some, wrong = sort(hub.directory.now, party, module, page.objects[at : at + SLICE])
        taken, refused = taken + some, _plus(refused, wrong)
        await asyncio.sleep(0)
    taken.sort(key=lambda one: one.place)  # one order for all who write: nobody waits for somebody who waits for him
    named = list(refused.findings)
    pieces = [taken[at : at + AT_ONCE] for at in range(0, len(taken), AT_ONCE)] or [[]]
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        async with hub.db.unit_of_work() as session:
            if not await pulls.hold(session, job, LEASE):
                raise ClaimLost
            found = await _keep(hub, session, job, module, piece)
            await pulls.harvest(session, job, _plus(found, refused) if is_last else found)
            if is_last and page.next is not None:
                await pulls.move(session, job, page.next.to_json())
        if found.changed:
            hub.bell.ring()
        named += found.findings
    if named:
        log.warning(
            "objects of a pulled list not taken: `knutpunkt pull show` lists them",
            party=job.party,
            module=module.name,
            objects=len(named),
            first=[f"{what}: {reason}" for what, reason in named[:LOGGED]],
        )


def sort(directory: Directory, party: PartyView, module: Module, objects: Iterable[Any]) -> tuple[list[Taken], Harvest]:
    """Which of these objects may be kept, and what is wrong with the others. Pure."""
    taken: list[Taken] = []
    findings: list[tuple[str, str]] = []
    invalid = aside = 0
    for body in objects:
        try:
            taken.append(_judged(directory, party, module, body))
        except OcpiError as error:
            invalid += 1
            findings.append((_name(module, body), str(error)))
        except NotOurs as error:
            aside += 1
            findings.append((_name(module, body), str(error)))
    return taken, Harvest(invalid + aside, 0, invalid, aside, None, (), tuple(findings))


def _judged(directory: Directory, party: PartyView, module: Module, body: Any) -> Taken:
    """An object that may be kept; raises InvalidParameters or NotOurs."""
    if not isinstance(body, dict):
        raise InvalidParameters("body: must be a JSON object")
    for name in ("country_code", "party_id", module.id_field, *([module.key_field] if module.key_field else ())):
        if not isinstance(body.get(name), str) or not body[name]:
            raise InvalidParameters(f"{name}: field required")
    owner = PartyId.of(body["country_code"], body["party_id"])
    _check_owner(directory, party, module, owner)
    ref = Ref(owner, body[module.id_field], (), body[module.key_field] if module.key_field else None)
    push.validate(module, ref, "PUT", body, party.platform.strict)
    if module.broadcast:
        return Taken(ref, module.key_of(body), body, EVERYBODY)
    receiver = _driver(directory, module, owner, body)
    return Taken(ref, module.key_of(body), body, str(receiver.code), receiver.platform.hosted)


def _check_owner(directory: Directory, party: PartyView, module: Module, owner: PartyId) -> None:
    """The owner that an object names is one of the platform that was asked, or one behind it (TF-065, TF-066)."""
    if owner not in party.platform.parties and owner not in party.platform.behind:
        raise NotOurs(f"its owner {owner} is not a party of this platform")
    known = directory.party(owner)
    if known is None or not known.roles & audience.owners(module.owner):
        raise NotOurs(f"its owner {owner} has no role in which it owns {module.name}")


def _driver(directory: Directory, module: Module, owner: PartyId, body: dict[str, Any]) -> PartyView:
    """The party a Session or CDR is for: the owner of its cdr_token, if the owner of the object may send to it."""
    token = body["cdr_token"]
    code = PartyId.of(token["country_code"], token["party_id"])
    receiver = directory.party(code)
    if receiver is None or receiver.behind or receiver.platform.status in ("PLANNED", "SUSPENDED"):
        raise NotOurs(f"cdr_token: {code} is not connected to this hub")
    if not directory.allows(owner, code, module.name):
        raise NotOurs(f"no agreement lets {owner} send {module.name} to {code}")
    if module.immutable and not directory.option(owner, code, "custody"):
        raise NotOurs(f"the agreement of {owner} and {code} lets the hub hold no CDRs: they must be pushed")
    return receiver


async def _keep(hub: Hub, session: Statements, job: Job, module: Module, piece: Sequence[Taken]) -> Harvest:
    """Keep some objects in one transaction."""
    if not piece:
        return Harvest()
    known = {} if module.immutable else await pulls.stored(session, module.name, [one.place for one in piece])
    seen: list[tuple[str, str]] = []
    findings: list[tuple[str, str]] = []
    changed = 0
    for one in piece:
        try:
            if known.get(one.place) != json.dumps(one.body).decode():  # else there is nothing to decide or to lock
                changed += await _keep_one(hub, session, job, module, one)
            seen.append(one.place[:2])
        except OcpiError as error:
            findings.append((_name(module, one.body), str(error)))
    newest = max((parse_datetime(one.body["last_updated"]) for one in piece), default=None)
    return Harvest(len(piece), changed, len(findings), 0, newest, tuple(seen), tuple(findings))


async def _keep_one(hub: Hub, session: Statements, job: Job, module: Module, one: Taken) -> bool:
    """Keep one object; whether that changed anything here."""
    correlation_id = job.correlation_id or ""
    if module.immutable:
        return await cdr.pulled(hub, session, one.body, one.key, one.audience, correlation_id)
    change = Change("PUT", module, one.ref, one.body, one.audience, correlation_id, not one.hosted)
    return (await keep.apply(session, change)).changes


async def _finish(hub: Hub, job: Job, module: Module, last: Page) -> None:
    """The list has ended: what a whole one no longer has is marked (LOC-014), and the next pull is planned."""
    rhythm, now = plans.Rhythm.of(hub.settings), datetime.now(UTC)
    error = None if last.whole else f"X-Total-Count says {last.total}, fewer came: what is missing was not looked for"
    gone: list[str] = []
    async with hub.db.unit_of_work() as session:
        if not await pulls.hold(session, job, LEASE):
            raise ClaimLost
        if concludes(job, module, last):
            gone = await pulls.vanished(session, job, job.since if plans.is_windowed(module) else None)
        await pulls.done(session, job, plans.following(now, rhythm, random.random()), error)
    if gone:
        log.warning(
            "objects have vanished from a partner's list: they are marked, and `knutpunkt pull show` lists them",
            party=job.party,
            module=module.name,
            objects=len(gone),
        )
    log.info("pulled", party=job.party, module=module.name, kind=job.kind, whole=last.whole, vanished=len(gone))


def concludes(job: Job, module: Module, last: Page) -> bool:
    """Whether what a crawl did not meet has vanished: only if it was read to its end and asked for everything (of
    Sessions, for everything since a date), and never of CDRs (LOC-015, SES-047, CDR-062)."""
    return last.whole and job.kind == FULL and not module.immutable


def _filters(job: Job) -> dict[str, str]:
    return {} if job.since is None else {"date_from": format_datetime(job.since)}


def _endpoint(party: PartyView, module: Module) -> str:
    url = party.platform.endpoint(module.name, "SENDER")
    if url is None:
        raise crawl.Failed(f"it publishes no {module.name} sender endpoint any more")
    return url


def _name(module: Module, body: Any) -> str:
    """The object in a finding; the uid of a card is personal."""
    found = body.get(module.id_field) if isinstance(body, dict) else None
    if not isinstance(found, str):
        return UNNAMED
    return masked(found) if module.name in messages.PERSONAL else found[:64]


def _plus(one: Harvest, other: Harvest) -> Harvest:
    return replace(
        one,
        objects=one.objects + other.objects,
        invalid=one.invalid + other.invalid,
        aside=one.aside + other.aside,
        findings=one.findings + other.findings,
    )


def _ms_since(began: datetime) -> int:
    return round((datetime.now(UTC) - began).total_seconds() * 1000)
