"""What a hub does between two parties, with the kit as both of them: a CPO and an eMSP that register side by side.

Source: transport_and_format.asciidoc > Message Routing; mod_commands.asciidoc; mod_cdrs.asciidoc.
"""

from decimal import Decimal
from uuid import uuid4

from hub.kit import receiving
from hub.kit.ask import Heard
from hub.kit.check import Broken, Group, Skipped
from hub.kit.meeting import Meeting, arrived, meeting, party
from hub.kit.objects import Json
from hub.kit.party import KitCpo, KitEmsp
from hub.kit.peer import Peer, data_of, dict_of, expect, named, origin
from hub.ocpi import headers, json
from hub.sandbox import samples
from hub.sandbox.emsp import RESULTS
from hub.sandbox.recorder import Received

GROUP = Group("between parties")

_FROM = (headers.FROM_COUNTRY, headers.FROM_PARTY)


async def _session(peer: Peer) -> tuple[Meeting, Json, Heard, Received]:
    """A Session of the CPO, PUT to the eMSP through the hub, once. Skipped when it did not arrive."""
    met = meeting(peer)
    if met.session is None:
        object_id, ours = receiving.new_id(), receiving.us(met.cpo)
        body = samples.session(str(ours), object_id, met.token)
        body |= {"status": "INVALID", "kwh": Decimal("2.00"), "kit_unknown": [Decimal("1.50"), None]}
        to = met.cpo.routing(met.emsp.us)
        heard = await met.cpo.call("PUT", "sessions", "RECEIVER", *ours, object_id, body=body, routing=to)
        seen = arrived(met.emsp, lambda seen: seen.method == "PUT" and seen.path.endswith(f"/{object_id}"))
        met.session = body, heard, seen
    body, heard, seen = met.session
    if seen is None:
        raise Skipped(f"a Session for the other party did not arrive: see TF-086; it was answered {heard.came}")
    return met, body, heard, seen


@GROUP.check("TF-086", "TF-085", kinds="hub", writes=True, registered=True)
async def arrives(peer: Peer) -> None:
    """A request for one party arrives there, with the same OCPI-to and OCPI-from"""
    met = meeting(peer)
    try:
        _, _, heard, seen = await _session(peer)
    except Skipped:
        assert met.session is not None
        heard = met.session[1]
        raise Broken(
            heard.asked, f"nothing arrived there; {heard.came}", "the same request at the other party"
        ) from None
    wanted = f"to {met.emsp.us}, from {met.cpo.us}"
    expect(heard, f"to {seen.to}, from {seen.sender}" == wanted, wanted, f"to {seen.to}, from {seen.sender}")


@GROUP.check("TF-087", kinds="hub", writes=True, registered=True)
async def answered_by_it(peer: Peer) -> None:
    """The answer comes back as one of that party"""
    met, _, heard, _ = await _session(peer)
    came = named(heard.headers, *_FROM)
    expect(heard, came == met.emsp.us, f"OCPI-from of {met.emsp.us}", f"OCPI-from: {came or 'missing'}")


@GROUP.check("TF-095", should=True, kinds="hub", writes=True, registered=True)
async def status_comes_back(peer: Peer) -> None:
    """The HTTP status of that party comes back"""
    _, _, heard, seen = await _session(peer)
    expect(heard, heard.http_status == seen.http_status, f"HTTP {seen.http_status}")


@GROUP.check("TF-133", kinds="hub", writes=True, registered=True)
async def new_request_id(peer: Peer) -> None:
    """The request goes on with an X-Request-ID of its own"""
    _, _, heard, seen = await _session(peer)
    same = seen.headers.get(headers.REQUEST_ID) == heard.sent[headers.REQUEST_ID]
    expect(heard, not same, "another X-Request-ID at the other party", "the same one")


@GROUP.check("TF-134", kinds="hub", writes=True, registered=True)
async def same_correlation_id(peer: Peer) -> None:
    """The request goes on with the same X-Correlation-ID"""
    _, _, heard, seen = await _session(peer)
    same = seen.correlation_id == heard.sent[headers.CORRELATION_ID]
    expect(heard, same, "the same X-Correlation-ID at the other party", "another one")


