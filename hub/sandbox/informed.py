"""Simulated platforms that are told by the hub who is connected: `clients` holds the last ClientInfo of each party and
role.

Source: mod_hub_client_info.asciidoc > Receiver Interface.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from aiohttp import web

from hub.ocpi import errors
from hub.ocpi.types import fold
from hub.sandbox import wire
from hub.sandbox.cpo import CpoBackend
from hub.sandbox.emsp import Emsp
from hub.sandbox.platform import Platform
from hub.sandbox.registration import BASE
from hub.sandbox.site import Route
from hub.sandbox.wire import Json
from modules.hubclientinfo.schemas import ClientInfo

CLIENTS = "hubclientinfo"
_PARTY = f"{BASE}/receiver/{CLIENTS}/{{country_code}}/{{party_id}}"


class Informed(Platform):
    """What makes a platform a receiver of ClientInfo."""

    def __init__(self, *parties: str, **options: Any) -> None:
        super().__init__(*parties, **options)
        self.clients: dict[tuple[str, str], Json] = {}
        """By party ("NL*CPA") and role; one URL may be about two roles (HCI-018)."""

    def routes(self) -> Iterable[Route]:
        """Its modules, method by method."""
        yield from super().routes()
        yield "GET", _PARTY, self._get_client
        yield "PUT", _PARTY, self._put_client

    def status(self, party: str, role: str = "CPO") -> str | None:
        """The status it was last told of a party, None for nothing."""
        found = self.clients.get((party, role))
        return found["status"] if found is not None else None

    async def _get_client(self, request: web.Request) -> web.Response:
        code = _code(request.match_info)
        found = [info for (party, _), info in self.clients.items() if party == code]
        if not found:
            raise errors.NotFound
        return wire.ok(max(found, key=lambda info: str(info["last_updated"])))

    async def _put_client(self, request: web.Request) -> web.Response:
        body = await wire.body_of(request, ClientInfo)
        code = _code(request.match_info)
        if _code(body) != code:
            raise errors.InvalidParameters("country_code, party_id: differ from the URL (HCI-032)")
        new = (code, body["role"]) not in self.clients
        self.clients[code, body["role"]] = body
        return wire.ok(http_status=201 if new else 200)


class InformedEmsp(Informed, Emsp):
    """An eMSP that is told who is connected."""

    modules: ClassVar[tuple[tuple[str, str], ...]] = (*Emsp.modules, (CLIENTS, "RECEIVER"))


class InformedCpo(Informed, CpoBackend):
    """A CPO that is told who is connected."""

    modules: ClassVar[tuple[tuple[str, str], ...]] = (*CpoBackend.modules, (CLIENTS, "RECEIVER"))


def _code(named: Any) -> str:
    return f"{fold(named['country_code'])}*{fold(named['party_id'])}"
