"""Which addresses the hub may talk to, in every spelling that has fooled somebody."""

from ipaddress import ip_network

import pytest

from hub.ocpi.addresses import is_allowed

DENIED_V4 = (
    "0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255 "
    "192.0.0.1 192.0.2.1 192.88.99.3 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 "
    "255.255.255.255"
)
DENIED_V6 = (
    ":: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b::7f00:1 64:ff9b:1::1 100::1 "
    "2001::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe:: 3fff::1 fc00::1 fd12::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 "
    "5f00::1"
)


@pytest.mark.parametrize("address", f"{DENIED_V4} {DENIED_V6}".split())
def test_inner_addresses_are_denied(address: str) -> None:
    assert not is_allowed(address, (), encrypted=True)


@pytest.mark.catalogue("TF-001")
@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_for_tls_only(address: str) -> None:
    assert is_allowed(address, (), encrypted=True)
    assert not is_allowed(address, (), encrypted=False)


def test_the_operators_networks_are_allowed_without_tls_and_nothing_beside_them() -> None:
    allow = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    assert is_allowed("127.0.0.5", allow, encrypted=False)
    assert is_allowed("::ffff:127.0.0.5", allow, encrypted=False)
    assert is_allowed("fd00::9", allow, encrypted=True)
    assert not is_allowed("10.0.0.1", allow, encrypted=True)


def test_what_is_no_address_is_denied() -> None:
    assert not is_allowed("localhost", (), encrypted=True)
