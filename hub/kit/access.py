"""Who is let in: tokens, their forms, and the headers of a request.

Source: transport_and_format.asciidoc > Authorization header, Unique message IDs.
"""

import base64
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from hub.kit.check import Broken, Group, Skipped
from hub.kit.peer import READABLE, Peer, data_of, expect
from hub.ocpi import headers
from hub.sandbox import wire

GROUP = Group("access")


@GROUP.check("TF-001")
async def encrypted(peer: Peer) -> None:
    """The endpoint is behind TLS"""
    parts = urlsplit(peer.plan.versions_url)
    if parts.scheme != "https" and _is_loopback(parts.hostname or ""):
        raise Skipped("the endpoint is on this machine")
    if parts.scheme != "https":
        raise Broken(f"the versions URL {peer.plan.versions_url}", "plain http", "an https URL")


@GROUP.check("TF-005", "TF-004")
async def base64_token(peer: Peer) -> None:
    """The token is taken Base64 encoded"""
    first = peer.asker.heard[0]
    expect(first, peer.form == "base64", "HTTP 200, as for the same token without Base64")


@GROUP.check("TF-009")
async def without_token(peer: Peer) -> None:
    """A request without Authorization header is answered HTTP 401"""
    for module, url in _doors(peer):
        heard = await peer.ask("GET", url, module=module, authorization=None, note="without Authorization header")
        expect(heard, heard.http_status == 401, "HTTP 401")


@GROUP.check("TF-010", "VER-014")
async def wrong_token(peer: Peer) -> None:
    """A token that nobody was given is answered HTTP 401"""
    for module, url in _doors(peer):
        shown = peer.authorization(wire.new_token())
        heard = await peer.ask("GET", url, module=module, authorization=shown, note="with a token of nobody")
        expect(heard, heard.http_status == 401, "HTTP 401")


@GROUP.check("TF-012")
async def token_a(peer: Peer) -> None:
    """A token A is good for the handshake only: functional modules answer it HTTP 401"""
    if not peer.guest:
        raise Skipped("the token is not a token A")
    doors = [door for door in _doors(peer) if door[0]]
    if not doors:
        raise Skipped("no functional module is offered as SENDER")
    for module, url in doors:
        heard = await peer.ask("GET", url, module=module, note="with token A")
        expect(heard, heard.http_status == 401, "HTTP 401")


@GROUP.check("TF-013", should=True)
async def lenient_scheme(peer: Peer) -> None:
    """The word Token is taken in any case, with more than one space after it"""
    shown = peer.authorization().replace("Token ", "token  ", 1)
    heard = await peer.ask("GET", peer.plan.versions_url, authorization=shown, note='with "token" and two spaces')
    data_of(heard, "HTTP 200, as for the usual form")


@GROUP.check("TF-182", should=True)
async def line_feed(peer: Peer) -> None:
    """A line feed after the token, as in the samples of the specification, is overlooked"""
    if peer.form != "base64":
        raise Skipped("the token is not taken Base64 encoded: see TF-005")
    shown = "Token " + base64.b64encode(f"{peer.token}\n".encode()).decode()
    peer.asker.secrets.add(f"{peer.token}\n")
    heard = await peer.ask("GET", peer.plan.versions_url, authorization=shown, note="token with a line feed, encoded")
    data_of(heard, "HTTP 200, as without the line feed")


@GROUP.check("TF-079", "TF-040")
async def header_case(peer: Peer) -> None:
    """Names of headers are taken in any case"""
    extra = {"authorization": peer.authorization(), "x-request-id": headers.new_id()}
    heard = await peer.ask(
        "GET", peer.plan.versions_url, authorization=None, ids=False, extra=extra, note="header names in lower case"
    )
    data_of(heard, "HTTP 200, as for names in mixed case")
    echoed = heard.headers.get(headers.REQUEST_ID) == extra["x-request-id"]
    expect(heard, echoed, "x-request-id repeated", f"X-Request-ID: {heard.headers.get(headers.REQUEST_ID, 'missing')}")


@GROUP.check("TF-136", should=True)
async def without_ids(peer: Peer) -> None:
    """A request without message ids is answered all the same"""
    heard = await peer.ask("GET", peer.plan.versions_url, ids=False, note="without X-Request-ID and X-Correlation-ID")
    data_of(heard, "HTTP 200, status_code 1000")


def _doors(peer: Peer) -> Iterator[tuple[str, str]]:
    """The versions endpoint, and one functional module that can be read, if there is one."""
    yield "", peer.plan.versions_url
    for (module, role), url in peer.endpoints.items():
        if role == "SENDER" and module in READABLE:
            yield module, url
            return


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
