"""`knutpunkt trace`: what happened to one message, hop by hop."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer()


@app.command()
def trace(
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION_ID", help="Its X-Correlation-ID.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show every hop of a message: who asked whom, what the hub decided, what was answered."""
    answer = client.ask(data, "GET", f"/trace/{client.segment(correlation_id)}")
    headings = ("TIME", "FROM", "TO", "WHAT", "DECISION", "STATUS", "MS", "DETAIL")
    tables.show(answer, json, tables.table(headings, map(_row, answer.value), ""))


def _row(hop: dict[str, Any]) -> tuple[object, ...]:
    status = "/".join(str(hop[name]) for name in ("http_status", "status_code") if hop[name] is not None)
    what = f"{hop['method']} {hop['what']}"
    at = tables.moment(hop["at"]).partition(" ")[2]
    return at, hop["sender"], hop["receiver"], what, hop["decision"], status, hop["ms"], hop["detail"]
