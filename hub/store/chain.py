"""The ledger's chain: per owner, every entry holds the hash of the one before it, so that nothing can be changed, left
out or put in between without all later hashes being wrong.

    entry_hash = SHA-256 of the UTF-8 text of the JSON array
        ["knutpunkt cdr 1", number, prev, seq, owner, key, public_id, receiver, hash, session_key, credit_of, currency,
         total_energy, total_excl_vat, total_incl_vat, start_date_time, end_date_time, last_updated, recorded_at,
         findings]

`number` counts the owner's entries from 1; `prev` is the entry_hash of the entry before, SHA-256 of nothing for the
first. Both hashes and `prev` are in lower-case hexadecimal, amounts are strings with the digits they have, times are
microseconds since 1970-01-01T00:00:00Z. The array is written as PostgreSQL writes it: a comma and a space between its
values, a comma between findings. `hash` stands for the content of the CDR, the driver's data in it replaced by
pseudonyms (`hub.exchange.cdr_content`); so the body can be erased and the chain still holds.

The database makes the hashes when an entry is inserted (chain_cdr, 0004_nothing_lost.sql). Here they are made a second
time, from what is stored, for whoever wants to know whether it is still the same. Who can rewrite the whole chain from
some entry on can deceive this; a head that was kept elsewhere tells.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text

from hub.store.db import Statements

START = hashlib.sha256(b"").digest()
"""What the first entry holds as the hash before it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is stored, with what lies beside it: the body (None when erased), where the CDR is, whether it is
    owed to its receiver or was given up by the operator, and of a credit how many came before it for the same CDR, and
    that CDR."""

    seq: int
    owner: str
    key: str
    public_id: str
    receiver: str
    hash: bytes
    session_key: str | None
    credit_of: str | None
    currency: str
    total_energy: Decimal
    total_excl_vat: Decimal | None
    total_incl_vat: Decimal | None
    start_date_time: datetime
    end_date_time: datetime
    last_updated: datetime
    recorded_at: datetime
    findings: list[str]
    number: int
    prev: bytes
    entry_hash: bytes
    body: str | None
    state: str | None
    owed: bool
    credited_before: int
    original: "Original | None"


@dataclass(frozen=True, slots=True)
class Original:
    """What is compared of a CDR with the credit for it."""

    receiver: str
    currency: str
    total_excl_vat: Decimal | None
    total_incl_vat: Decimal | None


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of an owner's chain."""

    owner: str
    number: int
    hash: bytes


_PAGE = text(
    "SELECT c.seq, c.owner, c.key, c.public_id, c.receiver, c.hash, c.session_key, c.credit_of, c.currency,"
    " c.total_energy, c.total_excl_vat, c.total_incl_vat, c.start_date_time, c.end_date_time, c.last_updated,"
    " c.recorded_at, c.findings, c.number, c.prev, c.entry_hash, b.body, d.state,"
    " EXISTS (SELECT FROM owed w WHERE w.module = 'cdrs' AND w.owner = c.owner AND w.key = c.key"
    " AND w.receiver = c.receiver) OR EXISTS (SELECT FROM discard g WHERE g.module = 'cdrs' AND g.owner = c.owner"
    " AND g.key = c.key AND g.receiver = c.receiver),"
    " CASE WHEN c.credit_of IS NULL THEN 0 ELSE (SELECT count(*) FROM cdr t WHERE t.owner = c.owner"
    " AND t.credit_of = c.credit_of AND t.number < c.number) END,"
    " o.receiver, o.currency, o.total_excl_vat, o.total_incl_vat"
    " FROM cdr c LEFT JOIN cdr_body b USING (seq) LEFT JOIN cdr_delivery d USING (seq)"
    " LEFT JOIN cdr o ON o.owner = c.owner AND o.key = c.credit_of"
    " WHERE c.owner = :owner AND c.number > :after ORDER BY c.number LIMIT :limit"
)
# Owners that have entries, one index look-up each: the ledger may be long, and owners are few.
_HEAD = text("SELECT number, hash FROM ledger_head WHERE owner = :owner")
_HEADS = text(
    "WITH RECURSIVE owners AS (SELECT min(owner) AS owner FROM cdr UNION ALL"
    " SELECT (SELECT min(owner) FROM cdr WHERE owner > o.owner) FROM owners o WHERE o.owner IS NOT NULL)"
    " SELECT coalesce(o.owner, h.owner), coalesce(h.number, 0), coalesce(h.hash, '') FROM owners o"
    " FULL JOIN ledger_head h ON h.owner = o.owner WHERE o.owner IS NOT NULL OR h.owner IS NOT NULL ORDER BY 1"
)
_STRAYS = text(
    "SELECT 'a body without an entry: seq ' || seq FROM cdr_body WHERE NOT EXISTS"
    " (SELECT FROM cdr WHERE cdr.seq = cdr_body.seq)"
    " UNION ALL SELECT 'a delivery without an entry: seq ' || seq FROM cdr_delivery WHERE NOT EXISTS"
    " (SELECT FROM cdr WHERE cdr.seq = cdr_delivery.seq)"
    " UNION ALL SELECT 'handed over, but not in the ledger: ' || owner || ' ' || key FROM cdr_intent i"
    " WHERE state = 'done' AND NOT EXISTS (SELECT FROM cdr c WHERE c.owner = i.owner AND c.key = i.key)"
    " ORDER BY 1 LIMIT 100"
)


def entry_hash(entry: Entry, prev: bytes) -> bytes:
    """The hash of an entry that stands after `prev`, from its columns."""
    values = [
        "knutpunkt cdr 1", entry.number, prev.hex(), entry.seq, entry.owner, entry.key, entry.public_id,
        entry.receiver, entry.hash.hex(), entry.session_key, entry.credit_of, entry.currency,
        _amount(entry.total_energy), _amount(entry.total_excl_vat), _amount(entry.total_incl_vat),
        *((at - _EPOCH) // _MICROSECOND for at in (
            entry.start_date_time, entry.end_date_time, entry.last_updated, entry.recorded_at)),
    ]  # fmt: skip
    findings = json.dumps(entry.findings, ensure_ascii=False, separators=(",", ""))
    whole = f"[{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}, {findings}]"
    return hashlib.sha256(whole.encode()).digest()


async def heads(session: Statements) -> list[Head]:
    """The head of every owner's chain; number 0 where there are entries and no head."""
    return [Head(row[0], row[1], bytes(row[2])) for row in await session.execute(_HEADS)]


async def head(session: Statements, owner: str) -> Head:
    """The head of an owner's chain; number 0 where there is none."""
    row = (await session.execute(_HEAD, {"owner": owner})).one_or_none()
    return Head(owner, row[0], bytes(row[1])) if row else Head(owner, 0, START)


async def page(session: Statements, owner: str, after: int, limit: int) -> Sequence[Entry]:
    """The next entries of an owner, by number."""
    rows = await session.execute(_PAGE, {"owner": owner, "after": after, "limit": limit})
    return [Entry(*(*row[:24], Original(*row[24:]) if row[24] is not None else None)) for row in rows]


async def strays(session: Statements) -> list[str]:
    """What should not be there beside the entries, in words; at most 100."""
    return list((await session.execute(_STRAYS)).scalars())


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
