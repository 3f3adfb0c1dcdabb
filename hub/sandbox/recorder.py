"""What a simulated party saw: every request in the order in which it came, and ways to wait for one.

Waiting never sleeps: each request that came in, and each that was handled, wakes whoever waits.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from hub.ocpi import headers
from hub.ocpi.types import PartyId

T = TypeVar("T")


@dataclass
class Received:
    """One request as it arrived. `headers` ignore case; `body` is the parsed JSON, None without one, `raw` its bytes.

    `http_status` and `ms` tell how it was answered, None until it is.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    http_status: int | None = None
    ms: float | None = None
    raw: bytes = field(default=b"", repr=False)

    @property
    def to(self) -> PartyId | None:
        """The party it is addressed to, None without OCPI-to headers."""
        return headers.party(self.headers, headers.TO_COUNTRY, headers.TO_PARTY)

    @property
    def sender(self) -> PartyId | None:
        """The party it says it is from, None without OCPI-from headers."""
        return headers.party(self.headers, headers.FROM_COUNTRY, headers.FROM_PARTY)

    @property
    def correlation_id(self) -> str:
        """X-Correlation-ID, empty when it is missing."""
        return self.headers.get(headers.CORRELATION_ID, "")

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Recorder:
    """The list of requests, and the bell that rings when something happened."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received: list[Received] = []
        self._news = asyncio.Event()

    def note(self, received: Received) -> None:
        """Add a request."""
        self.received.append(received)
        self.changed()

    def changed(self) -> None:
        """Wake all who wait, to look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], T | None], timeout: float = 15.0, what: str = "") -> T:
        """The first value of `condition` that counts as true; TimeoutError says what was seen instead.

        The condition is looked at now and after every change. `timeout` is in seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := condition()):
                    await self._news.wait()
                return value
        except TimeoutError:
            seen = ", ".join(str(r) for r in self.received[-5:]) or "nothing"
            wanted = what or "what was waited for"
            raise TimeoutError(
                f"{self.name}: {wanted} did not come within {timeout:g} s; last received: {seen}"
            ) from None

    async def follow(self) -> AsyncIterator[Received]:
        """Every request, from the first on, as they come; without end."""
        position = 0
        while True:
            while position < len(self.received):
                yield self.received[position]
                position += 1
            await self._news.wait()

    async def wait_for(self, predicate: Callable[[Received], bool], timeout: float = 15.0) -> Received:
        """The first request, received already or still to come, for which `predicate` is true."""
        return await self.until(lambda: next(filter(predicate, self.received), None), timeout, "a request")
