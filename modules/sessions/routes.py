"""Sessions: list and charging preferences on the Sender interface; GET, PUT and PATCH on the Receiver interface.

Source: mod_sessions.asciidoc > Interfaces and Endpoints.
"""

from typing import Annotated

from fastapi import Depends, Response

from hub.exchange import ask, pull, push
from hub.ocpi.module import Ref
from modules.calls import CurrentCall, CurrentHub, receiver_router, ref, respond, sender_router, takes
from modules.catalog import SESSIONS
from modules.sessions.schemas import ChargingPreferences, Session

sender = sender_router("sessions")
receiver = receiver_router("sessions")


async def session_ref(country_code: str, party_id: str, session_id: str) -> Ref:
    """A Session in a client owned URL."""
    return ref(country_code, party_id, session_id)


SessionRef = Annotated[Ref, Depends(session_ref)]
SESSION = "/{country_code}/{party_id}/{session_id}"


@sender.get("")
async def get_sessions(hub: CurrentHub, call: CurrentCall) -> Response:
    """List Sessions; date_from is required."""
    return respond(await pull.page(hub, call, SESSIONS))


@sender.put("/{session_id}/charging_preferences", openapi_extra=takes(ChargingPreferences))
async def put_charging_preferences(hub: CurrentHub, call: CurrentCall, session_id: str) -> Response:
    """A driver's wishes for a running Session, to its CPO."""
    return respond(await ask.charging_preferences(hub, call, session_id))


@receiver.get(SESSION)
async def get_received_session(hub: CurrentHub, call: CurrentCall, session: SessionRef) -> Response:
    """The Session as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, SESSIONS, session))


@receiver.put(SESSION, openapi_extra=takes(Session))
async def put_session(hub: CurrentHub, call: CurrentCall, session: SessionRef) -> Response:
    """A new or changed Session, to the eMSP that owns the token."""
    return respond(await push.put(hub, call, SESSIONS, session))


@receiver.patch(SESSION)
async def patch_session(hub: CurrentHub, call: CurrentCall, session: SessionRef) -> Response:
    """Changed fields of a Session; charging_periods are appended."""
    return respond(await push.patch(hub, call, SESSIONS, session))
