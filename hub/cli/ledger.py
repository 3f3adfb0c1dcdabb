"""`knutpunkt ledger`: whether the ledger of CDRs is still what it was. It reads the database, a running hub or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli import files, tables
from hub.cli.client import Answer
from hub.settings import OperatorError, Settings

if TYPE_CHECKING:
    from hub.exchange.ledger_check import Verdict
    from hub.store.chain import Head
    from hub.store.db import Statements

app = typer.Typer(help="The ledger of CDRs: whether it is still what it was.", no_args_is_help=True)

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data directory of the hub; HUB_DATA.", show_default="DATABASE_URL, else var"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@app.command()
def verify(
    owner: Annotated[str | None, typer.Option("--owner", help="Only the entries of this CPO, like NL*CPA.")] = None,
    against: Annotated[
        Path | None, typer.Option("--against", help="Heads kept from `ledger head --json`; - for standard input.")
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Recompute every entry from what is stored, and say what does not fit. Exit status 1 if anything does not.

    Each entry holds the hash of the one before it, so a change, a gap or an entry put in shows. Bodies that are still
    there, amounts, credits and where each CDR is are held to the entries as well. TOLD counts what does not fit but
    was noticed when it came (`knutpunkt cdr list --json`). Who owns the database could write the whole chain anew:
    only heads that are kept elsewhere show that.
    """
    from dataclasses import asdict

    from hub.exchange import ledger_check
    from hub.ocpi import json as values

    kept = None
    if against is not None:
        try:
            kept = ledger_check.kept_heads(files.read(against))
        except ValueError:
            raise OperatorError(f"{against} holds no heads: write it with `knutpunkt ledger head --json`") from None
    verdict = asyncio.run(_verify(data, owner and owner.upper(), kept))
    answer = Answer(values.dumps(asdict(verdict)).decode(), None)
    tables.show(answer, json, _lines(verdict))
    if not verdict.ok:
        faults = sum(found.faults for found in verdict.chains) + len(verdict.strays)
        raise OperatorError(f"the ledger has {faults} faults: keep the database as it is, and compare it with a backup")


@app.command()
def head(data: Data = None, json: AsJson = False) -> None:
    """Print the last entry of each chain. Keep it where nobody who can change the database can change it.

    `knutpunkt ledger verify --against` compares the ledger with what was kept: every entry before it must be the same.
    """
    from hub.ocpi import json as values

    found = asyncio.run(_heads(data))
    rows = [{"owner": one.owner, "number": one.number, "hash": one.hash.hex()} for one in found]
    lines = tables.table(("OWNER", "ENTRIES", "HASH"), [tuple(row.values()) for row in rows], "the ledger is empty")
    tables.show(Answer(values.dumps(rows).decode(), None), json, lines)


@app.command()
def conflicts(data: Data = None, json: AsJson = False) -> None:
    """List the CDRs that were refused because their id is taken, of the last 90 days.

    Its owner sent another content under an id that the ledger has, or the same to another receiver. A corrected CDR
    needs a new id, and a Credit CDR for the first.
    """
    from hub.ocpi import json as values

    found = asyncio.run(_conflicts(data))
    rows = [(row["owner"], row["key"], row["receiver"], row["times"], _moment(row), row["reason"]) for row in found]
    lines = tables.table(("OWNER", "ID", "FOR", "TIMES", "LAST", "REASON"), rows, "no CDR was refused for its id")
    tables.show(Answer(values.dumps(found).decode(), None), json, lines)


async def _verify(data: Path | None, owner: str | None, kept: dict[str, tuple[int, str]] | None) -> "Verdict":
    from hub.exchange import ledger_check
    from hub.services import database
    from hub.store.db import Database
    from hub.store.seal import Seal

    settings = Settings.load()
    async with database.opened(settings, data) as place:
        seal, db = Seal(database.secret_key(settings, place.directory)), Database(place.url)
        try:
            return await ledger_check.verify(db, seal, owner, kept)
        finally:
            await db.close()


async def _heads(data: Path | None) -> "list[Head]":
    from hub.store import chain

    async with _reading(data) as session:
        return await chain.heads(session)


async def _conflicts(data: Path | None) -> list[dict[str, Any]]:
    from hub.store import ledger

    async with _reading(data) as session:
        return await ledger.conflicts(session)


@asynccontextmanager
async def _reading(data: Path | None) -> "AsyncIterator[Statements]":
    from hub.services import database
    from hub.store.db import Database

    async with database.opened(Settings.load(), data) as place:
        db = Database(place.url)
        try:
            async with db.unit_of_work() as session:
                yield session
        finally:
            await db.close()


def _moment(row: dict[str, Any]) -> str:
    return tables.moment(row["last_at"].isoformat())


def _lines(verdict: "Verdict") -> list[str]:
    rows = [
        (found.owner, found.entries, found.erased, found.told, found.hash[:16], found.reasons or "ok")
        for found in verdict.chains
    ]
    lines = tables.table(("OWNER", "ENTRIES", "ERASED", "TOLD", "HEAD", "VERDICT"), rows, "the ledger is empty")
    return [*lines, *(f"stray: {stray}" for stray in verdict.strays)]
