"""Asking somebody else's endpoint: bounded, gentle, written down, and with nothing that a report must not show.

The operator names the endpoint, so its address may be private; any other address has to be public and behind TLS,
however the endpoint names it. Requests keep a pause between them, end with the deadline of the whole run, and are
counted. Everything heard is kept, because some rules hold for each answer.
"""

import asyncio
import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from hub import telemetry
from hub.kit.check import Skipped
from hub.ocpi import headers, json
from hub.ocpi.client import NetworkError, Outbound, Refused
from hub.ocpi.errors import InvalidJson
from hub.sandbox import wire
from hub.settings import Network

MOST = 1500
"""Requests of one run, at most."""

PATIENCE = 5
"""Requests without an answer, one after the other, after which nothing more is asked."""

HIDDEN = "‹token›"
"""What stands in a report where a token stood."""

SHOWN = 240
"""Characters of a line that a report repeats."""


@dataclass(frozen=True)
class Heard(wire.Answer):
    """An answer, and the request it is to. `sent` are the request's headers; `note` says what was odd about it."""

    method: str = "GET"
    url: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)
    routed: bool = False
    note: str = ""

    @property
    def asked(self) -> str:
        """The request as a line."""
        to, sender = (_pair(self.sent, *names) for names in (_TO, _FROM))
        routing = [f"to {to}"] * bool(to) + [f"from {sender}"] * bool(sender) + [self.note] * bool(self.note)
        return f"{self.method} {self.url}" + (f" ({', '.join(routing)})" if routing else "")

    @property
    def came(self) -> str:
        """The answer as a line: HTTP status, OCPI status, message."""
        if self.status_code is None:
            kind = self.headers.get("Content-Type", "no Content-Type")
            start = f': "{self.body.decode(errors="replace")}"' if self.body else ", empty body"
            return f"HTTP {self.http_status}, no OCPI envelope, {kind}{start}"
        said = f' "{self.message}"' if self.message else ""
        return f"HTTP {self.http_status}, status_code {self.status_code}{said}"

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The envelope as it came; None when the body is no JSON object."""
        try:
            value = json.loads(self.body)
        except InvalidJson:
            return None
        return value if isinstance(value, dict) else None


_TO = (headers.TO_COUNTRY, headers.TO_PARTY)
_FROM = (headers.FROM_COUNTRY, headers.FROM_PARTY)


class NoAnswer(Exception):
    """Nothing came back for a request; `asked` and the message are for people."""

    def __init__(self, asked: str, came: str) -> None:
        super().__init__(came)
        self.asked = asked


class Secrets:
    """Tokens that no report may show, in either of their forms on the wire."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def add(self, token: str) -> None:
        """Never show this token from now on."""
        for text in (token, base64.b64encode(token.encode()).decode()):
            self._known |= {text, quote(text, safe=""), json.dumps(text).decode()[1:-1], text.replace("/", "\\/")} - {
                ""
            }

    def hide(self, text: str) -> str:
        """The text on one line, without tokens, not too long, and without anything that could move a cursor."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return telemetry.printable(text if len(text) <= SHOWN else text[:SHOWN] + "…")


class Asker:
    """The kit's way out. Use as an async context manager; `deadline` is in seconds from then on."""

    def __init__(self, allow: Sequence[Network], timeout: float, deadline: float, pause: float) -> None:
        self._outbound = Outbound(allow, connections_per_host=1)
        self._timeout, self._deadline, self._pause = timeout, deadline, pause
        self._ends = self._next = 0.0
        self._silent = 0  # requests without an answer, one after the other
        self.began = datetime.now(UTC)
        self.heard: list[Heard] = []
        self.secrets = Secrets()

    async def __aenter__(self) -> "Asker":
        self._ends = time.monotonic() + self._deadline
        await self._outbound.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._outbound.__aexit__(*failure)

    def grant(self, seconds: float) -> None:
        """Time for what has to be done whatever happened: taking leave."""
        self._silent = 0
        self._ends = max(self._ends, time.monotonic() + seconds)

    async def ask(
        self,
        method: str,
        url: str,
        authorization: str | None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        extra: Mapping[str, str] | None = None,
        ids: bool = True,
        routed: bool = False,
        note: str = "",
    ) -> Heard:
        """One request; `body` is a value, or bytes to send as they are. Raises NoAnswer, and Skipped when time is up.

        `ids` leaves out the two message ids; `routed` says that routing headers belong on request and answer.
        """
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}" if query else url
        given = {headers.REQUEST_ID: headers.new_id(), headers.CORRELATION_ID: headers.new_id()} if ids else {}
        kind = {"Content-Type": "application/json"} if body is not None else {}
        sent = {**({"Authorization": authorization} if authorization else {}), **given, **kind, **(extra or {})}
        timeout = await self._turn()
        began = time.perf_counter()
        shown = Heard(0, {}, b"", 0.0, "", method, url, sent, routed, note)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body)
            answer = await self._outbound.send(method, url, sent, data, timeout)
        except Refused:
            raise NoAnswer(shown.asked, "not called: neither the host that was named nor a public https URL") from None
        except NetworkError as error:
            self._silent += 1
            raise NoAnswer(shown.asked, str(error)) from None
        ms = (time.perf_counter() - began) * 1000
        heard = Heard(answer.status, answer.headers, answer.body, ms, "", method, url, sent, routed, note)
        self._silent = 0
        self.heard.append(heard)
        return heard

    async def _turn(self) -> float:
        """Wait for this request's turn; the seconds it may take."""
        now = time.monotonic()
        left = self._ends - max(now, self._next)
        if left <= 0:
            raise Skipped("the time of the run was up (--deadline)")
        if self._silent >= PATIENCE:
            raise Skipped(f"the peer had not answered {PATIENCE} times, one after the other")
        if len(self.heard) >= MOST:
            raise Skipped(f"the run had made {MOST} requests")
        if self._next > now:
            await asyncio.sleep(self._next - now)
        self._next = time.monotonic() + self._pause
        return min(self._timeout, left)


async def addresses(url: str) -> list[Network]:
    """The networks, of one address each, of the host in a URL. Raises OSError when its name is not known."""
    parts = urlsplit(url)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443)
    return [ip_network(str(entry[4][0]).partition("%")[0]) for entry in found]


def _pair(sent: Mapping[str, str], country: str, party: str) -> str:
    """A party that request headers name, as NL*CPA; what is missing of it as ?."""
    if country not in sent and party not in sent:
        return ""
    return f"{sent.get(country, '?')}*{sent.get(party, '?')}"
