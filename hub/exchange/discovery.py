"""What a partner's platform offers and where, and the single calls that a handshake is made of.

Source: version_information_endpoint.asciidoc; hub flow 1, steps 4 and 5.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hub.exchange import pressure
from hub.exchange.context import Hub
from hub.ocpi import envelope, headers, json
from hub.ocpi.client import Answer, NetworkError, NoAnswer
from hub.ocpi.errors import NoMatchingEndpoints, UnableToUseClientApi, UnsupportedVersion

VERSION = "2.2.1"
"""The version whose credentials endpoint partners call here (CRED-007)."""

SPOKEN = (VERSION,)
"""The versions that the hub can choose from when it begins (VER-006)."""

FUNCTIONAL = frozenset({"locations", "tariffs", "sessions", "cdrs", "tokens", "commands", "chargingprofiles"})
FORMS = ("base64", "raw")
"""How a token is shown: as the spec says, and as peers of older versions read it, who do not decode (TF-007)."""

EXCHANGE_TIMEOUT = 30.0
"""Seconds for a POST or PUT of credentials: the partner calls back before it answers."""


class Doubtful(UnableToUseClientApi):
    """What the partner did is not known: its answer was lost, or is not one of OCPI."""


@dataclass(frozen=True)
class Published:
    """What a platform's version details offer, and how it wants its token."""

    endpoints: dict[tuple[str, str], str]
    token_form: str


async def discover(hub: Hub, versions_url: str, token: str, versions: Collection[str] = SPOKEN) -> Published:
    """Versions and version details of a platform, in the highest of `versions` that it has, with the token form that it
    understands. Raises UnableToUseClientApi (3001), UnsupportedVersion (3002), NoMatchingEndpoints (3003)."""
    form = FORMS[0]
    try:
        listed = await call(hub, "GET", versions_url, token, form)
    except UnableToUseClientApi:
        form = FORMS[1]
        listed = await call(hub, "GET", versions_url, token, form)
    details = await call(hub, "GET", choose(listed, versions), token, form)
    found = details.get("endpoints") if isinstance(details, dict) else None
    endpoints = {
        (str(e["identifier"]), str(e.get("role", "SENDER"))): str(e["url"])
        for e in found or []
        if isinstance(e, dict) and "identifier" in e and "url" in e
    }
    if not any(module in FUNCTIONAL for module, _ in endpoints):
        raise NoMatchingEndpoints("the platform's version details list no endpoint this hub could use")
    return Published(endpoints, form)


def choose(listed: Any, versions: Collection[str]) -> str:
    """The URL of the highest of `versions` in a list of versions; what else is listed is passed over (VER-006)."""
    offered = {
        entry["version"]: entry["url"]
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and entry.get("version") in versions and isinstance(entry.get("url"), str)
    }
    if not offered:
        raise UnsupportedVersion(f"the platform does not list version {' or '.join(versions)}")
    return str(offered[max(offered, key=_numbers)])


def credentials_url(endpoints: dict[tuple[str, str], str]) -> str:
    """Where a platform takes credentials; the interface role in its list means nothing (VER-016, VER-017)."""
    url = next((url for (module, _), url in endpoints.items() if module == "credentials"), None)
    if url is None:
        raise NoMatchingEndpoints("the platform publishes no credentials endpoint")
    return url


async def call(
    hub: Hub, method: str, url: str, token: str, form: str, body: dict[str, Any] | None = None, timeout: float = 10.0
) -> Any:
    """One step of a handshake, and the data of its answer; UnableToUseClientApi (3001) says which step failed and how,
    Doubtful that nobody knows whether it has failed."""
    what = f"{method} of {_step(url)}"
    try:
        answer = await _send(hub, method, url, token, form, body, timeout)
    except NoAnswer as error:
        raise Doubtful(f"{what} failed: {error}") from None
    except NetworkError as error:
        raise UnableToUseClientApi(f"{what} failed: {error}") from None
    code, data = envelope.read(answer.body)
    if answer.status < 400 and code is not None and 1000 <= code < 2000:
        return data
    hint = ": the token is not good there" if answer.status == 401 else ""
    failure = UnableToUseClientApi if code is not None or 400 <= answer.status < 500 else Doubtful
    raise failure(f"{what} answered HTTP {answer.status}, status_code {code}{hint}")


async def works(hub: Hub, versions_url: str, token: str, form: str) -> bool | None:
    """Whether a platform takes this token, by GET versions; None when it does not say."""
    try:
        answer = await _send(hub, "GET", versions_url, token, form, None, 10.0)
    except NetworkError:
        return None
    if answer.status == 401:
        return False
    code = envelope.read(answer.body)[0]
    return True if answer.status < 400 and code is not None and code < 2000 else None


async def _send(
    hub: Hub, method: str, url: str, token: str, form: str, body: dict[str, Any] | None, timeout: float
) -> Answer:
    shown = {
        "Authorization": headers.encode_token(token, form),
        headers.REQUEST_ID: headers.new_id(),
        headers.CORRELATION_ID: headers.new_id(),
    }
    if body is not None:
        shown["Content-Type"] = "application/json"
    send = hub.outbound.call if method == "GET" else hub.outbound.send  # which tells whether anything reached the peer
    with pressure.aside():
        return await send(method, url, shown, json.dumps(body) if body is not None else None, timeout)


def _step(url: str) -> str:
    return f"the {url.rstrip('/').rpartition('/')[2][:40] or 'versions'} endpoint"


def _numbers(version: str) -> tuple[int, ...]:
    """A version for comparison: 2.10 is above 2.2."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
