"""`knutpunkt party`: all parties, and new ones that the hub hosts."""

from typing import Annotated

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="Parties, connected or hosted by this hub.", no_args_is_help=True)


@app.command()
def add(
    code: Annotated[str, typer.Argument(metavar="CODE", help="Its country_code and party_id, like NL*LOC.")],
    role: Annotated[str, typer.Option("--role", help="Only CPOs can be hosted.")],
    name: Annotated[str, typer.Option("--name", help="What others shall call it.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Host a CPO that has no OCPI back end: its chargers connect to the bridge."""
    answer = client.ask(data, "POST", "/parties", {"code": code, "role": role.upper(), "name": name})
    line = f"{answer.value['code']} is hosted by this hub. Next: `knutpunkt tariff put`, `location put`, `charger add`."
    tables.show(answer, json, [line])


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List every party."""
    answer = client.ask(data, "GET", "/parties")
    rows = [
        (
            party["code"],
            party["name"],
            party["roles"],
            party["status"],
            "here" if party["hosted"] else party["platform_id"],
        )
        for party in answer.value
    ]
    tables.show(answer, json, tables.table(("PARTY", "NAME", "ROLES", "STATUS", "PLATFORM"), rows, "no party yet"))