@GROUP.check("TF-059", kinds="hub", writes=True, registered=True)
async def same_path(peer: Peer) -> None:
    """Codes and ids in the path stay as they are"""
    met, body, heard, seen = await _session(peer)
    path = "/".join(("", *receiving.us(met.cpo), str(body["id"])))
    expect(heard, seen.path.endswith(path), f"a path that ends in {path}", seen.path)


@GROUP.check("TF-127", "TF-126", kinds="hub", writes=True, registered=True)
async def unchanged(peer: Peer) -> None:
    """Objects go on unchanged: unknown fields, 2.00 and times as they were"""
    _, body, heard, seen = await _session(peer)
    sent, came = dict_of(json.loads(json.dumps(body))), dict_of(seen.body)
    wrong = next((name for name in sent if json.dumps(sent[name]) != json.dumps(came.get(name))), None)
    expect(heard, wrong is None, "each field as it was sent", f"{wrong} is {'another' if wrong in came else 'missing'}")


@GROUP.check("TF-094", kinds="hub", writes=True, registered=True)
async def errors_come_back(peer: Peer) -> None:
    """An error of that party comes back as it is"""
    met, body, _, _ = await _session(peer)
    knobs = party(met.emsp).knobs
    knobs.status_code, knobs.applies = 2002, lambda seen: "/receiver/sessions" in seen.path
    try:
        path = (*receiving.us(met.cpo), str(body["id"]))
        to = met.cpo.routing(met.emsp.us)
        heard = await met.cpo.call("PUT", "sessions", "RECEIVER", *path, body=body, routing=to)
    finally:
        knobs.status_code, knobs.applies = None, lambda seen: False
    expect(heard, heard.status_code == 2002, "status_code 2002, as the other party answered")


@GROUP.check("TF-096", "CDR-022", kinds="hub", writes=True, registered=True)
async def cdr_location(peer: Peer) -> None:
    """A CDR that goes to that party has a Location at the hub, where it can be read"""
    met = meeting(peer)
    ours, at = str(receiving.us(met.cpo)), receiving.later(-60)
    session = samples.session(ours, receiving.new_id(), met.token, at) | {"end_date_time": receiving.later()}
    body = samples.cdr(session, samples.location(ours), samples.tariff(ours), receiving.new_id())
    body |= {"total_cost": {"excl_vat": Decimal("0.00")}, "remark": "Conformance kit"}
    to = met.cpo.routing(met.emsp.us)
    heard = await met.cpo.call("POST", "cdrs", "RECEIVER", body=body, routing=to)
    data_of(heard, receiving.ACCEPTED)
    url = heard.headers.get("Location", "")
    of_the_hub = origin(url) == origin(met.cpo.endpoint("cdrs", "RECEIVER"))
    expect(heard, of_the_hub, "a Location at the hub itself", f"Location: {url or 'missing'}")
    read = await met.cpo.ask("GET", url, module="cdrs", routing=to)
    held = dict_of(data_of(read, "HTTP 200, status_code 1000, data: the CDR"))
    expect(read, held.get("id") == body["id"], "the CDR that was sent", "another one")


@GROUP.check("TOK-026", kinds="hub", writes=True, registered=True)
async def authorised_by_its_owner(peer: Peer) -> None:
    """Asked without a receiver whether a token may charge, the hub asks the eMSP that pushed the token"""
    met = meeting(peer)
    emsp = party(met.emsp)
    assert isinstance(emsp, KitEmsp)
    uid = str(met.token["uid"])
    emsp.tokens["RFID", uid] = met.token
    pushed = await met.emsp.call("PUT", "tokens", "RECEIVER", *receiving.us(met.emsp), uid, body=met.token)
    data_of(pushed, receiving.ACCEPTED)
    heard = await met.cpo.call("POST", "tokens", "SENDER", uid, "authorize", routing=met.cpo.routing(None))
    expected = "HTTP 200, status_code 1000, data: the AuthorizationInfo of the eMSP"
    data = dict_of(data_of(heard, expected))
    expect(heard, data.get("allowed") == "ALLOWED", expected, f"allowed: {data.get('allowed')}")


