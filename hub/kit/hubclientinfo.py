"""hubclientinfo: the hub's list of who can be reached. Source: mod_hub_client_info.asciidoc."""

from hub.kit import lists, objects
from hub.kit.check import Group
from hub.kit.listing import listing
from hub.kit.peer import Peer, expect, party_of
from modules.catalog import HUBCLIENTINFO

GROUP = Group("hubclientinfo")


lists.add(GROUP, HUBCLIENTINFO, "HCI-022", ("HCI-025", "TYP-015"))


@GROUP.check("HCI-009", should=True, kinds="hub")
async def not_ourselves(peer: Peer) -> None:
    """Our own party is not in the list"""
    page = await listing(peer, "hubclientinfo").sample()
    there = peer.us is not None and any(party_of(found) == peer.us for found in page.objects)
    expect(page.heard, not there, "the other parties", f"{peer.us} is in the list")


@GROUP.check("HCI-018", should=True, kinds="hub")
async def once_for_each_role(peer: Peer) -> None:
    """Each party is in the list once for each of its roles"""
    page = await listing(peer, "hubclientinfo").sample()
    twice = objects.repeated(page.objects, ("country_code", "party_id", "role"))
    expect(page.heard, twice is None, "one entry for a party in a role", twice or "")
