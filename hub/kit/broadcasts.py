"""What a hub does with pushes for everybody, with the kit as their sender and as one of their receivers.

Source: transport_and_format.asciidoc > Broadcast Push, GET All via Hubs.
"""

from hub.kit import receiving
from hub.kit.ask import Heard
from hub.kit.check import Broken, Group, Skipped
from hub.kit.meeting import Meeting, arrived, meeting, party
from hub.kit.objects import Json
from hub.kit.pages import key
from hub.kit.peer import Peer, data_of, dicts, expect
from hub.ocpi import headers
from hub.sandbox import samples
from hub.sandbox.recorder import Received

GROUP = Group("broadcasts")

PATIENCE = 30.0
"""Seconds within which a hub has to deliver a copy of a broadcast."""


async def _broadcast(peer: Peer) -> tuple[Meeting, Json, Heard, Received]:
    """A Tariff of the CPO, PUT to everybody, once; its copy at the eMSP. Raises Broken when there is none in time."""
    met = meeting(peer)
    if met.tariff is None:
        body = samples.tariff(str(receiving.us(met.cpo)), receiving.new_id())
        path = (*receiving.us(met.cpo), str(body["id"]))
        met.tariff = body, await met.cpo.call("PUT", "tariffs", "RECEIVER", *path, body=body)
    body, heard = met.tariff
    data_of(heard, receiving.ACCEPTED)
    try:
        seen = await party(met.emsp).wait_for(
            lambda seen: seen.method == "PUT" and seen.path.endswith(f"/{body['id']}"), PATIENCE
        )
    except TimeoutError:
        met.emsp.unheard = True
        raise Broken(heard.asked, f"no copy arrived within {PATIENCE:g} s", "a copy at the other party") from None
    return met, body, heard, seen


async def _copy(peer: Peer) -> tuple[Meeting, Json, Heard, Received]:
    """The same for what is to be said of the copy. Skipped when there is none."""
    if meeting(peer).emsp.unheard:
        raise Skipped("no copy of a broadcast arrived: see TF-098")
    return await _broadcast(peer)


@GROUP.check("TF-098", "TF-099", kinds="hub", writes=True, registered=True)
async def broadcast(peer: Peer) -> None:
    """What a CPO pushes to everybody arrives at an eMSP"""
    await _broadcast(peer)


@GROUP.check("TF-102", kinds="hub", writes=True, registered=True)
async def copies_are_the_hubs(peer: Peer) -> None:
    """Each copy comes from the hub and is addressed to its receiver"""
    met, _, heard, seen = await _copy(peer)
    wanted = f"to {met.emsp.us}, from {met.cpo.them}"
    expect(heard, f"to {seen.to}, from {seen.sender}" == wanted, wanted, f"to {seen.to}, from {seen.sender}")


@GROUP.check("TF-107", kinds="hub", writes=True, registered=True)
async def owners_stay(peer: Peer) -> None:
    """The path of a copy has the codes of the owner"""
    met, body, heard, seen = await _copy(peer)
    path = "/".join(("", *receiving.us(met.cpo), str(body["id"])))
    expect(heard, seen.path.endswith(path), f"a path that ends in {path}", seen.path)


@GROUP.check("TF-112", kinds="hub", writes=True, registered=True)
async def copies_have_ids(peer: Peer) -> None:
    """A copy has the X-Correlation-ID of the push, and an X-Request-ID of its own"""
    _, _, heard, seen = await _copy(peer)
    same = seen.correlation_id == heard.sent[headers.CORRELATION_ID]
    expect(heard, same, "the X-Correlation-ID of the push", "another one")
    own = seen.headers.get(headers.REQUEST_ID) != heard.sent[headers.REQUEST_ID]
    expect(heard, own, "an X-Request-ID of its own", "that of the push")


@GROUP.check("TF-111", should=True, kinds="hub", writes=True, registered=True)
async def not_sent_back(peer: Peer) -> None:
    """Who pushes to everybody does not get it back"""
    met, body, heard, _ = await _copy(peer)
    back = arrived(met.cpo, lambda seen: seen.path.endswith(f"/{body['id']}"))
    expect(heard, back is None, "no copy at the sender", f"its {back}")


@GROUP.check("TF-122", "TF-120", kinds="hub", writes=True, registered=True)
async def in_the_list_of_all(peer: Peer) -> None:
    """What was pushed to everybody is in the list of all, with its owner's codes"""
    met, body, _, _ = await _copy(peer)
    query = {"date_from": str(body["last_updated"])}
    heard = await met.emsp.call("GET", "tariffs", "SENDER", query=query)
    listed = [key(found) for found in dicts(data_of(heard, "HTTP 200, status_code 1000, data: an array"))]
    expect(heard, key(body) in listed, f"the Tariff {body['id']} of {met.cpo.us}", "it is not there")


@GROUP.check("TAR-010", should=True, kinds="hub", writes=True, registered=True)
async def deleted_there(peer: Peer) -> None:
    """DELETE of a Tariff arrives where the Tariff went"""
    met, body, _, _ = await _copy(peer)
    path = (*receiving.us(met.cpo), str(body["id"]))
    heard = await met.cpo.call("DELETE", "tariffs", "RECEIVER", *path)
    data_of(heard, "HTTP 200, status_code 1000")
    try:
        await party(met.emsp).wait_for(
            lambda seen: seen.method == "DELETE" and seen.path.endswith(f"/{body['id']}"), PATIENCE
        )
    except TimeoutError:
        raise Broken(heard.asked, f"no copy within {PATIENCE:g} s", "a DELETE at the other party") from None
