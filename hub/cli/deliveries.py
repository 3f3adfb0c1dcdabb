"""`knutpunkt deliveries`: what is owed to whom, and why it has not arrived."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="What is owed to whom, and why it has not arrived.", no_args_is_help=True)


@app.command("list")
def list_all(
    receiver: Annotated[str | None, typer.Option("--receiver", help="Only those for this party, like DE*MSA.")] = None,
    owed: Annotated[bool, typer.Option("--owed", help="Only what is tried again by itself.")] = False,
    parked: Annotated[bool, typer.Option("--parked", help="Only what the receiver refused too often.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many objects.")] = 100,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show how far each receiver's lane has come, and the objects that could not be delivered at once.

    BEHIND counts changes that a lane has not passed, SINCE is when the oldest of them came. A parked object waits for
    its owner to correct it: the next push is delivered by itself.
    """
    if owed and parked:
        raise typer.BadParameter("give one of them, or none for both", param_hint="--owed, --parked")
    state = "owed" if owed else "parked" if parked else None
    answer = client.ask(data, "GET", "/deliveries", query={"receiver": receiver, "state": state, "limit": limit})
    found = answer.value
    nothing = "nothing is parked" if parked else "nothing is owed"
    lines = tables.table(_LANES, map(_lane, found["lanes"]), "no lane: nobody is registered whom the hub pushes to")
    lines += ["", *tables.table(_ITEMS, map(_item, found["items"]), nothing)]
    if found["more"]:
        lines.append(f"there are more: --limit {min(limit * 10, 1000)}, or --receiver")
    tables.show(answer, json, lines)


_LANES = ("RECEIVER", "STATUS", "BEHIND", "SINCE", "OWED", "PARKED", "BACKFILLS", "LANE HELD BY")
_ITEMS = ("FOR", "OBJECT", "STATE", "TRIES", "NEXT TRY", "SINCE", "REASON")


def _lane(row: dict[str, Any]) -> tuple[object, ...]:
    status = f"{row['status']}: {row['stopped_reason']}" if row["stopped_reason"] else row["status"]
    numbers = (row["owed"], row["parked"], row["backfills"])
    return row["receiver"], status, row["behind"], tables.moment(row["behind_since"]), *numbers, row["holder"]


def _item(row: dict[str, Any]) -> tuple[object, ...]:
    what = f"{row['module']} {row['owner']} {row['key']}"
    times = (tables.moment(row["next_try_at"]), tables.moment(row["since"]))
    return row["receiver"], what, row["state"], row["tries"], *times, row["reason"]
