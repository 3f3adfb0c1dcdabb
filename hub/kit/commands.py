"""Commands: what a CPO answers, and the results that follow. Source: mod_commands.asciidoc.

Nothing is really started, unless the operator named a place to charge at.
"""

from uuid import uuid4

from hub.kit import objects, receiving
from hub.kit.ask import Heard
from hub.kit.check import Broken, Group, Skipped
from hub.kit.objects import Json
from hub.kit.party import KitEmsp
from hub.kit.peer import Peer, data_of, dict_of, expect
from hub.sandbox import samples
from hub.sandbox.emsp import RESULTS
from hub.sandbox.recorder import Received
from modules.commands.schemas import CommandResponse, CommandResult

GROUP = Group("commands")

PATIENCE = 60.0
"""Seconds that a charger is waited for at most, whatever timeout the CPO names."""


def _ours(peer: Peer) -> KitEmsp:
    """The kit as an eMSP, which alone sends commands. Skipped when it is none."""
    peer.endpoint("commands", "RECEIVER")
    if not isinstance(peer.party, KitEmsp):
        raise Skipped("only a party in the role EMSP sends commands: see --party")
    return peer.party


async def _send(peer: Peer, name: str, body: Json, routing: dict[str, str] | None = None) -> tuple[str, Heard]:
    """A command with a response_url of its own; the path of that, and the answer."""
    party, path = _ours(peer), f"{RESULTS}/{name}/{uuid4().hex}"
    sent = {**body, "response_url": party.origin + path}
    return path, await peer.call("POST", "commands", "RECEIVER", name, body=sent, routing=routing)


def _token(peer: Peer) -> Json:
    return samples.token(str(receiving.us(peer)), receiving.new_id())


@GROUP.check("CMD-043", "TF-157", kinds="cpo", writes=True, registered=True)
async def unknown_location(peer: Peer) -> None:
    """START_SESSION at a Location that is not there is answered with status 2003"""
    _, heard = await _send(peer, "START_SESSION", {"token": _token(peer), "location_id": receiving.new_id()})
    expect(heard, heard.status_code == 2003, "status_code 2003")


@GROUP.check("CMD-045", "CMD-011", kinds="cpo", writes=True, registered=True)
async def unknown_session(peer: Peer) -> None:
    """STOP_SESSION of a Session that is not there is answered UNKNOWN_SESSION"""
    _, heard = await _send(peer, "STOP_SESSION", {"session_id": receiving.new_id()})
    expected = "HTTP 200, status_code 1000, data: a CommandResponse with the result UNKNOWN_SESSION"
    data = dict_of(data_of(heard, expected))
    wrong = objects.unfit(CommandResponse, data)
    expect(heard, wrong is None, expected, wrong or "")
    expect(heard, data.get("result") == "UNKNOWN_SESSION", expected, f"result: {data.get('result')}")


@GROUP.check("CMD-009", should=True, kinds="cpo hub", writes=True, registered=True)
async def unknown_command(peer: Peer) -> None:
    """A command that OCPI does not have is answered HTTP 404 or with status 2001"""
    _, heard = await _send(peer, "KIT_COMMAND", {})
    expect(heard, heard.http_status in (404, 405) or heard.status_code == 2001, "HTTP 404, or status_code 2001")


@GROUP.check("CMD-044", "CMD-010", kinds="cpo hub", writes=True, registered=True)
async def no_response_url(peer: Peer) -> None:
    """A command without response_url is refused with status 2001"""
    _ours(peer)
    body = {"session_id": receiving.new_id()}
    heard = await peer.call("POST", "commands", "RECEIVER", "STOP_SESSION", body=body)
    expect(heard, heard.status_code == 2001, receiving.REFUSED)


@GROUP.check("CMD-007", kinds="cpo hub")
async def only_post(peer: Peer) -> None:
    """GET of a command is not offered: HTTP 405, or 404"""
    heard = await peer.call("GET", "commands", "RECEIVER", "STOP_SESSION")
    expect(heard, heard.http_status in (404, 405), "HTTP 405")


@GROUP.check("CMD-047", "TF-118", kinds="hub", writes=True, registered=True)
async def stop_where(peer: Peer) -> None:
    """STOP_SESSION of a Session that the hub does not know, without a receiver, is answered with status 4001"""
    body = {"session_id": receiving.new_id()}
    _, heard = await _send(peer, "STOP_SESSION", body, peer.routing(None))
    expect(heard, heard.status_code == 4001, "status_code 4001")


@GROUP.check("CMD-002", "CMD-001", kinds="cpo", writes=True, registered=True)
async def result_follows(peer: Peer) -> None:
    """START_SESSION that is accepted is followed by a result at the response_url (with --charge-at)"""
    seen, asked = await _charged(peer)
    wrong = objects.unfit(CommandResult, dict_of(seen.body))
    if wrong is not None:
        raise Broken(asked, f"its {seen}: {wrong}", "a CommandResult")


@GROUP.check("CMD-014", kinds="cpo", writes=True, registered=True)
async def bare_result(peer: Peer) -> None:
    """The result is the bare CommandResult, without an envelope around it (with --charge-at)"""
    seen, asked = await _charged(peer)
    wrapped = "data" in dict_of(seen.body) or "status_code" in dict_of(seen.body)
    if wrapped:
        raise Broken(asked, f"its {seen}, in an envelope", 'a body such as {"result": "ACCEPTED"}')


async def _charged(peer: Peer) -> tuple[Received, str]:
    """The result of a START_SESSION at the place that the operator named, and what was asked; once in a run."""
    if not peer.plan.charge_at:
        raise Skipped("it starts a real session: needs --charge-at LOCATION/EVSE/CONNECTOR")
    if peer.charged is None:
        names = ("location_id", "evse_uid", "connector_id")
        place = dict(zip(names, peer.plan.charge_at, strict=False))
        path, heard = await _send(peer, "START_SESSION", {"token": _token(peer), **place})
        peer.charged = path, heard
    path, heard = peer.charged
    data = dict_of(data_of(heard, "HTTP 200, status_code 1000, data: a CommandResponse with the result ACCEPTED"))
    if data.get("result") != "ACCEPTED":
        raise Skipped(f"START_SESSION was answered {data.get('result')}")
    timeout = data.get("timeout")
    wait = min(float(timeout) if isinstance(timeout, int) and timeout > 0 else PATIENCE, PATIENCE)
    try:
        seen = await _ours(peer).wait_for(lambda received: received.path == path, wait)
    except TimeoutError:
        raise Broken(heard.asked, f"no POST to the response_url within {wait:g} s", "a CommandResult") from None
    return seen, heard.asked
