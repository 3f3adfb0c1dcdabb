"""May this card charge here? The decision of mapping 3.1 as a pure table, and the question to the eMSP behind it.

A hosted CPO trusts, in this order: a transaction that already runs on the card, a grant (the eMSP has just said so,
or sent a command), the eMSP asked live, and what its whitelist type allows without an answer. Nothing else opens a
charger.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import structlog

from hub.bridge import party
from hub.exchange import ask
from hub.exchange.call import Reply
from hub.exchange.context import Hub
from hub.ocpi import headers, json
from hub.ocpi.errors import OcpiError, UnknownToken
from hub.ocpi.types import PartyId
from hub.store import objects
from hub.store.directory import TAKING_PART, Directory

log = structlog.get_logger(__name__)

BUDGET = 8.0
"""Seconds for the eMSP's answer: chargers give up after 10 to 60."""

KIND = "RFID"
"""What an OCPP 1.6 idTag is taken for; other token types come by command."""

_SNAPSHOT = ("country_code", "party_id", "uid", "type", "contract_id", "group_id", "whitelist")
_REFUSALS = {"BLOCKED": "Blocked", "EXPIRED": "Expired", "NO_CREDIT": "Blocked", "NOT_ALLOWED": "Invalid"}


class Plan(Enum):
    """What to do before there is an answer."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    ASK = "ask"
    ASK_OR_ACCEPT = "ask, and accept if nobody answers"


@dataclass(frozen=True)
class Verdict:
    """The answer for the station, and what the Session will say about it. `status` is an AuthorizationStatus."""

    status: str
    token: dict[str, Any] | None = None
    auth_method: str | None = None
    authorization_reference: str | None = None
    evse_uids: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the driver may charge."""
        return self.status == "Accepted"

    @property
    def cacheable(self) -> bool:
        """Whether the station may accept the card once more without a question."""
        return (self.token or {}).get("whitelist") != "NEVER"


UNKNOWN = Verdict("Invalid")


def snapshot(token: Mapping[str, Any]) -> dict[str, Any]:
    """What a transaction keeps of a Token."""
    return {name: token[name] for name in _SNAPSHOT if token.get(name) is not None}


def plan(token: Mapping[str, Any] | None, offline: bool) -> Plan:
    """The table: a kept Token, or None, and whether the start is long past (then nobody can be asked any more)."""
    if token is None:
        return Plan.REFUSE if offline else Plan.ASK
    whitelist, valid = token.get("whitelist"), token.get("valid") is True
    if offline:
        return Plan.ACCEPT if valid and whitelist in ("ALWAYS", "ALLOWED", "ALLOWED_OFFLINE") else Plan.REFUSE
    match whitelist:
        case "ALWAYS":
            return Plan.ACCEPT if valid else Plan.REFUSE
        case "ALLOWED":
            return Plan.ACCEPT if valid else Plan.ASK
        case "ALLOWED_OFFLINE":
            return Plan.ASK_OR_ACCEPT if valid else Plan.ASK
        case _:
            return Plan.ASK


def read_answer(info: object, token: Mapping[str, Any] | None) -> Verdict:
    """An AuthorizationInfo as a verdict; `token` stands in where the answer holds none."""
    if not isinstance(info, dict):
        return UNKNOWN
    told = info.get("token") if isinstance(info.get("token"), dict) else None
    known = snapshot(told or token or {})
    place = info.get("location")
    evse_uids = place.get("evse_uids") if isinstance(place, dict) else None
    reference = info.get("authorization_reference")
    if info.get("allowed") != "ALLOWED" or "contract_id" not in known:
        return Verdict(_REFUSALS.get(str(info.get("allowed")), "Invalid"), known or None)
    return Verdict(
        "Accepted",
        known,
        "AUTH_REQUEST",
        reference if isinstance(reference, str) else None,
        tuple(str(uid) for uid in evse_uids) if isinstance(evse_uids, list) else (),
    )


