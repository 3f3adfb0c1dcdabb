"""The receivers of `receiver.py` as a bench sees them."""

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx

from tests.bench import processes
from tests.bench.load import receiver

STALLED = 20.0
"""Seconds without a single arrival after which nothing more is expected."""

LOOK = 0.05


class Receivers:
    """So many hosts on one port, served by the process `pid`. A context manager."""

    def __init__(self, port: int, count: int, pid: int) -> None:
        self.port, self.count, self.pid = port, count, pid
        self._client = httpx.AsyncClient(base_url=self.url(0), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def url(self, number: int) -> str:
        """The address of a receiver, counted from 0."""
        return f"http://{receiver.host(number)}:{self.port}"

    def usage(self) -> processes.Usage:
        """What they use from here on."""
        return processes.Usage(self.pid)

    async def expect(self, text: str) -> None:
        """Count from now on, requests with this text in their body."""
        await self._client.post("/_expect", content=text.encode())

    async def arrivals(self, *, each: bool = False) -> dict[str, Any]:
        """What has come: see `receiver.Arrivals.told`."""
        found: dict[str, Any] = (await self._client.get(f"/_arrivals{'?each' if each else ''}")).json()
        return found

    async def until(self, count: int) -> dict[str, Any]:
        """Wait until so many have arrived, or none for a while."""
        arrived, moved = await self.arrivals(), time.monotonic()
        while arrived["count"] < count and time.monotonic() - moved < STALLED:
            await asyncio.sleep(LOOK)
            before, arrived = arrived["count"], await self.arrivals()
            if arrived["count"] > before:
                moved = time.monotonic()
        return arrived
