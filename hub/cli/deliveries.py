"""`knutpunkt deliveries`: what is owed to whom, why it has not arrived, and what becomes of what was refused."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="What is owed to whom, and why it has not arrived.", no_args_is_help=True)

Party = Annotated[
    str | None, typer.Argument(metavar="PARTY", help="What this receiver refused, like DE*MSA.", show_default=False)
]
Everything = Annotated[bool, typer.Option("--all", help="Whatever the receiver: all that is parked.")]
Owner = Annotated[str | None, typer.Option("--owner", help="Only what this party owns, like NL*CPA.")]
Module = Annotated[str | None, typer.Option("--module", help="Only this module, like tariffs.")]
Number = Annotated[int | None, typer.Option("--number", min=0, help="Only this one, of `deliveries list`.")]


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
    its owner to correct it, and the next push is delivered by itself; or for you: show, replay, discard.
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


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="Its number, from `deliveries list`.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show one object that is owed or parked, with the beginning of what the receiver answered to a parked one."""
    answer = client.ask(data, "GET", f"/deliveries/{number}")
    found = answer.value
    times = {name: tables.moment(found[name]) for name in ("since", "next_try_at") if found[name] is not None}
    lines = tables.details({**found, **times, "sample": None})
    if found["sample"]:
        lines += ["", "what it answered:", tables.plain(found["sample"])]
    if found["state"] == "parked":
        lines += ["", f"once it is mended: `knutpunkt deliveries replay --number {number}`"]
    tables.show(answer, json, lines)


@app.command()
def replay(
    party: Party = None,
    everything: Everything = False,
    owner: Owner = None,
    module: Module = None,
    number: Number = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Try parked objects again, once their receiver is mended: each in its newest state, up to eight times as before.

    All that fit the receiver and the options are meant.
    """
    answer = client.ask(data, "POST", "/deliveries/replay", _which(party, everything, owner, module, number))
    line = f"{_objects(answer.value)} will be tried again at once"
    tables.show(answer, json, [line, "what is still refused: `knutpunkt deliveries list`"])


@app.command()
def discard(
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept, with who you are.")],
    party: Party = None,
    everything: Everything = False,
    owner: Owner = None,
    module: Module = None,
    number: Number = None,
    cdr: Annotated[
        bool, typer.Option("--cdr", help="CDRs too: their receiver never gets them from here, and money is owed.")
    ] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Give parked objects up: the receiver does not get them, unless their owner changes them.

    All that fit the receiver and the options are meant. A CDR stays in the ledger, as discarded.
    """
    order = _which(party, everything, owner, module, number) | {"reason": reason, "cdr": cdr}
    answer = client.ask(data, "POST", "/deliveries/discard", order)
    tables.show(answer, json, [f"{_objects(answer.value)} given up by {answer.value['who']}: {reason}"])


def _which(
    party: str | None, everything: bool, owner: str | None, module: str | None, number: int | None
) -> dict[str, Any]:
    """The parked objects that are meant, as the API takes it."""
    given = {"receiver": party, "owner": owner, "module": module, "number": number}
    found = {name: value for name, value in given.items() if value is not None}
    if everything == (party is not None or number is not None):
        raise typer.BadParameter("give one of them: a receiver, a number or --all", param_hint="PARTY, --number, --all")
    return found | {"all": everything}


def _objects(found: dict[str, Any]) -> str:
    return "1 object" if found["objects"] == 1 else f"{found['objects']} objects"


_LANES = ("RECEIVER", "STATUS", "BEHIND", "SINCE", "OWED", "PARKED", "BACKFILLS", "LANE HELD BY")
_ITEMS = ("NUMBER", "FOR", "OBJECT", "STATE", "TRIES", "NEXT TRY", "SINCE", "REASON")


def _lane(row: dict[str, Any]) -> tuple[object, ...]:
    status = f"{row['status']}: {row['stopped_reason']}" if row["stopped_reason"] else row["status"]
    numbers = (row["owed"], row["parked"], row["backfills"])
    return row["receiver"], status, row["behind"], tables.moment(row["behind_since"]), *numbers, row["holder"]


def _item(row: dict[str, Any]) -> tuple[object, ...]:
    what = f"{row['module']} {row['owner']} {row['key']}"
    times = (tables.moment(row["next_try_at"]), tables.moment(row["since"]))
    return row["number"], row["receiver"], what, row["state"], row["tries"], *times, row["reason"]
