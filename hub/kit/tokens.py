"""Tokens: an eMSP's list, its word on a token, and pushes to a CPO. Source: mod_tokens.asciidoc."""

from hub.kit import lists, objects, receiving
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.listing import listing
from hub.kit.objects import Json
from hub.kit.peer import Peer, data_of, dict_of, expect, party_of
from hub.sandbox import samples
from modules.catalog import TOKENS
from modules.tokens.schemas import AuthorizationInfo

GROUP = Group("tokens")


def _sample(peer: Peer, object_id: str) -> Json:
    """A token of ours that opens nothing."""
    return samples.token(str(receiving.us(peer)), object_id, valid=False, whitelist="NEVER")


lists.add(GROUP, TOKENS, "TOK-031", ("TOK-033", "TOK-040"))


@GROUP.check("TOK-032", should=True, kinds="emsp")
async def unique(peer: Peer) -> None:
    """No two tokens have uid and type in common"""
    page = await listing(peer, "tokens").sample()
    twice = objects.repeated(page.objects, ("uid", "type"))
    expect(page.heard, twice is None, "each uid once for each type", twice or "")


@GROUP.check("TOK-022", "TF-158", kinds="emsp hub", writes=True)
async def unknown(peer: Peer) -> None:
    """Asked to authorise a token that nobody has, it answers HTTP 404 with status 2004"""
    routing = peer.routing(None) if peer.is_hub else None
    heard = await _authorise(peer, receiving.new_id(), routing)
    both = (heard.http_status, heard.status_code) == (404, 2004)
    if peer.is_hub:  # without anybody to ask it says that instead
        expect(heard, both or heard.status_code == 4001, "HTTP 404 with status_code 2004, or status_code 4001")
    else:
        expect(heard, both, "HTTP 404 with status_code 2004")


@GROUP.check("TOK-024", "TOK-029", "TOK-020", kinds="emsp hub", writes=True)
async def known(peer: Peer) -> None:
    """Asked to authorise a token of its list, without a Location, it answers with an AuthorizationInfo"""
    page = await listing(peer, "tokens").sample()
    token = next((found for found in page.objects if found.get("type") == "RFID"), None)
    if token is None:
        raise Skipped("no token of the type RFID is in the list")
    peer.asker.secrets.add(str(token.get("uid")))  # it is somebody's card
    routing = peer.routing(party_of(token)) if peer.is_hub else None
    heard = await _authorise(peer, str(token.get("uid")), routing)
    if heard.status_code == 2002:
        return  # it needs the Location, and says so as it has to (TOK-021)
    expected = "HTTP 200, status_code 1000, data: allowed and the complete token"
    wrong = objects.unfit(AuthorizationInfo, dict_of(data_of(heard, expected)))
    expect(heard, wrong is None, expected, wrong or "")


async def _authorise(peer: Peer, uid: str, routing: dict[str, str] | None) -> Heard:
    if peer.role != "CPO":
        raise Skipped("only a party in the role CPO asks for it: see --party")
    return await peer.call("POST", "tokens", "SENDER", uid, "authorize", routing=routing)


shelf = receiving.add(GROUP, TOKENS, "TOK-010", _sample, {"issuer": "Conformance kit, changed"}, "TOK-016")


@GROUP.check("TOK-012", "TOK-011", kinds="cpo", writes=True)
async def by_type(peer: Peer) -> None:
    """The same uid with another type is another token"""
    of = shelf(peer)
    await of.there()
    heard = await of.get(query={"type": "RFID"})
    data_of(heard, "HTTP 200 and the token, since type is RFID when it is not given")
    heard = await of.get(query={"type": "APP_USER"})
    expect(heard, heard.http_status == 404, "HTTP 404: the token that was PUT has the type RFID")
