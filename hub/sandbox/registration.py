"""Who a platform is, and how it and its peer come to know each other: the OCPI handshake, both parts of it.

Whoever starts holds a token A from the other. It reads versions and details with it, POSTs its own token B, and while
that request is open the other reads its versions and details with B; the answer brings token C. From then on each
side shows the token that the other one made.

Source: credentials.asciidoc; version_information_endpoint.asciidoc.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import aiohttp
from aiohttp import web

from hub.ocpi import errors, headers
from hub.ocpi.types import PartyId
from hub.sandbox import wire
from hub.sandbox.recorder import Received
from hub.sandbox.site import Route, Site
from hub.sandbox.wire import Answer, Json, Peer
from modules.credentials.schemas import Credentials

VERSION = "2.2.1"
VERSIONS = "/ocpi/versions"
BASE = f"/ocpi/{VERSION}"


class Refused(Exception):
    """The peer said no to a step of the handshake or to a page of a list; `answer` is what it said."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: HTTP {answer.http_status}, OCPI {answer.status_code} {answer.message}".rstrip())
        self.answer = answer


class Registration(Site):
    """A site that represents `parties`, written "NL*CPA", all in one role, to one peer at a time."""

    role: ClassVar[str] = "OTHER"
    """The OCPI role of its parties."""

    modules: ClassVar[tuple[tuple[str, str], ...]] = ()
    """What it offers: module identifier and interface role, SENDER or RECEIVER."""

    def __init__(self, *parties: str, name: str = "", host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(name or " ".join(parties), host, port)
        self.parties = tuple(PartyId.parse(party) for party in parties)
        self.peer: Peer | None = None
        self.handshake: Answer | None = None
        """What came back when it last sent its credentials."""
        self._guests: set[str] = set()  # tokens for the handshake only: A that we gave out, B while our POST is open
        self._former: str | None = None  # the peer's token before a renewal, for requests under way (CRED-019)
        self._request_ids: set[str] = set()

    # Who it is

    @property
    def hub(self) -> PartyId:
        """The party of the peer: as `to` it means everybody, or the hub's own store."""
        role = self.registered.roles[0]
        return PartyId.of(role["country_code"], role["party_id"])

    @property
    def versions_url(self) -> str:
        """Its versions endpoint, for invitations."""
        return self.origin + VERSIONS

    def url(self, module: str, interface: str) -> str:
        """Its own endpoint for a module."""
        return f"{self.origin}{BASE}/{interface.lower()}/{module}"

    def credentials(self, token: str) -> Json:
        """Its Credentials object, with the token the other side is to use."""
        roles = [
            {
                "role": self.role,
                "country_code": party.country_code,
                "party_id": party.party_id,
                "business_details": {"name": self.name},
            }
            for party in self.parties
        ]
        return {"token": token, "url": self.versions_url, "roles": roles}

    @property
    def registered(self) -> Peer:
        """The peer; RuntimeError before the handshake."""
        if self.peer is None:
            raise RuntimeError(f"{self.name} is not registered with anybody yet: call register() first")
        return self.peer

    # The handshake, as the one who starts it

    async def register(self, versions_url: str, token_a: str) -> Peer:
        """Register with the platform at `versions_url`, which gave us `token_a`. Raises Refused."""
        return await self._exchange("POST", versions_url, token_a)

    async def renew(self) -> Peer:
        """New tokens on both sides, endpoints read again. Raises Refused."""
        peer = self.registered
        return await self._exchange("PUT", peer.versions_url, peer.token_out)

    async def leave(self) -> None:
        """Unregister. Raises Refused."""
        peer = self.registered
        answer = await self.call("DELETE", _credentials_url(peer.endpoints), peer.token_out)
        if not answer.ok:
            raise Refused("DELETE credentials", answer)
        self.peer = None

    def invite(self) -> tuple[str, str]:
        """A token A and the versions URL, for a peer that will start the handshake with us."""
        token_a = wire.new_token()
        self._guests.add(token_a)
        return token_a, self.versions_url

    async def _exchange(self, method: str, versions_url: str, token: str) -> Peer:
        endpoints = await self._look_up(versions_url, token)
        token_b = wire.new_token()
        self._guests.add(token_b)  # good while the request is open: the peer calls back with it (CRED-012)
        try:
            answer = await self.call(method, _credentials_url(endpoints), token, self.credentials(token_b))
            self.handshake = answer
        finally:
            self._guests.discard(token_b)
        if not answer.ok:
            raise Refused(f"{method} credentials", answer)
        theirs = answer.data
        return self._welcome(Peer(token_b, theirs["token"], theirs["url"], tuple(theirs["roles"]), endpoints))

    async def _look_up(self, versions_url: str, token: str) -> dict[tuple[str, str], str]:
        """The peer's endpoints in our version, by module and interface role."""
        versions = await self.call("GET", versions_url, token)
        if not versions.ok:
            raise Refused("GET versions", versions)
        url = next((v["url"] for v in versions.data if v["version"] == VERSION), None)
        if url is None:
            raise errors.UnsupportedVersion(f"OCPI {VERSION} is not offered.")
        details = await self.call("GET", url, token)
        if not details.ok:
            raise Refused("GET version details", details)
        return {(e["identifier"], e["role"]): e["url"] for e in details.data["endpoints"]}

    def _welcome(self, peer: Peer) -> Peer:
        self._former = self.peer.token_in if self.peer else None
        self.peer = peer
        return peer

    # The handshake, as the one who is called

    def routes(self) -> Iterable[Route]:
        """Versions, details and credentials; subclasses add their modules."""
        yield "GET", VERSIONS, self._get_versions
        yield "GET", BASE, self._get_details
        yield "GET", f"{BASE}/credentials", self._get_credentials
        yield "POST", f"{BASE}/credentials", self._post_credentials
        yield "PUT", f"{BASE}/credentials", self._put_credentials
        yield "DELETE", f"{BASE}/credentials", self._delete_credentials

    async def _get_versions(self, request: web.Request) -> web.Response:
        return wire.ok([{"version": VERSION, "url": self.origin + BASE}])

    async def _get_details(self, request: web.Request) -> web.Response:
        offered = [{"identifier": m, "role": r, "url": self.url(m, r)} for m, r in self.modules]
        credentials = {"identifier": "credentials", "role": "SENDER", "url": f"{self.origin}{BASE}/credentials"}
        return wire.ok({"version": VERSION, "endpoints": [credentials, *offered]})

    async def _get_credentials(self, request: web.Request) -> web.Response:
        return wire.ok(self.credentials(self._registered_caller(request).token_in))

    async def _post_credentials(self, request: web.Request) -> web.Response:
        if self._is_peer(request.headers):
            raise errors.MethodNotAllowed("Already registered: use PUT (CRED-026).")
        response = await self._accept(request)
        self._guests.clear()  # token A is used up (CRED-010)
        return response

    async def _put_credentials(self, request: web.Request) -> web.Response:
        self._registered_caller(request)
        return await self._accept(request)

    async def _delete_credentials(self, request: web.Request) -> web.Response:
        self._registered_caller(request)
        self.peer = self._former = None
        return wire.ok()

    async def _accept(self, request: web.Request) -> web.Response:
        """Call back with the token we were given, then answer with one of ours."""
        theirs = await wire.body_of(request, Credentials)
        try:
            endpoints = await self._look_up(theirs["url"], theirs["token"])
        except (Refused, aiohttp.ClientError, TimeoutError) as error:
            raise errors.UnableToUseClientApi("Your versions endpoint did not answer as needed.") from error
        token_c = wire.new_token()
        self._welcome(Peer(token_c, theirs["token"], theirs["url"], tuple(theirs["roles"]), endpoints))
        return wire.ok(self.credentials(token_c))

    def _registered_caller(self, request: web.Request) -> Peer:
        if self.peer is None or not self._is_peer(request.headers):
            raise errors.MethodNotAllowed("Not registered: use POST (CRED-029, CRED-034).")
        return self.peer

    # Who may come in

    def admit(self, seen: Received) -> None:
        """Token B and C everywhere, token A and a B not yet answered only where the handshake goes (TF-012)."""
        functional = f"{BASE}/sender/" in seen.path or f"{BASE}/receiver/" in seen.path
        is_peer = self._is_peer(seen.headers)
        is_guest = _shows(seen.headers, *self._guests)
        if not (is_peer or (is_guest and not functional)):
            raise errors.Unauthorized
        routed = functional and "/hubclientinfo" not in seen.path
        by_hub = self.peer is not None and self.peer.is_hub
        self.faults += wire.faults(seen, routed, by_hub, self._request_ids)
        self._request_ids.add(seen.headers.get(headers.REQUEST_ID, ""))
        if routed and seen.to is not None and seen.to not in self.parties:
            raise errors.InvalidParameters("OCPI-to names a party that is not hosted here.")

    def _is_peer(self, shown: Mapping[str, str]) -> bool:
        if self.peer is None:
            return False
        return _shows(shown, self.peer.token_in, *([self._former] if self._former else []))


def _shows(shown: Mapping[str, str], *tokens: str) -> bool:
    """Whether the Authorization header is exactly the right one for one of the tokens."""
    return shown.get("Authorization", "") in [wire.authorization(token) for token in tokens]


def _credentials_url(endpoints: Mapping[tuple[str, str], str]) -> str:
    """Where credentials are exchanged; the interface role they are listed with means nothing (VER-016)."""
    return next(url for (module, _), url in endpoints.items() if module == "credentials")
