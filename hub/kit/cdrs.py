"""CDRs: a CPO's list, and POSTs to an eMSP. Source: mod_cdrs.asciidoc."""

from decimal import Decimal

from hub.kit import lists, objects, receiving
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.listing import listing
from hub.kit.objects import Json
from hub.kit.peer import Peer, data_of, dict_of, expect, origin
from hub.sandbox import samples
from modules.catalog import CDRS

GROUP = Group("cdrs")

lists.add(GROUP, CDRS, "CDR-025", ("CDR-026", "CDR-046"))


@GROUP.check("CDR-039", kinds="cpo hub")
async def credits_name_theirs(peer: Peer) -> None:
    """credit and credit_reference_id come together"""
    await listing(peer, "cdrs").each(objects.bad_credit, "both of them, or neither")


@GROUP.check("CDR-047", kinds="cpo hub")
async def dimensions(peer: Peer) -> None:
    """No dimension is one that only Sessions have"""
    await listing(peer, "cdrs").each(objects.session_dimensions, f"none of {', '.join(sorted(objects.SESSION_ONLY))}")


@GROUP.check("CDR-033", kinds="cpo hub")
async def parking(peer: Peer) -> None:
    """total_parking_time is part of total_time"""
    await listing(peer, "cdrs").each(objects.bad_parking, "total_parking_time of at most total_time")


def _sample(peer: Peer) -> Json:
    """A CDR of ours over nothing: no energy, no cost."""
    if peer.role != "CPO" or peer.us is None:
        raise Skipped("only a party in the role CPO has cdrs: see --party")
    ours, at = str(peer.us), receiving.later(-60)
    token = samples.token(str(peer.them)) if peer.them else samples.token()
    session = {**samples.session(ours, receiving.new_id(), token, at), "end_date_time": receiving.later()}
    made = samples.cdr(session, samples.location(ours), samples.tariff(ours), receiving.new_id())
    nothing = Decimal("0.00")
    return {**made, "total_cost": {"excl_vat": nothing, "incl_vat": nothing}, "remark": "Conformance kit"}


async def _posted(peer: Peer) -> tuple[Json, Heard]:
    """A CDR that was taken; the same one for all checks. Skipped when it was not."""
    if peer.posted is None:
        body = _sample(peer)
        peer.posted = body, await peer.call("POST", "cdrs", "RECEIVER", body=body)
    if not peer.posted[1].ok:
        raise Skipped(f"our CDR was not taken: {peer.posted[1].came}")
    return peer.posted


@GROUP.check("CDR-019", kinds="emsp", writes=True)
async def posted(peer: Peer) -> None:
    """POST of a CDR is accepted, and answered with a Location where it can be read"""
    body = _sample(peer)
    heard = await peer.call("POST", "cdrs", "RECEIVER", body=body)
    peer.posted = body, heard
    data_of(heard, receiving.ACCEPTED)
    expect(heard, "Location" in heard.headers, "a Location header with the URL of the CDR", "Location: missing")


@GROUP.check("CDR-020", should=True, kinds="emsp", writes=True)
async def created(peer: Peer) -> None:
    """A CDR that was accepted is answered HTTP 201"""
    _, heard = await _posted(peer)
    expect(heard, heard.http_status == 201, "HTTP 201")


@GROUP.check("CDR-018", kinds="emsp", writes=True)
async def readable(peer: Peer) -> None:
    """The CDR can be read at its Location"""
    body, heard = await _posted(peer)
    url = heard.headers.get("Location")
    if url is None:
        raise Skipped("there is no Location: see CDR-019")
    if origin(url) != origin(peer.endpoint("cdrs", "RECEIVER")):
        raise Skipped("the Location leads to another host, and such links are not followed")
    heard = await peer.ask("GET", url, module="cdrs")
    held = dict_of(data_of(heard, "HTTP 200, status_code 1000, data: the CDR"))
    name = next((name for name, value in body.items() if not receiving.same(value, held.get(name))), None)
    came = f"{name} is {'another' if name in held else 'missing'}"
    expect(heard, name is None, "each field as it was sent", came)


@GROUP.check("CDR-023", should=True, kinds="emsp", writes=True)
async def posted_again(peer: Peer) -> None:
    """The same CDR again is accepted, with the same Location"""
    body, first = await _posted(peer)
    heard = await peer.call("POST", "cdrs", "RECEIVER", body=body, note="the same CDR again")
    data_of(heard, "HTTP 200 or 201, status_code 1000: it is there already")
    again = heard.headers.get("Location")
    expect(heard, again == first.headers.get("Location"), "the Location of the first POST", f"Location: {again}")


@GROUP.check("CDR-024", kinds="emsp", writes=True)
async def never_changed(peer: Peer) -> None:
    """Another CDR with the same id is refused with status 2001"""
    body, _ = await _posted(peer)
    changed = {**body, "remark": "Conformance kit, changed"}
    heard = await peer.call("POST", "cdrs", "RECEIVER", body=changed, note="the same id, another remark")
    expect(heard, heard.status_code == 2001, receiving.REFUSED)


@GROUP.check("TF-048", kinds="emsp", writes=True)
async def incomplete(peer: Peer) -> None:
    """A CDR without a required field is refused with status 2001"""
    body = {name: value for name, value in _sample(peer).items() if name != "total_cost"}
    heard = await peer.call("POST", "cdrs", "RECEIVER", body=body, note="without total_cost")
    expect(heard, heard.status_code == 2001, receiving.REFUSED)


@GROUP.check("CDR-017", kinds="emsp", writes=True)
async def no_put(peer: Peer) -> None:
    """PUT of a CDR is not offered: HTTP 405, or 404"""
    heard = await peer.call("PUT", "cdrs", "RECEIVER", body={})
    expect(heard, heard.http_status in (404, 405), "HTTP 405")


@GROUP.check("TF-110", should=True, kinds="hub", writes=True)
async def no_broadcast(peer: Peer) -> None:
    """A CDR that is addressed to everybody is refused"""
    heard = await peer.call("POST", "cdrs", "RECEIVER", body=_sample(peer))
    expect(heard, heard.status_code is not None and not heard.ok, "status_code 2001")
