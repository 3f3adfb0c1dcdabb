"""`knutpunkt alerts`: what is the matter, since when, and what to do."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer()


@app.command()
def alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those of the last 90 days that are over.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show what is the matter with the hub and its partners, since when, and what to do about it."""
    answer = client.ask(data, "GET", "/alerts", query={"all": str(everything).lower()})
    lines = [line for alert in answer.value for line in _lines(alert)]
    tables.show(answer, json, lines or ["no alert"])


def _lines(alert: dict[str, Any]) -> list[str]:
    over = f", over since {tables.moment(alert['cleared_at'])}" if alert["cleared_at"] else ""
    shown = {
        alert["severity"]: f"{alert['kind']}: {alert['subject']}",
        "what": alert["detail"],
        "since": f"{tables.moment(alert['raised_at'])}{over}",
        "do": None if alert["cleared_at"] else alert["advice"],
    }
    return [*tables.details(shown), ""]
