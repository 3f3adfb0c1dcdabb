"""Commands: POST of a command on the Receiver interface; results come back to the response_url the hub put in.

Source: mod_commands.asciidoc > Interfaces and Endpoints.
"""

from fastapi import APIRouter, Response

from hub.exchange import callbacks, command
from modules.calls import VERSION_PATH, CurrentCall, CurrentHub, ReturningCall, receiver_router, respond, takes
from modules.commands.schemas import (
    CancelReservation,
    CommandResult,
    ReserveNow,
    StartSession,
    StopSession,
    UnlockConnector,
)

receiver = receiver_router("commands")
results = APIRouter(prefix=VERSION_PATH, tags=["commands (Sender)"])


@receiver.post("/START_SESSION", openapi_extra=takes(StartSession))
async def start_session(hub: CurrentHub, call: CurrentCall) -> Response:
    """Start charging with a token of the eMSP."""
    return respond(await command.give(hub, call, "START_SESSION"))


@receiver.post("/STOP_SESSION", openapi_extra=takes(StopSession))
async def stop_session(hub: CurrentHub, call: CurrentCall) -> Response:
    """Stop a Session of the eMSP."""
    return respond(await command.give(hub, call, "STOP_SESSION"))


@receiver.post("/RESERVE_NOW", openapi_extra=takes(ReserveNow))
async def reserve_now(hub: CurrentHub, call: CurrentCall) -> Response:
    """Reserve an EVSE."""
    return respond(await command.give(hub, call, "RESERVE_NOW"))


@receiver.post("/CANCEL_RESERVATION", openapi_extra=takes(CancelReservation))
async def cancel_reservation(hub: CurrentHub, call: CurrentCall) -> Response:
    """Cancel a reservation."""
    return respond(await command.give(hub, call, "CANCEL_RESERVATION"))


@receiver.post("/UNLOCK_CONNECTOR", openapi_extra=takes(UnlockConnector))
async def unlock_connector(hub: CurrentHub, call: CurrentCall) -> Response:
    """Unlock a Connector; for help-desk staff."""
    return respond(await command.give(hub, call, "UNLOCK_CONNECTOR"))


@results.post("/cb/{callback_id}", openapi_extra=takes(CommandResult))
async def post_command_result(hub: CurrentHub, call: ReturningCall, callback_id: str) -> Response:
    """The result of a command, from the CPO to the eMSP that gave it."""
    return respond(await callbacks.result(hub, call, callbacks.COMMAND, callback_id))


@results.get("/page/{callback_id}")
async def get_page(hub: CurrentHub, call: ReturningCall, callback_id: str) -> Response:
    """The next page of an owner's list."""
    return respond(await callbacks.page(hub, call, callback_id))
