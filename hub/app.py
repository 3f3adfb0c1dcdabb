"""The API process: the OCPI application behind its gate, the operator API, and the health endpoints.

Run by `knutpunkt api` as `uvicorn --factory hub.app:create`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy import text
from starlette.exceptions import HTTPException

from hub import telemetry, tracing
from hub.admin import api as operator_api
from hub.admin import metrics
from hub.bridge import control
from hub.exchange import forward
from hub.exchange.context import Hub
from hub.exchange.gate import Gate
from hub.ocpi import envelope, headers
from hub.ocpi.errors import InvalidParameters, MethodNotAllowed, NotFound, OcpiError
from hub.openapi.operator import Described
from hub.settings import Settings
from hub.store.heartbeats import Pulse
from hub.watch.limits import Limits
from hub.watch.watch import Watch
from modules.calls import respond
from modules.catalog import CATALOG
from modules.cdrs import routes as cdrs
from modules.chargingprofiles import routes as chargingprofiles
from modules.commands import routes as commands
from modules.credentials import routes as credentials
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


def create() -> FastAPI:
    """The application with the settings of the environment: uvicorn's factory."""
    settings = Settings.load()
    tracing.require(settings.otlp_url)
    telemetry.setup(settings.log_level, settings.log_format, "api")
    return create_app(settings)


def create_app(settings: Settings, limits: Limits | None = None) -> FastAPI:
    """The whole API process around one Hub; `limits` are those of its watch.

    Routers give their routes as they are: `include_router` would build each of them once more for every application,
    which costs a first request, and go through a second layer to match each call.
    """
    ocpi = create_ocpi()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            tracing.running(settings.otlp_url, "api"),
            Hub.open(settings, CATALOG) as hub,
            Pulse.beating(hub.db, "api"),
            Watch.running(hub, limits),
        ):
            hub.hosted_commands = control.submit
            app.state.hub = ocpi.state.hub = hub
            yield

    app = Described(lifespan=lifespan, openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
    app.router.routes += [*operator_api.routes, *metrics.router.routes]
    app.add_exception_handler(OcpiError, operator_api.refuse)
    app.add_exception_handler(HTTPException, _refuse_outside)
    app.add_api_route("/livez", livez, include_in_schema=False)
    app.add_api_route("/readyz", readyz, include_in_schema=False)
    app.add_api_route("/health", readyz, include_in_schema=False)
    app.mount("/ocpi", ocpi)
    return app


def create_ocpi() -> FastAPI:
    """The OCPI application: routes, the gate before them, and envelopes for every refusal."""
    app = FastAPI(title="Knutpunkt OCPI 2.2.1", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in OCPI_ROUTERS:
        app.router.routes += router.routes
    app.add_exception_handler(OcpiError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_middleware(Gate)
    return app


async def livez() -> dict[str, str]:
    """The process runs and its loop turns."""
    return {"status": "alive"}


async def readyz(request: Request) -> Response:
    """The database answers; Redis is not asked, the hub works without it."""
    hub: Hub = request.app.state.hub
    try:
        async with hub.db.unit_of_work() as session:
            await session.execute(text("SELECT 1"))
    except Exception as error:
        return JSONResponse({"status": "not ready", "database": type(error).__name__}, 503)
    return JSONResponse({"status": "ready"})


async def _refuse(request: Request, error: Exception) -> Response:
    """An OCPI refusal: FROM is the hub, TO the caller as far as it is known."""
    assert isinstance(error, OcpiError)
    call = getattr(request.state, "call", None)
    if call is not None:
        hub: Hub = request.app.state.hub
        reply = forward.refused(call, hub.code, error)
        return respond(hub.answered(call, "refuse", reply, status_code=error.status_code, detail=str(error)))
    sender = getattr(request.state, "sender", None)
    routing = headers.routing(sender, request.app.state.hub.code) if sender is not None else {}
    return Response(envelope.refusal(error), error.http_status, routing, media_type="application/json")


async def _refuse_outside(request: Request, error: Exception) -> Response:
    """A URL that is neither OCPI's nor the operator's, or a malformed one below /ocpi."""
    assert isinstance(error, HTTPException)
    if request.url.path.startswith("/ocpi"):
        return await _refuse_http(request, error)
    if request.url.path.startswith("/api/v1"):
        return await operator_api.refuse_http(request, error)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


async def _refuse_http(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return await _refuse(request, MethodNotAllowed(f"{request.method} is not offered here"))
    return await _refuse(request, NotFound("there is nothing at this URL: take URLs from the version details"))


async def _refuse_parameters(request: Request, error: Exception) -> Response:
    """A parameter of the wrong shape: named, never repeated."""
    assert isinstance(error, RequestValidationError)
    named = ", ".join(sorted({str(part["loc"][-1]) for part in error.errors()}))
    return await _refuse(request, InvalidParameters(f"{named}: missing or malformed"))
