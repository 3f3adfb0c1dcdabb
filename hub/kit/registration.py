"""The handshake with the kit as its Sender, the renewal of tokens, and taking leave. Source: credentials.asciidoc."""

from hub.kit.ask import Heard
from hub.kit.check import Broken, Group, Skipped
from hub.kit.party import KitParty
from hub.kit.peer import Peer, Untestable, data_of, dict_of, dicts, expect
from hub.sandbox.recorder import Received
from hub.sandbox.registration import BASE, VERSIONS

GROUP = Group("registration")
LEAVING = Group("leaving")

CREDENTIALS = "HTTP 200, status_code 1000, data: Credentials with a new token"


def _ours(peer: Peer) -> KitParty:
    """The kit's platform, registered. Skipped when it is not."""
    peer.admitted()
    assert peer.party is not None
    return peer.party


async def exchange(peer: Peer, method: str) -> tuple[Heard, list[Received]]:
    """POST or PUT our credentials and take the token that comes; the requests that came in meanwhile. Raises Broken."""
    party = peer.party
    assert party is not None
    before, offered = len(party.received), party.offer()
    try:
        heard = await peer.ask(method, peer.credentials_url, body=offered)
        theirs = dict_of(heard.data)
        token = theirs.get("token")
        if not heard.ok or heard.http_status >= 300 or not isinstance(token, str) or not token:
            raise Broken(heard.asked, _with_visits(heard, party.received[before:]), CREDENTIALS)
    except BaseException:
        party.withdraw(offered)
        raise
    peer.asker.secrets.add(token)
    party.settle(offered, theirs, peer.endpoints)
    peer.token, peer.roles, peer.guest = token, dicts(theirs.get("roles")), False
    peer.us = party.parties[0]
    return heard, party.received[before:]


def _with_visits(heard: Heard, visits: list[Received]) -> str:
    """What came, and what the peer had asked us before, since the reason often lies there."""
    seen = ", ".join(f"{visit} (we answered HTTP {visit.http_status or 401})" for visit in visits)
    return f"{heard.came}; before that it asked us: {seen or 'nothing, is the callback URL right?'}"


@GROUP.check("CRED-029", writes=True, registered=True)
async def put_before_post(peer: Peer) -> None:
    """PUT credentials before any registration is answered HTTP 405"""
    if not peer.guest:
        raise Skipped("the token is that of a connection already")
    heard = await peer.ask("PUT", peer.credentials_url, body={}, note="with token A")
    expect(heard, heard.http_status == 405, "HTTP 405")


@GROUP.check("CRED-008", "CRED-028", writes=True, registered=True)
async def handshake(peer: Peer) -> None:
    """POST credentials with token A is answered with the peer's Credentials and a new token"""
    token_a = peer.token
    heard, peer.visits = await exchange(peer, "POST")
    peer.former = token_a
    expect(heard, peer.token != token_a, "a new token", "token A again")


@GROUP.check("CRED-006", "CRED-027", writes=True, registered=True)
async def looked_us_up(peer: Peer) -> None:
    """Before it answers, it reads our versions and details with token B"""
    _ours(peer)
    _expect_visit(peer, "POST", peer.visits)


def _expect_visit(peer: Peer, method: str, visits: list[Received]) -> None:
    paths = [visit.path.rstrip("/") for visit in visits if visit.method == "GET"]
    seen = ", ".join(map(str, visits)) or "nothing"
    if not {VERSIONS, BASE} <= set(paths):
        asked = f"{method} {peer.credentials_url}"
        raise Broken(asked, f"meanwhile it asked us for {seen}", f"GET {VERSIONS} and then GET {BASE}")


@GROUP.check("CRED-010", writes=True, registered=True)
async def token_a_is_void(peer: Peer) -> None:
    """Token A is void after the handshake"""
    _ours(peer)
    shown = peer.authorization(peer.former)
    heard = await peer.ask("GET", peer.plan.versions_url, authorization=shown, note="with token A, after the handshake")
    expect(heard, heard.http_status == 401, "HTTP 401")


@GROUP.check("CRED-026", writes=True, registered=True)
async def post_again(peer: Peer) -> None:
    """POST credentials with the token of a connection is answered HTTP 405"""
    party = _ours(peer)
    offered = party.offer()
    try:
        heard = await peer.ask("POST", peer.credentials_url, body=offered, note="registered already")
    finally:
        party.withdraw(offered)
    expect(heard, heard.http_status == 405, "HTTP 405")


@GROUP.check("CRED-053", should=True, writes=True, registered=True)
async def failed_renewal(peer: Peer) -> None:
    """When our versions cannot be read, PUT is answered with status 3001, and the old token stays good"""
    party = _ours(peer)
    offered = party.offer(f"{party.origin}/nothing/here")
    try:
        heard = await peer.ask(
            "PUT", peer.credentials_url, body=offered, note="with a versions URL that answers HTTP 404"
        )
    finally:
        party.withdraw(offered)
    expect(heard, heard.status_code == 3001, "status_code 3001")
    again = await peer.ask("GET", peer.plan.versions_url, note="after a PUT of credentials that failed")
    expect(again, again.ok, "HTTP 200: the old token is still good")


@GROUP.check("CRED-031", "CRED-016", writes=True, registered=True)
async def renewal(peer: Peer) -> None:
    """PUT credentials is answered with a new token"""
    _ours(peer)
    old = peer.token
    heard, peer.visits = await exchange(peer, "PUT")
    expect(heard, peer.token != old, "a new token", "the same token")


@GROUP.check("CRED-030", "CRED-015", writes=True, registered=True)
async def looked_us_up_again(peer: Peer) -> None:
    """PUT makes it read our versions and details again"""
    _ours(peer)
    _expect_visit(peer, "PUT", peer.visits)


@GROUP.check("CRED-013", kinds="hub", writes=True, registered=True)
async def other_registers(peer: Peer) -> None:
    """A second party can register beside the first"""
    if peer.other is None:
        raise Skipped("it takes a CPO and an eMSP: needs --other")
    _ours(peer)
    try:
        await peer.other.discover()
    except Untestable as error:
        raise Broken(f"GET {peer.plan.versions_url}", str(error), "an answer, as for the first party") from None
    await exchange(peer.other, "POST")


@LEAVING.check("CRED-033", writes=True, registered=True)
async def leave(peer: Peer) -> None:
    """DELETE credentials is accepted, and ends the token"""
    party = _ours(peer)
    data_of(await take_leave(peer), "HTTP 200, status_code 1000")
    party.leave_quietly()
    after = await peer.ask("GET", peer.plan.versions_url, note="after DELETE credentials")
    expect(after, after.http_status == 401, "HTTP 401")


@LEAVING.check("CRED-034", writes=True, registered=True)
async def leave_again(peer: Peer) -> None:
    """DELETE credentials without a registration is answered HTTP 405, or 401 as the token is void"""
    if peer.party is None or not peer.left:
        raise Skipped("it was not left")
    heard = await peer.ask("DELETE", peer.credentials_url, note="a second time")
    expect(heard, heard.http_status in (401, 405), "HTTP 405 or 401")


async def take_leave(peer: Peer) -> Heard:
    """DELETE credentials."""
    heard = await peer.ask("DELETE", peer.credentials_url)
    peer.left = True
    return heard
