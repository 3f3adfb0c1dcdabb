"""`knutpunkt reconcile`: whether partners hold what they acknowledged."""

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import Answer, AsJson, Data
from hub.settings import OperatorError

app = typer.Typer()

LOOK = 0.5  # seconds between two looks
PATIENCE = 60.0
"""Seconds until a worker should have taken it up."""


@app.command()
def reconcile(
    partner: Annotated[
        str | None, typer.Option("--partner", metavar="PARTY", help="Only this one, like DE*MSA.", show_default="all")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option("--day", metavar="DATE", formats=["%Y-%m-%d"], help="Which day (UTC), like 2026-11-21.",
                     show_default="yesterday"),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", min=1, max=100_000, show_default="HUB_RECONCILE_SAMPLE",
                     help="Ask for so many objects of each module; of CDRs for all."),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Send anew, or pull, what is missing.")] = False,
    last: Annotated[bool, typer.Option("--last", help="Show the last one that ended, and make none.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Ask partners whether they hold what they acknowledged that day. Exit status 1 if something is missing.

    It compares what the hub took, what it delivered, and what the partner's own GET shows; of partners whose lists the
    hub pulls, what is on them with what is here. Every night (HUB_RECONCILE) it does so by itself, and an alert says
    what is missing until a later run finds it in its place.
    """
    if last:
        if partner or day or sample or repair:
            raise typer.BadParameter("shows what was: give no other option with it", param_hint="--last")
        answer = _last(data)
    else:
        given = {"partner": partner, "day": day and f"{day:%Y-%m-%d}", "sample": sample}
        order = {name: value for name, value in given.items() if value is not None} | {"repair": repair}
        answer = _wait(data, client.ask(data, "POST", "/reconciliations", order).value["id"])
    found = answer.value
    tables.show(answer, json, _lines(found))
    if found["error"]:
        raise OperatorError(f"the reconciliation of {found['day']} broke off: {found['error']}")
    if found["gaps"]:
        number = "1 object is" if len(found["gaps"]) == 1 else f"{found['found']} objects are"
        raise OperatorError(f"{number} not where acknowledged: {_advice(found)}")


def _last(data: Path | None) -> Answer:
    runs = client.ask(data, "GET", "/reconciliations").value
    ended = next((run for run in runs if run["state"] == "ended"), None)
    if ended is None:
        raise OperatorError("nothing has been reconciled yet: `knutpunkt reconcile` does it now")
    return client.ask(data, "GET", f"/reconciliations/{ended['id']}")


def _wait(data: Path | None, number: int) -> Answer:
    """Until the run has ended."""
    patience = time.monotonic() + PATIENCE
    while True:
        answer = client.ask(data, "GET", f"/reconciliations/{number}")
        if answer.value["state"] == "ended":
            return answer
        if answer.value["state"] == "waiting" and time.monotonic() > patience:
            raise OperatorError("no worker takes it up: see `knutpunkt status`; it will be done once one runs")
        time.sleep(LOOK)


def _lines(found: dict[str, Any]) -> list[str]:
    rows = [tuple(row[name] for name in _COUNTS) for row in found["counted"]]
    gaps = [_gap(row) for row in found["gaps"]]
    lines = [f"reconciliation {found['id']}: {found['partner'] or 'all partners'}, {found['day']} (UTC)"]
    lines += ["", *tables.table(_HEADINGS, rows, "nothing was acknowledged that day")]
    return [*lines, "", *tables.table(_GAP_HEADINGS, gaps, "nothing is missing")]


_COUNTS = ("partner", "module", "acknowledged", "delivered", "owed", "parked", "checked", "missing", "older",
           "different", "note")  # fmt: skip
_HEADINGS = ("PARTNER", "MODULE", "TAKEN", "DELIVERED", "OWED", "PARKED", "CHECKED", "MISSING", "OLDER", "DIFFERENT",
             "NOTE")  # fmt: skip
_GAP_HEADINGS = ("PARTNER", "OBJECT", "KIND", "WHAT", "SINCE", "SENT ANEW")


def _gap(row: dict[str, Any]) -> tuple[object, ...]:
    what = f"{row['module']} {row['owner']} {row['key']}"
    times = (tables.moment(row["found_at"]), tables.moment(row["sent_at"]))
    return row["partner"], what, row["kind"], row["detail"], *times


def _advice(found: dict[str, Any]) -> str:
    if not found["repair"]:
        return "`knutpunkt reconcile --repair` sends it anew"
    if all(row["sent_at"] for row in found["gaps"]):
        return "it is on its way anew; `knutpunkt reconcile` tells whether it arrived"
    return "what could be is on its way anew; a CDR that differs must be settled between the two parties"
