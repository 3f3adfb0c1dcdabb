"""Sessions: a CPO's list, and pushes to an eMSP. Source: mod_sessions.asciidoc."""

from decimal import Decimal

from hub.kit import lists, receiving
from hub.kit.check import Group, Skipped
from hub.kit.objects import Json
from hub.kit.peer import Peer, data_of, dict_of, dicts, expect
from hub.sandbox import samples
from modules.catalog import SESSIONS

GROUP = Group("sessions")


def _sample(peer: Peer, object_id: str) -> Json:
    """A Session of ours that is not billed (SES-046), with a token of the peer's, since it may look at that."""
    token = samples.token(str(peer.them)) if peer.them else samples.token()
    return {**samples.session(str(receiving.us(peer)), object_id, token), "status": "INVALID"}


lists.add(GROUP, SESSIONS, "SES-032", ("SES-044", "CDR-047"))


@GROUP.check("SES-013", should=True, kinds="cpo hub")
async def date_from_required(peer: Peer) -> None:
    """A list GET without date_from is answered with status 2001"""
    heard = await peer.call("GET", "sessions", "SENDER", query={"limit": "1"})
    expect(heard, heard.status_code == 2001, "status_code 2001, as this list needs date_from")


@GROUP.check("SES-020", should=True, kinds="cpo", writes=True)
async def preferences(peer: Peer) -> None:
    """Charging preferences for a Session that is not there are refused"""
    body = {"profile_type": "GREEN"}
    heard = await peer.call("PUT", "sessions", "SENDER", receiving.new_id(), "charging_preferences", body=body)
    expect(heard, not heard.ok and heard.http_status < 500, "HTTP 404, or a status_code from 2000")


shelf = receiving.add(GROUP, SESSIONS, "SES-021", _sample, {"kwh": Decimal("1.5")}, "SES-025", receiving.READS_BACK)


@GROUP.check("SES-027", kinds="emsp", writes=True)
async def appended(peer: Peer) -> None:
    """charging_periods in a PATCH are added to those that are there"""
    of = shelf(peer)
    await of.there()
    for seconds in (10, 20):
        at = receiving.later(seconds)
        period = {"start_date_time": at, "dimensions": [{"type": "TIME", "volume": Decimal("0.1")}]}
        heard = await of.patch({"charging_periods": [period], "last_updated": at})
        data_of(heard, "HTTP 200, status_code 1000")
    heard = await of.get()
    held = dict_of(data_of(heard, "HTTP 200, status_code 1000, data: the Session"))
    periods = len(dicts(held.get("charging_periods")))
    expect(heard, periods == 2, "both charging periods that were sent", f"{periods} charging periods")


@GROUP.check("TF-110", should=True, kinds="hub", writes=True)
async def no_broadcast(peer: Peer) -> None:
    """A Session that is addressed to everybody is refused"""
    if peer.role != "CPO" or peer.us is None:
        raise Skipped("only a party in the role CPO has sessions: see --party")
    object_id = receiving.new_id()
    body = _sample(peer, object_id)
    heard = await peer.call("PUT", "sessions", "RECEIVER", *peer.us, object_id, body=body)
    expect(heard, heard.status_code is not None and not heard.ok, "status_code 2001")