class Authoriser:
    """Asks, once for all who wait for the same answer."""

    def __init__(self, hub: Hub, budget: float = BUDGET) -> None:
        self._hub, self._budget = hub, budget
        self._asking: dict[tuple[str, str], asyncio.Task[Verdict]] = {}

    async def decide(
        self, owner: PartyId, uid: str, location_id: str, evse_uids: list[str], offline: bool = False
    ) -> Verdict:
        """The verdict for a card at a station of `owner`. Never fails: whoever cannot be asked has not said yes."""
        key = (uid, f"{owner}/{location_id}/{'/'.join(evse_uids)}/{offline}")
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._decide(owner, uid, location_id, evse_uids, offline))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _decide(self, owner: PartyId, uid: str, location_id: str, evse_uids: list[str], offline: bool) -> Verdict:
        token = await self._kept(owner, uid)
        if token is not None:
            uid = str(token["uid"])
        chosen = plan(token, offline)
        verdict: Verdict | None = None
        if chosen in (Plan.ASK, Plan.ASK_OR_ACCEPT):
            verdict = await self._ask(owner, uid, location_id, evse_uids, token)
        if verdict is None and token is not None and chosen in (Plan.ACCEPT, Plan.ASK_OR_ACCEPT):
            verdict = Verdict("Accepted", snapshot(token), "WHITELIST")
        refused = Verdict("Invalid", snapshot(token) if token else None)
        return verdict or refused

    async def _kept(self, owner: PartyId, uid: str) -> dict[str, Any] | None:
        """The Token with this uid, if `owner` may use it and only one eMSP has it."""
        module = self._hub.catalog["tokens"]
        async with self._hub.db.unit_of_work(owner) as session:
            rows = await objects.by_key(session, module.name, module.key(uid, KIND))
        directory = self._hub.directory.now
        rows = [row for row in rows if _is_good_for(directory, PartyId.parse(row.owner), owner)]
        if len({row.owner for row in rows}) != 1:
            return None
        token: dict[str, Any] = json.loads(rows[0].body.encode())
        return token

    async def _ask(
        self, owner: PartyId, uid: str, location_id: str, evse_uids: list[str], token: dict[str, Any] | None
    ) -> Verdict | None:
        """The eMSP's word; None when there is none."""
        body = json.dumps({"location_id": location_id, "evse_uids": evse_uids})
        try:
            async with asyncio.timeout(self._budget):
                call = await party.call(
                    self._hub,
                    owner,
                    "POST",
                    "tokens",
                    "SENDER",
                    tail=f"/{quote(uid, safe='')}/authorize",
                    query=f"type={KIND}",
                    body=body,
                )
                reply = await ask.authorise(self._hub, call, uid, KIND)
        except UnknownToken:
            return UNKNOWN
        except (OcpiError, TimeoutError) as error:
            log.warning("card not authorised live", owner=str(owner), reason=str(error) or "no answer in time")
            return None
        log.info("card authorised live", owner=str(owner), correlation_id=call.correlation_id, code=reply.status_code)
        if reply.accepted:
            return self._of_its_own(read_answer(reply.data, token), reply)
        return UNKNOWN if reply.http_status == 404 or reply.status_code == UnknownToken.status_code else None

    def _of_its_own(self, verdict: Verdict, reply: Reply) -> Verdict:
        """The verdict, unless an eMSP spoke for a token of somebody else, who would get the bill."""
        answering = headers.party(reply.headers, headers.FROM_COUNTRY, headers.FROM_PARTY)
        view = self._hub.directory.now.party(answering) if answering else None
        if view is None or verdict.token is None:
            return UNKNOWN
        try:
            owner = PartyId.of(str(verdict.token.get("country_code")), str(verdict.token.get("party_id")))
        except OcpiError:
            return UNKNOWN
        if owner != answering and owner not in view.platform.parties:
            log.error("an eMSP answered for a token that is not its own", answering=str(answering), owner=str(owner))
            return UNKNOWN
        return verdict


def _is_good_for(directory: Directory, emsp: PartyId, owner: PartyId) -> bool:
    """Whether tokens of `emsp` open chargers of `owner`: it takes part, though it may be away, and the two agree."""
    issuer = directory.party(emsp)
    return issuer is not None and issuer.status in TAKING_PART and directory.allows(emsp, owner, "tokens")


def alias() -> str:
    """An idTag for a token whose uid does not fit one: random hex in upper case, which any station takes (F39)."""
    return uuid4().hex[:20].upper()
