"""hub.delivery.audience: who gets what."""

from dataclasses import replace

import pytest

from hub.delivery import audience
from hub.delivery.lanes import Lane
from hub.ocpi.types import PartyId
from hub.store.directory import AgreementView, Directory, PartyView, PlatformView
from modules.catalog import CATALOG

CPA, CPB = PartyId("NL", "CPA"), PartyId("NL", "CPB")
MSA, MSB = PartyId("DE", "MSA"), PartyId("FR", "MSB")
OTH, NSP, NAP = PartyId("BE", "OTH"), PartyId("BE", "NSP"), PartyId("BE", "NAP")
LOC, HUB = PartyId("NL", "LOC"), PartyId("SE", "HUB")
ROLES = {
    CPA: "CPO",
    CPB: "CPO EMSP",
    MSA: "EMSP",
    MSB: "EMSP",
    OTH: "OTHER",
    NSP: "NSP",
    NAP: "NAP",
    LOC: "CPO",
    HUB: "HUB",
}
EVERYTHING = frozenset({"locations", "tariffs", "tokens", "sessions", "cdrs"})


def _directory(
    *agreements: AgreementView,
    modules: frozenset[str] = EVERYTHING,
    open_policy: bool = True,
    status: str = "CONNECTED",
    resync: str = "push",
) -> Directory:
    """All parties of ROLES on platforms of their own; `modules` are the receiver endpoints of each."""
    parties = {}
    for number, (code, roles) in enumerate(ROLES.items(), 1):
        view = PlatformView(
            id=number,
            name=str(code),
            hosted=code == LOC,
            status=status,
            versions_url=None,
            token_out=None,
            token_form="base64",
            resync=resync,
            strict=False,
            endpoints={(name, "RECEIVER"): f"https://{code.party_id}.example/{name}" for name in modules},
        )
        parties[code] = PartyView(number, code, frozenset(roles.split()), view, str(code))
    pairs = {frozenset((a.a, b)): a for a in agreements for b in ROLES if b in _OTHER_SIDE[a.a]}
    return Directory(1, open_policy, {p.platform.id: p.platform for p in parties.values()}, parties, {}, pairs)


_OTHER_SIDE = {CPA: (MSA,)}


def _receivers(directory: Directory, owner: PartyId, module: str) -> set[PartyId]:
    return {code for code in ROLES if audience.wants(directory, CATALOG, owner, module, code)}


@pytest.mark.catalogue("TF-099", "TF-100", "TF-111")
def test_broadcasts_go_to_the_opposite_roles_and_never_back() -> None:
    directory = _directory()
    assert _receivers(directory, CPA, "locations") == {CPB, MSA, MSB, OTH, NSP, NAP}
    assert _receivers(directory, CPB, "locations") == {MSA, MSB, OTH, NSP, NAP}
    assert _receivers(directory, MSA, "tokens") == {CPA, CPB}
    assert _receivers(directory, CPB, "tokens") == {CPA}
    assert _receivers(directory, OTH, "tokens") == {CPA, CPB}
    assert _receivers(directory, OTH, "locations") == {CPA, CPB}
    assert _receivers(directory, LOC, "tariffs") == {CPB, MSA, MSB, OTH, NSP, NAP}


@pytest.mark.catalogue("TF-177")
def test_a_nap_takes_and_gives_data_of_cpos_and_an_scsp_gets_no_broadcast() -> None:
    plain, scsp = _directory(), PartyId("BE", "SCS")
    view = PartyView(99, scsp, frozenset({"SCSP"}), plain.by_code[MSA].platform, "SCSP")
    directory = replace(plain, by_code={**plain.by_code, scsp: view})
    for module in ("locations", "tariffs"):
        assert audience.wants(directory, CATALOG, CPA, module, NAP)
        assert {MSA, NSP} <= _receivers(directory, NAP, module)
        assert not audience.wants(directory, CATALOG, CPA, module, scsp)
    assert not audience.wants(directory, CATALOG, MSA, "tokens", scsp)
    closed = _directory(open_policy=False)
    assert not audience.wants(closed, CATALOG, CPA, "locations", NAP)
    assert not audience.wants(_directory(modules=frozenset({"cdrs"})), CATALOG, CPA, "locations", NAP)


