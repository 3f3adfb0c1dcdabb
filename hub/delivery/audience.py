"""Who gets what: the rule of broadcasts as pure functions over the directory, and the index of lanes made from it.

CPO data goes to eMSP-type parties, eMSP data and whatever an OTHER party pushes to CPOs, never back to the owner
(TF-098..TF-100, TF-111); to parties that publish the module as RECEIVER, are served by a lane and whom an agreement
with the owner (or the hub's default) allows it.
"""

from collections.abc import Iterable, Mapping

from hub.delivery.lanes import Lane
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.module import Catalog
from hub.ocpi.types import PartyId
from hub.store.directory import Directory, PartyView
from hub.store.objects import EVERYBODY

EMSP_TYPES = frozenset({"EMSP", "NSP", "OTHER", "NAP"})
"""Who CPO data is for. NAP is not named in the spec's broadcast text; an agreement decides."""

CPO_TYPES = frozenset({"CPO"})

REACHED = frozenset({"CONNECTED", "OFFLINE"})


def served(party: PartyView | None) -> bool:
    """Whether a lane serves this party: on a platform of its own, not SUSPENDED, pushed to, with something to push.
    What is for a party behind a peer hub goes to it while its sender waits."""
    if party is None or party.behind or party.roles <= {"HUB"}:
        return False
    platform = party.platform
    pushed_to = not platform.hosted and platform.status in REACHED and platform.resync == "push"
    return pushed_to and any(role == "RECEIVER" for _, role in platform.endpoints)


def reached(directory: Directory) -> frozenset[int]:
    """The platforms of others that take part, with a lane or without."""
    platforms = directory.platforms.values()
    return frozenset(platform.id for platform in platforms if not platform.hosted and platform.status in REACHED)


def all_served(directory: Directory) -> frozenset[str]:
    """The codes of all parties that a lane serves."""
    return frozenset(str(party.code) for party in directory.parties if served(party))


def wants(directory: Directory, catalog: Catalog, owner: PartyId, module: str, receiver: PartyId) -> bool:
    """Whether a broadcast of `owner`'s `module` goes to `receiver`."""
    target = directory.party(receiver)
    meant = target is not None and owner != receiver and target.roles & _meant_for(directory, catalog, owner, module)
    return bool(meant) and takes(directory, owner, module, receiver)


def candidates(directory: Directory, catalog: Catalog, owner: PartyId, module: str) -> list[PartyId]:
    """All parties that broadcasts of `owner`'s `module` are meant for by their role, reached or not (`obstacle`)."""
    roles = _meant_for(directory, catalog, owner, module)
    return [party.code for party in directory.parties if party.roles & roles and party.code != owner]


def _meant_for(directory: Directory, catalog: Catalog, owner: PartyId, module: str) -> frozenset[str]:
    row, source = catalog.get(module), directory.party(owner)
    if row is None or not row.broadcast or source is None:
        return frozenset()
    return readers(row.owner) if source.roles & {"CPO", "NAP"} else CPO_TYPES


def readers(owner_role: str) -> frozenset[str]:
    """The roles that the data of an owner role is for (TF-099, TF-100)."""
    return EMSP_TYPES if owner_role == "CPO" else CPO_TYPES


def owners(owner_role: str) -> frozenset[str]:
    """The roles whose parties may push data of an owner role; OTHER may push what it owns to CPOs (TF-100)."""
    return frozenset({"CPO", "NAP", "OTHER"}) if owner_role == "CPO" else frozenset({"EMSP", "OTHER"})


def takes(directory: Directory, owner: PartyId, module: str, receiver: PartyId) -> bool:
    """Whether `receiver` may be sent an object of `owner` that was meant for it alone."""
    target = directory.party(receiver)
    if target is None or not served(target) or target.platform.endpoint(module, "RECEIVER") is None:
        return False
    return directory.allows(owner, receiver, module)


def obstacle(directory: Directory, owner: PartyId, module: str, receiver: PartyId) -> str | None:
    """Why `receiver`, on a platform of its own, is sent nothing of `owner`'s `module`, in words."""
    target = directory.party(receiver)
    if target is None:
        return "is not connected to this hub"
    if target.status not in REACHED:
        return f"is {target.status}"
    if target.behind:
        return "is behind a peer hub, and broadcasts are not relayed"
    if target.platform.resync != "push":
        return "pulls for itself (resync)"
    if target.platform.endpoint(module, "RECEIVER") is None:
        return f"publishes no {module} receiver endpoint"
    return None if directory.allows(owner, receiver, module) else "has no agreement with the owner that allows it"


def broadcasts_to(directory: Directory, catalog: Catalog, receiver: PartyId) -> list[tuple[str, str]]:
    """The (owner, module) pairs whose broadcasts go to `receiver`."""
    modules = [row.name for row in catalog.values() if row.broadcast]
    return [
        (str(party.code), module)
        for party in directory.parties
        for module in modules
        if wants(directory, catalog, party.code, module, receiver)
    ]


def everything_for(directory: Directory, catalog: Catalog, receiver: PartyId) -> list[tuple[str, str]]:
    """The (owner, module) pairs a full delivery to `receiver` walks: broadcasts, and what hosted parties push to it
    alone. (What others push directly was delivered while they waited.)"""
    kept = [row.name for row in catalog.values() if row.owner and row.kept and not row.immutable]
    hosted = [party.code for party in directory.parties if party.platform.hosted]
    direct = {(str(code), name) for code in hosted for name in kept if takes(directory, code, name, receiver)}
    return sorted(direct.union(broadcasts_to(directory, catalog, receiver)))


class Index:
    """Which lanes a row of the log concerns, worked out once for each owner, module and audience."""

    def __init__(self, directory: Directory, catalog: Catalog, lanes: Iterable[Lane]) -> None:
        self.directory = directory
        self._catalog = catalog
        self._lanes: Mapping[str, Lane] = {str(lane.receiver): lane for lane in lanes}
        self._known: dict[tuple[str, str, str], tuple[Lane, ...]] = {}

    def lanes(self, owner: str, module: str, audience: str) -> tuple[Lane, ...]:
        """The lanes that a change of `owner`'s `module` for `audience` goes to."""
        key = (owner, module, audience)
        if key not in self._known:
            self._known[key] = self._find(owner, module, audience)
        return self._known[key]

    def _find(self, owner: str, module: str, audience: str) -> tuple[Lane, ...]:
        try:
            code = PartyId.parse(owner)
        except InvalidParameters:
            return ()
        if audience == EVERYBODY:
            return tuple(
                lane
                for lane in self._lanes.values()
                if wants(self.directory, self._catalog, code, module, lane.receiver)
            )
        lane = self._lanes.get(audience)
        return (lane,) if lane is not None and takes(self.directory, code, module, lane.receiver) else ()
