"""`knutpunkt invite` and `knutpunkt register`: the two ways to a connection; `invitation`: those that are open."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from hub.cli import client, files, peers, tables, words
from hub.cli.client import AsJson, Data
from hub.cli.peers import Behind

HANDSHAKE = 120.0
"""Seconds: the partner is called several times, and calls back."""

app = typer.Typer()
invitations = typer.Typer(help="Invitations that have not been used.", no_args_is_help=True)

PlatformId = Annotated[int, typer.Argument(metavar="ID", help="The id of its platform, from `invitation list`.")]


@app.command()
def invite(
    party: Annotated[
        list[str], typer.Option("--party", metavar="CODE:ROLE", help="A party it may register, like NL*CPA:CPO.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="The name of its platform.")] = None,
    behind: Behind = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Invite a partner: print the token A and the URL with which it registers, within seven days.

    Repeat --party for a platform with several parties or roles. The token is shown this once; to invite the same
    parties again makes a new one and voids the old. `platform admit` changes later what may be registered.
    """
    order = {"parties": [words.role(text) for text in party], **({"name": name} if name else {}), **peers.order(behind)}
    answer = client.ask(data, "POST", "/invitations", order)
    lines = [*tables.details({"token A": answer.value["token_a"], "versions URL": answer.value["versions_url"]})]
    tables.show(answer, json, [*lines, "Hand both to the partner, by a safe way; the token is good for one handshake."])


@invitations.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the invitations that have not been used, with the parties that each admits."""
    answer = client.ask(data, "GET", "/invitations")
    rows = [
        (row["platform_id"], row["name"], [f"{p['code']}:{p['role']}" for p in row["parties"]],
         tables.moment(row["expires_at"]))
        for row in answer.value
    ]  # fmt: skip
    nothing = "no invitation is open: `knutpunkt invite` makes one"
    tables.show(answer, json, tables.table(("ID", "NAME", "MAY REGISTER", "UNTIL"), rows, nothing))


@invitations.command()
def withdraw(platform_id: PlatformId, data: Data = None, json: AsJson = False) -> None:
    """Withdraw an invitation: its token A opens nothing any more."""
    answer = client.ask(data, "DELETE", f"/invitations/{platform_id}")
    tables.show(answer, json, [f"the invitation of {tables.plain(answer.value['name'])} is withdrawn"])


@app.command()
def register(
    url: Annotated[str, typer.Argument(metavar="URL", help="The partner's versions URL.")],
    token: Annotated[
        str | None, typer.Option("--token", help="The token A that the partner gave.", show_default="asked for")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="A file with the token A; - for the standard input.")
    ] = None,
    party: Annotated[
        list[str] | None,
        typer.Option("--party", metavar="CODE:ROLE", help="A party it may bring, like NL*CPA:CPO; repeat.",
                     show_default="all it brings"),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The name of its platform.", show_default="as it calls itself")
    ] = None,
    behind: Behind = None,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Register with a partner that invited this hub: it gave a token A and the URL of its versions.

    Without --token the token is asked for, so that it stands neither in the shell's history nor in the process list.
    """
    order: dict[str, object] = {"versions_url": url, "token": _token(token, token_file)}
    order |= {"name": name} if name else {}
    order |= peers.order(behind)
    order |= {"parties": [words.role(text) for text in party]} if party else {}
    answer = client.ask(data, "POST", "/platforms", order, timeout=HANDSHAKE)
    found = answer.value
    parties = [f"{row['code']}:{'+'.join(row['roles'])}" for row in found["parties"]]
    line = f"platform {found['id']} ({tables.plain(found['name'])}) is {found['status']} with {tables.plain(parties)}"
    tables.show(answer, json, [line, f"what it offers: `knutpunkt platform show {found['id']}`"])


def _token(token: str | None, file: Path | None) -> str:
    if token is not None and file is not None:
        raise typer.BadParameter("give --token or --token-file, not both", param_hint="--token")
    if file is not None:
        return files.read(file).decode(errors="replace").strip()
    if token is None and not sys.stdin.isatty():
        raise typer.BadParameter("give the partner's token A, or --token-file - to read it", param_hint="--token")
    return token if token is not None else str(typer.prompt("token A", hide_input=True, err=True))
