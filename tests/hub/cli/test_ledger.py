"""`knutpunkt ledger`, on the database itself."""

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from cryptography.fernet import Fernet

from hub.exchange import cdr, cdr_content
from hub.ocpi import json as ocpi_json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.store import ledger
from hub.store.db import Database
from hub.store.seal import Seal

Command = Callable[..., Awaitable[Any]]
KEY = Fernet.generate_key().decode()


@pytest.fixture
async def entries(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three CDRs of one owner, in the database that DATABASE_URL names."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HUB_SECRET_KEY", KEY)
    db = Database(database_url)
    for number in range(1, 4):
        session = samples.session(of=samples.token()) | {"kwh": Decimal("7.250"), "id": f"S{number}"}
        body = samples.cdr(session, samples.location(), samples.tariff()) | {"id": f"CDR{number}"}
        entry = cdr.facts(body, PartyId.parse("DE*MSA"), f"CDR{number}", cdr_content.content(Seal(KEY), body).hash)
        async with db.unit_of_work() as unit:
            await ledger.record(unit, entry, ocpi_json.dumps(body).decode(), "delivered", None)
    await db.close()


@pytest.mark.usefixtures("entries")
async def test_a_ledger_that_is_whole_and_one_that_is_not(command: Command, database_url: str) -> None:
    whole = await command("ledger", "verify")
    assert (whole.status, whole.err) == (0, "")
    assert "NL*CPA" in whole.out
    assert "ok" in whole.out
    owner = await asyncpg.connect(database_url, ssl=False)
    await owner.execute("SET session_replication_role = replica")
    await owner.execute("UPDATE cdr SET total_energy = 7 WHERE number = 2")
    await owner.close()
    broken = await command("ledger", "verify", "--owner", "nl*cpa")
    assert (broken.status, "entry 2: it was changed" in broken.out) == (1, True)
    assert broken.err.startswith("knutpunkt: the ledger has 2 faults: ")
    told = json.loads((await command("ledger", "verify", "--json")).out)
    assert (told["ok"], told["chains"][0]["bad"]) == (False, 2)


@pytest.mark.usefixtures("entries")
async def test_heads_that_are_kept_are_compared(command: Command, tmp_path: Path) -> None:
    assert "NL*CPA" in (await command("ledger", "head")).out
    kept = tmp_path / "heads.json"
    kept.write_text((await command("ledger", "head", "--json")).out)
    assert (await command("ledger", "verify", "--against", str(kept))).status == 0
    rows = json.loads(kept.read_text())
    assert [(row["owner"], row["number"]) for row in rows] == [("NL*CPA", 3)]
    kept.write_text(json.dumps([rows[0] | {"hash": "00" * 32}]))
    assert (await command("ledger", "verify", "--against", str(kept))).status == 1
    kept.write_text("[1]")
    nonsense = await command("ledger", "verify", "--against", str(kept))
    assert (nonsense.status, "holds no heads" in nonsense.err) == (1, True)


async def test_without_a_database_it_says_what_to_set(command: Command, tmp_path: Path) -> None:
    nothing = await command("ledger", "head", "--data", str(tmp_path / "none"))
    assert (nothing.status, "there is no database in" in nothing.err) == (1, True)


async def test_without_a_key_it_says_what_to_set(
    command: Command, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    keyless = await command("ledger", "verify")
    assert (keyless.status, "set HUB_SECRET_KEY to the key of this hub" in keyless.err) == (1, True)


@pytest.mark.usefixtures("entries")
async def test_cdrs_whose_id_was_taken_are_listed(command: Command, database_url: str) -> None:
    assert "no CDR was refused for its id" in (await command("ledger", "conflicts")).out
    db = Database(database_url)
    async with db.unit_of_work() as session:
        await ledger.conflict(session, "NL*CPA", "CDR1", "DE*MSA", b"other", "id: taken")
    await db.close()
    shown = await command("ledger", "conflicts")
    assert (shown.status, "CDR1" in shown.out, "id: taken" in shown.out) == (0, True, True)
    (row,) = json.loads((await command("ledger", "conflicts", "--json")).out)
    assert (row["owner"], row["times"]) == ("NL*CPA", 1)
