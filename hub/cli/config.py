"""`knutpunkt config`: the settings in force, and where each comes from."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from hub import provenance
from hub.cli import client, tables
from hub.cli.client import Answer, AsJson, Data
from hub.settings import Settings

app = typer.Typer(help="The settings in force.", no_args_is_help=True)


@app.command()
def show(
    local: Annotated[
        bool, typer.Option("--local", help="Those that a hub started here would have; no running hub is asked.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Those that are at their default as well.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show the settings of the running hub and where each comes from. Secrets are masked.

    A source is environment, file (a variable with _FILE), .env, default, or up: an option of that command, or made by
    it. Variables that start with HUB_ and are no setting are named.
    """
    answer = _here() if local else client.ask(data, "GET", "/config")
    found = answer.value
    chosen = [row for row in found["settings"] if every or row["source"] != "default"]
    rows = [(row["variable"], row["value"] or "-", row["source"]) for row in chosen]
    lines = tables.table(("SETTING", "VALUE", "SOURCE"), rows, "every setting is at its default: --all shows them")
    tables.show(answer, json, [*lines, *map(_slip, found["unknown"])])


def _here() -> Answer:
    from hub.ocpi import json

    settings = [asdict(row) for row in provenance.every(Settings.load())]
    value = {"settings": settings, "unknown": [asdict(row) for row in provenance.unknown()]}
    return Answer(json.dumps(value).decode(), value)


def _slip(row: dict[str, Any]) -> str:
    hint = f": did you mean {row['nearest']}?" if row["nearest"] else ""
    return f"{row['variable']} is no setting{hint}"
