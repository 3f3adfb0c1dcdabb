"""`knutpunkt platform`: who is connected, how far behind the hub is with them, and whether they take part."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from hub.cli import client, tables, words
from hub.cli.client import AsJson, Data
from hub.settings import OperatorError

app = typer.Typer(help="The platforms that are connected or invited.", no_args_is_help=True)

PlatformId = Annotated[int, typer.Argument(metavar="ID", help="Its id, from `platform list`.")]


class Resync(StrEnum):
    """How a platform gets what changes."""

    push = "push"
    pull = "pull"


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
    platform_id: PlatformId,
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


@app.command()
def suspend(platform_id: PlatformId, data: Data = None, json: AsJson = False) -> None:
    """Stop all traffic with a platform at once.

    Its token is refused (HTTP 403), nothing is sent to it, and others who address its parties get 4003. Tokens and all
    that is stored are kept; `platform resume` lets it take part again.
    """
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/suspend")
    again = f"to let it take part again: `knutpunkt platform resume {platform_id}`"
    tables.show(answer, json, [f"platform {platform_id} ({_name(answer.value)}) is SUSPENDED", again])


@app.command()
def resume(platform_id: PlatformId, data: Data = None, json: AsJson = False) -> None:
    """Let a suspended platform take part again, and deliver everything to it anew.

    The same for one to which nothing is sent because it refused the hub's token (`stopped_reason`).
    """
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/resume")
    tables.show(answer, json, [f"platform {platform_id} ({_name(answer.value)}) is CONNECTED", _trace(answer.value)])


@app.command("set")
def change(
    platform_id: PlatformId,
    resync: Annotated[
        Resync | None,
        typer.Option("--resync", help="push: the hub sends it what changes. pull: it fetches, and is sent nothing.",
                     show_default="as it is"),
    ] = None,
    strict: Annotated[
        bool | None,
        typer.Option("--strict/--no-strict", help="Refuse what it sends unless it holds to the letter of the spec.",
                     show_default="as it is"),
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Change how a platform is served. From pull to push everything is delivered to it anew."""
    if resync is None and strict is None:
        raise typer.BadParameter("give one of them, or both", param_hint="--resync, --strict")
    order: dict[str, object] = {} if resync is None else {"resync": resync.value}
    answer = client.ask(
        data, "PATCH", f"/platforms/{platform_id}", order | ({} if strict is None else {"strict": strict})
    )
    found = answer.value
    line = f"platform {platform_id} ({_name(found)}): resync {found['resync']}, strict {tables.plain(found['strict'])}"
    tables.show(answer, json, [line, *([_trace(found)] if found["correlation_id"] else [])])


@app.command()
def remove(
    platform_id: PlatformId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Remove a platform, or withdraw an invitation that was not used.

    Its tokens, endpoints, parties, lanes and agreements go. The CDR ledger stays, CDRs in custody stay owed to parties
    that may come back, and what partners hold of each other stays with them. It says all that and asks, unless --yes.
    """
    if not yes:
        _ask(client.ask(data, "GET", f"/platforms/{platform_id}/removal").value)
    answer = client.ask(data, "DELETE", f"/platforms/{platform_id}")
    tables.show(answer, json, [*_removal(answer.value), f"platform {platform_id} is removed"])


def _ask(found: dict[str, Any]) -> None:
    if not sys.stdin.isatty():
        raise OperatorError("nothing is removed without being asked for: add --yes")
    for line in _removal(found):
        typer.echo(words.here(line), err=True)
    if not typer.confirm("Remove it?", err=True):
        raise typer.Abort


def _removal(found: dict[str, Any]) -> list[str]:
    parties = [*found["parties"], *(f"({code}, invited)" for code in found["invited"])]
    pairs = [f"{pair['a']} with {pair['b']}" for pair in found["agreements"]]
    lines = tables.details(
        {
            "platform": f"{found['id']} {found['name']}",
            "parties": parties,
            "goes": f"tokens, endpoints, lanes; {found['owed']} objects are not sent any more",
            "agreements": pairs,
            "stays": f"the CDR ledger; {found['cdrs_in_custody']} CDRs in custody, owed to a party that comes back",
        }
    )
    held = [(row["receiver"], row["owner"], row["module"], row["objects"]) for row in found["still_held"]]
    return [*lines, *tables.table(("STILL HOLDS", "OF", "MODULE", "OBJECTS"), held, "partners hold nothing of it")]


def _name(platform: dict[str, Any]) -> str:
    return tables.plain(platform["name"])


def _trace(changed: dict[str, Any]) -> str:
    return f"what it is given: `knutpunkt trace {changed['correlation_id']}`"


_PLAIN = ("id", "name", "status", "stopped_reason", "failures", "version", "versions_url", "token_form", "resync",
          "strict")  # fmt: skip
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
