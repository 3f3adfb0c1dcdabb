"""The peer under test: what it publishes, who it is, and how it is asked as a partner would.

What it says is never trusted to have the right shape. `discover` learns what can be learned; what is missing there is
for the checks to tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.kit.ask import Asker, Heard, NoAnswer
from hub.kit.check import KINDS, Broken, Skipped
from hub.ocpi import headers
from hub.ocpi.errors import InvalidParameters
from hub.ocpi.types import PartyId
from hub.sandbox import wire
from hub.sandbox.recorder import Received

if TYPE_CHECKING:
    from hub.kit.listing import Listing
    from hub.kit.meeting import Meeting
    from hub.kit.party import KitParty
    from hub.kit.receiving import Shelf

VERSION = "2.2.1"
UNROUTED = frozenset({"versions", "credentials", "hubclientinfo"})
"""Modules without routing headers (TF-076)."""

READABLE = ("locations", "tariffs", "sessions", "cdrs", "tokens")
"""Modules with a list on the Sender interface, beside hubclientinfo."""

NOBODY = PartyId("ZZ", "ZZ9")
"""A party that is registered nowhere: ZZ is no country."""

SIDES = {
    "cpo": frozenset(
        {("locations", "SENDER"), ("tariffs", "SENDER"), ("sessions", "SENDER"), ("cdrs", "SENDER")}
        | {("tokens", "RECEIVER"), ("commands", "RECEIVER"), ("chargingprofiles", "RECEIVER")}
    ),
    "emsp": frozenset(
        {("locations", "RECEIVER"), ("tariffs", "RECEIVER"), ("sessions", "RECEIVER"), ("cdrs", "RECEIVER")}
        | {("tokens", "SENDER"), ("commands", "SENDER"), ("chargingprofiles", "SENDER")}
    ),
}
"""The interfaces that make a platform a CPO or an eMSP."""


class Untestable(Exception):
    """There is nothing to hold to any rule: the endpoint cannot be reached, or does not take the token."""


@dataclass(frozen=True)
class Plan:
    """What the operator wants tested, and how.

    `kinds`: what the endpoint is held to, empty to take its word. `party` and `role` (CPO or EMSP): who the token
    belongs to. `charge_at`: Location, EVSE and Connector at which a session may really be started. `other`: a second
    party that registers with a hub beside the first, in the other role. Times in seconds.
    """

    versions_url: str
    token: str
    kinds: frozenset[str] = frozenset()
    party: PartyId | None = None
    role: str = ""
    writes: bool = False
    register: bool = False
    only: frozenset[str] = frozenset()
    listen: tuple[str, int] = ("127.0.0.1", 0)
    callback_url: str = ""
    charge_at: tuple[str, ...] = ()
    other: "Plan | None" = None
    timeout: float = 10.0
    deadline: float = 600.0
    pause: float = 0.05


class Peer:
    """The platform at `plan.versions_url`. `party` is the kit's own platform where it is to register with it."""

    def __init__(self, plan: Plan, asker: Asker, party: "KitParty | None" = None) -> None:
        self.plan, self.asker, self.party = plan, asker, party
        self.token, self.form = plan.token, "base64"
        self.us = plan.party
        self.role = plan.role
        self.versions: Heard | None = None
        self.details: Heard | None = None
        self.details_url = ""
        self.endpoints: dict[tuple[str, str], str] = {}
        self.roles: list[dict[str, Any]] = []
        self.kinds: frozenset[str] = plan.kinds
        self.former = ""  # token A, once it should be void
        self.visits: list[Received] = []  # what the peer asked us while our last POST or PUT of credentials was open
        self.left = False
        self.other: Peer | None = None  # the same hub, as the second party sees it
        self.meeting: Meeting | None = None
        self.unheard = False  # a copy of a broadcast was waited for in vain
        self.signed: PartyId | None = None  # the hub, as it signed its first answer
        self.posted: tuple[dict[str, Any], Heard] | None = None  # a CDR of ours, and the answer to its POST
        self.charged: tuple[str, Heard] | None = None  # path of the response_url of our START_SESSION, and its answer
        self.shelves: dict[str, Shelf] = {}
        self.listings: dict[str, Listing] = {}
        self.guest = False  # the token admits to the handshake only
        asker.secrets.add(plan.token)

    # What it is

    @property
    def is_hub(self) -> bool:
        """Whether it is tested as a hub, so that requests go to parties behind it or to all of them."""
        return "hub" in self.kinds

    @property
    def them(self) -> PartyId | None:
        """The party that requests go to: the hub itself, or the first one in the peer's roles that fits."""
        for wanted in ("HUB",) if self.is_hub else ("CPO", "EMSP", ""):
            for role in self.roles:
                if wanted in ("", role.get("role")) and (party := party_of(role)):
                    return party
        return self.signed if self.is_hub else None

    @property
    def may_write(self) -> bool:
        """Whether something at the peer may be changed."""
        return self.plan.writes

    def endpoint(self, module: str, interface: str) -> str:
        """Its URL for a module; Skipped when it has none, is not tested for it, or does not let us in there."""
        if module not in ("versions", "credentials"):
            self.admitted()
        url = self.endpoints.get((module, interface))
        if url is None or not self.concerns(module, interface):
            raise Skipped(f"{module} is not offered as {interface}")
        return url

    def admitted(self) -> None:
        """Skipped while our token admits to the handshake only."""
        if self.guest and self.plan.register:
            raise Skipped("the handshake did not succeed")
        if self.guest:
            raise Skipped("the token admits to the handshake only: use --register, or the token of a connection")

    def concerns(self, module: str, interface: str) -> bool:
        """Whether an interface belongs to the kind of peer that is tested."""
        if self.is_hub or module in UNROUTED:
            return True
        return any((module, interface) in SIDES[kind] for kind in self.kinds)

    @property
    def credentials_url(self) -> str:
        """Where it exchanges credentials, in whichever role it lists that (VER-016)."""
        for (module, _), url in self.endpoints.items():
            if module == "credentials":
                return url
        raise Skipped("no credentials endpoint is published (VER-019)")

    # Asking

    def authorization(self, token: str | None = None) -> str:
        """The Authorization header with our token, in the form that the peer takes."""
        return headers.encode_token(token or self.token, self.form)

    def routing(self, to: PartyId | None) -> dict[str, str]:
        """The routing headers from us to a party; none of either where that party is not known."""
        return headers.routing(to, self.us)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        module: str = "",
        routing: Mapping[str, str] | None = None,
        authorization: str | None = "",
        **rest: Any,
    ) -> Heard:
        """One request, as a partner makes it; `rest` as for Asker.ask.

        Without `routing`, a functional module gets headers from us to them. `authorization` None leaves it out.
        """
        routed = bool(module) and module not in UNROUTED
        extra = (self.routing(self.them) if routing is None else routing) if routed else {}
        shown = self.authorization() if authorization == "" else authorization
        extra = {**extra, **rest.pop("extra", {})}
        return await self.asker.ask(method, url, shown, extra=extra, routed=routed, **rest)

    async def call(self, method: str, module: str, interface: str, *path: str, **rest: Any) -> Heard:
        """One request to a module, below its published endpoint; `rest` as for `ask`. Skipped when it has none."""
        url = self.endpoint(module, interface)
        return await self.ask(method, wire.join(url, *path) if path else url, module=module, **rest)

    # Learning

    async def discover(self) -> None:
        """Versions, details and credentials, as far as they can be read. Raises Untestable."""
        await self.look_up(await self._knock())
        if any(module == "credentials" for module, _ in self.endpoints):
            heard = await self._try("GET", self.credentials_url)
            self.roles = dicts(dict_of(heard and heard.data).get("roles"))
        self.kinds = self.plan.kinds or self._kinds()
        await self._functional()

    async def look_up(self, versions: Heard) -> None:
        """Read the endpoints of 2.2.1, by way of an answer of the versions endpoint."""
        offered = (entry for entry in dicts(versions.data) if entry.get("version") == VERSION)
        self.details_url = next((str(entry["url"]) for entry in offered if "url" in entry), "")
        self.versions = versions
        self.details = await self._try("GET", self.details_url) if self.details_url else None
        self.endpoints = {}
        for entry in dicts(dict_of(self.details and self.details.data).get("endpoints")):
            module, role, url = (entry.get(name) for name in ("identifier", "role", "url"))
            if isinstance(module, str) and isinstance(role, str) and isinstance(url, str):
                self.endpoints[module, role] = url

    async def _knock(self) -> Heard:
        """GET versions with our token, in the form that is right or else in the one that peers often take instead."""
        url = self.plan.versions_url
        try:
            heard = await self.ask("GET", url)
            if heard.http_status == 401:
                self.form = "raw"
                again = await self.ask("GET", url, note="token not Base64 encoded")
                if again.http_status == 401:
                    raise self._untestable(f"{url} does not accept this token (HTTP 401): is it the right one?")
                heard = again
        except NoAnswer as error:
            raise self._untestable(f"{url} cannot be tested: {error}") from None
        if heard.http_status >= 300:
            raise self._untestable(f"{url} is no versions endpoint that can be tested, it answered {heard.came}")
        return heard

    def _untestable(self, reason: str) -> Untestable:
        """With a reason that holds what a peer wrote."""
        return Untestable(self.asker.secrets.hide(reason))

    async def _functional(self) -> None:
        """Whether functional modules take our token, and, from the answer of a hub, who we are to it."""
        found = next((key for key in self.endpoints if key[0] in READABLE and key[1] == "SENDER"), None)
        if found is None or self.plan.register:
            self.guest = self.plan.register
            return
        query = {"limit": "1", "date_from": "2015-01-01T00:00:00Z"}
        heard = await self._try("GET", self.endpoints[found], module=found[0], query=query)
        self.guest = heard is not None and heard.http_status == 401
        if heard is not None and self.is_hub:
            self.signed = named(heard.headers, headers.FROM_COUNTRY, headers.FROM_PARTY)
        if heard is not None and self.us is None and self.is_hub:
            self.us = named(heard.headers, headers.TO_COUNTRY, headers.TO_PARTY)
            if self.us is None and not self.guest:
                raise Untestable("a hub has to know which party asks: say whose token it is, with --party DE*MSA:EMSP")

    async def _try(self, method: str, url: str, **rest: Any) -> Heard | None:
        try:
            return await self.ask(method, url, **rest)
        except NoAnswer:
            return None

    def _kinds(self) -> frozenset[str]:
        """What it says it is by its roles, else by what it offers."""
        said = {str(role.get("role")).lower() for role in self.roles} & KINDS
        if "hub" in said or ("hubclientinfo", "SENDER") in self.endpoints:
            return frozenset({"hub"})
        offered = {kind for kind, sides in SIDES.items() if any(side in self.endpoints for side in sides)}
        return frozenset(said or offered or {"cpo", "emsp"})


def data_of(heard: Heard, expected: str) -> Any:
    """The data of a success; Broken when it is none."""
    if heard.http_status >= 300 or not heard.ok:
        raise Broken(heard.asked, heard.came, expected)
    return heard.data


def expect(heard: Heard, kept: bool, expected: str, came: str = "") -> None:
    """Broken unless the rule is `kept`; `came` is what the answer shows, where its status lines do not say it."""
    if not kept:
        raise Broken(heard.asked, came or heard.came, expected)


def named(shown: Mapping[str, str], country: str, party: str) -> PartyId | None:
    """The party in a pair of headers, None when there is none or it cannot be read."""
    try:
        return headers.party(shown, country, party)
    except InvalidParameters:
        return None


def party_of(entry: Mapping[str, Any]) -> PartyId | None:
    """The party that an object or a role names, None when that cannot be read."""
    country, party = entry.get("country_code"), entry.get("party_id")
    if not isinstance(country, str) or not isinstance(party, str):
        return None
    try:
        return PartyId.of(country, party)
    except InvalidParameters:
        return None


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL; what cannot be read is nobody's origin."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def dict_of(value: Any) -> dict[str, Any]:
    """The value, if it is an object."""
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a value, if it is a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
