"""`knutpunkt invite`: let a partner register."""

from typing import Annotated

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer()


@app.command()
def invite(
    party: Annotated[
        list[str], typer.Option("--party", metavar="CODE:ROLE", help="A party it may register, like NL*CPA:CPO.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="The name of its platform.")] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Invite a partner: print the token A and the URL with which it registers, within seven days.

    Repeat --party for a platform with several parties or roles. The token is shown this once.
    """
    order = {"parties": [_role(text) for text in party], **({"name": name} if name else {})}
    answer = client.ask(data, "POST", "/invitations", order)
    lines = [*tables.details({"token A": answer.value["token_a"], "versions URL": answer.value["versions_url"]})]
    tables.show(answer, json, [*lines, "Hand both to the partner, by a safe way; the token is good for one handshake."])


def _role(text: str) -> dict[str, str]:
    code, colon, role = text.rpartition(":")
    if not colon:
        raise typer.BadParameter("write a party and its role like NL*CPA:CPO", param_hint="--party")
    return {"code": code, "role": role.upper()}
