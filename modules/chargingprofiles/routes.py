"""Charging profiles: GET, PUT and DELETE on the Receiver interface start something whose result comes later; PUT on the
Sender interface tells of a change.

Source: mod_charging_profiles.asciidoc > Interfaces and Endpoints.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from hub.exchange import callbacks, profiles
from modules.calls import (
    VERSION_PATH,
    CurrentCall,
    CurrentHub,
    ReturningCall,
    receiver_router,
    respond,
    sender_router,
    takes,
    url_id,
)
from modules.chargingprofiles.schemas import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResult,
    ClearProfileResult,
    SetChargingProfile,
)

sender = sender_router("chargingprofiles")
receiver = receiver_router("chargingprofiles")
results = APIRouter(prefix=VERSION_PATH, tags=["chargingprofiles (Sender)"])


async def session(session_id: str) -> str:
    """The Session, by its id on the CPO's platform (CHP-040)."""
    return url_id(session_id)


SessionId = Annotated[str, Depends(session)]
SESSION = "/{session_id}"
RESULTS = (ChargingProfileResult, ActiveChargingProfileResult, ClearProfileResult)


@receiver.get(SESSION)
async def get_active_profile(
    hub: CurrentHub, call: CurrentCall, session_id: SessionId, duration: str = "", response_url: str = ""
) -> Response:
    """Ask for the charging profile that a Session will follow for `duration` seconds; it comes to `response_url`."""
    return respond(await profiles.ask(hub, call, session_id))


@receiver.put(SESSION, openapi_extra=takes(SetChargingProfile))
async def put_profile(hub: CurrentHub, call: CurrentCall, session_id: SessionId) -> Response:
    """Set or replace the charging profile of a Session."""
    return respond(await profiles.ask(hub, call, session_id))


@receiver.delete(SESSION)
async def delete_profile(hub: CurrentHub, call: CurrentCall, session_id: SessionId, response_url: str = "") -> Response:
    """Take back the charging profile that the caller has set; the result comes to `response_url`."""
    return respond(await profiles.ask(hub, call, session_id))


@sender.put(SESSION, openapi_extra=takes(ActiveChargingProfile))
async def put_active_profile(hub: CurrentHub, call: CurrentCall, session_id: SessionId) -> Response:
    """The charging profile of a Session has changed, for whoever set one."""
    return respond(await profiles.tell(hub, call, session_id))


@results.post("/profile/{callback_id}", openapi_extra=takes(*RESULTS))
async def post_profile_result(hub: CurrentHub, call: ReturningCall, callback_id: str) -> Response:
    """The result of a GET, PUT or DELETE of a charging profile: an ActiveChargingProfileResult, ChargingProfileResult
    or ClearProfileResult, from the CPO to the party that asked."""
    return respond(await callbacks.result(hub, call, callbacks.PROFILE, callback_id))
