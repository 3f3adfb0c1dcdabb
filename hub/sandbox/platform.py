"""A simulated platform: what every OCPI 2.2.1 partner needs, whatever it trades in.

    async with Emsp("DE*MSA") as emsp:                  # listens on a free port of this machine
        await emsp.register(versions_url, token_a)      # the handshake: A out, B and C exchanged
        answer = await emsp.put_token(samples.token("DE*MSA"), to=emsp.hub)

It serves versions, details and credentials, in both parts of the handshake, and checks tokens; `send` is the way out.
Subclasses add their modules. `received` holds every request, `faults` whatever the peer did wrong.

Source: transport_and_format.asciidoc > Message Routing.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiohttp import web

from hub.ocpi import headers
from hub.ocpi.types import PartyId
from hub.sandbox import wire
from hub.sandbox.registration import Refused, Registration
from hub.sandbox.wire import Answer, Json

Party = PartyId | str


class Platform(Registration):
    """A platform that hosts `parties`, written "NL*CPA". Use it as a context manager."""

    def __init__(self, *parties: str, name: str = "", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(*parties, name=name, host=host, port=port)
        self._tasks: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """End what runs in the background, then stop for good."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().stop()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background; should it fail, that is a line in `faults`."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self.faults.append(f"background work failed, {type(error).__name__}: {error}")
            self.changed()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def send(
        self,
        method: str,
        module: str,
        *path: str,
        interface: str = "RECEIVER",
        to: Party | None = None,
        sender: Party | None = None,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> Answer:
        """One request of a functional module through the peer.

        `interface` is the side that is called. `to` is a party, or `hub` for everybody (broadcast, GET ALL), or None to
        let the hub find it. `sender` is one of our parties, by default the first. `body` is a value, or bytes as is.
        """
        peer, ours = self.registered, self.party(sender)
        url = wire.join(peer.endpoint(module, interface), *path)
        routing = headers.routing(_party(to), ours)
        answer = await self.call(method, url, peer.token_out, body, routing, query, correlation_id)
        addressee = headers.party(answer.headers, headers.TO_COUNTRY, headers.TO_PARTY)
        if peer.is_hub and answer.http_status not in (401, 403) and addressee != ours:
            self.faults.append(f"the answer to {method} {module} is not addressed to {ours} (TF-084)")
        return answer

    async def call_back(self, url: str, body: Json, to: Party | None, sender: Party | None = None) -> Answer:
        """POST to a URL that a partner gave us, such as a response_url."""
        routing = headers.routing(_party(to), self.party(sender))
        return await self.call("POST", url, self.registered.token_out, body, routing)

    async def pull(self, module: str, to: Party | None, sender: Party | None = None, **query: str) -> list[Json]:
        """A whole list, page by page, from a Sender interface. Raises Refused."""
        answer = await self.send("GET", module, interface="SENDER", to=to, sender=sender, query=query)
        found: list[Json] = []
        while True:
            if not answer.ok:
                raise Refused(f"GET {module}", answer)
            found += answer.data
            if answer.next_url is None:
                return found
            routing = headers.routing(_party(to), self.party(sender))
            answer = await self.call("GET", answer.next_url, self.registered.token_out, None, routing)

    def party(self, party: Party | None = None) -> PartyId:
        """One of our parties: the given one, or the first."""
        return _party(party) or self.parties[0]

    def owned(self, request: web.Request, objects: Iterable[Json]) -> list[Json]:
        """Those objects that belong to the party the request is addressed to; all of them if it names none."""
        to = headers.party(request.headers, headers.TO_COUNTRY, headers.TO_PARTY)
        return [o for o in objects if to is None or PartyId.of(o["country_code"], o["party_id"]) == to]


def _party(party: Party | None) -> PartyId | None:
    return PartyId.parse(party) if isinstance(party, str) else party
