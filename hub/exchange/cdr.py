"""CDRs on their way from owner to eMSP: each goes to one receiver, once, unaltered, and into the ledger.

An intent is recorded before the CDR goes out. The ledger entry is written on the receiver's 1xxx, or when the hub
takes *custody*: the receiver is away, so the hub answers 1000 itself and owes the CDR to it. A repeated POST with the
same content is answered like the first one; another content under the same id is refused (CDR-023, CDR-024). A CDR
whose every attempt was clearly refused may come again corrected; once an attempt had no clear answer, the receiver may
have it, so only the same may come again, and a refusal proves nothing. What the hub notices about a CDR it tells the
sender in status_message and keeps for the operator; it never holds one back for that (`cdr_findings`).
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import structlog

from hub.delivery import owed
from hub.exchange import auth, cdr_content, cdr_findings, forward, open_routing, routing
from hub.exchange.call import Call, Reply, answer, answer_bytes
from hub.exchange.context import Hub
from hub.exchange.routing import Direct
from hub.ocpi import envelope, json
from hub.ocpi.errors import ConnectionProblem, InvalidParameters, NotFound, RequestTimeout, UnknownReceiver
from hub.ocpi.module import Module
from hub.ocpi.types import PartyId, check, parse_datetime
from hub.store import ledger, messages
from hub.store.db import Statements
from hub.store.directory import PartyView
from hub.store.outgoing import Identity

log = structlog.get_logger(__name__)

# How long a pending attempt may stand before it counts as given up by a crash: the forward deadline and a margin.
PATIENCE = timedelta(seconds=15)
_POLL = 0.05

MAY_HAVE_IT = "the receiver may have this CDR: an earlier attempt had no clear answer"
_ID_TAKEN = "id: a different CDR with this id is already known; corrections need a Credit CDR"
_ON_ITS_WAY = "id: another CDR with this id is on its way; send the same content to the same party"


async def post(hub: Hub, call: Call) -> Reply:
    """POST a CDR: 201 with a Location of the hub; 2001 when it contradicts one that is known."""
    module = hub.catalog["cdrs"]
    body = call.json_object()
    oddities = check(module.model, body)
    if oddities and call.platform.strict:
        raise InvalidParameters(str(oddities[0]))
    owner = PartyId.of(body["country_code"], body["party_id"])
    if owner != call.sender:
        raise InvalidParameters("country_code, party_id: not those of the calling party")
    target = _receiver(hub, call, module, body)
    auth.may_own(hub, owner, module)
    key, content = module.key_of(body), cdr_content.content(hub.seal, body)
    entry = facts(body, target.code, key, content.hash)  # first: what cannot be entered must not be delivered
    noticed = [*map(str, oddities), *cdr_findings.of(body)]
    claimed = await _claim(hub, str(owner), key, content, str(target.code))
    if isinstance(claimed, ledger.Recorded):
        return _as_before(hub, call, claimed)
    async with hub.db.unit_of_work() as session:
        entry["findings"] = await findings(session, body, entry, noticed)
        early = await _is_early(session, entry)
    may_be_kept = not target.behind and hub.directory.now.option(owner, target.code, "custody")
    try:
        if (call.platform.hosted and not target.behind) or (early and may_be_kept):
            return await _take_custody(hub, call, target, entry)
        return await _hand_over(hub, call, target, entry, may_be_kept, claimed)
    except ledger.AlreadyEntered:  # this process hung, and another attempt with the same content was faster
        async with hub.db.unit_of_work() as session:
            known = await ledger.find(session, str(owner), key)
        assert known is not None
        return _as_before(hub, call, known)


async def _hand_over(
    hub: Hub, call: Call, target: PartyView, entry: dict[str, Any], may_be_kept: bool, doubtful: bool
) -> Reply:
    """Bring a CDR to its receiver while the sender waits. `doubtful`: an attempt before had no clear answer."""
    owner, key = entry["owner"], entry["key"]
    try:
        sent = await forward.send(hub, call, target, forward.url_at(call, target), call.body, about=_about(entry))
    except (ConnectionProblem, RequestTimeout) as error:
        unclear = isinstance(error, RequestTimeout)
        if not may_be_kept:
            async with hub.db.unit_of_work() as session:
                await ledger.settle(session, owner, key, "ambiguous" if unclear else "refused", doubtful=unclear)
            raise
        log.warning("CDR in custody, the receiver is away", owner=owner, receiver=str(target.code), why=str(error))
        return await _take_custody(hub, call, target, entry, doubtful=unclear)
    reply = forward.reply(call, target.code, sent)
    if reply.accepted:
        return await _record_delivered(hub, call, entry, reply, sent.headers.get("Location"))
    clear = sent.status == 401 or (sent.status < 500 and envelope.read(sent.body)[0] is not None)
    async with hub.db.unit_of_work() as session:
        await ledger.settle(session, owner, key, "refused" if clear else "ambiguous", doubtful=not clear)
        known = await ledger.find(session, owner, key)
    if known is not None:
        return _as_before(hub, call, known)
    if clear and doubtful:
        log.error("CDR refused, possibly delivered before", owner=owner, receiver=str(target.code), key=key)
        return _telling(reply, [MAY_HAVE_IT])
    return reply


def _as_before(hub: Hub, call: Call, known: ledger.Recorded) -> Reply:
    """The answer to a CDR that is in the ledger: the one that its first POST was given."""
    answering = PartyId.parse(known.receiver) if known.state == "delivered" else hub.code
    reply = answer(call, answering, http_status=201, Location=_location(hub, known.public_id))
    about = (known.owner, "cdrs", known.key)
    return hub.answered(call, messages.REPEAT, _telling(reply, known.findings), about=about, detail=messages.IN_LEDGER)


async def fetch(hub: Hub, call: Call, public_id: str) -> Reply:
    """GET a CDR at the Location the hub gave for it (CDR-018, CDR-022)."""
    async with hub.db.unit_of_work(call.sender) as session:
        known = await ledger.at(session, public_id)
    if known is None or known.owner != str(call.sender) or known.body is None:
        raise NotFound("this CDR is not known here")
    target = hub.directory.now.party(PartyId.parse(known.receiver))
    if known.location and target is not None and _may_look(hub, call, target, known.location):
        sent = await forward.send(hub, call, target, known.location, None)
        return forward.reply(call, target.code, sent)
    waiting = [f"{known.receiver} has not taken it yet: {known.detail}"] if known.detail else []
    return _telling(answer_bytes(call, hub.code, known.body.encode()), waiting)


def _may_look(hub: Hub, call: Call, target: PartyView, url: str) -> bool:
    """Whether the receiver's own copy may be asked for now; else the ledger answers."""
    allowed = hub.directory.now.allows(call.sender, target.code, "cdrs")
    return allowed and target.status == "CONNECTED" and forward.same_host(target.platform, url)


