"""`knutpunkt charger`: the chargers of hosted parties."""

from typing import Annotated, Any

import typer

from hub.cli import client, tables
from hub.cli.client import AsJson, Data

app = typer.Typer(help="Chargers of hosted parties, connected to the bridge.", no_args_is_help=True)

Station = Annotated[str, typer.Argument(metavar="STATION", help="The identity that the charger shows.")]


@app.command()
def add(
    station: Station,
    party: Annotated[str, typer.Option("--party", help="The hosted party it belongs to, like NL*LOC.")],
    location: Annotated[str, typer.Option("--location", help="The id of the location it stands at.")],
    evse: Annotated[
        list[str] | None,
        typer.Option("--evse", metavar="UID", help="An EVSE it is; repeat in the order of its connectors.",
                     show_default="all free ones"),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="One power unit serves all its connectors: one at a time can be used.")
    ] = False,
    data: Data = None,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Put a charger into service: print the URL and the password to enter in it.

    Its connectors 1, 2, ... stand for the EVSEs in their order. The password is shown this once.
    """
    order: dict[str, object] = {"station_id": station, "party": party, "location_id": location, "shared": shared}
    answer = client.ask(data, "POST", "/chargers", order | ({"evse_uids": evse} if evse else {}))
    tables.show(answer, json, _to_enter(answer.value))


@app.command("list")
def list_all(data: Data = None, json: AsJson = False) -> None:
    """List the chargers with their connectors and what runs on them."""
    answer = client.ask(data, "GET", "/chargers")
    rows = [row for charger in answer.value for row in _rows(charger)]
    headings = ("STATION", "PARTY", "LOCATION", "ONLINE", "CONNECTOR", "STATUS", "SESSION", "KWH")
    tables.show(answer, json, tables.table(headings, rows, "no charger: `knutpunkt charger add` one"))


@app.command()
def password(station: Station, data: Data = None, json: AsJson = False) -> None:
    """Give a charger a new password, shown this once. A connection that stands goes on; the next login needs it."""
    answer = client.ask(data, "POST", f"/chargers/{client.segment(station)}/password")
    tables.show(answer, json, _to_enter(answer.value))


@app.command()
def remove(station: Station, data: Data = None, json: AsJson = False) -> None:
    """Take a charger out of service: it is hung up on, and its EVSEs are free for another."""
    answer = client.ask(data, "DELETE", f"/chargers/{client.segment(station)}")
    tables.show(answer, json, [f"charger {answer.value['station_id']} is out of service"])


def _to_enter(found: dict[str, Any]) -> list[str]:
    lines = tables.details({"station": found["station_id"], "password": found["password"], "URL": found["url"]})
    return [*lines, "Enter both in the charger (OCPP 1.6J, security profile 1)."]


def _rows(charger: dict[str, Any]) -> list[tuple[object, ...]]:
    """A line for each connector; the charger itself stands on the first."""
    seen = f"no, seen {tables.moment(charger['last_seen_at'])}" if charger["last_seen_at"] else "never"
    first = (charger["station_id"], charger["party"], charger["location_id"], "yes" if charger["online"] else seen)
    return [
        (first if number == 0 else ("", "", "", "")) + _connector(connector)
        for number, connector in enumerate(charger["connectors"])
    ]


def _connector(connector: dict[str, Any]) -> tuple[object, ...]:
    running = connector["transaction"] or {}
    place = f"{connector['ocpp_connector_id']}: {connector['evse_uid']}/{connector['connector_id']}"
    return place, connector["status"], running.get("session_id"), running.get("kwh")
