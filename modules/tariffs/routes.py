"""Tariffs: list on the Sender interface; GET, PUT and DELETE on the Receiver interface (there is no PATCH in 2.2.1).

Source: mod_tariffs.asciidoc > Interfaces and Endpoints.
"""

from typing import Annotated

from fastapi import Depends, Response

from hub.exchange import pull, push
from hub.ocpi.module import Ref
from modules.calls import CurrentCall, CurrentHub, receiver_router, ref, respond, sender_router, takes
from modules.catalog import TARIFFS
from modules.tariffs.schemas import Tariff

sender = sender_router("tariffs")
receiver = receiver_router("tariffs")


async def tariff_ref(country_code: str, party_id: str, tariff_id: str) -> Ref:
    """A Tariff in a client owned URL."""
    return ref(country_code, party_id, tariff_id)


TariffRef = Annotated[Ref, Depends(tariff_ref)]
TARIFF = "/{country_code}/{party_id}/{tariff_id}"


@sender.get("")
async def get_tariffs(hub: CurrentHub, call: CurrentCall) -> Response:
    """List Tariffs, of all owners (receiver: the hub) or of one."""
    return respond(await pull.page(hub, call, TARIFFS))


@receiver.get(TARIFF)
async def get_received_tariff(hub: CurrentHub, call: CurrentCall, tariff: TariffRef) -> Response:
    """The Tariff as the receiver holds it."""
    return respond(await pull.receiver_copy(hub, call, TARIFFS, tariff))


@receiver.put(TARIFF, openapi_extra=takes(Tariff))
async def put_tariff(hub: CurrentHub, call: CurrentCall, tariff: TariffRef) -> Response:
    """A new or changed Tariff."""
    return respond(await push.put(hub, call, TARIFFS, tariff))


@receiver.delete(TARIFF)
async def delete_tariff(hub: CurrentHub, call: CurrentCall, tariff: TariffRef) -> Response:
    """A Tariff that is no longer in use."""
    return respond(await push.delete(hub, call, TARIFFS, tariff))