@pytest.mark.catalogue("TF-109")
def test_sessions_and_cdrs_are_never_broadcast() -> None:
    directory = _directory()
    assert not _receivers(directory, CPA, "sessions") | _receivers(directory, CPA, "cdrs")


def test_only_to_those_that_publish_the_module_and_are_served() -> None:
    assert not _receivers(_directory(modules=frozenset({"tokens"})), CPA, "locations")
    assert not _receivers(_directory(resync="pull"), CPA, "locations")
    for status in ("SUSPENDED", "PLANNED"):
        assert not _receivers(_directory(status=status), CPA, "locations")
    assert _receivers(_directory(status="OFFLINE"), CPA, "locations")
    assert not audience.served(_directory().party(LOC))
    assert not audience.served(_directory().party(HUB))
    assert not audience.served(None)


def test_agreements_decide_and_without_one_the_policy() -> None:
    closed = _directory(AgreementView(CPA, "both", frozenset({"locations"})), open_policy=False)
    assert _receivers(closed, CPA, "locations") == {MSA}
    assert not _receivers(closed, CPA, "tariffs")
    other_way = _directory(AgreementView(CPA, "b_to_a", None))
    assert MSA not in _receivers(other_way, CPA, "locations")
    assert audience.takes(closed, CPA, "locations", MSA)
    assert not audience.takes(closed, CPA, "cdrs", MSA)


def test_a_full_delivery_walks_broadcasts_and_what_hosted_parties_push_to_one() -> None:
    pairs = audience.everything_for(_directory(), CATALOG, MSA)
    assert ("NL*CPA", "locations") in pairs
    assert ("NL*CPA", "sessions") not in pairs
    assert ("NL*LOC", "sessions") in pairs
    assert ("NL*LOC", "cdrs") not in pairs
    assert audience.broadcasts_to(_directory(), CATALOG, MSA) == [
        (str(owner), module) for owner in (CPA, CPB, NAP, LOC) for module in ("locations", "tariffs")
    ]


def test_the_index_names_the_lanes_of_a_row() -> None:
    lanes = {code: Lane(number, code, 0) for number, code in enumerate((CPA, MSA, MSB))}
    index = audience.Index(_directory(), CATALOG, lanes.values())
    assert index.lanes("NL*CPA", "locations", "*") == (lanes[MSA], lanes[MSB])
    assert index.lanes("NL*CPA", "sessions", "FR*MSB") == (lanes[MSB],)
    assert index.lanes("NL*CPA", "sessions", "BE*NSP") == ()
    assert index.lanes("DE*MSA", "tokens", "*") == (lanes[CPA],)
    assert index.lanes("nobody", "tokens", "*") == index.lanes("SE*XXX", "tokens", "*") == ()


def test_candidates_are_those_whose_role_fits_reached_or_not() -> None:
    offline = _directory(status="SUSPENDED")
    assert set(audience.candidates(offline, CATALOG, CPA, "locations")) == {CPB, MSA, MSB, OTH, NSP, NAP}
    assert set(audience.candidates(offline, CATALOG, MSA, "tokens")) == {CPA, CPB, LOC}
    assert audience.candidates(offline, CATALOG, CPA, "sessions") == []
    assert audience.candidates(offline, CATALOG, PartyId("XX", "XXX"), "locations") == []


@pytest.mark.parametrize(
    ("directory", "obstacle"),
    [
        (_directory(), None),
        (_directory(status="OFFLINE"), None),
        (_directory(status="SUSPENDED"), "is SUSPENDED"),
        (_directory(resync="pull"), "pulls for itself (resync)"),
        (_directory(modules=frozenset({"tariffs"})), "publishes no locations receiver endpoint"),
        (_directory(open_policy=False), "has no agreement with the owner that allows it"),
        (Directory(), "is not connected to this hub"),
    ],
)
def test_what_stands_between(directory: Directory, obstacle: str | None) -> None:
    assert audience.obstacle(directory, CPA, "locations", MSA) == obstacle
    assert audience.takes(directory, CPA, "locations", MSA) is (obstacle is None)
