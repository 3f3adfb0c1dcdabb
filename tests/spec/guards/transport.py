"""Guards of the transport: who is calling, and what headers say."""

from typing import Any

import pytest

from hub.exchange import auth, call, forward
from hub.ocpi import headers
from hub.ocpi.errors import Unauthorized
from hub.ocpi.types import PartyId
from hub.store.directory import PlatformView
from tests.spec.guard import guard


@guard("TF-009", "TF-010", "TF-012", "VER-014")
def strangers_are_unauthorised(off: pytest.MonkeyPatch) -> None:
    """Who shows no good token is told so with HTTP 200."""
    off.setattr(Unauthorized, "http_status", 200)


@guard("TF-062", "TF-081")
def from_is_a_party_of_the_caller(off: pytest.MonkeyPatch) -> None:
    """Whoever FROM names is believed, and without it the first party is meant."""
    off.setattr(auth, "sender", lambda platform, named: named or platform.parties[0])


class _Swapped:
    """The module of headers, but for routing pairs, which are the wrong way round."""

    def __getattr__(self, name: str) -> Any:
        return getattr(headers, name)

    def routing(self, to: PartyId | None, sender: PartyId | None) -> dict[str, str]:
        return headers.routing(sender, to)


@guard("TF-084")
def answers_swap_the_pair(off: pytest.MonkeyPatch) -> None:
    """An answer has the pairs of the request."""
    for module in (call, forward):
        off.setattr(module, "headers", _Swapped())


@guard("TF-138")
def endpoints_are_those_published(off: pytest.MonkeyPatch) -> None:
    """They are guessed from the usual pattern."""
    ordinary = PlatformView.endpoint

    def guessed(self: PlatformView, module: str, role: str) -> str | None:
        known = ordinary(self, module, role)
        origin = "/".join((known or "").split("/")[:3])
        return f"{origin}/ocpi/2.2.1/{role.lower()}/{module}" if known else None

    off.setattr(PlatformView, "endpoint", guessed)
