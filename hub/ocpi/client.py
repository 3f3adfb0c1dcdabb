"""The one door out. Every request that leaves the hub passes this file.

One aiohttp session per use and scheme sits under everything; its resolver judges the resolved address and pins it, so
that no URL a partner gives leads to an address the operator did not allow. Deadlines are total, answers are capped,
redirects and environment proxies are off. Lanes and forwarding call `send`; ordinary calls (handshake, pulls,
callbacks) use `http`, an httpx client over the sessions for bulk.

Each use has connections of its own, so that deliveries and lists never take those that a charger's driver waits for;
and so many for each host, so that one partner takes none from another.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import unquote

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from hub.ocpi.addresses import is_allowed
from hub.settings import Network

ANSWER_CAP = 8 * 2**20
CONNECT_TIMEOUT = 4.0

_QUOTED = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})+")
"""What RFC 3986 lets stand in a URL."""

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For what never opens a connection itself: TLS is the business of the sessions, and loading authorities is slow."""


class NetworkError(Exception):
    """Base of what can go wrong on the way to a peer; the message says what and is fit for an operator."""


class Unreachable(NetworkError):
    """Nothing of the request reached the peer: connection refused, unknown name, TLS failure."""


class NoAnswer(NetworkError):
    """The request went out and no whole answer came back in time: what the peer did is not known."""


class Refused(NetworkError):
    """The address is not one that this hub may talk to (HUB_OUTBOUND_ALLOW)."""


class Use(Enum):
    """What a request is for; the value says in what order they matter."""

    INTERACTIVE = 1
    PUSH = 2
    BULK = 3


CONNECTIONS = {Use.INTERACTIVE: 64, Use.PUSH: 64, Use.BULK: 8}
"""So many may one host have."""

UNDER_WAY = {Use.INTERACTIVE: 128, Use.PUSH: 1024, Use.BULK: 64}
"""So many requests may it have to answer; what comes on top is refused at once, instead of waiting for its deadline."""


