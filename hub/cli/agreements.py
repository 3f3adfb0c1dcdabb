"""`knutpunkt agreement`: what two parties allow each other."""

from enum import StrEnum
from typing import Annotated

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="What two parties allow each other.", no_args_is_help=True)


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
    direction: Annotated[Direction, typer.Option("--direction", help="Which way data flows.")] = Direction.both,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Make or change the agreement of two parties. Each is then given all that it may see of the other."""
    order: dict[str, object] = {"a": a, "b": b, "direction": direction.value}
    if modules is not None:
        order["modules"] = [module.strip() for module in modules.split(",") if module.strip()]
    answer = client.ask(data, "POST", "/agreements", order)
    found = answer.value
    line = f"agreement {found['id']}: {_way(found)}, {tables.plain(found['modules'] or 'all modules')}"
    tables.show(answer, json, [line, f"what they now get of each other: `knutpunkt trace {found['correlation_id']}`"])


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the agreements. A pair without one falls under HUB_DEFAULT_AGREEMENT."""
    answer = client.ask(data, "GET", "/agreements")
    rows = [(row["id"], _way(row), row["modules"] or "all", tables.moment(row["created_at"])) for row in answer.value]
    nothing = "no agreement: HUB_DEFAULT_AGREEMENT decides for every pair"
    tables.show(answer, json, tables.table(("ID", "PARTIES", "MODULES", "SINCE"), rows, nothing))


@app.command()
def remove(
    agreement_id: Annotated[int, typer.Argument(metavar="ID", help="Its id, from `agreement list`.")],
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
    held = [(row["receiver"], row["owner"], row["module"], row["objects"]) for row in ended["still_held"]]
    lines += tables.table(("STILL HOLDS", "OF", "MODULE", "OBJECTS"), held, "neither holds anything of the other")
    tables.show(answer, json, lines)


def _way(row: dict[str, str]) -> str:
    arrow = {"both": "<->", "a_to_b": "->", "b_to_a": "<-"}[row["direction"]]
    return f"{row['a']} {arrow} {row['b']}"
