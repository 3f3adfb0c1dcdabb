"""`knutpunkt cdr`: the ledger, where each CDR is, and those that are held."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data
from hub.settings import OperatorError, reason

app = typer.Typer(help="CDRs: the ledger, and those that are held.", no_args_is_help=True)


class State(StrEnum):
    """Where a CDR is."""

    delivered = "delivered"
    custody = "custody"
    parked = "parked"
    discarded = "discarded"
    held = "held"


class Format(StrEnum):
    """What an export is written as."""

    csv = "csv"
    json = "json"


Owner = Annotated[str | None, typer.Option("--owner", help="Only those of this CPO, like NL*CPA.")]
Receiver = Annotated[str | None, typer.Option("--receiver", help="Only those for this eMSP, like DE*MSA.")]
OfState = Annotated[
    State | None,
    typer.Option(
        "--state", metavar="STATE", help="Only those in this state: delivered, custody, parked, discarded or held."
    ),
]


@app.command("list")
def list_newest(
    owner: Owner = None,
    receiver: Receiver = None,
    state: OfState = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """List the held CDRs, then the newest of the ledger.

    delivered: the receiver has it. custody: the hub has it and brings it as soon as it can. parked: the receiver
    refused it too often. discarded: you gave it up. held: it could not be finished, and was not guessed. Findings, in
    full with --json, are what the hub noticed and told the sender.
    """
    query: dict[str, str | int | None] = {"owner": owner, "receiver": receiver, "state": state, "limit": limit}
    answer = client.ask(data, "GET", "/cdrs", query=query)
    headings = ("OWNER", "RECEIVER", "ID", "ENDED", "KWH", "EXCL. VAT", "INCL. VAT", "STATE")
    tables.show(answer, json, tables.table(headings, map(_row, answer.value), "no CDR"))


@app.command()
def credit(
    owner: Annotated[str, typer.Argument(help="The hosted CPO, like NL*LOC.")],
    cdr_id: Annotated[str, typer.Argument(metavar="ID", help="The CDR to take back.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Take back a CDR of a hosted CPO: its eMSP gets a Credit CDR over the same amount.

    A CDR that was sent is never changed. This cannot be undone.
    """
    answer = client.ask(data, "POST", f"/cdrs/{client.segment(owner)}/{client.segment(cdr_id)}/credit")
    made = answer.value
    amount = f"{made['total_excl_vat']} {made['currency']}"
    tables.show(answer, json, [f"Credit CDR {made['id']} over {amount} without VAT is on its way"])


@app.command()
def export(
    format: Annotated[Format, typer.Option("--format", help="csv, or json with the whole CDRs.")] = Format.csv,
    output: Annotated[
        Path | None, typer.Option("--output", dir_okay=False, help="The file to write.", show_default="standard output")
    ] = None,
    owner: Owner = None,
    receiver: Receiver = None,
    state: OfState = None,
    data: Data = None,
) -> None:
    """Write all CDRs, oldest first. Numbers are written with all their digits."""
    query = {"owner": owner, "receiver": receiver, "state": state, "format": format.value}
    if output is None:
        client.download(data, "/cdrs/export", query, sys.stdout.buffer)
        return
    unfinished = output.with_name(output.name + ".part")
    try:
        with unfinished.open("wb") as target:
            client.download(data, "/cdrs/export", query, target)
        unfinished.replace(output)
    except OSError as error:
        raise OperatorError(f"{output} cannot be written: {reason(error)}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _row(cdr: dict[str, Any]) -> tuple[object, ...]:
    prices = [None if cdr[n] is None else f"{cdr[n]} {cdr['currency']}" for n in ("total_excl_vat", "total_incl_vat")]
    name = cdr["id"] or f"(session {cdr['session_id']})"
    state = f"{cdr['state']}: {cdr['reason']}" if cdr["reason"] else cdr["state"]
    if cdr["findings"]:
        state += f" ({len(cdr['findings'])} findings)"
    ended = tables.moment(cdr["end_date_time"])
    return cdr["owner"], cdr["receiver"], name, ended, cdr["total_energy"], *prices, state
