"""`knutpunkt location` and `knutpunkt tariff`: what hosted parties publish."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import client, files, tables
from hub.cli.client import AsJson, Data

locations = typer.Typer(help="Locations of hosted parties.", no_args_is_help=True)
tariffs = typer.Typer(help="Tariffs of hosted parties.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file with the OCPI object as JSON; - for the standard input.")
]
Owner = Annotated[str | None, typer.Option("--owner", help="Only of this party, like NL*LOC.")]
After = Annotated[int, typer.Option("--after", min=0, help="Go on where the list before ended.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")]


@locations.command("put")
def put_location(
    file: File,
    private: Annotated[
        bool, typer.Option("--private", help="Keep it for its own chargers: a home or company site, not for roaming.")
    ] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Store a Location with its EVSEs and send it to everybody who may have it.

    `last_updated` may be left out, at every level; the hub then takes the time of the put. Of a private one, partners
    get only the Sessions and CDRs of their own drivers.
    """
    _put("location", file, data, json, {"private": "true"} if private else {})


@tariffs.command("put")
def put_tariff(file: File, data: Data = None, json: AsJson = False) -> None:
    """Store a Tariff and send it to everybody who may have it. `last_updated` may be left out."""
    _put("tariff", file, data, json, {})


@locations.command("list")
def list_locations(
    owner: Owner = None, after: After = 0, limit: Limit = 100, data: Data = None, json: AsJson = False
) -> None:
    """List the Locations that the hub keeps, hosted or from partners."""
    headings = ("OWNER", "ID", "FOR", "NAME", "CITY", "EVSES", "NOW", "LAST UPDATED")
    _list("location", headings, _location, owner, after, limit, data, json)


@tariffs.command("list")
def list_tariffs(
    owner: Owner = None, after: After = 0, limit: Limit = 100, data: Data = None, json: AsJson = False
) -> None:
    """List the Tariffs that the hub keeps, hosted or from partners."""
    headings = ("OWNER", "ID", "FOR", "CURRENCY", "PRICE COMPONENTS", "LAST UPDATED")
    _list("tariff", headings, _tariff, owner, after, limit, data, json)


@tariffs.command("remove")
def remove_tariff(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Its hosted party, like NL*LOC.")],
    tariff_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, from `tariff list`.")],
    data: Data = None,
    json: AsJson = False,
) -> None:
    """Delete a Tariff, here and at everybody who has it."""
    answer = client.ask(data, "DELETE", f"/tariffs/{client.segment(owner)}/{client.segment(tariff_id)}")
    tables.show(
        answer, json, [f"tariff {answer.value['id']} of {answer.value['owner']} is deleted", _trace(answer.value)]
    )


def _put(kind: str, file: Path, data: Path | None, json: bool, query: dict[str, str]) -> None:
    answer = client.ask(data, "PUT", f"/{kind}s", files.read(file), query=query)
    done = answer.value
    state = "new" if done["created"] else "stored"
    lines = [f"{kind} {done['id']} of {done['owner']} is {state}", "no partner sees it" if query else _trace(done)]
    if done["kept_newer"]:
        lines.append(f"kept as they are, newer than the file: {tables.plain(done['kept_newer'])}")
    lines += [f"warning: {tables.plain(warning)}" for warning in done["warnings"]]
    tables.show(answer, json, lines)


def _trace(done: dict[str, Any]) -> str:
    return f"who gets it: `knutpunkt trace {done['correlation_id']}`"


def _list(
    kind: str,
    headings: tuple[str, ...],
    row: Callable[[dict[str, Any]], tuple[object, ...]],
    owner: str | None,
    after: int,
    limit: int,
    data: Path | None,
    json: bool,
) -> None:
    answer = client.ask(data, "GET", f"/{kind}s", query={"owner": owner, "after": after, "limit": limit})
    lines = tables.table(headings, map(row, answer.value["items"]), f"no {kind} is kept here")
    if answer.value["next"] is not None:
        lines.append(f"there are more: --after {answer.value['next']}")
    tables.show(answer, json, lines)


def _location(item: dict[str, Any]) -> tuple[object, ...]:
    from modules.locations import hours

    found = item["object"]
    evses, opened = len(found.get("evses") or ()), hours.now(found, datetime.now(UTC))
    return *_who(item), found.get("name"), found.get("city"), evses, opened, tables.moment(item["last_updated"])


def _tariff(item: dict[str, Any]) -> tuple[object, ...]:
    found = item["object"]
    components = [f"{c['type']} {c['price']}" for e in found["elements"] for c in e["price_components"]]
    return *_who(item), found["currency"], components, tables.moment(item["last_updated"])


def _who(item: dict[str, Any]) -> tuple[object, ...]:
    return item["owner"], item["id"], "everybody" if item["audience"] == "*" else item["audience"]