async def _command(peer: Peer) -> tuple[Meeting, Heard, str, Received]:
    """A STOP_SESSION that our CPO accepts; its answer, the path of our response_url, and how it arrived. Once."""
    met = meeting(peer)
    cpo = party(met.cpo)
    assert isinstance(cpo, KitCpo)
    if met.command is None:
        session_id, path = receiving.new_id(), f"{RESULTS}/STOP_SESSION/{uuid4().hex}"
        cpo.accepts.add(session_id)
        body = {"session_id": session_id, "response_url": party(met.emsp).origin + path}
        to = met.emsp.routing(met.cpo.us)
        heard = await met.emsp.call("POST", "commands", "RECEIVER", "STOP_SESSION", body=body, routing=to)
        seen = arrived(met.cpo, lambda seen: dict_of(seen.body).get("session_id") == session_id)
        met.command = heard, path, seen
    heard, path, seen = met.command
    if seen is None:
        raise Skipped(f"a command for the other party did not arrive; it was answered {heard.came}")
    return met, heard, path, seen


@GROUP.check("CMD-022", "CMD-011", kinds="hub", writes=True, registered=True)
async def command_answer(peer: Peer) -> None:
    """The CPO's answer to a command comes back unchanged, its timeout too"""
    _, heard, _, _ = await _command(peer)
    expected = "data: the result ACCEPTED with the timeout 30, as the CPO answered"
    data = dict_of(data_of(heard, expected))
    kept = (data.get("result"), data.get("timeout")) == ("ACCEPTED", 30)
    expect(heard, kept, expected, f"result: {data.get('result')}, timeout: {data.get('timeout')}")


@GROUP.check("CMD-017", kinds="hub", writes=True, registered=True)
async def response_url(peer: Peer) -> None:
    """The CPO is given a response_url at the hub"""
    met, heard, _, seen = await _command(peer)
    url = str(dict_of(seen.body).get("response_url"))
    of_the_hub = origin(url) == origin(met.cpo.endpoint("commands", "RECEIVER"))
    expect(heard, of_the_hub, "a response_url at the hub itself", f"response_url: {url}")


@GROUP.check("CMD-018", kinds="hub", writes=True, registered=True)
async def result_arrives(peer: Peer) -> None:
    """The CPO's result arrives at the eMSP's own response_url, from the CPO to the eMSP"""
    met, _, path, seen = await _command(peer)
    url = str(dict_of(seen.body).get("response_url"))
    if origin(url) != origin(met.cpo.endpoint("commands", "RECEIVER")):
        raise Skipped("the response_url is not one of the hub: see CMD-017")
    to = met.cpo.routing(met.emsp.us)
    heard = await met.cpo.ask("POST", url, module="commands", routing=to, body={"result": "ACCEPTED"})
    data_of(heard, "HTTP 200, status_code 1000")
    result = arrived(met.emsp, lambda seen: seen.path == path)
    if result is None:
        raise Broken(heard.asked, "nothing arrived at the eMSP", f"POST {path} at the eMSP")
    wanted = f"to {met.emsp.us}, from {met.cpo.us}"
    came = f"to {result.to}, from {result.sender}"
    expect(heard, came == wanted and dict_of(result.body).get("result") == "ACCEPTED", wanted, came)


@GROUP.check("TF-091", "TF-166", kinds="hub", writes=True, registered=True)
async def away(peer: Peer) -> None:
    """A request for a party that cannot be reached is answered with status 4003"""
    met = meeting(peer)
    emsp, object_id = party(met.emsp), receiving.new_id()
    body = samples.session(str(receiving.us(met.cpo)), object_id, met.token) | {"status": "INVALID"}
    path, to = (*receiving.us(met.cpo), object_id), met.cpo.routing(met.emsp.us)
    await emsp.go_away()
    try:
        heard = await met.cpo.call("PUT", "sessions", "RECEIVER", *path, body=body, routing=to)
    finally:
        await emsp.come_back()
        await met.emsp.ask("GET", met.emsp.plan.versions_url)  # a sign of life, so that the hub knows
    expect(heard, heard.status_code == 4003, "status_code 4003")
