"""Whose address it is, behind proxies: nobody outside can choose it."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.ocpi.proxies import client_address

OURS = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
strangers = st.one_of(st.ip_addresses(network="192.0.2.0/24"), st.ip_addresses(network="2001:db8::/32")).map(str)
proxies = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).map(str)
rubbish = st.text(max_size=20).filter(lambda text: "," not in text)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7, 192.0.2.1 ,10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["192.0.2.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["192.0.2.1,"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1:4711"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1:http"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:DB8:0::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1"], "10.0.0.1"),
        ("10.0.0.1", ["[2001:db8::1]4711"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("fd00::1%eth0", ["192.0.2.1"], "192.0.2.1"),
        ("", ["192.0.2.1"], ""),
    ],
)
def test_the_first_that_is_no_proxy_of_ours(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, OURS) == client


@given(st.lists(strangers | proxies | rubbish), strangers, st.lists(proxies), proxies)
def test_what_a_client_invents_changes_nothing(invented: list[str], client: str, between: list[str], peer: str) -> None:
    header = ", ".join([*invented, client, *between])
    assert client_address(peer, [header], OURS) == str(ip_address(client))


@given(st.lists(strangers | proxies | rubbish), strangers | proxies)
def test_without_proxies_it_is_whoever_connects(invented: list[str], peer: str) -> None:
    assert client_address(peer, invented, ()) == str(ip_address(peer))


@given(st.text(), st.lists(st.text()))
def test_it_never_fails(peer: str, forwarded: list[str]) -> None:
    client_address(peer, forwarded, OURS)
    ip_address(client_address("10.0.0.1", forwarded, OURS))


@given(st.lists(strangers | proxies), proxies, st.integers(0, 5))
def test_how_the_list_is_cut_into_headers_does_not_matter(entries: list[str], peer: str, cut: int) -> None:
    whole = [", ".join(entries)] if entries else []
    parts = [", ".join(part) for part in (entries[:cut], entries[cut:]) if part]
    assert client_address(peer, parts, OURS) == client_address(peer, whole, OURS)
