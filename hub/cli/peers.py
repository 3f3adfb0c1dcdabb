"""`knutpunkt peer`: the parties behind other hubs; `knutpunkt clients`: what the partners are shown of each other."""

from typing import Annotated

import typer

from hub.cli import client, tables, words
from hub.cli.client import AsJson, Data

ANY = "any"

app = typer.Typer(help="Other hubs, and the parties behind them.", no_args_is_help=True)
single = typer.Typer()

Behind = Annotated[
    list[str] | None,
    typer.Option("--behind", metavar="CODE:ROLE", show_default="nobody",
                 help="For a partner that is a hub: a party that may be reached and may act through it, like "
                 "NL*CPA:CPO, or `any`; repeat."),
]  # fmt: skip


def order(behind: list[str] | None) -> dict[str, object]:
    """The field of an order for what was given with --behind; empty when nothing was."""
    if not behind:
        return {}
    if ANY in (text.lower() for text in behind):
        return {"behind": ANY}
    return {"behind": [words.role(text) for text in behind]}


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the parties that other hubs announce.

    REACHED HERE: it is admitted, and not registered with this hub itself.
    """
    answer = client.ask(data, "GET", "/peers")
    rows = [
        (row["platform_id"], row["hub"], row["code"], row["role"], row["status"], row["admitted"], row["here"])
        for row in answer.value
    ]
    headings = ("ID", "HUB", "PARTY", "ROLE", "STATUS", "ADMITTED", "REACHED HERE")
    tables.show(answer, json, tables.table(headings, rows, "no hub has announced a party"))


@app.command()
def admit(
    platform_id: Annotated[int, typer.Argument(metavar="ID", help="The hub's platform, from `platform list`.")],
    parties: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE:ROLE]... | any", help="Who may be reached and may act through it.",
                       show_default="nobody"),
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Say who may be reached and may act through another hub, in place of what was said before."""
    named = order(parties).get("behind", [])
    answer = client.ask(data, "PUT", f"/platforms/{platform_id}/behind", {"parties": named})
    admitted = [f"{row['code']}:{row['role']} {row['status']}" for row in answer.value if row["admitted"]]
    tables.show(answer, json, tables.details({"announced and admitted": admitted or "nobody yet"}))


@single.command()
def clients(
    platform_id: Annotated[
        int | None, typer.Argument(metavar="ID", help="A platform, from `platform list`.", show_default="all")
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show what partners are shown of each other (hubclientinfo): by GET as STATUS, by push as TOLD."""
    query = f"?platform_id={platform_id}" if platform_id is not None else ""
    answer = client.ask(data, "GET", f"/clients{query}")
    rows = [
        (row["platform_id"], row["platform"], row["code"], row["role"], row["status"],
         tables.moment(row["last_updated"]), row["told"], row["reason"])
        for row in answer.value
    ]  # fmt: skip
    headings = ("ID", "PLATFORM", "PARTY", "ROLE", "STATUS", "SINCE", "TOLD", "REASON")
    tables.show(answer, json, tables.table(headings, rows, "no platform has been shown another one"))
