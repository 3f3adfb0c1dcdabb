"""Charging profiles: what a CPO answers for a Session that it does not have. Source: mod_charging_profiles.asciidoc."""

from decimal import Decimal

from hub.kit import objects, receiving
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.party import KitEmsp
from hub.kit.peer import Peer, data_of, dict_of, expect
from modules.chargingprofiles.schemas import ChargingProfileResponse

GROUP = Group("chargingprofiles")

URL = "/ocpi/2.2.1/sender/chargingprofiles/result/kit"
ANSWERED = "HTTP 200, status_code 1000, data: result and timeout"


def _response_url(peer: Peer) -> str:
    peer.endpoint("chargingprofiles", "RECEIVER")
    if not isinstance(peer.party, KitEmsp):
        raise Skipped("only a party in the role EMSP sends charging profiles: see --party")
    return peer.party.origin + URL


def _judge(heard: Heard) -> None:
    """A ChargingProfileResponse, or a refusal with a status code, since the Session is not there."""
    if heard.status_code is not None and 2000 <= heard.status_code < 3000:
        return
    data = dict_of(data_of(heard, ANSWERED))
    wrong = objects.unfit(ChargingProfileResponse, data) or objects.odd(ChargingProfileResponse, data)
    expect(heard, wrong is None, ANSWERED, wrong or "")
    expect(heard, data["result"] != "ACCEPTED", "a result that says that the Session is not there", "result: ACCEPTED")


@GROUP.check("CHP-005", "CHP-034", kinds="cpo", writes=True, registered=True)
async def unknown_to_get(peer: Peer) -> None:
    """GET of the profile of a Session that is not there is answered at once, and not ACCEPTED"""
    query = {"duration": "900", "response_url": _response_url(peer)}
    _judge(await peer.call("GET", "chargingprofiles", "RECEIVER", receiving.new_id(), query=query))


@GROUP.check("CHP-005", "CHP-025", kinds="cpo", writes=True, registered=True)
async def unknown_to_put(peer: Peer) -> None:
    """PUT of a profile for a Session that is not there is answered at once, and not ACCEPTED"""
    periods = [{"start_period": 0, "limit": Decimal("11.0")}]
    profile = {"charging_rate_unit": "A", "charging_profile_period": periods}
    body = {"charging_profile": profile, "response_url": _response_url(peer)}
    _judge(await peer.call("PUT", "chargingprofiles", "RECEIVER", receiving.new_id(), body=body))


@GROUP.check("CHP-008", kinds="cpo hub", writes=True, registered=True)
async def no_response_url(peer: Peer) -> None:
    """GET of a profile without response_url is refused with status 2001"""
    _response_url(peer)
    query = {"duration": "900"}
    heard = await peer.call("GET", "chargingprofiles", "RECEIVER", receiving.new_id(), query=query)
    expect(heard, heard.status_code == 2001, receiving.REFUSED)


@GROUP.check("CHP-042", kinds="hub", writes=True, registered=True)
async def whose_session(peer: Peer) -> None:
    """A profile for a Session that the hub does not know, without a receiver, is answered with status 4001"""
    query = {"duration": "900", "response_url": _response_url(peer)}
    heard = await peer.call(
        "GET", "chargingprofiles", "RECEIVER", receiving.new_id(), query=query, routing=peer.routing(None)
    )
    expect(heard, heard.status_code == 4001, "status_code 4001")
