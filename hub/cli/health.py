"""`knutpunkt health PROCESS`: the question a container's health check asks. It is asked often, so it imports little."""

import http.client
import re
import socket
from enum import StrEnum
from typing import Annotated

import typer

from hub.services.process import reachable
from hub.settings import OperatorError, Settings, reason

PATIENCE = 5  # seconds
SILENT = 30  # seconds without a sign of life; a process shows one every 5 to 10 s

_AGE = (
    "SELECT extract(epoch FROM min(now() - at))::float8 FROM heartbeat"
    " WHERE process = %(kind)s OR starts_with(process, %(here)s)"
)

app = typer.Typer()


class Kind(StrEnum):
    """The processes of a hub."""

    API = "api"
    WORKER = "worker"
    BEAT = "beat"
    BRIDGE = "bridge"


@app.command()
def health(process: Annotated[Kind, typer.Argument(help="Which process of this machine or container.")]) -> None:
    """Exit with status 0 if a process of the hub does its work here, with 1 and the reason if not.

    The API and the bridge are asked over HTTP. A worker shows its life in the database, beat by a task that has come
    through the broker and a worker.
    """
    settings = Settings.load()
    if process is Kind.API:
        _ask(settings.host, settings.port, "/readyz")
    elif process is Kind.BRIDGE:
        _ask(settings.bridge_host, settings.bridge_port, "/livez")
    else:
        _look_for_life(settings, process)
    typer.echo(f"{process} is well")


def _ask(host: str, port: int, path: str) -> None:
    """GET from a process on this machine. OperatorError unless it answers 200."""
    host = reachable(host)
    url = f"http://{host}:{port}{path}"
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise OperatorError(f"{url} does not answer ({reason(error)}): look at the log of the process") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise OperatorError(f"{url} answers HTTP {status}: look at the log of the process")


def _look_for_life(settings: Settings, kind: Kind) -> None:
    """OperatorError unless the process has shown life just now: one of this machine, or beat, the only one of a hub."""
    import psycopg

    settings.require("database_url")
    url = re.sub(r"^\w+(\+\w+)?://", "postgresql://", settings.database_url)
    names = {"kind": str(kind), "here": f"{kind}@{socket.gethostname()}:"}
    try:
        with psycopg.connect(url, connect_timeout=PATIENCE) as connection:
            row = connection.execute(_AGE, names).fetchone()
    except psycopg.Error as error:
        raise OperatorError(f"the database does not answer ({type(error).__name__}): start PostgreSQL") from None
    age = row[0] if row else None
    if age is None or age > SILENT:
        since = "no sign of life" if age is None else f"no sign of life for {age:.0f} s"
        raise OperatorError(f"{kind}: {since}: look at its log, and at the broker")
