"""The commands that run: `up` for a whole hub on one machine, and each of its processes alone.

What a process needs is imported when its command is called: together it would cost every command a second.
"""

import asyncio
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub import telemetry, tracing
from hub.settings import Settings

if TYPE_CHECKING:
    from hub.services.supervisor import Stack

Data = Annotated[Path | None, typer.Option("--data", help="The data directory; HUB_DATA.", show_default="var")]
Port = Annotated[int | None, typer.Option("--port", min=0, max=65535, help="HUB_PORT; 0 for any.", show_default="8000")]
BridgePort = Annotated[
    int | None, typer.Option("--bridge-port", min=0, max=65535, help="HUB_BRIDGE_PORT; 0 for any.", show_default="9000")
]

app = typer.Typer()


@app.command()
def up(data: Data = None, port: Port = None, bridge_port: BridgePort = None) -> None:
    """Run a hub on this machine, with a PostgreSQL and a broker of its own unless settings name others."""
    from hub.services import supervisor

    settings = _begin("up", data=data and data.absolute(), port=port, bridge_port=bridge_port)
    asyncio.run(supervisor.run(supervisor.Stack(settings), _announce))


@app.command()
def api() -> None:
    """Run the API: OCPI, the operator's API and the console."""
    import uvicorn

    from hub.services import drain

    settings = _begin("api", "database_url", "broker", "secret_key")
    config = uvicorn.Config(
        "hub.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=drain.KEEP_ALIVE,
        timeout_graceful_shutdown=drain.FINISH,
        limit_concurrency=drain.CONNECTIONS,
    )
    drain.Server(config, lambda: config.loaded_app.state.readiness.drain()).run()


@app.command()
def worker() -> None:
    """Run a worker: it brings to the parties what is owed to them."""
    settings = _begin("worker", "database_url", "broker", "secret_key")
    from hub.worker import celery

    _keep_celery_quiet()
    running = celery.Worker(
        pool="prefork",
        concurrency=1,
        queues="push,cron",
        loglevel=settings.log_level,
        quiet=True,
        without_mingle=True,  # workers of a hub need not know of each other
        without_gossip=True,
    )
    running.start()
    raise typer.Exit(running.exitcode or 0)


@app.command()
def beat() -> None:
    """Run the clock of the workers. One per hub."""
    settings = _begin("beat", "broker")
    from hub.worker import celery

    _keep_celery_quiet()
    settings.data.mkdir(parents=True, exist_ok=True)
    celery.Beat(schedule=str(settings.data / "beat-schedule"), loglevel=settings.log_level, quiet=True).run()


@app.command()
def bridge() -> None:
    """Run the bridge that chargers connect to over OCPP."""
    import uvloop

    from hub.bridge import server

    uvloop.run(server.serve(_begin("bridge", "database_url", "broker", "secret_key")))


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this release; safe to repeat, and while the hub runs."""
    from hub.store import migrate as migrations

    migrations.upgrade(_begin("migrate", "database_url").database_url)


def _begin(process: str, *required: str, **options: object) -> Settings:
    """The settings with the command's options in them, and the logs set up."""
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings.load().model_copy(update=given)
    settings.require(*required)
    tracing.require(settings.otlp_url)
    telemetry.setup(settings.log_level, settings.log_format, process)
    return settings


def _keep_celery_quiet() -> None:
    """Celery sets up logs of its own unless somebody listens to a signal, and dislikes to run as root.

    What it fears of root is messages that carry code; ours are JSON.
    """
    from celery import platforms, signals

    signals.setup_logging.connect(_nothing_to_do)
    warnings.filterwarnings("ignore", category=platforms.SecurityWarning)


def _nothing_to_do(**_: object) -> None:
    """The logs are set up already."""


def _announce(stack: "Stack") -> None:
    settings = stack.settings
    telemetry.setup(settings.log_level, settings.log_format, "up", stack.log.entrance)  # into the log of all
    lines = [
        "Knutpunkt is up.",
        f"  partners register at    {settings.public_url}/ocpi/versions",
        f"  chargers connect to     {settings.bridge_url}/ocpp/STATION_ID",
        f"  data                    {stack.data.path}",
        f"  log                     {stack.log.path}",
    ]
    if stack.first_start:
        lines.append(f"  operator API token      {settings.api_token} (shown this once)")
    typer.echo("\n".join(lines))
