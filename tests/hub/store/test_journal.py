"""The journal writes hops in batches, with bodies by policy; what goes wrong with it never reaches the exchange."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from hub.store import journal, messages
from hub.store.db import Database
from hub.store.journal import Hop, Journal
from hub.store.seal import Seal

HOP = Hop("c-1", "r-1", "NL*CPA", "NL*HUB", "PUT", "locations", "broadcast", http_status=200, status_code=1000)
REFUSED = HOP._replace(request_id="refused", status_code=2001)
SEAL = Seal(Fernet.generate_key().decode())


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def written(db: Database, correlation_id: str = "c-1") -> list[dict[str, Any]]:
    async with db.unit_of_work() as session:
        return await messages.trace(session, correlation_id)


async def test_hops_are_written_in_their_order(db: Database) -> None:
    kept = Journal(db, SEAL)
    await kept.start()
    for number in range(2_500):
        kept.note(HOP._replace(request_id=f"r-{number}"))
    await kept.stop()
    hops = await written(db)
    assert [hop["request_id"] for hop in hops] == [f"r-{number}" for number in range(2_500)]
    assert (hops[0]["status_code"], hops[0]["http_status"], hops[0]["ms"], hops[0]["changed"]) == (
        1000,
        200,
        None,
        None,
    )


async def test_object_and_changes(db: Database) -> None:
    kept = Journal(db, SEAL)
    changed = ("OCPI-from: NL*CPA -> NL*HUB", "X-Request-ID new")
    kept.note(HOP._replace(about=("NL*CPA", "locations", "LOC1"), changed=changed))
    await kept.flush()
    [hop] = await written(db)
    assert [hop[name] for name in ("owner", "module", "key", "changed")] == ["NL*CPA", "locations", "LOC1", [*changed]]


async def test_the_key_of_a_token_is_a_pseudonym_of_this_hub(db: Database) -> None:
    kept = Journal(db, SEAL)
    for uid in ("04A1B2C3", "04FFB2C3", "04A1B2C3"):
        kept.note(HOP._replace(about=("DE*MSA", "tokens", f"RFID:{uid}")))
    await kept.flush()
    keys = [hop["key"] for hop in await written(db)]
    assert keys[0] == keys[2] == messages.filed(SEAL, ("DE*MSA", "tokens", "RFID:04A1B2C3"))[2]
    assert len({*keys, messages.filed(Seal(Fernet.generate_key().decode()), ("", "tokens", "RFID:04A1B2C3"))[2]}) == 3
    assert "B2C3" not in "".join(keys).upper()


@pytest.mark.parametrize(("bodies", "kept_of"), [("none", []), ("errors", ["refused"]), ("all", ["r-1", "refused"])])
async def test_bodies_by_policy(db: Database, bodies: journal.Bodies, kept_of: list[str]) -> None:
    kept = Journal(db, SEAL, bodies)
    for hop in (HOP, REFUSED):
        kept.note(hop, b'{"id":"LOC1"}', b'{"status_code":1000}')
    await kept.flush()
    with_bodies = [hop for hop in await written(db) if hop["request_body"] is not None]
    assert [hop["request_id"] for hop in with_bodies] == kept_of
    assert all(hop["request_body"] == '{"id":"LOC1"}' for hop in with_bodies)
    assert all(hop["answer_body"] == '{"status_code":1000}' for hop in with_bodies)


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        ({}, False),
        ({"http_status": 201}, False),
        ({"http_status": 404}, True),
        ({"status_code": 2001}, True),
        ({"status_code": None}, True),
        ({"http_status": None, "status_code": None}, True),
    ],
)
def test_what_counts_as_an_error(facts: dict[str, Any], failed: bool) -> None:
    assert HOP._replace(**facts).failed is failed


async def test_a_long_body_is_cut_and_says_so(db: Database) -> None:
    kept = Journal(db, SEAL, "all")
    kept.note(HOP, b"x" * 16_384, b"y" * 16_383 + "é".encode() + b"y" * 100)
    await kept.flush()
    [hop] = await written(db)
    assert hop["request_body"] == "x" * 16_384
    assert hop["answer_body"] == "y" * 16_383 + "\ufffd [cut here, 16485 bytes in all]"


async def test_many_waiting_hops_are_noted_without_bodies(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BODIES_WAITING", 2)
    kept = Journal(db, SEAL, "all")
    for _ in range(4):
        kept.note(HOP, b"{}")
    await kept.flush()
    assert [hop["request_body"] for hop in await written(db)] == ["{}", "{}", None, None]


async def test_what_a_partner_says_cannot_spoil_a_batch(db: Database) -> None:
    kept = Journal(db, SEAL, "all")
    kept.note(HOP._replace(status_code=10**12, detail="\0 and \ud800"), b"\0\xff", b"\0")
    kept.note(HOP)
    await kept.flush()
    hops = await written(db)
    assert [hop["status_code"] for hop in hops] == [None, 1000]
    assert (hops[0]["detail"], hops[0]["request_body"]) == (r"\x00 and \ud800", "\ufffd\ufffd")


async def test_a_batch_that_no_database_takes_is_given_up(db: Database) -> None:
    kept = Journal(db, SEAL)
    kept.note(HOP._replace(what="\0"))
    with capture_logs() as told:
        await kept.flush()
    assert [(line["event"].partition(",")[0], line["hops"]) for line in told] == [("hops cannot be written", 1)]
    kept.note(HOP)
    await kept.flush()
    assert len(await written(db)) == 1


async def test_a_missing_partition_is_made(db: Database, database_url: str) -> None:
    owner = await asyncpg.connect(database_url, ssl=False)
    for day in await owner.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'hop'::regclass"):
        await owner.execute(f"DROP TABLE {day[0]}")
    await owner.close()
    kept = Journal(db, SEAL)
    kept.note(HOP)
    await kept.flush()
    assert len(await written(db)) == 1


async def test_hops_wait_for_a_database_that_is_away(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing")
    kept = Journal(nowhere, SEAL)
    for number in range(3):
        kept.note(HOP._replace(request_id=f"r-{number}"))
    with capture_logs() as told:
        await kept.flush()
        await kept.flush()
    assert [line["event"].partition(",")[0] for line in told] == ["hops not written yet"]
    monkeypatch.setattr(kept, "_db", db)
    await kept.flush()
    assert [hop["request_id"] for hop in await written(db)] == ["r-0", "r-1", "r-2"]
    await nowhere.close()


async def test_an_overloaded_journal_loses_hops_rather_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CAPACITY", 2)
    db = Database("postgresql://nobody@127.0.0.1:1/nothing")
    kept = Journal(db, SEAL)
    with capture_logs() as told:
        for _ in range(5):
            kept.note(HOP)
        await kept.stop()
    await db.close()
    assert [(line["event"].partition(",")[0], line.get("hops")) for line in told] == [
        ("hops not written yet", None),
        ("hops dropped", 3),
        ("hops not written", 2),
    ]
