"""Whether the ledger is still what it was: every entry is recomputed from what is stored, along each owner's chain.

A fault is something that the hub would not have written. What a Credit CDR does not fit and was told about when it came
(`findings`) is no fault of the ledger: it is counted as `told`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hub.exchange import cdr, cdr_content
from hub.ocpi import json
from hub.ocpi.errors import OcpiError
from hub.ocpi.types import PartyId
from hub.store import chain
from hub.store.chain import Entry
from hub.store.db import Database
from hub.store.seal import Seal

PAGE = 500
SHOWN = 5
"""So many faults of a chain are told in words; all are counted."""

Heads = Mapping[str, tuple[int, str]]
"""Heads that were kept elsewhere: number and hash (hexadecimal) by owner."""


@dataclass
class Chain:
    """What was found along the chain of an owner. `number` and `hash` are those of the last entry, `bad` the number of
    the first entry with a fault; `erased` entries have no body any more."""

    owner: str
    entries: int = 0
    number: int = 0
    hash: str = chain.START.hex()
    erased: int = 0
    told: int = 0
    faults: int = 0
    bad: int | None = None
    reasons: list[str] = field(default_factory=list)

    def fault(self, number: int, reason: str) -> None:
        """Count a fault at an entry."""
        self.faults += 1
        self.bad = number if self.bad is None else min(self.bad, number)
        if len(self.reasons) < SHOWN:
            self.reasons.append(f"entry {number}: {reason}")


@dataclass(frozen=True)
class Verdict:
    """What was found in the ledger. `strays` should not be there beside its entries."""

    ok: bool
    chains: list[Chain]
    strays: list[str]


async def verify(db: Database, seal: Seal, owner: str | None = None, kept: Heads | None = None) -> Verdict:
    """Walk the chain of one owner or of all, and compare it with heads that were `kept`."""
    kept = kept or {}
    async with db.unit_of_work() as session:
        known = [head.owner for head in await chain.heads(session)]
        strays = await chain.strays(session) if owner is None else []
    owners = sorted({*known, *kept}) if owner is None else [owner]
    chains = [await walk(db, seal, one, kept.get(one)) for one in owners]
    return Verdict(not strays and not any(found.faults for found in chains), chains, strays)


async def walk(db: Database, seal: Seal, owner: str, kept: tuple[int, str] | None) -> Chain:
    """Recompute the entries of an owner, those included that are made meanwhile."""
    found = Chain(owner)
    prev = chain.START
    while True:
        async with db.unit_of_work() as session:
            head = await chain.head(session, owner)  # first: so what it counts is on the page
            entries = await chain.page(session, owner, found.number, PAGE)
        for entry in entries:
            prev = look(found, entry, prev, seal)
            if kept is not None and entry.number == kept[0] and entry.entry_hash.hex() != kept[1]:
                found.fault(entry.number, "its hash is not the one that was kept: the chain was written anew")
        if not entries:
            break
    if (head.number, head.hash.hex()) != (found.number, found.hash):
        found.fault(found.number, f"it is the last one, but the head of the chain says {head.number}")
    if kept is not None and kept[0] > found.number:
        found.fault(found.number, f"it is the last one, but {kept[0]} were there when the heads were kept")
    return found


def look(found: Chain, entry: Entry, prev: bytes, seal: Seal) -> bytes:
    """Look at the next entry, `prev` being the hash of the one before; the hash for the next."""
    if entry.number != found.number + 1:
        found.fault(entry.number, f"the entries from {found.number + 1} up to it are missing")
    for reason in (*_of_chain(entry, prev), *_of_body(entry, seal), *_of_delivery(entry)):
        found.fault(entry.number, reason)
    for reason in _of_credit(entry):
        if entry.findings:
            found.told += 1
        else:
            found.fault(entry.number, reason)
    found.entries += 1
    found.erased += entry.body is None
    found.number, found.hash = entry.number, entry.entry_hash.hex()
    return entry.entry_hash


def _of_chain(entry: Entry, prev: bytes) -> Iterator[str]:
    if entry.prev != prev:
        yield "it does not follow the entry before it"
    if chain.entry_hash(entry, entry.prev) != entry.entry_hash:
        yield "it was changed: its hash does not fit what it says"


def _of_body(entry: Entry, seal: Seal) -> Iterator[str]:
    """The body is the one that was entered, and the columns are what it says."""
    if entry.body is None:
        return
    try:
        body = json.loads(entry.body.encode())
        if not cdr_content.content(seal, body).matches(entry.hash):
            yield "its body is not the one that was entered (or HUB_SECRET_KEY is another one)"
        said = cdr.facts(body, PartyId.parse(entry.receiver), str(body["id"]).upper(), entry.hash)
    except (OcpiError, LookupError, TypeError, ValueError, AttributeError):
        yield "its body is no CDR"
        return
    wrong = [name for name, value in said.items() if name != "findings" and getattr(entry, name) != value]
    if wrong:
        yield f"its body says otherwise: {', '.join(wrong)}"


def _of_delivery(entry: Entry) -> Iterator[str]:
    if entry.state is None:
        yield "nothing says where it is"
    elif entry.state == "custody" and not entry.owed:
        yield f"it is in custody, and nothing says that {entry.receiver} is owed it"


def _of_credit(entry: Entry) -> Iterator[str]:
    """A credit takes back one CDR that is here, whole, in its currency, once, from the same party (CDR-007..010)."""
    if entry.credit_of is None:
        return
    original = entry.original
    if original is None:
        yield "it takes back a CDR that is not in the ledger"
        return
    if original.currency != entry.currency:
        yield "it is in another currency than the CDR it takes back"
    if original.receiver != entry.receiver:
        yield "it went to another party than the CDR it takes back"
    pairs = ((entry.total_excl_vat, original.total_excl_vat), (entry.total_incl_vat, original.total_incl_vat))
    if any(not _cancels(*pair) for pair in pairs):
        yield "its amount and that of the CDR it takes back are not zero together"
    if entry.credited_before:
        yield "the CDR that it takes back was taken back before"


def _cancels(credit: Decimal | None, original: Decimal | None) -> bool:
    if credit is None or original is None:
        return credit is original
    return not credit + original


def kept_heads(text: bytes) -> dict[str, tuple[int, str]]:
    """Heads from what `knutpunkt ledger head --json` printed; ValueError when it is something else."""
    try:
        rows: list[dict[str, Any]] = json.loads(text)
        return {str(row["owner"]): (int(row["number"]), str(row["hash"])) for row in rows}
    except (OcpiError, LookupError, TypeError, ValueError):
        raise ValueError("these are no heads of a ledger") from None
