"""Who is at the other end, when proxies stand between.

Each proxy writes behind X-Forwarded-For whom it heard from. Only what our own proxies wrote can be believed, and that
is the end of the list; what stands before the first stranger, anybody may have invented.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from hub.settings import Network


def client_address(peer: str, forwarded: Iterable[str], trusted: Sequence[Network]) -> str:
    """The address of the client: the first one, from the connection backwards, that is no trusted proxy.

    `peer` is the other end of the connection, `forwarded` the X-Forwarded-For headers in their order. An entry that is
    no address ends the walk: then it is the proxy before it.
    """
    client = _address(peer)
    if client is None:  # a Unix socket, or nothing
        return peer
    for entry in reversed([entry for value in forwarded for entry in value.split(",")]):
        before = _address(entry)
        if before is None or not _is_in(client, trusted):
            break
        client = before
    return str(client)


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80."""
    text = text.strip()
    if text.startswith("["):
        bare, bracket, port = text[1:].partition("]")
        well_formed = bracket and (not port or (port[0] == ":" and port[1:].isdecimal()))
        text = bare if well_formed else ""
    elif text.count(":") == 1:
        bare, _, port = text.partition(":")
        text = bare if port.isdecimal() else ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
