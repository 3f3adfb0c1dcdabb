"""hub.delivery.clientinfo: who is shown to whom, on a directory made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from hub.delivery import clientinfo
from hub.ocpi.types import PartyId
from hub.store.clientinfo import Shown
from hub.store.directory import AgreementView, Directory, PartyView, PlatformView

CPA, CPB, MSA, MSB, HB2 = (PartyId.parse(code) for code in ("NL*CPA", "NL*CPB", "DE*MSA", "FR*MSB", "DE*HB2"))


def platform(number: int, *codes: PartyId, **more: Any) -> PlatformView:
    base = PlatformView(number, str(number), False, "CONNECTED", None, "t", "base64", "push", False, {}, codes)
    return replace(base, voices=frozenset(codes), **more)


def party(code: PartyId, at: PlatformView, *roles: str, announced: dict[str, str] | None = None) -> PartyView:
    return PartyView(1, code, frozenset(roles), at, str(code), announced)


CPOS, EMSPS, PEER = platform(1, CPA, CPB), platform(2, MSA), platform(3, HB2, is_hub=True)


def directory(**more: Any) -> Directory:
    """NL*CPA and NL*CPB on one platform, DE*MSA on another, FR*MSB behind the hub DE*HB2."""
    here = (party(CPA, CPOS, "CPO"), party(CPB, CPOS, "CPO", "NAP"), party(MSA, EMSPS, "EMSP"), party(HB2, PEER, "HUB"))
    behind = party(MSB, PEER, "EMSP", announced={"EMSP": "CONNECTED", "NSP": "SUSPENDED"})
    platforms = {each.id: each for each in (CPOS, EMSPS, PEER)}
    return Directory(1, True, platforms, {each.code: each for each in here}, behind={MSB: behind}, **more)


def test_every_role_of_the_others_is_shown_and_no_hub() -> None:
    assert clientinfo.wanted(directory(), EMSPS, planned=False) == {
        ("NL*CPA", "CPO"): "CONNECTED",
        ("NL*CPB", "CPO"): "CONNECTED",
        ("NL*CPB", "NAP"): "CONNECTED",
        ("FR*MSB", "EMSP"): "CONNECTED",
        ("FR*MSB", "NSP"): "SUSPENDED",
    }
    assert ("NL*CPB", "CPO") not in clientinfo.wanted(directory(), CPOS, planned=False)


def test_a_hub_is_shown_nothing_of_what_hubs_announced() -> None:
    assert {code for code, _ in clientinfo.wanted(directory(), PEER, planned=True)} == {"NL*CPA", "NL*CPB", "DE*MSA"}


def test_an_agreement_in_any_module_and_either_way_is_enough_and_an_empty_one_is_none() -> None:
    pairs = {
        frozenset((MSA, CPA)): AgreementView(MSA, "a_to_b", frozenset({"tokens"})),
        frozenset((MSA, CPB)): AgreementView(MSA, "both", frozenset()),
    }
    for open_policy in (True, False):
        picture = replace(directory(agreements=pairs), open_policy=open_policy, behind={})
        assert set(clientinfo.wanted(picture, EMSPS, planned=False)) == {("NL*CPA", "CPO")}
        every = clientinfo.wanted(picture, EMSPS, planned=True)
        assert (every["NL*CPA", "CPO"], every["NL*CPB", "CPO"]) == ("CONNECTED", "PLANNED")


def test_who_is_invited_is_planned_except_to_its_own_platform() -> None:
    planned = frozenset({(1, PartyId.parse("NL*CPC"), "CPO"), (4, PartyId.parse("SE*NEW"), "EMSP"), (4, HB2, "HUB")})
    picture = directory(planned=planned)
    new = {key for key, status in clientinfo.wanted(picture, CPOS, planned=False).items() if status == "PLANNED"}
    assert new == {("SE*NEW", "EMSP")}


def known(status: str, told: str | None = None) -> dict[tuple[str, str], Shown]:
    return {("NL*CPA", "CPO"): Shown("NL*CPA", "CPO", status, told)}


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        ("CONNECTED", "CONNECTED", None),
        ("CONNECTED", "OFFLINE", "OFFLINE"),
        ("PLANNED", "CONNECTED", "CONNECTED"),
        ("CONNECTED", "PLANNED", "SUSPENDED"),  # never back to planned
        ("SUSPENDED", "PLANNED", None),
        ("CONNECTED", None, "SUSPENDED"),  # gone
        ("SUSPENDED", None, None),
        ("SUSPENDED", "CONNECTED", "CONNECTED"),
    ],
)
def test_what_was_shown_before_decides_what_is_shown_now(before: str, now: str | None, after: str | None) -> None:
    found = {("NL*CPA", "CPO"): now} if now is not None else {}
    changes = [("NL*CPA", "CPO", after)] if after is not None else []
    assert clientinfo.settle(found, known(before, told=before), EMSPS) == (changes, [])


def test_a_plan_that_came_to_nothing_disappears_unless_it_was_told() -> None:
    gone = [("NL*CPA", "CPO")]
    assert clientinfo.settle({}, known("PLANNED"), EMSPS) == ([], gone)
    assert clientinfo.settle({}, known("PLANNED", "PLANNED"), EMSPS) == ([("NL*CPA", "CPO", "SUSPENDED")], [])
    assert clientinfo.settle({}, known("CONNECTED", "CONNECTED"), CPOS) == ([], gone)  # it has become its own