def _receiver(hub: Hub, call: Call, module: Module, body: dict[str, Any]) -> PartyView:
    """The party in TO, else the owner of cdr_token (CDR-004); a receiver that is only away is still the receiver."""
    to = call.to or open_routing.token_owner(body, module)
    if to is None or to == hub.code:
        raise InvalidParameters("OCPI-to-party-id: a CDR is for one receiver and is not broadcast")
    try:
        route = routing.decide(hub.directory.now, replace(call, to=to), module, hub.code)
    except ConnectionProblem:
        away = hub.directory.now.party(to)
        if away is None or away.behind or away.status != "OFFLINE":
            raise
        return away
    if not isinstance(route, Direct):
        raise UnknownReceiver("name the receiver in OCPI-to-country-code and OCPI-to-party-id")
    return route.target


async def _claim(hub: Hub, owner: str, key: str, content: ledger.Content, receiver: str) -> ledger.Recorded | bool:
    """Take the right to hand this CDR over (True: the receiver may have it from an attempt before), or return the
    entry it already has. Two at once: the second waits."""
    for _ in range(int(PATIENCE.total_seconds() / _POLL)):
        known: ledger.Recorded | ledger.Intent | None
        async with hub.db.unit_of_work() as session:
            known = await ledger.find(session, owner, key)
            if known is None:
                doubtful = await ledger.claim(session, owner, key, content, receiver, PATIENCE)
                if doubtful is not None:
                    return doubtful
                known = await ledger.intent(session, owner, key)
            fault = contradiction(known, content, receiver) if known else None
            if fault:
                await ledger.conflict(session, owner, key, receiver, content.hash, fault)
        if fault:
            log.error("CDR refused: its id is taken", owner=owner, receiver=receiver, key=key)
            raise InvalidParameters(fault)
        if isinstance(known, ledger.Recorded):
            return known
        await asyncio.sleep(_POLL)
    raise RequestTimeout("the same CDR is still being delivered")


