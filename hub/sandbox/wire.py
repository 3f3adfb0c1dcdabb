"""The wire as a partner sees it: what comes back for a request, answers to requests, pages, and the rules of the road.

`faults` holds each incoming request to the letter of OCPI, so that a sandbox party is also a witness: whatever the
peer does wrong stands in its list.
"""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from hub.ocpi import envelope, errors, headers, json, paging
from hub.ocpi.types import Schema, check, parse_datetime
from hub.sandbox.recorder import Received

Json = dict[str, Any]

PAGE = 50
"""The largest page that a sandbox party gives out."""

_ROUTING = (headers.TO_COUNTRY, headers.TO_PARTY, headers.FROM_COUNTRY, headers.FROM_PARTY)


@dataclass(frozen=True)
class Answer:
    """What came back for a request. `ms` is how long it took."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes
    ms: float
    correlation_id: str

    @property
    def status_code(self) -> int | None:
        """The OCPI status code, None when the body is no envelope."""
        return envelope.read(self.body)[0]

    @property
    def data(self) -> Any:
        """The data of the envelope."""
        return envelope.read(self.body)[1]

    @property
    def message(self) -> str:
        """The status message of the envelope, empty when there is none."""
        try:
            return str(json.loads(self.body).get("status_message") or "")
        except (errors.InvalidJson, AttributeError):
            return ""

    @property
    def ok(self) -> bool:
        """Whether OCPI calls it a success (1xxx)."""
        return self.status_code is not None and 1000 <= self.status_code < 2000

    @property
    def next_url(self) -> str | None:
        """Where the next page is, None on the last (TF-031)."""
        return paging.next_link(self.headers.get("Link"))


@dataclass(frozen=True)
class Peer:
    """The platform we are registered with. `token_in` is what it shows us, `token_out` what we show it."""

    token_in: str
    token_out: str
    versions_url: str
    roles: tuple[Json, ...]
    endpoints: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def is_hub(self) -> bool:
        """Whether it is a hub, and routing headers are therefore a must (TF-077)."""
        return any(role["role"] == "HUB" for role in self.roles)

    def endpoint(self, module: str, interface: str) -> str:
        """Its URL for a module; NoMatchingEndpoints when it has none."""
        try:
            return self.endpoints[module, interface]
        except KeyError:
            raise errors.NoMatchingEndpoints(f"The peer offers no {interface} {module}.") from None


def new_token() -> str:
    """A credentials token nobody can guess (CRED-038)."""
    return secrets.token_urlsafe(32)


def authorization(token: str) -> str:
    """The one correct Authorization header for `token` (TF-004 to TF-006)."""
    return "Token " + base64.b64encode(token.encode()).decode("ascii")


def ok(data: Any = None, http_status: int = 200, extra: Mapping[str, str] | None = None) -> web.Response:
    """A success with its data."""
    return reply(envelope.envelope(data), http_status, extra)


def reply(body: bytes, http_status: int, extra: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(body=body, status=http_status, headers=extra, content_type="application/json")


async def body_of(request: web.Request, model: type[Schema] | None = None) -> Any:
    """The body as JSON, InvalidJson when it is none; checked against `model`, InvalidParameters when it is unfit."""
    body = json.loads(await request.read())
    if model is not None:
        check(model, body)
    return body


def join(base: str, *segments: str) -> str:
    """A URL below an endpoint, whether that ends in a slash or not (TF-060)."""
    return "/".join([base.rstrip("/"), *(quote(s, safe="") for s in segments)])


def page(request: web.Request, objects: Iterable[Json], url: str) -> web.Response:
    """One page of a Sender list, filtered by last_updated, in the given order (TF-022 to TF-037)."""
    query = paging.parse(request.query)
    since, until = query.date_from, query.date_to
    matching = [
        o
        for o in objects
        if (since is None or parse_datetime(o["last_updated"]) >= since)
        and (until is None or parse_datetime(o["last_updated"]) < until)
    ]
    limit = min(query.limit, PAGE)
    shown = matching[query.offset : query.offset + limit]
    extra = {headers.TOTAL_COUNT: str(len(matching)), headers.LIMIT: str(PAGE)}
    following = query.offset + len(shown)
    if shown and following < len(matching):
        rest = urlencode({**request.query, "offset": following, "limit": limit})
        extra["Link"] = f'<{url}?{rest}>; rel="next"'
    return ok(shown, extra=extra)


def faults(seen: Received, functional: bool, from_hub: bool, earlier: set[str]) -> list[str]:
    """What is wrong with a request by the letter of OCPI. `earlier` holds the request ids already seen."""
    found = [f"without {name}" for name in (headers.REQUEST_ID, headers.CORRELATION_ID) if name not in seen.headers]
    if seen.headers.get(headers.REQUEST_ID) in earlier:
        found.append(f"{headers.REQUEST_ID} was used before (TF-133)")
    if seen.body is not None and not seen.headers.get("Content-Type", "").startswith("application/json"):
        found.append("body without Content-Type application/json (TF-017)")
    present = [name for name in _ROUTING if name in seen.headers]
    if functional and from_hub and len(present) < len(_ROUTING):
        found.append("without its four routing headers (TF-075)")
    if not functional and present:
        found.append("routing headers on a module that is not routed (TF-076)")
    return [f"{seen}: {fault}" for fault in found]
