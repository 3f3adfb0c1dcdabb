"""Locations: a CPO's list, single objects, and pushes to an eMSP. Source: mod_locations.asciidoc."""

from hub.kit import lists, objects, receiving
from hub.kit.check import Group, Skipped
from hub.kit.listing import listing
from hub.kit.objects import Json
from hub.kit.pages import Page
from hub.kit.peer import Peer, data_of, dict_of, expect, party_of
from hub.sandbox import samples
from modules.catalog import LOCATIONS

GROUP = Group("locations")


def _sample(peer: Peer, object_id: str) -> Json:
    """A Location of ours that nobody is to be shown."""
    return {**samples.location(str(receiving.us(peer)), object_id), "publish": False, "name": "Conformance kit"}


lists.add(GROUP, LOCATIONS, "LOC-034", ("LOC-039", "LOC-085"))


async def _first(peer: Peer, part: str = "") -> tuple[Page, Json]:
    """A Location of the list; with EVSEs and connectors if `part` says so."""
    page = await listing(peer, "locations").sample()
    for found in page.objects:
        if not part or any(list(objects.parts(evse, "connectors")) for _, evse in objects.parts(found, "evses")):
            return page, found
    raise Skipped("no Location has an EVSE with a connector")


@GROUP.check("LOC-013", kinds="cpo hub")
async def parents_follow(peer: Peer) -> None:
    """No EVSE or Connector is newer than what it is part of"""
    await listing(peer, "locations").each(
        objects.stale_parent, "last_updated of a Location not before that of its EVSEs and Connectors"
    )


@GROUP.check("LOC-069", kinds="cpo hub")
async def coordinates(peer: Peer) -> None:
    """Coordinates have 5 to 7 decimals and are text"""
    await listing(peer, "locations").each(objects.bad_coordinates, 'text such as "52.089444"')


@GROUP.check("LOC-037", kinds="cpo hub")
async def time_zone(peer: Peer) -> None:
    """time_zone is a name of the IANA time zone database"""
    await listing(peer, "locations").each(objects.bad_time_zone, "a name such as Europe/Amsterdam")


@GROUP.check("LOC-072", "LOC-075", kinds="cpo hub")
async def hours(peer: Peer) -> None:
    """Opening times are either round the clock or regular hours"""
    await listing(peer, "locations").each(
        objects.bad_hours, "twentyfourseven true, or false and at least one entry of regular_hours"
    )


@GROUP.check("LOC-041", kinds="cpo hub")
async def allowance(peer: Peer) -> None:
    """publish_allowed_to is there only where publish is false"""
    await listing(peer, "locations").each(
        objects.needless_allowance, "no publish_allowed_to, as the Location is published"
    )


@GROUP.check("LOC-016", kinds="cpo hub")
async def single(peer: Peer) -> None:
    """A Location, an EVSE and a Connector can be read by themselves"""
    _, found = await _first(peer, "connectors")
    owner = peer.routing(party_of(found)) if peer.is_hub else None
    expected = "HTTP 200, status_code 1000, data: the object of this id"
    path = [str(found.get("id"))]
    heard = await peer.call("GET", "locations", "SENDER", *path, routing=owner)
    expect(heard, dict_of(data_of(heard, expected)).get("id") == found.get("id"), expected, "another object")
    evse = next(e for _, e in objects.parts(found, "evses") if list(objects.parts(e, "connectors")))
    path.append(str(evse.get("uid")))
    heard = await peer.call("GET", "locations", "SENDER", *path, routing=owner)
    expect(heard, dict_of(data_of(heard, expected)).get("uid") == evse.get("uid"), expected, "another object")
    connector = next(c for _, c in objects.parts(evse, "connectors"))
    heard = await peer.call("GET", "locations", "SENDER", *path, str(connector.get("id")), routing=owner)
    expect(heard, dict_of(data_of(heard, expected)).get("id") == connector.get("id"), expected, "another object")


@GROUP.check("TF-146", should=True, kinds="cpo")
async def unknown(peer: Peer) -> None:
    """GET of a Location that is not there is answered HTTP 404"""
    heard = await peer.call("GET", "locations", "SENDER", receiving.new_id())
    expect(heard, heard.http_status == 404, "HTTP 404")


receiving.add(GROUP, LOCATIONS, "LOC-019", _sample, {"name": "Conformance kit, changed"}, "LOC-028")
