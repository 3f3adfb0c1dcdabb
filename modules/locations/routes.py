"""Locations: GET on both interfaces, PUT and PATCH of Location, EVSE and Connector on the Receiver interface.

Source: mod_locations.asciidoc > Interfaces and Endpoints.
"""

from typing import Annotated

from fastapi import Depends, Response

from hub.exchange import pull, push
from hub.ocpi.module import Ref
from modules.calls import CurrentCall, CurrentHub, receiver_router, ref, respond, sender_router, takes
from modules.catalog import LOCATIONS
from modules.locations.schemas import EVSE, Connector, Location

sender = sender_router("locations")
receiver = receiver_router("locations")


async def location_ref(country_code: str, party_id: str, location_id: str) -> Ref:
    """A Location in a client owned URL."""
    return ref(country_code, party_id, location_id)


async def evse_ref(country_code: str, party_id: str, location_id: str, evse_uid: str) -> Ref:
    """An EVSE in a client owned URL."""
    return ref(country_code, party_id, location_id, evse_uid)


async def connector_ref(country_code: str, party_id: str, location_id: str, evse_uid: str, connector_id: str) -> Ref:
    """A Connector in a client owned URL."""
    return ref(country_code, party_id, location_id, evse_uid, connector_id)


LocationRef = Annotated[Ref, Depends(location_ref)]
EvseRef = Annotated[Ref, Depends(evse_ref)]
ConnectorRef = Annotated[Ref, Depends(connector_ref)]

LOCATION = "/{country_code}/{party_id}/{location_id}"
EVSE_PATH = LOCATION + "/{evse_uid}"
CONNECTOR = EVSE_PATH + "/{connector_id}"


@sender.get("")
async def get_locations(hub: CurrentHub, call: CurrentCall) -> Response:
    """List Locations, of all owners (receiver: the hub) or of one."""
    return respond(await pull.page(hub, call, LOCATIONS))


@sender.get("/{location_id}")
async def get_location(hub: CurrentHub, call: CurrentCall, location_id: str) -> Response:
    """One Location of the owner named as receiver."""
    return respond(await pull.one(hub, call, LOCATIONS, location_id))


@sender.get("/{location_id}/{evse_uid}")
async def get_evse(hub: CurrentHub, call: CurrentCall, location_id: str, evse_uid: str) -> Response:
    """One EVSE."""
    return respond(await pull.one(hub, call, LOCATIONS, location_id, (evse_uid,)))


@sender.get("/{location_id}/{evse_uid}/{connector_id}")
async def get_connector(
    hub: CurrentHub, call: CurrentCall, location_id: str, evse_uid: str, connector_id: str
) -> Response:
    """One Connector."""
    return respond(await pull.one(hub, call, LOCATIONS, location_id, (evse_uid, connector_id)))


@receiver.get(LOCATION)
async def get_received_location(hub: CurrentHub, call: CurrentCall, location: LocationRef) -> Response:
    """The Location as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, LOCATIONS, location))


@receiver.get(EVSE_PATH)
async def get_received_evse(hub: CurrentHub, call: CurrentCall, evse: EvseRef) -> Response:
    """The EVSE as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, LOCATIONS, evse))


@receiver.get(CONNECTOR)
async def get_received_connector(hub: CurrentHub, call: CurrentCall, connector: ConnectorRef) -> Response:
    """The Connector as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, LOCATIONS, connector))


@receiver.put(LOCATION, openapi_extra=takes(Location))
async def put_location(hub: CurrentHub, call: CurrentCall, location: LocationRef) -> Response:
    """A new or changed Location, to everyone (receiver: the hub) or to one party."""
    return respond(await push.put(hub, call, LOCATIONS, location))


@receiver.put(EVSE_PATH, openapi_extra=takes(EVSE))
async def put_evse(hub: CurrentHub, call: CurrentCall, evse: EvseRef) -> Response:
    """A new or changed EVSE."""
    return respond(await push.put(hub, call, LOCATIONS, evse))


@receiver.put(CONNECTOR, openapi_extra=takes(Connector))
async def put_connector(hub: CurrentHub, call: CurrentCall, connector: ConnectorRef) -> Response:
    """A new or changed Connector."""
    return respond(await push.put(hub, call, LOCATIONS, connector))


@receiver.patch(LOCATION)
async def patch_location(hub: CurrentHub, call: CurrentCall, location: LocationRef) -> Response:
    """Changed fields of a Location."""
    return respond(await push.patch(hub, call, LOCATIONS, location))


@receiver.patch(EVSE_PATH)
async def patch_evse(hub: CurrentHub, call: CurrentCall, evse: EvseRef) -> Response:
    """Changed fields of an EVSE, its status above all."""
    return respond(await push.patch(hub, call, LOCATIONS, evse))


@receiver.patch(CONNECTOR)
async def patch_connector(hub: CurrentHub, call: CurrentCall, connector: ConnectorRef) -> Response:
    """Changed fields of a Connector."""
    return respond(await push.patch(hub, call, LOCATIONS, connector))
