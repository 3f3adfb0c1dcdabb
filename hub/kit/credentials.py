"""What the peer says of itself: GET credentials. Source: credentials.asciidoc."""

from typing import Any

from hub.kit import objects
from hub.kit.ask import Heard
from hub.kit.check import Group, Skipped
from hub.kit.peer import Peer, data_of, dicts, expect
from modules.credentials.schemas import Credentials

GROUP = Group("credentials")


async def _read(peer: Peer) -> tuple[Heard, dict[str, Any]]:
    """The Credentials object. Skipped when the token is not of a connection, or when it cannot be read."""
    peer.admitted()
    heard = await peer.ask("GET", peer.credentials_url)
    if not heard.ok or not isinstance(heard.data, dict):
        raise Skipped("the Credentials could not be read: see CRED-024")
    if isinstance(heard.data.get("token"), str):
        peer.asker.secrets.add(heard.data["token"])
    return heard, heard.data


@GROUP.check("CRED-024", "CRED-023")
async def can_be_read(peer: Peer) -> None:
    """GET gives the Credentials with which we use this platform, our own token in them"""
    peer.admitted()
    heard = await peer.ask("GET", peer.credentials_url)
    expected = "HTTP 200, status_code 1000, data: a Credentials object with the token that we show"
    data = data_of(heard, expected)
    token = data.get("token") if isinstance(data, dict) else None
    if isinstance(token, str):
        peer.asker.secrets.add(token)
    expect(heard, token == peer.token, expected, "another token" if token else "no token")


@GROUP.check("CRED-037")
async def complete(peer: Peer) -> None:
    """The Credentials have a token, a URL and at least one role"""
    heard, data = await _read(peer)
    roles = [{**role, **_FIT} for role in dicts(data.get("roles"))]
    wrong = objects.unfit(Credentials, {**data, "roles": roles}) or objects.odd(Credentials, {**data, "roles": roles})
    expect(heard, wrong is None, "token of at most 64 characters, url, and roles", wrong or "")


_FIT = {"role": "OTHER", "party_id": "ABC", "country_code": "NL", "business_details": {"name": "fit"}}


@GROUP.check("CRED-051", "CRED-052", "TYP-015")
async def complete_roles(peer: Peer) -> None:
    """Each role has role, party_id, country_code and a business name"""
    heard, data = await _read(peer)
    fit = {**data, "token": "fit", "url": "https://fit.example"}
    wrong = objects.unfit(Credentials, fit) or objects.odd(Credentials, fit)
    if wrong is not None and not dicts(data.get("roles")):
        raise Skipped("there are no roles: see CRED-037")
    expect(heard, wrong is None, "role, party_id of 3, country_code of 2, business_details with a name", wrong or "")


@GROUP.check("CRED-038", should=True)
async def plain_token(peer: Peer) -> None:
    """The token is printable ASCII without spaces"""
    heard, data = await _read(peer)
    token = str(data.get("token") or "")
    kept = all("\x21" <= character <= "\x7e" for character in token)
    expect(heard, kept, "characters from ! to ~ only", "a token with other characters")


@GROUP.check("CRED-039")
async def unique_roles(peer: Peer) -> None:
    """No two roles have role, party_id and country_code in common"""
    heard, data = await _read(peer)
    twice = objects.repeated(dicts(data.get("roles")), ("role", "country_code", "party_id"))
    expect(heard, twice is None, "each role once", twice or "")


@GROUP.check("CRED-044", "CRED-045", kinds="hub")
async def hub_only(peer: Peer) -> None:
    """A hub lists itself in the role HUB, and none of its parties"""
    heard, data = await _read(peer)
    roles = [str(role.get("role")) for role in dicts(data.get("roles"))]
    expect(heard, roles == ["HUB"], "one role, HUB", f"roles: {', '.join(roles) or 'none'}")


@GROUP.check("CRED-023")
async def no_patch(peer: Peer) -> None:
    """PATCH of credentials is not offered: HTTP 405"""
    heard = await peer.ask("PATCH", peer.credentials_url, body={})
    expect(heard, heard.http_status == 405, "HTTP 405")
