"""`knutpunkt probe`: measure a partner and keep how it departs from OCPI."""

from typing import Annotated, Any

import typer

from hub.cli import client, manners, tables
from hub.cli.client import AsJson, Data

app = typer.Typer()

PATIENCE = 180.0
"""Seconds; the probe itself gives up after 120."""


@app.command()
def probe(
    platform_id: Annotated[int, typer.Argument(metavar="PLATFORM", help="Its id, from `platform list`.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell; change no quirk.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what is as it should be, too.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Measure a connected partner, reading only, and set its quirks.

    It asks for versions, lists, pages and dates in many ways. What differs from OCPI is shown with the requirement's id
    and with what the hub does about it; `platform set --quirk` corrects by hand what the probe could not tell.
    """
    order = {"write": not dry_run}
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/probe", order, timeout=PATIENCE)
    found = answer.value
    shown = [row for row in found["findings"] if everything or row["verdict"] != "ok"]
    good = sum(row["verdict"] == "ok" for row in found["findings"])
    lines = tables.table(_HEADINGS, map(_row, shown), "nothing differs from OCPI")
    lines += ["", f"{found['requests']} requests in {found['seconds']} s; {good} of {len(found['findings'])} are ok"]
    changes = [(row["name"], row["before"], row["after"]) for row in found["changed"]]
    lines += tables.table(("QUIRK", "WAS", "IS" if found["written"] else "WOULD BE"), changes, "no quirk changes")
    lines += [f"quirks in force: {manners.listed(found['quirks'])}; token {found['token_form']}"]
    tables.show(answer, json, lines)


_HEADINGS = ("WHERE", "VERDICT", "WHAT", "THE HUB", "IDS")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    return row["where"], row["verdict"], row["what"], row["effect"], row["ids"]
