"""OCPI calls through a hub, as the load generator sends them."""

from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.services.supervisor import Stack
from tests.bench import stock
from tests.bench.load.receivers import Receivers
from tests.bench.load.wrk import MESSAGE, NUMBER, TIME, Shot
from tests.bench.partners import Partner

CPO = Partner(stock.OWNER, "CPO", {})
LOCATIONS = "locations/" + stock.OWNER.replace("*", "/")


def emsp(receivers: Receivers, number: int = 0) -> Partner:
    """The eMSP behind a receiver."""
    return Partner(f"DE*{number:03}", "EMSP", {("locations", "RECEIVER"): f"{receivers.url(number)}/ocpi/locations"})


def code(hub: Stack) -> PartyId:
    """The hub's own party: as receiver it means everybody."""
    return PartyId.of(hub.settings.country_code, hub.settings.party_id)


def shown(token: str, sender: str, to: PartyId | str) -> dict[str, str]:
    """The headers of a call."""
    parties = headers.routing(PartyId.parse(str(to)), PartyId.parse(sender))
    ids = {headers.REQUEST_ID: MESSAGE, headers.CORRELATION_ID: MESSAGE}
    return {"Authorization": headers.encode_token(token), **ids, **parties}


def put_location(hub: Stack, token: str, to: PartyId | str, objects: int) -> Shot:
    """A new state of one of so many locations, to one party or to everybody."""
    return Shot(
        f"{base(hub)}/receiver/{LOCATIONS}/{stock.location_id(NUMBER)}",
        "PUT",
        shown(token, CPO.code, to),
        stock.location(NUMBER, TIME),
        objects=objects,
    )


def list_locations(hub: Stack, token: str, reader: Partner) -> Shot:
    """The first hundred locations of all that the hub has."""
    return Shot(f"{base(hub)}/sender/locations?limit=100", headers=shown(token, reader.code, code(hub)))


def base(hub: Stack) -> str:
    """Where the hub's OCPI modules are."""
    return f"{hub.url}/ocpi/2.2.1"
