"""Guards of hubclientinfo, presence, and the way between two hubs."""

from typing import Any

import pytest

from hub.delivery import announce, clientinfo, send
from hub.exchange import routing
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.store import health
from hub.store import peers as announced
from hub.store.directory import Directory, PartyView
from tests.spec.guard import guard


@guard("HCI-028")
def strangers_are_not_shown(off: pytest.MonkeyPatch) -> None:
    """Whoever is connected is shown to everybody."""
    off.setattr(Directory, "related", lambda self, one, other: True)


@guard("HCI-008")
def who_is_gone_is_suspended(off: pytest.MonkeyPatch) -> None:
    """It only looks away."""
    off.setattr(clientinfo, "SUSPENDED", "OFFLINE")


@guard("HCI-009")
def nobody_is_shown_itself(off: pytest.MonkeyPatch) -> None:
    """A platform finds itself in its list."""
    off.setattr(clientinfo, "is_own", lambda viewer, platform_id, code: False)


@guard("HCI-026")
def announcements_are_not_routed(off: pytest.MonkeyPatch) -> None:
    """They carry the routing headers of other modules."""
    routed = headers.routing(PartyId("DE", "MSA"), PartyId("NL", "HUB"))
    off.setattr(announce, "onward", lambda *args, **named: send.onward(*args, **named) | routed)


@guard("HCI-015")
def who_does_not_answer_is_offline(off: pytest.MonkeyPatch) -> None:
    """It stays as it was."""

    async def never(*_: Any) -> bool:
        return False

    off.setattr(health, "set_status", never)


@guard("HCI-002", "HCI-003", "HCI-004")
def what_a_peer_hub_announces_counts(off: pytest.MonkeyPatch) -> None:
    """Its parties are taken for connected."""
    off.setattr(PartyView, "status", "CONNECTED")


@guard("HCI-021")
def what_is_not_listed_is_void(off: pytest.MonkeyPatch) -> None:
    """A list adds, and takes nothing away."""

    async def add(session: Any, platform_id: int, infos: Any, asked_at: Any) -> None:
        await announced.take(session, platform_id, infos)

    off.setattr(announced, "complete", add)


@guard("TF-176")
def no_message_goes_from_hub_to_hub_to_hub(off: pytest.MonkeyPatch) -> None:
    """It goes wherever its receiver is, back as well."""
    off.setattr(routing, "_leads_back", lambda call, target: False)
