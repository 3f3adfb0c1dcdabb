"""The API process: the OCPI application behind its gate, the operator API, and the health endpoints.

Run by `knutpunkt api` as `uvicorn --factory hub.app:create`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from hub import garbage, telemetry, tracing
from hub.admin import api as operator_api
from hub.admin import metrics
from hub.bridge import control
from hub.exchange.context import Hub
from hub.exchange.gate import Gate
from hub.exchange.pressure import Desk, Pressure
from hub.exchange.readiness import Readiness
from hub.ocpi.errors import OcpiError
from hub.openapi.operator import Described
from hub.settings import Settings
from hub.store.heartbeats import Pulse
from hub.watch.limits import Limits
from hub.watch.watch import Watch
from modules.catalog import CATALOG
from modules.cdrs import routes as cdrs
from modules.chargingprofiles import routes as chargingprofiles
from modules.commands import routes as commands
from modules.credentials import routes as credentials
from modules.endpoints import Endpoints
from modules.hubclientinfo import routes as hubclientinfo
from modules.locations import routes as locations
from modules.sessions import routes as sessions
from modules.tariffs import routes as tariffs
from modules.tokens import routes as tokens
from modules.versions import routes as versions

OCPI_ROUTERS = (
    versions.router,
    credentials.router,
    locations.sender,
    locations.receiver,
    sessions.sender,
    sessions.receiver,
    cdrs.sender,
    cdrs.receiver,
    tariffs.sender,
    tariffs.receiver,
    tokens.sender,
    tokens.receiver,
    commands.receiver,
    commands.results,
    chargingprofiles.sender,
    chargingprofiles.receiver,
    chargingprofiles.results,
    hubclientinfo.sender,
    hubclientinfo.receiver,
)

OCPI_ROUTES = [route for router in OCPI_ROUTERS for route in router.routes]

PATIENCE = 0.8
"""Seconds after which a request that gets nothing from the database is told to come again (HTTP 503)."""


class Api(Described):
    """The application. OCPI has a road of its own, past FastAPI's middleware: the gate, backpressure, the endpoint."""

    def __init__(self, desk: Desk, **options: Any) -> None:
        super().__init__(**options)
        self.desk = desk
        self.ocpi = Gate(Pressure(Endpoints(OCPI_ROUTES), desk))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or take part in the start and the end."""
        if scope["type"] == "http" and f"{scope['path']}/".startswith("/ocpi/"):
            scope["app"] = self
            await self.ocpi(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create() -> FastAPI:
    """The application with the settings of the environment: uvicorn's factory."""
    settings = Settings.load()
    tracing.require(settings.otlp_url)
    telemetry.setup(settings.log_level, settings.log_format, "api")
    app = create_app(settings)
    garbage.settle()
    return app


def create_app(settings: Settings, limits: Limits | None = None) -> FastAPI:
    """The whole API process around one Hub; `limits` are those of its watch.

    Routers give their routes as they are: `include_router` would build each of them once more for every application,
    which costs a first request, and go through a second layer to match each call.
    """
    desk = Desk()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            tracing.running(settings.otlp_url, "api"),
            Hub.open(settings, CATALOG) as hub,
            Pulse.beating(hub.db, "api", desk.figures) as pulse,
            Watch.running(hub, limits),
        ):
            hub.hosted_commands, hub.db.patience = control.submit, PATIENCE
            app.state.hub, app.state.readiness = hub, Readiness(hub, pulse)
            yield

    app = Api(desk, lifespan=lifespan, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
    app.router.routes += [*operator_api.routes, *metrics.router.routes]
    app.add_exception_handler(OcpiError, operator_api.refuse)
    app.add_exception_handler(HTTPException, _refuse_outside)
    app.add_api_route("/livez", livez, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    app.add_api_route("/health", readyz, include_in_schema=False)
    return app


async def livez() -> dict[str, str]:
    """The process runs and its loop turns."""
    return {"status": "alive"}


async def readyz(request: Request) -> Response:
    """Requests may be sent here: see Readiness."""
    readiness: Readiness = request.app.state.readiness
    trouble = await readiness.trouble()
    if trouble is not None:
        return JSONResponse({"status": "not ready", "reason": trouble}, 503)
    return JSONResponse({"status": "ready"})


async def _refuse_outside(request: Request, error: Exception) -> Response:
    """What the operator's API does not offer, and a URL that is nobody's."""
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/api/v1"):
        return await operator_api.refuse_http(request, error)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
