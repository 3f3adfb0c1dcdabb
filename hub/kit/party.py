"""The kit's own platform: it registers with the peer, takes its calls, and leaves.

It is a party of the sandbox, seen under an address that the peer can reach, whose requests go the kit's way out.
"""

from collections.abc import Mapping
from typing import Any

from hub.kit.ask import Asker, Heard, NoAnswer
from hub.kit.peer import Plan, dicts
from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.sandbox.wire import Json


class KitParty(Platform):
    """What the kit's CPO and its eMSP have in common."""

    def __init__(self, plan: Plan, asker: Asker) -> None:
        host, port = plan.listen
        super().__init__(str(plan.party), name="Conformance kit", host=host, port=port)
        self._public, self._asker = plan.callback_url.rstrip("/"), asker

    @property
    def origin(self) -> str:
        """Where the peer finds it: the address given for that, or the one it listens at."""
        return self._public or super().origin

    def offer(self, url: str = "") -> Json:
        """Credentials for the peer, with a fresh token B that is good until `withdraw` or `settle`."""
        token = wire.new_token()
        self._asker.secrets.add(token)
        self._guests.add(token)
        return {**self.credentials(token), **({"url": url} if url else {})}

    def withdraw(self, offered: Json) -> None:
        """The exchange failed: the token in these credentials is good no longer."""
        self._guests.discard(offered["token"])

    def settle(self, offered: Json, theirs: Json, endpoints: Mapping[tuple[str, str], str]) -> None:
        """The exchange is done: from now on the peer comes in with our token, as a partner."""
        self._guests.discard(offered["token"])
        roles = tuple(dicts(theirs.get("roles")))
        self._welcome(wire.Peer(offered["token"], str(theirs["token"]), str(theirs.get("url")), roles, dict(endpoints)))

    def leave_quietly(self) -> None:
        """Forget the peer: it was told, or cannot be."""
        self.peer = None

    async def call(
        self,
        method: str,
        url: str,
        token: str,
        body: Any = None,
        extra: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> Heard:
        """One request, by the kit's bounded way out. Raises TimeoutError when nothing comes back."""
        shown = {**(extra or {}), **({headers.CORRELATION_ID: correlation_id} if correlation_id else {})}
        routed = headers.FROM_PARTY in shown
        try:
            return await self._asker.ask(
                method, url, wire.authorization(token), query=query, body=body, extra=shown, routed=routed
            )
        except NoAnswer as error:
            raise TimeoutError(str(error)) from None


class KitCpo(KitParty, CpoBackend):
    """The kit as a CPO, for eMSPs and hubs. STOP_SESSION is accepted for the sessions in `accepts`; nothing follows."""

    def __init__(self, plan: Plan, asker: Asker) -> None:
        super().__init__(plan, asker)
        self.accepts: set[str] = set()

    def _end(self, body: Json, ours: PartyId, sender: PartyId | None) -> str:
        return "ACCEPTED" if body["session_id"] in self.accepts else super()._end(body, ours, sender)


class KitEmsp(KitParty, Emsp):
    """The kit as an eMSP, for CPOs and hubs."""


def made(plan: Plan, asker: Asker) -> KitParty:
    """The party that a plan asks for."""
    return (KitCpo if plan.role == "CPO" else KitEmsp)(plan, asker)
