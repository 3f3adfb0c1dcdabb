"""The ledger checked: a whole one passes, and whatever is changed in it is found."""

import dataclasses
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet

from hub.exchange import cdr, cdr_content, ledger_check
from hub.exchange.ledger_check import Chain
from hub.ocpi import json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.store import chain, ledger
from hub.store.db import Database
from hub.store.seal import Seal

Json = dict[str, Any]
SEAL = Seal(Fernet.generate_key().decode())
RECEIVER = PartyId.parse("DE*MSA")
TAMPERINGS = 1000
CHAINED = [field.name for field in dataclasses.fields(chain.Entry)][:20]


def a_cdr(number: int, **more: Any) -> Json:
    session = samples.session(of=samples.token()) | {"kwh": Decimal("12.500"), "id": f"S{number}"}
    return samples.cdr(session, samples.location(), samples.tariff()) | {"id": f"CDR{number}"} | more


def credit(number: int, **more: Any) -> Json:
    first = a_cdr(number)
    back = {name: -amount for name, amount in first["total_cost"].items()}
    taken = {"id": f"CDR{number}-C", "total_cost": back, "credit": True, "credit_reference_id": f"CDR{number}"}
    return first | taken | more


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """The application's way to the database."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def as_owner(database_url: str) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Do what only somebody can who owns the machine: triggers off."""
    connection = await asyncpg.connect(database_url, ssl=False)
    await connection.execute("SET session_replication_role = replica")
    yield connection.execute
    await connection.close()


async def enter(db: Database, body: Json, findings: list[str] | None = None, state: str = "delivered") -> None:
    content = cdr_content.content(SEAL, body)
    entry = cdr.facts(body, RECEIVER, body["id"].upper(), content.hash) | {"findings": findings or []}
    async with db.unit_of_work() as session:
        await ledger.record(session, entry, json.dumps(body).decode(), state, None)


async def verdict(db: Database, **more: Any) -> ledger_check.Verdict:
    return await ledger_check.verify(db, SEAL, **more)


async def first_fault(db: Database) -> tuple[int | None, str]:
    (found,) = (await verdict(db)).chains
    return found.bad, found.reasons[0] if found.reasons else ""


async def test_a_whole_ledger_passes(db: Database) -> None:
    for number in range(1, 6):
        await enter(db, a_cdr(number))
    await enter(db, credit(2))
    found = await verdict(db)
    assert found.ok
    assert [(one.owner, one.entries, one.number, one.bad) for one in found.chains] == [("NL*CPA", 6, 6, None)]
    assert (await verdict(db, owner="FR*CPB")).ok


async def test_an_erased_body_leaves_a_chain_that_holds(db: Database, as_owner: Any) -> None:
    for number in range(1, 4):
        await enter(db, a_cdr(number))
    await as_owner("DELETE FROM cdr_body WHERE seq = 2")
    found = await verdict(db)
    assert (found.ok, found.chains[0].erased) == (True, 1)


def test_no_token_is_in_what_is_hashed() -> None:
    """Two cards give two hashes, and without the key nobody can tell which is whose."""
    one, other = a_cdr(1), a_cdr(1)
    other["cdr_token"] = one["cdr_token"] | {"uid": "SOMEBODY ELSE"}
    mine, theirs = cdr_content.content(SEAL, one), cdr_content.content(SEAL, other)
    assert mine.hash != theirs.hash
    assert mine.hash != cdr_content.content(Seal(Fernet.generate_key().decode()), one).hash
    form = cdr_content.pseudonymised(SEAL, one | {"remark": "for Mrs Jansen", "ext_driver": "J"})
    text = json.dumps(form).decode()
    for personal in (one["cdr_token"]["uid"], one["cdr_token"]["contract_id"], "Jansen", '"J"'):
        assert personal not in text
    assert one["cdr_token"]["party_id"] in text


async def test_a_thousand_of_a_thousand_tamperings_are_found(db: Database) -> None:
    for number in range(1, 8):
        await enter(db, a_cdr(number, total_energy=Decimal("12.500")), ["currency: longer than 3 characters"])
    async with db.unit_of_work() as session:
        whole = list(await chain.page(session, "NL*CPA", 0, 1000))
    assert walked(whole).faults == 0
    seed = random.Random(12)
    missed = []
    for _ in range(TAMPERINGS):
        place, name = seed.randrange(len(whole)), seed.choice([*CHAINED, "body"])
        changed = dataclasses.replace(whole[place], **{name: tampered(getattr(whole[place], name), seed)})
        if not walked([*whole[:place], changed, *whole[place + 1 :]]).faults:
            missed.append((name, getattr(whole[place], name), getattr(changed, name)))
    assert missed == []


def walked(entries: list[chain.Entry]) -> Chain:
    found, prev = Chain("NL*CPA"), chain.START
    for entry in entries:
        prev = ledger_check.look(found, entry, prev, SEAL)
    return found


def tampered(value: Any, seed: random.Random) -> Any:
    """The same with one byte changed, or as little as its type allows."""
    if value is None:
        return seed.choice(["", "X"])
    if isinstance(value, str):
        place = seed.randrange(len(value)) if value else 0
        other = seed.choice(
            [
                c
                for c in "abcXYZ0189-*"
                if c
                not in (value[place : place + 1], value[place : place + 1].upper(), value[place : place + 1].lower())
            ]
        )
        return value[:place] + other + value[place + 1 :]
    if isinstance(value, bytes):
        place = seed.randrange(len(value))
        return value[:place] + bytes([value[place] ^ (1 << seed.randrange(8))]) + value[place + 1 :]
    if isinstance(value, Decimal):
        return seed.choice([value + Decimal(1).scaleb(-3), -value, value.quantize(Decimal("0.00001"))])
    if isinstance(value, datetime):
        return value + timedelta(microseconds=seed.choice([-1, 1, 10**6, 10**12]))
    if isinstance(value, list):
        return [tampered(value[0], seed)] if value and seed.random() < 0.5 else [*value, ""]
    return value + seed.choice([-1, 1, 256])


