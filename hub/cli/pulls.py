"""`knutpunkt pull`: which partners' lists the hub reads for itself, and what it found in them."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="The lists that the hub pulls from partners that do not push.", no_args_is_help=True)

PartyCode = Annotated[str, typer.Argument(metavar="PARTY", help="Like NL*CPA.")]


@app.command("list")
def list_all(
    party: Annotated[str | None, typer.Option("--party", help="Only those of this party, like NL*CPA.")] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """List what is pulled from whom: when, how much, what was wrong, and when next.

    OBJECTS, CHANGED and NOT TAKEN count the last crawl; VANISHED are objects that a complete list no longer had, which
    the hub still keeps. A list in state pushed is only read after an outage, because its party pushes.
    """
    answer = client.ask(data, "GET", "/pulls", query={"party": party})
    nothing = "nothing is pulled: `knutpunkt platform set ID --pull auto` lets the hub decide"
    tables.show(answer, json, tables.table(_HEADINGS, map(_row, answer.value), nothing))


@app.command()
def show(
    party: PartyCode,
    module: Annotated[str, typer.Argument(metavar="MODULE", help="Like locations.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show one list: what has vanished from it, and what was not taken and why."""
    answer = client.ask(data, "GET", f"/pulls/{client.segment(party)}/{client.segment(module)}")
    found = answer.value
    times = {name: tables.moment(found[name]) for name in _TIMES if found[name] is not None}
    lines = tables.details({name: found[name] for name in _PLAIN} | times)
    gone = [(row["key"], tables.moment(row["missing_since"])) for row in found["gone"]]
    lines += ["", *tables.table(("VANISHED", "SINCE"), gone, "nothing has vanished")]
    wrong = [(row["object"], row["reason"], tables.moment(row["at"])) for row in found["findings"]]
    lines += ["", *tables.table(("NOT TAKEN", "REASON", "AT"), wrong, "all was taken")]
    tables.show(answer, json, lines)


@app.command()
def now(
    party: PartyCode,
    module: Annotated[
        str | None, typer.Argument(metavar="MODULE", help="Like locations.", show_default="all that are pulled")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Everything, not only what has changed.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Pull a party's lists now."""
    answer = client.ask(data, "POST", "/pulls", {"party": party, "module": module, "full": full})
    found = answer.value
    said = f"{found['party']}: {', '.join(found['modules'])} will be read at once"
    tables.show(answer, json, [said, "how it went: `knutpunkt pull list`"])


@app.command()
def forget(
    party: PartyCode,
    module: Annotated[str, typer.Argument(metavar="MODULE", help="Like locations.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Take what has vanished from a list for deleted.

    It is in no list of the hub any more, and those who hold a Tariff are sent a DELETE. It comes back by itself when
    its owner's list has it again.
    """
    answer = client.ask(data, "DELETE", f"/pulls/{client.segment(party)}/{client.segment(module)}/vanished")
    found = answer.value
    said = f"{found['objects']} {module} of {found['party']} are taken for deleted"
    tables.show(answer, json, [said, f"what partners are told: `knutpunkt trace {found['correlation_id']}`"])


_HEADINGS = (
    "PARTY",
    "MODULE",
    "STATE",
    "FULL",
    "CHANGES",
    "NEXT",
    "OBJECTS",
    "CHANGED",
    "NOT TAKEN",
    "VANISHED",
    "ERROR",
)
_PLAIN = ("party", "module", "state", "kind", "failures", "error", "objects", "changed", "invalid", "aside", "vanished",
          "correlation_id")  # fmt: skip
_TIMES = ("full_at", "delta_at", "next_at", "high_water")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    times = [tables.moment(row[name]) for name in ("full_at", "delta_at", "next_at")]
    counts = (row["objects"], row["changed"], row["invalid"] + row["aside"], row["vanished"])
    return row["party"], row["module"], row["state"], *times, *counts, row["error"]
