"""`knutpunkt agreement`: what two parties allow each other."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, progress, tables
from hub.cli.client import Answer, AsJson, Data

app = typer.Typer(help="What two parties allow each other.", no_args_is_help=True)


AgreementId = Annotated[int, typer.Argument(metavar="ID", help="Its id, from `agreement list`.")]
LOOK = 0.5  # seconds between two looks


class Direction(StrEnum):
    """Which way data flows between the parties A and B of an agreement."""

    both = "both"
    a_to_b = "a_to_b"
    b_to_a = "b_to_a"


@app.command()
def add(
    a: Annotated[str, typer.Argument(metavar="A", help="A party, like NL*CPA.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another party, like DE*MSA.")],
    modules: Annotated[
        str | None, typer.Option("--modules", help="Only these, like locations,tariffs.", show_default="all")
    ] = None,
    direction: Annotated[
        Direction, typer.Option("--direction", metavar="WAY", help="Which way data flows: both, a_to_b or b_to_a.")
    ] = Direction.both,
    custody: Annotated[
        bool, typer.Option("--custody/--no-custody", help="Take a CDR for a party that is away, and bring it later.")
    ] = True,
    authorise: Annotated[
        bool, typer.Option("--authorise/--no-authorise", help="Ask the eMSP about tokens that nobody has pushed.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Come back when all that is stored has been delivered.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Make or change the agreement of two parties. Each is then given all that it may see of the other; with --wait
    the command comes back when that is done, and says how complete it is.

    It takes the place of the agreement that the two had: options that are left out are as shown here.
    """
    options = {"custody": custody, "authorise": authorise}
    order: dict[str, object] = {"a": a, "b": b, "direction": direction.value, "options": options}
    if modules is not None:
        order["modules"] = [module.strip() for module in modules.split(",") if module.strip()]
    answer = client.ask(data, "POST", "/agreements", order)
    found = answer.value
    line = f"agreement {found['id']}: {_way(found)}, {tables.plain(found['modules'] or 'all modules')}"
    lines = [line, f"what they now get of each other: `knutpunkt trace {found['correlation_id']}`"]
    if wait:
        answer = _wait(data, found["id"])
        lines += ["", *_complete(answer.value["completeness"])]
    tables.show(answer, json, lines)


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the agreements. A pair without one falls under HUB_DEFAULT_AGREEMENT."""
    answer = client.ask(data, "GET", "/agreements")
    rows = [
        (row["id"], _way(row), row["modules"] or "all", _off(row), tables.moment(row["created_at"]))
        for row in answer.value
    ]
    nothing = "no agreement: HUB_DEFAULT_AGREEMENT decides for every pair"
    tables.show(answer, json, tables.table(("ID", "PARTIES", "MODULES", "SWITCHED OFF", "SINCE"), rows, nothing))


@app.command()
def show(agreement_id: AgreementId, data: Data = None, json: AsJson = False) -> None:
    """Show one agreement, and how complete it is: what each has, and what of it the other has acknowledged.

    WAITING objects are on their way, OWED ones are tried again, PARKED ones were refused so often that they wait for a
    newer version, or were given up.
    """
    answer = client.ask(data, "GET", f"/agreements/{agreement_id}")
    found = answer.value
    lines = tables.details(
        {
            "id": found["id"],
            "parties": _way(found),
            "modules": found["modules"] or "all",
            "options": [name if on else f"no {name}" for name, on in found["options"].items()],
            "since": tables.moment(found["created_at"]),
            "backfills": found["backfills"],
        }
    )
    tables.show(answer, json, [*lines, "", *_complete(found["completeness"])])


@app.command()
def remove(
    agreement_id: AgreementId,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """End an agreement, and say what the two still hold of each other: nothing is retracted."""
    answer = client.ask(data, "DELETE", f"/agreements/{agreement_id}")
    ended = answer.value
    lines = [
        f"agreement {ended['id']} of {ended['a']} and {ended['b']} has ended; without one this hub is "
        f"{ended['default_agreement']} to the pair (HUB_DEFAULT_AGREEMENT)"
    ]
    tables.show(answer, json, [*lines, *_held(ended["still_held"], "STILL HOLDS")])


def _wait(data: Path | None, agreement_id: int) -> Answer:
    """Until nothing between the two is on its way any more, but for what cannot move now and what was refused."""
    with progress.bar("delivering what is stored", "objects") as step:
        while True:
            answer = client.ask(data, "GET", f"/agreements/{agreement_id}")
            moving = [row for row in answer.value["completeness"] if row["note"] is None]
            left = sum(row["waiting"] for row in moving)
            if not left:
                return answer
            step(sum(row["delivered"] for row in moving), sum(row["are"] for row in moving))
            time.sleep(LOOK)


def _complete(rows: list[dict[str, Any]]) -> list[str]:
    names = ("receiver", "owner", "module", "are", "delivered", "waiting", "owed")
    headings = ("RECEIVER", "OF", "MODULE", "ARE", "DELIVERED", "WAITING", "OWED", "PARKED", "NOTE")
    shown = [(*(row[name] for name in names), _parked(row), row["note"]) for row in rows]
    return tables.table(headings, shown, "neither is registered, or nothing may flow between them")


def _parked(row: dict[str, Any]) -> str:
    given_up = f" and {row['discarded']} given up" if row["discarded"] else ""
    return f"{row['parked']}{given_up}"


def _held(rows: list[dict[str, Any]], heading: str) -> list[str]:
    shown = [(row["receiver"], row["owner"], row["module"], row["objects"]) for row in rows]
    return tables.table((heading, "OF", "MODULE", "OBJECTS"), shown, "neither holds anything of the other")


def _off(row: dict[str, Any]) -> list[str]:
    return [name for name, on in row["options"].items() if not on]


def _way(row: dict[str, Any]) -> str:
    arrow = {"both": "<->", "a_to_b": "->", "b_to_a": "<-"}[row["direction"]]
    return f"{row['a']} {arrow} {row['b']}"
