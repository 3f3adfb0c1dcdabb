"""The kit as two parties at one hub, and what went from one to the other."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hub.kit import receiving
from hub.kit.ask import Heard
from hub.kit.check import Skipped
from hub.kit.objects import Json
from hub.kit.party import KitParty
from hub.kit.peer import Peer
from hub.sandbox import samples
from hub.sandbox.recorder import Received


@dataclass
class Meeting:
    """Both of the kit's parties as they see the hub, and what went from one to the other."""

    cpo: Peer
    emsp: Peer
    session: tuple[Json, Heard, Received | None] | None = None
    tariff: tuple[Json, Heard] | None = None
    command: tuple[Heard, str, Received | None] | None = None
    token: Json = field(default_factory=dict)


def meeting(peer: Peer) -> Meeting:
    """Both parties, registered; the same meeting for all checks. Skipped when there is only one."""
    if peer.other is None:
        raise Skipped("it takes a CPO and an eMSP: needs --other")
    peer.admitted()
    peer.other.admitted()
    if peer.meeting is None:
        cpo, emsp = (peer, peer.other) if peer.role == "CPO" else (peer.other, peer)
        peer.meeting = Meeting(cpo, emsp, token=samples.token(str(receiving.us(emsp)), receiving.new_id()))
    return peer.meeting


def party(peer: Peer) -> KitParty:
    """The kit's platform behind one of the two."""
    assert peer.party is not None
    return peer.party


def arrived(peer: Peer, wanted: Callable[[Received], bool]) -> Received | None:
    """The request that arrived at one of our parties, if it did."""
    return next(filter(wanted, party(peer).received), None)
