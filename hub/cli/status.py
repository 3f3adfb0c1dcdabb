"""`knutpunkt status`: how the hub is."""

from datetime import timedelta

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data
from hub.settings import OperatorError

app = typer.Typer()


@app.command()
def status(data: Data = None, json: AsJson = False) -> None:
    """Show version, services, the change log, lanes and what is owed. Exit status 1 if the database is away."""
    answer = client.ask(data, "GET", "/status")
    found = answer.value
    shown = {
        "hub": f"{found['hub']} at {found['public_url']}",
        "version": found["version"],
        "up for": str(timedelta(seconds=found["uptime"])),
        "database": found["database"],
        "broker": found["broker"],
    }
    if (numbers := found["numbers"]) is not None:
        platforms = [f"{count} {status}" for status, count in numbers["platforms"].items()]
        shown |= {
            "platforms": platforms or "none yet: `knutpunkt invite` one",
            "change log": f"at position {numbers['log_head']}, {numbers['unstamped']} changes without one",
            "lanes": f"{numbers['lanes']}, {numbers['lanes_behind']} behind, {numbers['backfills']} backfills",
            "owed": f"{numbers['owed']} objects, {numbers['parked']} parked",
            "held CDRs": numbers["held_cdrs"],
        }
    tables.show(answer, json, tables.details(shown))
    if numbers is None:
        raise OperatorError("the hub runs without its database: start PostgreSQL, the hub finds it by itself")