def contradiction(known: ledger.Recorded | ledger.Intent, content: ledger.Content, receiver: str) -> str | None:
    """What keeps a CDR from being the one that is known under its id; None when it is that one."""
    if content.matches(known.hash) and known.receiver == receiver:
        return None
    return _ID_TAKEN if isinstance(known, ledger.Recorded) else _ON_ITS_WAY


async def _is_early(session: Statements, entry: dict[str, Any]) -> bool:
    """Whether a Credit CDR must wait, for the hub still owes its receiver the CDR it takes back."""
    original = await ledger.find(session, entry["owner"], entry["credit_of"]) if entry["credit_of"] else None
    return original is not None and original.state == "custody" and original.receiver == entry["receiver"]


async def findings(session: Statements, body: dict[str, Any], entry: dict[str, Any], noticed: list[str]) -> list[str]:
    """What was noticed about a CDR, and what its owner's others in the ledger make of it (CDR-041)."""
    found = list(noticed)
    owner, key, credited, billed = entry["owner"], entry["key"], entry["credit_of"], entry["session_key"]
    if credited:
        original = await ledger.find(session, owner, credited)
        if original is None or original.body is not None:  # an erased one cannot be compared any more
            known = json.loads(original.body.encode()) if original and original.body else None
            found += cdr_findings.of_credit(body, known)
        if original is not None and original.receiver != entry["receiver"]:
            found.append("credit_reference_id: the CDR that is credited went to another receiver")
        if await ledger.is_credited(session, owner, credited, key):
            found.append("credit_reference_id: this CDR is credited already")
    elif billed and await ledger.is_billed(session, owner, billed, key):
        found.append("session_id: another CDR bills this session already")
    if found:
        log.warning("CDR with findings", owner=owner, receiver=entry["receiver"], findings=found)
    return found[: cdr_findings.AT_MOST]


def _telling(reply: Reply, found: list[str]) -> Reply:
    """The answer with the findings in its status_message; its codes and data stay."""
    if not found:
        return reply
    body = json.loads(reply.body)
    told = f"the hub noticed: {'; '.join(found)}"
    said = body.get("status_message")
    return replace(reply, body=json.dumps({**body, "status_message": f"{said} / {told}" if said else told}))


async def _record_delivered(hub: Hub, call: Call, entry: dict[str, Any], reply: Reply, location: str | None) -> Reply:
    async with hub.db.unit_of_work() as session:
        await ledger.settle(session, entry["owner"], entry["key"], "done")
        public_id = await ledger.record(session, entry, call.body.decode(), "delivered", location)
    hop = call.hop(hub.code, messages.KEEP, about=_about(entry), detail=messages.IN_LEDGER)
    hub.journal.note(hop._replace(receiver=entry["receiver"]))
    told = _telling(reply, entry["findings"])
    return replace(told, headers={**reply.headers, "Location": _location(hub, public_id)})


