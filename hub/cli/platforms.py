"""`knutpunkt platform`: who is connected, and how far behind the hub is with them."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="The platforms that are connected or invited.", no_args_is_help=True)


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the platforms with their parties and what is owed to them.

    BEHIND counts changes that a party has not been given yet, OWED objects to be tried again, PARKED objects that
    were refused so often that they wait for a newer version.
    """
    answer = client.ask(data, "GET", "/platforms")
    headings = ("ID", "NAME", "STATUS", "PARTIES", "SEEN", "BEHIND", "OWED", "PARKED", "BACKFILLS")
    tables.show(answer, json, tables.table(headings, map(_row, answer.value), "no platform: `knutpunkt invite` one"))


@app.command()
def show(
    platform_id: Annotated[int, typer.Argument(metavar="ID", help="Its id, from `platform list`.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Show one platform with its parties and endpoints."""
    answer = client.ask(data, "GET", f"/platforms/{platform_id}")
    found = answer.value
    times = {name: tables.moment(found[name]) for name in _TIMES if found[name] is not None}
    lines = tables.details({name: found[name] for name in _PLAIN} | times)
    lines += ["", *tables.table(_PARTY_HEADINGS, map(_party, found["parties"]), "no party is registered")]
    if found["invited"]:
        lines += ["", *tables.table(("INVITED", "ROLE"), [(i["code"], i["role"]) for i in found["invited"]], "")]
    endpoints = [(e["module"], e["role"], e["url"]) for e in found["endpoints"]]
    lines += ["", *tables.table(("MODULE", "INTERFACE", "URL"), endpoints, "no endpoints are known")]
    tables.show(answer, json, lines)


_PLAIN = ("id", "name", "status", "stopped_reason", "failures", "version", "versions_url", "token_form", "resync")
_TIMES = ("created_at", "last_seen_at", "next_try_at", "invitation_expires_at")
_PARTY_HEADINGS = ("PARTY", "NAME", "ROLES", "BEHIND", "OWED", "PARKED", "BACKFILLS", "LANE HELD BY")


def _row(platform: dict[str, Any]) -> tuple[object, ...]:
    parties = platform["parties"]
    codes = [f"{party['code']}:{'+'.join(party['roles'])}" for party in parties]
    invited = [f"({role['code']}:{role['role']})" for role in platform["invited"]]
    behind = max((party["behind"] for party in parties if party["behind"] is not None), default=None)
    sums = [sum(party[name] for party in parties) for name in ("owed", "parked", "backfills")]
    seen = tables.moment(platform["last_seen_at"])
    return platform["id"], platform["name"], platform["status"], codes + invited, seen, behind, *sums


def _party(party: dict[str, Any]) -> tuple[object, ...]:
    names = ("code", "name", "roles", "behind", "owed", "parked", "backfills", "holder")
    return tuple(party[name] for name in names)
