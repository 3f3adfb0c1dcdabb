"""`knutpunkt platform`: who is connected, how far behind the hub is with them, and whether they take part."""

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from hub.cli import client, manners, tables, words
from hub.cli.client import AsJson, Data
from hub.settings import OperatorError

app = typer.Typer(help="The platforms that are connected or invited.", no_args_is_help=True)

EXCHANGE = 90.0
"""Seconds: the partner is called, and calls back."""

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
    plain = {name: found[name] for name in _PLAIN} | manners.shown(found) | times
    lines = tables.details(plain | {"renewal": _renewal(found["renewal"])})
    lines += ["", *tables.table(_PARTY_HEADINGS, map(_party, found["parties"]), "no party is registered")]
    if found["admitted"]:
        registered = {(party["code"], role) for party in found["parties"] for role in party["roles"]}
        rows = [(i["code"], i["role"], (i["code"], i["role"]) in registered) for i in found["admitted"]]
        lines += ["", *tables.table(("ADMITTED", "ROLE", "REGISTERED"), rows, "")]
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
    short_retry: Annotated[
        bool | None,
        typer.Option("--short-retry/--no-short-retry", show_default="as it is",
                     help="Try a delivery that failed again within a minute; no: ask at once whether it is OFFLINE."),
    ] = None,
    pull: Annotated[
        str | None,
        typer.Option("--pull", metavar="auto|off|MODULES", show_default="as it is",
                     help="Whose lists the hub pulls: auto (those of which it pushes nothing), off, or modules with "
                     "commas: locations,tariffs."),
    ] = None,
    quirk: Annotated[
        list[str] | None,
        typer.Option("--quirk", metavar="NAME=VALUE", show_default="as they are",
                     help=f"How it departs from OCPI; `probe` finds that out. {manners.meanings()}"),
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Change how a platform is served. From pull to push everything is delivered to it anew."""
    pulled, quirks = manners.pull_order(pull), manners.quirk_order(quirk)
    given: dict[str, object] = {"resync": resync and resync.value, "strict": strict, "short_retry": short_retry}
    given |= {"pull": pulled, "quirks": quirks}
    order = {name: value for name, value in given.items() if value is not None}
    if not order:
        names = "--resync, --strict, --short-retry, --pull, --quirk"
        raise typer.BadParameter("give at least one of them", param_hint=names)
    answer = client.ask(data, "PATCH", f"/platforms/{platform_id}", order)
    found = answer.value
    values = {"resync": found["resync"], "strict": tables.plain(found["strict"])}
    values |= {"short retry": tables.plain(found["short_retry"]), **manners.shown(found)}
    line = f"platform {platform_id} ({_name(found)}): " + ", ".join(f"{name} {value}" for name, value in values.items())
    tables.show(answer, json, [line, *([_trace(found)] if found["correlation_id"] else [])])


@app.command("resync")
def deliver_anew(
    platform_id: PlatformId,
    owner: Annotated[str | None, typer.Option("--owner", help="Only what this party owns, like NL*CPA.")] = None,
    module: Annotated[
        list[str] | None,
        typer.Option("--module", help="Only this one, like locations; may be given again.", show_default="all"),
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Deliver everything to a platform anew: for a partner that has lost data.

    Sessions only with --module sessions, best when none of them is going on. Of CDRs, `reconcile` finds and brings
    those that are missing.
    """
    order: dict[str, Any] = {"modules": module or []} | ({"owner": owner} if owner else {})
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/resync", order)
    line = f"platform {platform_id} ({_name(answer.value)}) is given it anew"
    left = "what is left to do: BACKFILLS in `knutpunkt platform list`"
    tables.show(answer, json, [line, left, _trace(answer.value)])


@app.command()
def rotate(
    platform_id: PlatformId,
    leaked: Annotated[
        bool,
        typer.Option("--leaked", help="The token it shows is in wrong hands: void once the partner took a new one."),
    ] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Renew the tokens with a partner; it reads the hub's endpoints anew as well.

    Its old token stays good until it has shown the new one. If it goes on with the old one, the hub rolls back.
    """
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/renewal", {"leaked": leaked}, timeout=EXCHANGE)
    found = answer.value
    line = f"platform {platform_id} ({_name(found)}) took a new token; {_renewal(found['renewal'])}"
    tables.show(answer, json, [line, f"how it goes on: `knutpunkt platform show {platform_id}`"])


@app.command()
def admit(
    platform_id: PlatformId,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="CODE:ROLE", help="It may register this, like NL*CPA:CPO.")
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="CODE:ROLE", help="It may not; if it has, this is out at once."),
    ] = None,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Change what a platform may register, with its invitation or later by PUT of its credentials."""
    if not add and not drop:
        raise typer.BadParameter("give one of them, or both", param_hint="--add, --drop")
    found = client.ask(data, "GET", f"/platforms/{platform_id}").value
    gone = [words.role(text) for text in drop or ()]
    kept = [role for role in found["admitted"] if role not in gone]
    order = {"parties": kept + [role for text in add or () if (role := words.role(text)) not in kept]}
    if not order["parties"]:
        raise OperatorError(f"nothing would be left: `knutpunkt platform remove {platform_id}` takes it out")
    answer = client.ask(data, "PUT", f"/platforms/{platform_id}/admissions", order)
    may = [f"{role['code']}:{role['role']}" for role in answer.value["admitted"]]
    tables.show(answer, json, [f"platform {platform_id} ({_name(answer.value)}) may register {tables.plain(may)}"])


@app.command()
def unregister(platform_id: PlatformId, data: Data = None, json: AsJson = False) -> None:
    """End a connection, and tell the partner so (DELETE).

    All tokens are void and its parties SUSPENDED. Agreements and all that is stored stay; with a new invitation it can
    come back. `platform remove` forgets it altogether.
    """
    answer = client.ask(data, "POST", f"/platforms/{platform_id}/unregister", timeout=EXCHANGE)
    line = f"platform {platform_id} ({_name(answer.value)}) is {answer.value['status']}, and has no tokens any more"
    tables.show(answer, json, [line, *_told(answer.value)])


@app.command()
def remove(
    platform_id: PlatformId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Remove a platform, or withdraw an invitation that was not used.

    Its tokens, endpoints, parties, lanes and agreements go, and the partner is told so (DELETE). The CDR ledger stays,
    CDRs in custody stay owed to parties that may come back, and what partners hold of each other stays with them. It
    says all that and asks, unless --yes.
    """
    if not yes:
        _ask(client.ask(data, "GET", f"/platforms/{platform_id}/removal").value)
    answer = client.ask(data, "DELETE", f"/platforms/{platform_id}", timeout=EXCHANGE)
    tables.show(answer, json, [*_removal(answer.value), f"platform {platform_id} is removed", *_told(answer.value)])


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


def _told(ended: dict[str, Any]) -> list[str]:
    """Whether the partner knows that the connection is over."""
    lines = {True: "the partner took note", False: "the partner could not be told: it may go on calling, and gets 401"}
    return [lines[ended["told"]]] if ended["told"] is not None else []


def _renewal(found: dict[str, Any] | None) -> str | None:
    """Where the last renewal that the hub began stands."""
    if found is None:
        return None
    begun = f"began {tables.moment(found['begun_at'])}"
    if found["outcome"] is not None:
        return f"{begun}: {found['outcome']}"
    taken = "" if found["answered_at"] else ", its answer was lost"
    return f"{begun}{taken}: both tokens are good until it has shown which one it uses"


def _trace(changed: dict[str, Any]) -> str:
    return f"what it is given: `knutpunkt trace {changed['correlation_id']}`"


_PLAIN = ("id", "name", "status", "stopped_reason", "failures", "version", "versions_url", "token_form", "resync",
          "strict", "short_retry")  # fmt: skip
_TIMES = ("created_at", "renewed_at", "last_seen_at", "next_try_at", "invitation_expires_at")
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
