"""Where calls go: the table of hub flows 2 to 5 and 10, on a directory made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from hub.exchange import routing
from hub.exchange.call import Call
from hub.exchange.routing import Broadcast, Direct, GetAll, Open
from hub.ocpi.errors import ConnectionProblem, HubError, InvalidParameters, UnknownReceiver
from hub.ocpi.types import PartyId
from hub.store.directory import AgreementView, Directory, PartyView, PlatformView
from modules.catalog import CATALOG

HUB, CPA, MSA, MSB, LOC = (PartyId.parse(code) for code in ("NL*HUB", "NL*CPA", "DE*MSA", "FR*MSB", "NL*LOC"))


def platform(number: int, code: PartyId, **more: Any) -> PlatformView:
    ends = {(m, r): f"https://p{number}.example/{r}/{m}" for m in CATALOG for r in ("SENDER", "RECEIVER")}
    base = PlatformView(number, code.party_id, False, "CONNECTED", None, "t", "base64", "push", False, ends, (code,))
    return replace(base, **more)


PLATFORMS = {
    CPA: platform(1, CPA),
    MSA: platform(2, MSA),
    MSB: platform(3, MSB, status="OFFLINE"),
    LOC: platform(4, LOC, hosted=True, endpoints={}),
}
ROLES = {CPA: "CPO", MSA: "EMSP", MSB: "EMSP", LOC: "CPO"}


def directory(open_policy: bool = True, **more: Any) -> Directory:
    by_code = {code: PartyView(p.id, code, frozenset({ROLES[code]}), p, code.party_id) for code, p in PLATFORMS.items()}
    return Directory(1, open_policy, {p.id: p for p in PLATFORMS.values()}, by_code, **more)


def decide(method: str, module: str, interface: str, to: PartyId | None, tail: str = "", **more: Any) -> routing.Route:
    call = Call(CPA, to, PLATFORMS[CPA], method, module, interface, tail)
    return routing.decide(directory(**more), call, CATALOG[module], HUB)


@pytest.mark.catalogue("TF-098", "TF-109", "TF-114")
@pytest.mark.parametrize("module", ["locations", "tariffs", "tokens"])
@pytest.mark.parametrize("to", [HUB, None])
def test_pushes_of_data_for_all_are_broadcast(module: str, to: PartyId | None) -> None:
    assert decide("PUT", module, "RECEIVER", to, "/NL/CPA/1") == Broadcast()


@pytest.mark.catalogue("TF-110")
@pytest.mark.parametrize(("method", "module"), [("PUT", "sessions"), ("POST", "cdrs"), ("POST", "commands")])
def test_what_is_for_one_receiver_is_not_broadcast(method: str, module: str) -> None:
    with pytest.raises(InvalidParameters):
        decide(method, module, "RECEIVER", HUB)


@pytest.mark.catalogue("TF-101", "TF-115", "TF-120")
def test_get_all_is_a_list_get_on_a_sender_interface() -> None:
    assert decide("GET", "locations", "SENDER", HUB) == GetAll()
    with pytest.raises(InvalidParameters):
        decide("GET", "locations", "SENDER", HUB, "/LOC1")
    with pytest.raises(InvalidParameters):
        decide("GET", "locations", "RECEIVER", HUB, "/NL/CPA/LOC1")


def test_a_party_is_reached_directly_whatever_its_case() -> None:
    route = decide("PUT", "sessions", "RECEIVER", PartyId.of("de", "msa"), "/NL/CPA/S1")
    assert isinstance(route, Direct)
    assert route.target.code == MSA
    assert isinstance(decide("POST", "commands", "RECEIVER", LOC), Direct)


@pytest.mark.catalogue("TF-090", "TF-091", "TF-093")
def test_receivers_that_cannot_be_reached() -> None:
    with pytest.raises(UnknownReceiver):
        decide("PUT", "sessions", "RECEIVER", PartyId.parse("XX*XXX"))
    with pytest.raises(ConnectionProblem):
        decide("PUT", "sessions", "RECEIVER", MSB)
    call = Call(CPA, MSA, PLATFORMS[CPA], "GET", "payments", "SENDER")
    with pytest.raises(HubError, match="payments"):
        routing.reachable(directory(), call, MSA)


def test_what_a_hosted_party_pushes_waits_for_a_receiver_that_is_offline() -> None:
    pushed = Call(LOC, MSB, PLATFORMS[LOC], "PUT", "sessions", "RECEIVER")
    assert isinstance(routing.decide(directory(), pushed, CATALOG["sessions"], HUB), Direct)
    asked = Call(LOC, MSB, PLATFORMS[LOC], "POST", "tokens", "SENDER")
    with pytest.raises(ConnectionProblem):
        routing.decide(directory(), asked, CATALOG["tokens"], HUB)


def test_without_agreement_a_party_looks_unknown() -> None:
    with pytest.raises(UnknownReceiver):
        decide("PUT", "sessions", "RECEIVER", MSA, open_policy=False)
    one_way = {frozenset({CPA, MSA}): AgreementView(CPA, "a_to_b", frozenset({"sessions"}))}
    assert isinstance(decide("PUT", "sessions", "RECEIVER", MSA, agreements=one_way), Direct)
    for method, module, interface in [("PUT", "locations", "RECEIVER"), ("GET", "sessions", "SENDER")]:
        with pytest.raises(UnknownReceiver):
            decide(method, module, interface, MSA, agreements=one_way)


def test_anything_else_without_receiver_is_open() -> None:
    assert decide("PUT", "sessions", "RECEIVER", None) == Open()
    assert decide("GET", "locations", "SENDER", None) == Open()