@pytest.mark.parametrize(
    ("statement", "bad", "reason"),
    [
        ("UPDATE cdr SET total_energy = 12.501 WHERE number = 3", 3, "it was changed"),
        ("UPDATE cdr SET findings = '{\"a\"}' WHERE number = 3", 3, "it was changed"),
        ("UPDATE cdr SET recorded_at = recorded_at - interval '1 us' WHERE number = 3", 3, "it was changed"),
        ("UPDATE cdr_body SET body = replace(body, 'EUR', 'USD') WHERE seq = 3", 3, "its body is not the one"),
        ("UPDATE cdr_body SET body = 'nothing' WHERE seq = 3", 3, "its body is no CDR"),
        ("DELETE FROM cdr WHERE number = 3", 4, "the entries from 3 up to it are missing"),
        ("DELETE FROM cdr WHERE number = 5", 4, "it is the last one, but the head of the chain says 5"),
        ("DELETE FROM ledger_head", 5, "it is the last one, but the head of the chain says 0"),
        ("UPDATE cdr SET number = number + 10 WHERE number = 5", 15, "the entries from 5 up to it are missing"),
        ("DELETE FROM cdr_delivery WHERE seq = 3", 3, "nothing says where it is"),
        ("UPDATE cdr_delivery SET state = 'custody' WHERE seq = 3", 3, "it is in custody, and nothing says"),
    ],
)
async def test_what_is_changed_by_hand_is_named(
    db: Database, as_owner: Any, statement: str, bad: int, reason: str
) -> None:
    for number in range(1, 6):
        await enter(db, a_cdr(number))
    await as_owner(statement)
    first, told = await first_fault(db)
    assert first == bad
    assert reason in told


async def test_an_entry_that_was_written_with_its_hash_is_found_by_the_next(db: Database, as_owner: Any) -> None:
    for number in range(1, 6):
        await enter(db, a_cdr(number))
    await as_owner("UPDATE cdr SET receiver = 'FR*MSB' WHERE number = 3")
    await as_owner("UPDATE cdr SET entry_hash = ledger_hash(number, prev, cdr) WHERE number = 3")
    assert await first_fault(db) == (4, "entry 4: it does not follow the entry before it")


async def test_a_chain_that_was_written_anew_differs_from_a_kept_head(db: Database, as_owner: Any) -> None:
    for number in range(1, 6):
        await enter(db, a_cdr(number))
    async with db.unit_of_work() as session:
        heads = await chain.heads(session)
    kept = {head.owner: (head.number, head.hash.hex()) for head in heads}
    await enter(db, a_cdr(6))
    assert (await verdict(db, kept=kept)).ok
    await as_owner("TRUNCATE cdr, cdr_body, cdr_delivery, ledger_head RESTART IDENTITY")
    for number in (1, 2, 3, 4, 6):
        await enter(db, a_cdr(number))
    assert (await verdict(db)).ok
    (found,) = (await verdict(db, kept=kept)).chains
    assert found.reasons == ["entry 5: its hash is not the one that was kept: the chain was written anew"]
    await as_owner("TRUNCATE cdr, cdr_body, cdr_delivery, ledger_head RESTART IDENTITY")
    (found,) = (await verdict(db, kept=kept)).chains
    assert "but 5 were there when the heads were kept" in found.reasons[0]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"credit_reference_id": "LOST"}, "a CDR that is not in the ledger"),
        ({"currency": "SEK"}, "in another currency"),
        ({"total_cost": {"excl_vat": Decimal("-0.01")}}, "not zero together"),
    ],
)
async def test_a_credit_is_held_to_its_original(db: Database, more: Json, reason: str) -> None:
    await enter(db, a_cdr(1))
    await enter(db, credit(1, **more))
    assert reason in (await first_fault(db))[1]


async def test_a_second_credit_is_a_fault_unless_it_was_told(db: Database) -> None:
    await enter(db, a_cdr(1))
    await enter(db, credit(1))
    await enter(db, credit(1, id="CDR1-D"), ["credit_reference_id: this CDR is credited already"])
    found = await verdict(db)
    assert (found.ok, found.chains[0].told) == (True, 1)
    await enter(db, credit(1, id="CDR1-E"))
    assert await first_fault(db) == (4, "entry 4: the CDR that it takes back was taken back before")


async def test_what_lies_about_without_an_entry_is_named(db: Database, as_owner: Any) -> None:
    await enter(db, a_cdr(1))
    await as_owner("INSERT INTO cdr_body VALUES (99, '{}')")
    await as_owner("INSERT INTO cdr_delivery (seq, state) VALUES (98, 'delivered')")
    await as_owner("INSERT INTO cdr_intent VALUES ('NL*CPA', 'GONE', '', 'DE*MSA', 'done')")
    found = await verdict(db)
    assert not found.ok
    assert found.strays == [
        "a body without an entry: seq 99",
        "a delivery without an entry: seq 98",
        "handed over, but not in the ledger: NL*CPA GONE",
    ]