async def _take_custody(
    hub: Hub, call: Call, target: PartyView, entry: dict[str, Any], *, doubtful: bool = False
) -> Reply:
    async with hub.db.unit_of_work() as session:
        public_id = await enter(session, entry, call.body.decode(), call.correlation_id, doubtful=doubtful)
    hub.bell.ring()
    reply = _telling(answer(call, hub.code, http_status=201, Location=_location(hub, public_id)), entry["findings"])
    return hub.answered(
        replace(call, to=target.code), messages.CUSTODY, reply, about=_about(entry), detail=messages.IN_LEDGER
    )


async def pulled(
    hub: Hub, session: Statements, body: dict[str, Any], key: str, receiver: str, correlation_id: str
) -> bool:
    """Take a CDR from its owner's list into custody for its receiver; False when it is in the ledger already or on its
    way. InvalidParameters when its id is taken."""
    content = cdr_content.content(hub.seal, body)
    entry = facts(body, PartyId.parse(receiver), key, content.hash)
    owner = entry["owner"]
    known: ledger.Recorded | ledger.Intent | None = await ledger.find(session, owner, key)
    doubtful = None if known else await ledger.claim(session, owner, key, content, receiver, PATIENCE)
    if doubtful is None:
        known = known or await ledger.intent(session, owner, key)
        fault = contradiction(known, content, receiver) if known else None
        if fault:
            await ledger.conflict(session, owner, key, receiver, content.hash, fault)
            raise InvalidParameters(fault)
        return False
    entry["findings"] = await findings(session, body, entry, cdr_findings.of(body))
    await enter(session, entry, json.dumps(body).decode(), correlation_id)
    return True


async def enter(
    session: Statements, entry: dict[str, Any], body: str, correlation_id: str, *, doubtful: bool = False
) -> str:
    """Enter a CDR into the ledger, in custody: the hub owes it to its receiver from now on. Its public id. `doubtful`:
    the receiver may have it already."""
    await ledger.settle(session, entry["owner"], entry["key"], "done", doubtful=doubtful)
    names = {"receiver": entry["receiver"], "owner": entry["owner"], "module": "cdrs", "key": entry["key"]}
    await owed.add(session, **names, correlation_id=correlation_id)
    return await ledger.record(session, entry, body, "custody", None)


def _about(entry: dict[str, Any]) -> Identity:
    """The CDR of a ledger entry, for the message log."""
    return entry["owner"], "cdrs", entry["key"]


def _location(hub: Hub, public_id: str) -> str:
    return f"{hub.base_url}/receiver/cdrs/{public_id}"


def facts(body: dict[str, Any], receiver: PartyId, key: str, digest: bytes) -> dict[str, Any]:
    """The columns of a ledger entry; InvalidParameters (2001) names what cannot be entered."""
    total = body["total_cost"]
    return {
        "owner": str(PartyId.of(body["country_code"], body["party_id"])),
        "key": key,
        "receiver": str(receiver),
        "hash": digest,
        "session_key": _id(body, "session_id"),
        "credit_of": _id(body, "credit_reference_id"),
        "currency": body["currency"],
        "total_energy": Decimal(body["total_energy"]),
        "total_excl_vat": Decimal(total["excl_vat"]),
        "total_incl_vat": _amount(total, "incl_vat"),
        "start_date_time": parse_datetime(body["start_date_time"]),
        "end_date_time": parse_datetime(body["end_date_time"]),
        "last_updated": parse_datetime(body["last_updated"]),
        "findings": [],
    }


def _id(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidParameters(f"{name}: must be a string")
    return value.upper() if value else None


def _amount(price: dict[str, Any], name: str) -> Decimal | None:
    value = price.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidParameters(f"total_cost.{name}: must be a number")
    return Decimal(value)
