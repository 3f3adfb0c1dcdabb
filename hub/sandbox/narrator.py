"""How a story is told: numbered steps, the messages of each, and the checks at the end.

A step that fails or takes too long ends the story with StepFailed, which names it.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
from ocpp.exceptions import OCPPError
from rich.console import Console
from websockets.exceptions import WebSocketException

from hub.ocpi.errors import OcpiError
from hub.ocpi.types import PartyId
from hub.sandbox.recorder import Received
from hub.sandbox.registration import Refused
from hub.sandbox.wire import Answer

STEP_TIMEOUT = 30.0

Name = PartyId | str


class StepFailed(Exception):
    """The story ended early; the message says at which step and why."""


class Unexpected(Exception):
    """An answer that the story cannot go on with."""


FAULTS = (
    Unexpected,
    TimeoutError,
    OSError,
    OcpiError,
    Refused,
    aiohttp.ClientError,
    httpx.HTTPError,
    OCPPError,
    WebSocketException,
)
"""What may go wrong between the cast and the hub; anything else is a fault of the story itself."""


class Narrator:
    """Prints the story, and remembers what was verified."""

    def __init__(self, console: Console) -> None:
        self.checks: list[tuple[str, bool]] = []
        self._console = console
        self._number = 0
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.perf_counter() - self._began

    @asynccontextmanager
    async def step(self, title: str, timeout: float = STEP_TIMEOUT) -> AsyncIterator[None]:
        """One step; what goes wrong inside becomes StepFailed."""
        self._number += 1
        self._console.print(f"[bold]{self._number:2}  {title}[/bold]", soft_wrap=True, highlight=False)
        try:
            async with asyncio.timeout(timeout):
                yield
        except FAULTS as error:
            reason = str(error) or f"{type(error).__name__} after {timeout:g} s"
            raise StepFailed(f"step {self._number}, {title}: {reason}") from error

    def asked(self, sender: Name, to: Name, what: str, answer: Answer) -> Answer:
        """A message that one of the story's parties sent; Unexpected unless it was accepted."""
        status = f"{answer.http_status}/{answer.status_code}"
        self.line(sender, to, what, status, answer.ms, answer.correlation_id)
        if not answer.ok:
            raise Unexpected(f"{what} from {sender} to {to} was answered {status} {answer.message}".rstrip())
        return answer

    def received(self, sender: Name, to: Name, what: str, seen: Received) -> None:
        """A message that arrived at one of the story's parties."""
        self.line(sender, to, what, str(seen.http_status or "…"), seen.ms, seen.correlation_id)

    def line(
        self, sender: Name, to: Name, what: str, status: str = "", ms: float | None = None, correlation_id: str = ""
    ) -> None:
        """Who, to whom, what, its status, how long it took, and the id to trace it by."""
        took = f"{ms:.0f} ms" if ms is not None else ""
        columns = f"    {sender!s:>12} → {to!s:<12} {what:<44} {status:>8} {took:>8}  [dim]{correlation_id}[/dim]"
        self._console.print(columns.rstrip(), soft_wrap=True, highlight=False)

    def check(self, what: str, holds: bool) -> None:
        """Something that has to be true at the end of the story."""
        self.checks.append((what, holds))

    def verdict(self) -> None:
        """List the checks; StepFailed names those that do not hold."""
        self._console.print("[bold]Checked[/bold]", highlight=False)
        for what, holds in self.checks:
            self._console.print(f"    {'[green]ok[/green]  ' if holds else '[red]FAIL[/red]'}  {what}", highlight=False)
        failed = [what for what, holds in self.checks if not holds]
        if failed:
            raise StepFailed(f"{len(failed)} of {len(self.checks)} checks failed: {'; '.join(failed)}")
