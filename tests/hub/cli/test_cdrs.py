import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub.exchange import cdr
from hub.ocpi import json as ocpi_json
from hub.ocpi.types import PartyId
from hub.sandbox import samples
from hub.store import ledger
from hub.store.chargers import HeldCdr

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def cdrs(served: Any) -> None:
    """One CDR delivered, one held."""
    session = samples.session(of=samples.token()) | {"kwh": Decimal("7.250")}
    body = samples.cdr(session, samples.location(), samples.tariff())
    text = ocpi_json.dumps(body).decode()
    async with served.hub.db.session() as unit:
        entry = cdr.facts(body, PartyId.parse("DE*MSA"), "CDR1", b"hash")
        await ledger.record(unit, entry, text, "delivered", None)
        unit.add(HeldCdr(session_id="s-9", owner="NL*LOC", transaction_id=9, reason="no tariff fits", body="{}"))


def exports(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("cdrs*")]


@pytest.mark.usefixtures("cdrs")
async def test_where_each_cdr_is(knutpunkt: Command) -> None:
    ended = await knutpunkt("cdr", "list")
    assert ended.status == 0
    assert ended.out.index("held:") < ended.out.index("CDR1")
    assert "7.250" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 100
    held = json.loads((await knutpunkt("cdr", "list", "--state", "held", "--json")).out)
    assert [row["session_id"] for row in held] == ["s-9"]


@pytest.mark.usefixtures("cdrs")
async def test_export_to_a_file_and_to_the_standard_output(knutpunkt: Command, tmp_path: Path) -> None:
    file = tmp_path / "cdrs.csv"
    ended = await knutpunkt("cdr", "export", "--output", str(file))
    assert (ended.status, ended.out) == (0, "")
    assert file.read_text().count("\n") == 3
    assert exports(tmp_path) == ["cdrs.csv"]
    shown = await knutpunkt("cdr", "export", "--format", "json", "--owner", "NL*CPA")
    assert [row["id"] for row in json.loads(shown.out)] == ["CDR1"]


async def test_nothing_is_left_behind_by_an_export_that_fails(
    command: Command, knutpunkt: Command, tmp_path: Path
) -> None:
    file = tmp_path / "cdrs.csv"
    ended = await knutpunkt("cdr", "export", "--owner", "NLCPA", "--output", str(file))
    assert ended.status == 1
    assert ended.err.startswith("knutpunkt: A party is written like NL*CPA")
    assert exports(tmp_path) == []
    elsewhere = await knutpunkt("cdr", "export", "--output", str(tmp_path / "none" / "cdrs.csv"))
    assert (elsewhere.status, "cannot be written: No such file or directory" in elsewhere.err) == (1, True)
    assert (await knutpunkt("cdr", "list", "--owner", "NLCPA")).status == 1


@pytest.mark.usefixtures("host")
async def test_only_what_a_hosted_party_sent_is_credited(knutpunkt: Command, served: Any) -> None:
    session = samples.session("NL*LOC", of=samples.token()) | {"kwh": Decimal("7.250")}
    body = samples.cdr(session, samples.location("NL*LOC"), samples.tariff("NL*LOC"))
    async with served.hub.db.session() as unit:
        entry = cdr.facts(body, PartyId.parse("DE*MSA"), "CDR1", b"hash")
        await ledger.record(unit, entry, ocpi_json.dumps(body).decode(), "delivered", None)
    unknown = await knutpunkt("cdr", "credit", "NL*LOC", "CDR2")
    assert (unknown.status, "no CDR with this id" in unknown.err) == (1, True)
    foreign = await knutpunkt("cdr", "credit", "NL*CPA", "CDR1")
    assert (foreign.status, "not a party hosted" in foreign.err) == (1, True)
    nobody = await knutpunkt("cdr", "credit", "NL*LOC", "CDR1")
    assert (nobody.status, "DE*MSA" in nobody.err) == (1, True)
