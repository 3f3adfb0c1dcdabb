"""What a hub does with the four routing headers. Source: transport_and_format.asciidoc > Message Routing."""

from collections.abc import Mapping

from hub.kit import pages, receiving
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.listing import SAMPLE, listing
from hub.kit.peer import NOBODY, Peer, data_of, dicts, expect, named, party_of
from hub.ocpi import headers
from hub.ocpi.types import PartyId

GROUP = Group("routing")

_TO = (headers.TO_COUNTRY, headers.TO_PARTY)
_FROM = (headers.FROM_COUNTRY, headers.FROM_PARTY)


async def _list(peer: Peer, routing: Mapping[str, str], **rest: str) -> Heard:
    """The list of locations, with these routing headers."""
    if peer.us is None:
        raise Skipped("it is not known which party the token belongs to: see --party")
    return await peer.call("GET", "locations", "SENDER", query={"limit": "2"}, routing=routing, **rest)


@GROUP.check("TF-120", "TF-173", kinds="hub")
async def get_all(peer: Peer) -> None:
    """A list GET to the hub itself gives the objects of all parties that we may see"""
    data = data_of(await _list(peer, peer.routing(peer.them)), "HTTP 200, status_code 1000, data: an array")
    if not isinstance(data, list):
        raise Skipped("data is no array: see TF-069")


@GROUP.check("TF-121", kinds="hub")
async def get_all_is_the_hubs(peer: Peer) -> None:
    """The answer to a list GET of the hub comes from the hub"""
    heard = await _list(peer, peer.routing(peer.them))
    came = named(heard.headers, *_FROM)
    expect(heard, came == peer.them, f"OCPI-from of {peer.them}", f"OCPI-from: {came or 'missing'}")


@GROUP.check("TF-078", kinds="hub")
async def any_case(peer: Peer) -> None:
    """Codes in routing headers are taken in any case"""
    routing = {name: value.lower() for name, value in peer.routing(peer.them).items()}
    data_of(await _list(peer, routing, note="codes in lower case"), "HTTP 200, status_code 1000")


@GROUP.check("TF-090", "TF-164", kinds="hub")
async def unknown_receiver(peer: Peer) -> None:
    """A receiver that the hub does not know is answered with status 4001"""
    heard = await _list(peer, peer.routing(NOBODY))
    expect(heard, heard.status_code == 4001, "status_code 4001")


@GROUP.check("TF-167", kinds="hub")
async def hub_errors_over_http(peer: Peer) -> None:
    """Errors of the hub come with HTTP 200"""
    heard = await _list(peer, peer.routing(NOBODY))
    expect(heard, heard.http_status == 200, "HTTP 200: the request did reach OCPI")


@GROUP.check("TF-169", should=True, kinds="hub")
async def hub_errors_signed(peer: Peer) -> None:
    """An error of the hub names the hub as sender"""
    heard = await _list(peer, peer.routing(NOBODY))
    came = named(heard.headers, *_FROM)
    expect(heard, came == peer.them, f"OCPI-from of {peer.them}", f"OCPI-from: {came or 'missing'}")


@GROUP.check("TF-082", kinds="hub")
async def half_a_pair(peer: Peer) -> None:
    """Only one of the two OCPI-to headers is answered with status 2001"""
    receiving.us(peer)
    for name in _TO:
        # One object, since a list without any receiver is answered 2001, too (TF-115).
        routing = {header: value for header, value in peer.routing(peer.them).items() if header != name}
        heard = await peer.call(
            "GET", "locations", "SENDER", receiving.new_id(), routing=routing, note=f"without {name}"
        )
        expect(heard, heard.status_code == 2001, "status_code 2001, as the pair is not complete")


@GROUP.check("TF-115", kinds="hub")
async def list_of_whom(peer: Peer) -> None:
    """A list GET without a receiver is answered with status 2001"""
    heard = await _list(peer, peer.routing(None), note="without OCPI-to")
    expect(heard, heard.status_code == 2001, "status_code 2001")


@GROUP.check("TF-118", "TF-114", kinds="hub")
async def object_of_whom(peer: Peer) -> None:
    """GET of an object that nobody has, without a receiver, is answered with status 4001"""
    heard = await peer.call(
        "GET", "locations", "SENDER", receiving.new_id(), routing=peer.routing(None), note="without OCPI-to"
    )
    expect(heard, heard.status_code == 4001, "status_code 4001")


@GROUP.check("TF-175", kinds="hub")
async def copy_at_whom(peer: Peer) -> None:
    """GET on a Receiver interface without a receiver is answered with status 4001"""
    heard = await _copy(peer, None)
    expect(heard, heard.status_code == 4001, "status_code 4001")


@GROUP.check("TF-101", kinds="hub")
async def no_get_broadcast(peer: Peer) -> None:
    """GET on a Receiver interface to the hub itself is refused, and not sent to everybody"""
    heard = await _copy(peer, peer.them)
    expect(heard, heard.status_code is not None and not heard.ok, "status_code 2001")


async def _copy(peer: Peer, to: PartyId | None) -> Heard:
    """An object of ours as somebody holds it, in a module that our role may push."""
    ours = receiving.us(peer)
    module = "locations" if peer.role == "CPO" else "tokens"
    return await peer.call("GET", module, "RECEIVER", *ours, receiving.new_id(), routing=peer.routing(to))


@GROUP.check("TF-062", kinds="hub")
async def in_anothers_name(peer: Peer) -> None:
    """A request in the name of a party that is not ours is answered with status 2001"""
    heard = await _list(peer, headers.routing(peer.them, NOBODY))
    expect(heard, heard.status_code == 2001, "status_code 2001")


@GROUP.check("TF-044", "TF-043", kinds="hub")
async def pages_of_one(peer: Peer) -> None:
    """The pages of one party's list can be followed through the hub"""
    owner, page = await _of_one(peer)
    url = pages.link(page)
    if url is None:
        raise Skipped(f"the list of {owner} has one page")
    foreign = pages.foreign_link(page)
    expect(page.heard, foreign is None, "a Link to the hub itself", f"Link to {foreign}")
    heard = await peer.ask("GET", url, module="locations", routing=peer.routing(owner))
    data_of(heard, "HTTP 200 and the next page")


@GROUP.check("TF-087", kinds="hub")
async def answered_by_one(peer: Peer) -> None:
    """The answer to a request for one party comes from that party"""
    owner, page = await _of_one(peer)
    came = named(page.heard.headers, *_FROM)
    expect(page.heard, came == owner, f"OCPI-from of {owner}", f"OCPI-from: {came or 'missing'}")


async def _of_one(peer: Peer) -> tuple[PartyId, pages.Page]:
    """The first page of a connected CPO's own list. Skipped when there is no such CPO, or it does not answer."""
    info = await listing(peer, "hubclientinfo").page(limit=SAMPLE)
    for entry in dicts(info.objects):
        owner = party_of(entry)
        if owner and owner != peer.us and (entry.get("role"), entry.get("status")) == ("CPO", "CONNECTED"):
            heard = await peer.call("GET", "locations", "SENDER", query={"limit": "1"}, routing=peer.routing(owner))
            return owner, pages.read(heard)
    raise Skipped("no CPO is CONNECTED by hubclientinfo")