@dataclass(frozen=True)
class Answer:
    """A peer's answer; header names compare without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _JudgingResolver(AbstractResolver):
    """Resolves names and drops addresses that are not allowed; aiohttp connects to just what is returned here."""

    def __init__(self, allow: Sequence[Network], encrypted: bool) -> None:
        self._allow, self._encrypted = allow, encrypted
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        allowed = [entry for entry in found if is_allowed(entry["host"], self._allow, self._encrypted)]
        if not allowed:
            raise Refused(f"{host} resolves to no address this hub may talk to")
        return allowed

    async def close(self) -> None:
        await self._resolver.close()


class Outbound:
    """The outbound client of a process. Use as an async context manager, inside the loop that uses it. One host gets at
    most `connections_per_host` connections for each use, and never more than the use allows."""

    def __init__(self, allow: Sequence[Network] = (), connections_per_host: int = 64) -> None:
        self._allow = tuple(allow)
        self._per_host = {use: min(connections_per_host, limit) for use, limit in CONNECTIONS.items()}
        self._under_way: dict[tuple[Use, str | None, int | None], int] = {}

    async def __aenter__(self) -> "Outbound":
        self._sessions = {(use, scheme): self._session(use, scheme) for use in Use for scheme in ("https", "http")}
        bulk = {scheme: self._sessions[Use.BULK, scheme] for scheme in ("https", "http")}
        self.http = httpx.AsyncClient(
            transport=AiohttpTransport(client=bulk["https"], verify=_NO_AUTHORITIES),
            mounts={"http://": AiohttpTransport(client=bulk["http"], verify=_NO_AUTHORITIES)},
            timeout=httpx.Timeout(10, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            event_hooks={"request": [self._check_request]},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        for session in self._sessions.values():
            await session.close()

    def check(self, url: str) -> URL:
        """The URL, if the hub may call it; Refused says why not. Names are judged once they are resolved."""
        try:
            parsed = URL(url)
            host, _ = parsed.host, parsed.port
        except ValueError:
            raise Refused("not a URL") from None
        if any(unquote(part) in (".", "..") for part in url.partition("?")[0].split("/")):
            raise Refused("the URL holds dot segments, which lead elsewhere than it says")
        if parsed.scheme not in ("http", "https") or not host or parsed.user or parsed.password or "\\" in url:
            raise Refused("not a plain http or https URL")
        encrypted = parsed.scheme == "https"
        if not encrypted and not self._allow:
            raise Refused("plain http is only for networks in HUB_OUTBOUND_ALLOW")
        try:
            ip_address(host)
        except ValueError:
            return parsed
        if not is_allowed(host, self._allow, encrypted):
            raise Refused("not an address this hub may talk to (HUB_OUTBOUND_ALLOW)")
        return parsed

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout: float = 10.0,
        use: Use = Use.PUSH,
    ) -> Answer:
        """One request, one answer, within `timeout` seconds; raises Unreachable, NoAnswer or Refused."""
        target = _as_given(url, self.check(url))
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_TIMEOUT, timeout))
        host = (use, target.host, target.port)
        under_way = self._under_way.get(host, 0)
        if under_way >= UNDER_WAY[use]:
            raise Unreachable(f"{target.host} has {under_way} requests to answer: no more are sent until it does")
        self._under_way[host] = under_way + 1
        try:
            async with self._sessions[use, target.scheme].request(
                method, target, headers=headers, data=body, timeout=limits, allow_redirects=False
            ) as answer:
                return Answer(answer.status, answer.headers, await _read(answer))
        except aiohttp.ConnectionTimeoutError:
            raise Unreachable(f"{target.host} did not take the connection within {limits.sock_connect:g} s") from None
        except TimeoutError:
            raise NoAnswer(f"{target.host} did not answer within {timeout:g} s") from None
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(f"{target.host} is not reachable: {error.strerror or type(error).__name__}") from None
        except aiohttp.InvalidURL:
            raise Refused("not a URL") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{target.host} broke off: {type(error).__name__}") from None
        finally:
            if self._under_way[host] == 1:
                del self._under_way[host]
            else:
                self._under_way[host] -= 1

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, timeout: float = 10.0
    ) -> Answer:
        """An ordinary request through httpx: same guard, cap, deadline and exceptions as `send`.

        A peer that breaks off may be told as Unreachable here: use `send` where the difference matters.
        """
        host = self.check(url).host
        try:
            async with (
                asyncio.timeout(timeout),
                self.http.stream(method, url, headers=dict(headers), content=body) as answer,
            ):
                parts, size = [], 0
                async for chunk in answer.aiter_bytes():
                    parts.append(chunk)
                    size += len(chunk)
                    _within_cap(size)
                return Answer(answer.status_code, answer.headers, b"".join(parts))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, aiohttp.InvalidURL):
            raise Refused("not a URL") from None
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise Unreachable(f"{host} is not reachable") from None
        except (TimeoutError, httpx.TimeoutException):
            raise NoAnswer(f"{host} did not answer within {timeout:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise NoAnswer(f"{host} broke off: {type(error).__name__}") from None

    async def certificate(self, url: str, timeout: float = 5.0) -> bytes:
        """The certificate (DER) that the server of an https URL shows, trusted or not; nothing is asked of it. Raises
        Unreachable or Refused."""
        target = self.check(url)
        assert target.host is not None
        try:
            async with asyncio.timeout(timeout):
                found = await _JudgingResolver(self._allow, True).resolve(target.host, target.port or 443)
                _, writer = await asyncio.open_connection(
                    found[0]["host"], target.port, ssl=_unverified(), server_hostname=target.host
                )
        except TimeoutError:
            raise Unreachable(f"{target.host} did not show a certificate within {timeout:g} s") from None
        except OSError as error:  # TLS errors too
            raise Unreachable(f"{target.host} is not reachable: {error.strerror or type(error).__name__}") from None
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return shown or b""

    def _session(self, use: Use, scheme: str) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=_JudgingResolver(self._allow, scheme == "https"),
            limit=0,
            limit_per_host=self._per_host[use],
            ttl_dns_cache=60,
            keepalive_timeout=30,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "Knutpunkt"},
            skip_auto_headers=("Content-Type",),  # no body, no type (TF-018); what has one is named by who sends it
        )

    async def _check_request(self, request: httpx.Request) -> None:
        self.check(str(request.url))


def _as_given(url: str, checked: URL) -> URL:
    """A URL that needs no quoting goes out as it was given: quoting it anew would undo the encoding of a URL in its
    query (CHP-009)."""
    if not _QUOTED.fullmatch(url):
        return checked
    given = URL(url, encoded=True)
    return given if (given.host, given.port) == (checked.host, checked.port) else checked


def _unverified() -> ssl.SSLContext:
    """To see a certificate, not to trust it: an expired one must be seen, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, decoded size capped while it streams in."""
    parts, size = [], 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        _within_cap(size)
        parts.append(chunk)
    return b"".join(parts)


def _within_cap(size: int) -> None:
    if size > ANSWER_CAP:
        raise NoAnswer(f"the answer is larger than {ANSWER_CAP // 2**20} MiB")
