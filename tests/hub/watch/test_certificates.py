"""Certificates are looked at where URLs lead, and at partners only where the hub may go."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from hub.ocpi.client import Outbound, Refused, Unreachable
from hub.settings import Settings
from hub.store.directory import Directory, PlatformView
from hub.watch import certificates
from hub.watch.certificates import Certificates
from hub.watch.webhook import ANYWHERE

END = datetime(2026, 12, 31, tzinfo=UTC)


@pytest.fixture
async def address(certify: Callable[[ssl.SSLContext, datetime], None]) -> AsyncIterator[str]:
    """A TLS server whose certificate nobody trusts."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certify(tls, END)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def partner(url: str, status: str = "CONNECTED") -> Directory:
    platform = PlatformView(1, "Alpha", False, status, url, None, "base64", "push", False, {})
    return Directory(platforms={1: platform})


def test_what_is_reached_over_tls() -> None:
    urls = ["https://hub.example/ocpi", "http://plain.example", "https://[::1]:8443"]
    assert certificates.addresses(urls) == {"hub.example:443", "[::1]:8443"}


async def test_the_hubs_own_and_partners_where_the_hub_may_go(address: str) -> None:
    async with Outbound() as guarded, Outbound(ANYWHERE) as anywhere:
        own = Certificates(Settings(public_url=f"https://{address}", bridge_url=f"wss://{address}"), guarded, anywhere)
        await own.look(Directory())
        assert own.ends(Directory()) == {address: END}
        private = Certificates(Settings(), guarded, anywhere)
        await private.look(partner(f"https://{address}/versions"))
        assert private.ends(partner(f"https://{address}/versions")) == {address: None}
    async with Outbound([ip_network("127.0.0.0/8")]) as allowed, Outbound(ANYWHERE) as anywhere:
        theirs = Certificates(Settings(), allowed, anywhere)
        await theirs.look(partner(f"https://{address}/versions"))
        assert theirs.ends(partner(f"https://{address}/versions")) == {address: END}
        assert theirs.ends(partner(f"https://{address}/versions", "SUSPENDED")) == {}


async def test_what_can_go_wrong_on_the_way(address: str) -> None:
    async with Outbound(ANYWHERE) as anywhere, Outbound() as guarded:
        with pytest.raises(Refused):
            await guarded.certificate(f"https://{address}/")
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1 is not reachable"):
            await anywhere.certificate("https://127.0.0.1:9/")
