"""CDRs: list on the Sender interface; POST, and GET of what was posted, on the Receiver interface.

Source: mod_cdrs.asciidoc > Interfaces and Endpoints.
"""

from fastapi import Response

from hub.exchange import cdr, pull
from modules.calls import CurrentCall, CurrentHub, receiver_router, respond, sender_router, takes
from modules.catalog import CDRS
from modules.cdrs.schemas import CDR

sender = sender_router("cdrs")
receiver = receiver_router("cdrs")


@sender.get("")
async def get_cdrs(hub: CurrentHub, call: CurrentCall) -> Response:
    """List the CDRs that are for the caller."""
    return respond(await pull.page(hub, call, CDRS))


@receiver.post("", openapi_extra=takes(CDR))
async def post_cdr(hub: CurrentHub, call: CurrentCall) -> Response:
    """A new CDR, to the eMSP that owns its token; the Location in the answer is where to check it."""
    return respond(await cdr.post(hub, call))


@receiver.get("/{cdr_location}")
async def get_posted_cdr(hub: CurrentHub, call: CurrentCall, cdr_location: str) -> Response:
    """The CDR as the receiver holds it, at the Location its POST returned."""
    return respond(await cdr.fetch(hub, call, cdr_location))
