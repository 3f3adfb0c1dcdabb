"""Which network addresses the hub may talk to. Only resolved addresses are judged, never spellings.

`ipaddress.is_global` is not enough: it lets NAT64, 6to4, multicast and other ways to an inner address through. Here
the deny list is our own, and of IPv6 only global unicast is let through at all.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from hub.settings import Network

_DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
# Teredo and other protocol assignments, documentation, 6to4: each can lead somewhere else.
_DENIED_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is an ordinary host of the internet."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        return address in _GLOBAL_V6 and not any(address in network for network in _DENIED_V6)
    return not any(address in network for network in _DENIED_V4)


def is_allowed(text: str, allow: Sequence[Network], encrypted: bool) -> bool:
    """Whether the hub may connect: public hosts over TLS, and whatever lies in the networks the operator allows."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address.version == network.version and address in network for network in allow):
        return True
    return encrypted and is_public(address)
